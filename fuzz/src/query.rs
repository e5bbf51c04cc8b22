//! The ledger's files for searches.
#![allow(dead_code)]

#[path = "../../crates/ledger/src/query/cursor.rs"]
pub(crate) mod cursor;
#[path = "../../crates/ledger/src/query/language.rs"]
pub(crate) mod language;
