//! From poll results to audit events: quality, calibration, and the reading inside an event.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@grade`] | a batch of results to audit events: its checks, the value, what speaks against it |
//! | [`kept`] | what is kept of a reading that the log does not take |
//! | [`quality`] | OPC UA qualities, and how severe they are |
//! | [`record`] | the reading inside an event's message |
//!
//! # Invariants
//!
//! - Everything here is pure and compiles for wasm.
//! - The same batch always yields the same events, with the same producers and sequences, so that the log
//!   knows a batch that is delivered again.
//! - What a device did wrong is a quality, never an error; what it said is recorded as it said it.
//! - Every event is one that the log takes: what it has no room for is left out, and the event says so.
//! - A reading of Bad quality carries no value; any other carries one.
#![forbid(unsafe_code)]

pub mod grade;
pub mod kept;
pub mod quality;
pub mod record;

pub use grade::{BatchError, grade_batch};
pub use quality::{Quality, Severity};
pub use record::{EvidenceText, Recorded, RecordedError};
