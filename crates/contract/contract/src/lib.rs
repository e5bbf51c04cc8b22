//! The contract between the parts of the application: every type of `wit/`, once.
//!
//! | module | holds |
//! |---|---|
//! | [`base`] | time, and what is wrong: `fieldledger:base/types` |
//! | [`audit`] | the audit log as an application sees it: `fieldledger:audit/types` |
//! | [`field`] | sensors, polls and their results: `fieldledger:field/types` |
//! | [`ledger`] | what the ledger tells beyond that: `fieldledger:ledger/types` |
//! | [`ui`] | the files of the page: `fieldledger:ui/types` |
//! | [`calls`] | what can be asked of the log, of the plant and of the page, as traits |
//! | [`limits`] | how long texts may be, the same everywhere |
//! | [`packed`] | records as one text: how what comes by the thousand travels |
//! | `wire` | how the types travel over the lattice, with the feature `wrpc` |
//!
//! Both generators of bindings take these types in place of their own, so a type has no twin and no
//! conversion. A new member is an edit of `wit/` and of the type here, in the same place of both.
//!
//! Invariants:
//! - A type here has the members and cases of its namesake in `wit/`, in that order; a test holds
//!   them against each other.
//! - With the feature `serde` a type has the JSON form of the HTTP API, or for batches that of the
//!   stream: both are read by others, so a member is only ever added, with a default.
//! - Texts that are empty and options that are none mean what `wit/` says of them.
#![forbid(unsafe_code)]

pub mod audit;
pub mod base;
pub mod calls;
pub mod field;
pub mod ledger;
pub mod limits;
pub mod packed;
pub mod ui;

#[cfg(test)]
mod agreement;
#[cfg(feature = "wrpc")]
mod wire;

pub use base::{Error, InvalidField, WallTime};
