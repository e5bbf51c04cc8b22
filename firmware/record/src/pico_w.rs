//! Where records are in a Raspberry Pi Pico W, whose flash has 2 MiB and begins at `0x1000_0000`. The
//! first half is the program's.

/// The radio's files, behind the program.
pub const RADIO: u32 = 0x1010_0000;

/// The settings, in the last sector.
pub const SETTINGS: u32 = 0x101f_f000;

/// The room for the radio's files.
pub const RADIO_BYTES: usize = (SETTINGS - RADIO) as usize;
