//! The ledger's files for searches.
#![allow(dead_code)]

#[path = "../../crates/log/ledger/src/query/cursor.rs"]
pub(crate) mod cursor;
#[path = "../../crates/log/ledger/src/query/language.rs"]
pub(crate) mod language;
