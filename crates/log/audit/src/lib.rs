//! The audit event: its schema (that of Pangea's Secure Audit Log), its checks, its canonical form.
//!
//! Pure, for native code and wasm alike. An empty string always means that the event lacks the
//! field. Text from outside comes in through [`parse::parse_events`], which never panics and names
//! every fault; [`validate::validate`] holds columns against the limits of the schema.
//!
//! | module | holds |
//! |---|---|
//! | `columns` | events as they cross a component boundary, column by column |
//! | `event` | one event, and its canonical JSON |
//! | `log` | what the audit log is asked and answers |
//! | `parse`, `stringify` | events out of JSON that anybody may have written |
//! | `validate` | the limits of the schema |
//! | `timestamp` | RFC 3339 times |
//! | `times` | times as people write them |
//! | `decimal` | numbers compared by all their digits |
//! | `pangea` | the JSON of a Pangea-shaped audit service |
//!
//! **Invariants.** Equal events have equal canonical JSON. No input makes a parser panic, and what is refused names
//! the item, the column and what would be right.
#![forbid(unsafe_code)]

pub mod columns;
pub mod decimal;
pub mod event;
pub mod log;
pub mod pangea;
pub mod parse;
pub mod stringify;
pub mod times;
pub mod timestamp;
pub mod validate;

pub use columns::EventRows;
pub use event::{Event, EventRow, Origin, Signature};
pub use fieldledger_contract::InvalidField;
pub use fieldledger_contract::audit::EventColumns;
