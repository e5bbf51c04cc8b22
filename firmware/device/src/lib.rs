//! A field device without its board: what it says, when, and what it does about what it hears.
//!
//! Nothing here does I/O, allocates or knows a clock. A program gives it bytes and the time, and does
//! what it says: connect, subscribe, publish, set an output. So the same device runs on a
//! microcontroller, under Linux, and in a test that plays years of outages in a second.
//!
//! | module | holds |
//! |---|---|
//! | [`device`] | the device itself |
//! | [`action`] | what it says is to be done |
//! | [`config`] | what it is told once |
//! | [`sensor`] | what measures, and the sensors' ids |
//! | [`topics`] | where it publishes and listens |
//! | [`ring`] | readings of which nobody has said that they are stored |
//! | [`kept`] | readings where a reboot does not reach them |
//! | [`actuator`] | outputs: epochs, expiry, neutral values |
//! | [`command`] | what an output is commanded |
//! | [`brokers`] | which broker next |
//! | [`incoming`] | what arrives, parsed |
//! | [`clock`] | the time as it is given |
//! | `messages`, `json` | what it sends, written |
//!
//! ```text
//! loop {
//!     while let Some(action) = device.next(now()) { /* do it */ }
//!     /* wait until device.wake_at(now()), or until something arrives, and tell the device */
//! }
//! ```
//!
//! **Live.** A poll is answered with a reading that is signed, numbered and dated. Where polls say which
//! answers are stored, each is kept until it is named, and what is not named goes out again as history.
//! **Outage.** While
//! it is not connected, or nobody polled a sensor for a few of its intervals, the device samples at the
//! sensor's interval and keeps the readings in a ring of fixed size. Connected again it sends them in
//! bulk, one message at a time and behind everything live, and drops them only when the server says
//! that it has them. What the ring could not keep is counted, and the heartbeat says so.
//!
//! **Reboot.** It begins a new boot id and counts from zero. The ring is in memory; what the board kept of
//! it ([`kept`]) goes out as history of the boot that took it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod action;
pub mod actuator;
pub mod brokers;
pub mod clock;
pub mod command;
pub mod config;
pub mod device;
pub mod incoming;
pub mod kept;
pub mod ring;
pub mod sensor;
pub mod topics;

mod json;
mod messages;

pub use clock::Now;
pub use config::Config;
pub use device::{Action, Device};
pub use kept::{Kept, Offer};
