//! What the field says and how it is said: the wire contract between sensors and the polling
//! provider, and the batches of poll results that go on from there.
//!
//! | module | holds |
//! |---|---|
//! | [`heartbeat`] | what a sensor announces of itself, and the checks it has to pass |
//! | [`topic`] | a device's topics as NATS subjects, and which of them are acceptable |
//! | [`poll`] | the payload of a poll |
//! | [`reply`] | what a sensor answers |
//! | [`points`] | what a device with many points answers |
//! | [`bulk`] | what a sensor read while nobody polled it, sent afterwards |
//! | [`mod@unit`] | what devices call a unit, and its UCUM code |
//! | [`mqtt`] | MQTT topics as NATS subjects and back, as nats-server does it |
//! | [`attestation`] | from signed messages to evidence for the log |
//! | [`batch`] | results on their way to the log |
//!
//! Beside them `text` (a message without what a careless writer put around it), `number` and `instant` (numbers
//! and times in any spelling that means one), and `excerpt` (hostile text, cut for an error message).
//!
//! # Invariants
//!
//! - Everything here is pure: no clock, no network, no wasm.
//! - Bytes from a device are hostile until one of these types holds them. What is too long, not of the right
//!   kind, or signed by somebody else is refused with a message that names the member and what would be right.
//! - A number is the text that the device wrote, and numbers of messages lie below 2^53.
//! - What only informs never costs a device or its value: it is kept as it was sent or left out, and a remark
//!   says so.
#![forbid(unsafe_code)]

pub mod attestation;
pub mod batch;
pub mod bulk;
pub mod heartbeat;
pub mod mqtt;
pub mod points;
pub mod poll;
pub mod reply;
pub mod topic;
pub mod unit;

mod excerpt;
mod instant;
mod number;
mod text;
