//! What is written into a board beside its program: its settings, and its radio's own program.
//!
//! A program that holds a key or a passphrase is a secret, and differs from board to board. So the
//! program is the same for all, and the rest is a *record* in a place of its own in the flash, made on
//! a desk by `firmware/provision`. Numbers are little-endian:
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0 | 4 | what it is: `FLDS` for settings, `FLDR` for a radio |
//! | 4 | 4 | the version of the content's layout |
//! | 8 | 4 | the length of the content, n |
//! | 12 | n | the content |
//! | 12 + n | 32 | SHA-256 of everything before |
//!
//! The digest is against flash that was half written or has aged. It is no signature: who can write a
//! board's flash has the board.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | key, network, brokers, sensors |
//! | `frame` | what all records have in common |
//! | [`radio`] | the files that a CYW43439 needs before it is a radio |
//! | [`pico_w`] | where both are in a Pico W, and what is written there while it runs |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod frame;
pub mod pico_w;
pub mod radio;
pub mod settings;

pub use frame::{MIN_RECORD_BYTES, RecordError};
pub use radio::Radio;
pub use settings::Settings;
