//! The ledger's file for frames.
#![allow(dead_code)]

#[path = "../../crates/log/ledger/src/store/frame.rs"]
pub(crate) mod frame;
