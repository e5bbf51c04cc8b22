//! Where what is in a Raspberry Pi Pico W, whose flash has 2 MiB and begins at `0x1000_0000`. The first half
//! is the program's.

use core::ops::Range;

/// The beginning of the flash.
pub const FLASH: u32 = 0x1000_0000;

/// The bytes of the flash.
pub const FLASH_BYTES: usize = 0x20_0000;

/// The radio's files, behind the program.
pub const RADIO: u32 = 0x1010_0000;

/// Held readings: 32 sectors of 4 KiB, with 868 readings at least. One reading in 10 s goes through
/// them in two and a half hours, and would wear them out (100,000 erases) in 28 years without a server.
pub const HELD: Range<u32> = 0x101d_f000..SETTINGS;

/// The list of brokers that was sent last, in two sectors.
pub const BROKERS: Range<u32> = 0x101d_d000..HELD.start;

/// The settings, in the last sector.
pub const SETTINGS: u32 = 0x101f_f000;

/// The room for the radio's files.
pub const RADIO_BYTES: usize = (BROKERS.start - RADIO) as usize;
