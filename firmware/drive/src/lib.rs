//! What a board does around a device: connects, says what the device says, hears what is said to it.
//!
//! `fieldledger-device` decides, and does no I/O; a board has a network, a clock, sensors and outputs.
//! This is the loop between the two, the same on every board that runs futures, over MQTT 3.1.1 or core NATS,
//! as the address of each broker says.
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | what a board gives |
//! | [`mod@run`] | the loop |
//! | `session` | one connection to one broker |
//! | [`mqtt`] | MQTT 3.1.1 as far as a device needs it, without I/O |
//! | [`wire`] | one connection's state, over MQTT or over NATS (`nano-nats`), without I/O |
//! | [`address`] | where a broker is, and what it speaks |
//! | [`client`] | who a device is to its brokers |
//! | [`setup`] | a device from the settings that a board holds |
//! | [`log_line`] | a line of a board's log |
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
pub mod client;
pub mod log_line;
pub mod mqtt;
pub mod run;
pub mod setup;
pub mod wire;

mod session;

pub use board::Board;
pub use client::Client;
pub use run::run;
pub use wire::Traffic;
