//! The audit event: its schema (that of Pangea's Secure Audit Log), its checks, its canonical form.
//!
//! Pure, for native code and wasm alike. An empty string always means that the event lacks the
//! field. Text from outside comes in through [`parse::parse_events`], which never panics and names
//! every fault; [`validate::validate`] holds columns against the limits of the schema.
#![forbid(unsafe_code)]

pub mod columns;
pub mod event;
pub mod log;
pub mod pangea;
pub mod parse;
pub mod stringify;
pub mod timestamp;
pub mod validate;

pub use columns::EventRows;
pub use event::{Event, EventRow, Origin, Signature};
pub use fieldledger_contract::InvalidField;
pub use fieldledger_contract::audit::EventColumns;
