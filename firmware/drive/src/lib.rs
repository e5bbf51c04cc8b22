//! What a board does around a device: connects, says what the device says, hears what is said to it.
//!
//! `fieldledger-device` decides, and does no I/O; a board has a network, a clock, sensors and outputs.
//! This is the loop between the two, the same on every board that runs futures, over MQTT 3.1.1.
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | what a board gives |
//! | [`mod@run`] | the loop |
//! | [`mqtt`] | MQTT 3.1.1 as far as a device needs it, without I/O |
//! | [`address`] | where a broker is |
//! | [`setup`] | a device from the settings that a board holds |
//!
//! Every wait has an end, after which something else is tried. [`Board::alive`]
//! is called at least once in two seconds, and only from this loop, so that a watchdog that is fed
//! there bites where the loop, or anything it runs beside, does not come round.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod address;
pub mod board;
pub mod mqtt;
pub mod run;
pub mod setup;

mod session;

pub use board::Board;
pub use run::{Buffers, run};
