//! What the field says and how it is said: the wire contract between sensors and the polling
//! provider, and the batches of poll results that go on from there.
//!
//! | module | holds |
//! |---|---|
//! | [`heartbeat`] | what a sensor announces of itself, and the checks it has to pass |
//! | [`topic`] | a device's topics as NATS subjects, and which of them are acceptable |
//! | [`poll`] | the payload of a poll |
//! | [`reply`] | what a sensor answers |
//! | [`bulk`] | what a sensor read while nobody polled it, sent afterwards |
//! | [`attestation`] | from signed messages to evidence for the log |
//! | [`batch`] | results on their way to the log |
//!
//! Beside them `unit` (what may stand as a unit) and `excerpt` (hostile text, cut for an error message).
//!
//! # Invariants
//!
//! - Everything here is pure: no clock, no network, no wasm.
//! - Bytes from a device are hostile until one of these types holds them. What is too long, not of the right
//!   kind, or signed by somebody else is refused with a message that names the member and what would be right.
//! - A number is the text that the device wrote, and numbers of messages lie below 2^53.
#![forbid(unsafe_code)]

pub mod attestation;
pub mod batch;
pub mod bulk;
pub mod heartbeat;
pub mod poll;
pub mod reply;
pub mod topic;

mod excerpt;
mod unit;
