//! From poll results to audit events: quality, calibration, and the reading inside an event.
//!
//! `ARCHITECTURE.md` ("The reading as an audit event") says which field holds what. Everything here
//! is pure and compiles for wasm.
#![forbid(unsafe_code)]

pub mod grade;
pub mod quality;
pub mod record;

pub use grade::{BatchError, grade_batch};
pub use quality::{Quality, Severity};
pub use record::{EvidenceText, Recorded, RecordedError};
