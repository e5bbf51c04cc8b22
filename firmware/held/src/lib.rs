//! Readings that are held until they are delivered, and the brokers that were sent last, where a reboot does not
//! reach them: in NOR flash, or in a file that is used like it.
//!
//! The place is divided into sectors, which can only be erased as a whole, and each sector into slots of
//! [`SLOT_BYTES`], one reading each. They are written one after the other, sector after sector and round
//! again: a sector is erased when its turn comes, and with it the oldest readings go. So every sector is
//! erased equally often, and what is full forgets the oldest.
//!
//! A slot is written once, and is not trusted unless its checksum holds. One that is neither blank nor good
//! was torn by a power cut, or is worn: it is passed over, and never written to again before its sector is
//! erased. A sector is erased before it is written to even if it looks blank, because an erase that was cut
//! short can look so. What is written is read again before it counts as held.
//!
//! A reading that the server has is forgotten by writing zeros over its mark. If the power fails first it
//! goes out again, and the log knows its number.
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0 | 4 | the mark: `5a` four times while the reading is held; anything else where it is forgotten |
//! | 4 | 8 | number of the slot, rising from one to the next, little-endian like all numbers |
//! | 12 | 16 | sensor id |
//! | 28 | 8 | sequence number within the boot |
//! | 36 | 8 | time in microseconds |
//! | 44 | 1 | clock: 0 is time since boot, 1 is UTC |
//! | 45 | 3 | lengths of boot id, value and unit |
//! | 48 | 88 | boot id, value and unit, and zeros |
//! | 136 | 8 | the first bytes of the SHA-256 of a line that names this layout, and of offsets 4 to 136 |
//!
//! `sequential-storage` (8.0) keeps a queue in flash too, and was not taken for two of its open issues: after
//! a torn write it can lose an item that it acknowledged later (136), and an erase that was cut short can
//! leave what it takes for an item (70). Slots of one size have neither problem.
//!
//! | module | holds |
//! |---|---|
//! | `slot` | one reading as bytes |
//! | `ring` | slots in turn |
//! | `store` | what a board does with a ring, until it fails |
//! | `last` | one text that survives a restart: the list of brokers that was sent last |
//!
//! **Invariants.** A slot that was acknowledged as written is read back after any loss of power, until it is
//! forgotten or the oldest makes room. Torn bytes are never taken for a reading.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod last;
mod ring;
mod slot;
mod store;

pub use last::Last;
pub use ring::{HeldError, Ring};
pub use slot::SLOT_BYTES;
pub use store::Store;
