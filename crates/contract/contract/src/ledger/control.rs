//! What changes a log otherwise than an append, and what came of it.

use std::fmt;
use std::str::FromStr;

use fieldledger_contract_derive::Wire;

use crate::audit::Checkpoint;

/// What became of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// The entry whose payload is gone.
    pub entry: u64,
    /// The entry of the log that says so.
    pub marker: u64,
    /// Whether it was gone before.
    pub already: bool,
}

/// Which old payloads are given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RetentionScope {
    /// Those of readings; what people and programs did is kept.
    #[default]
    Readings,
    /// All but the log's own.
    All,
}

impl RetentionScope {
    /// `readings` or `all`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Readings => "readings",
            Self::All => "all",
        }
    }
}

impl fmt::Display for RetentionScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A text that does not name a scope.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a scope of retention; it must be readings or all")]
pub struct UnknownScope(String);

impl FromStr for RetentionScope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        [Self::Readings, Self::All]
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// What payloads were given up just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Retained {
    /// The entry of the log that tells of it; null where nothing was old enough.
    pub marker: Option<u64>,
    /// The payloads of entries below this are given up, as far as the scope goes.
    pub below: u64,
}

/// What payloads are given up, and how far that is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Retention {
    /// The payloads of readings below this entry are given up.
    pub readings_below: u64,
    /// All payloads below this entry are given up, but the log's own.
    pub all_below: u64,
    /// Bytes that this has freed so far.
    pub freed_bytes: u64,
    /// Whether there are segments that must yet be written anew.
    pub pending: bool,
    /// Why that cannot be done at present; empty if nothing is wrong.
    pub problem: String,
}

/// A change of the keys that sign the log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyChange {
    /// The entry of the log that tells of it.
    pub entry: u64,
    /// The key that signed before, C2SP signed-note `name+hash+key`.
    pub old: String,
    /// The key that signs from now on: beside the old one, or alone.
    pub new: String,
    /// Keys that sign from now on, oldest first.
    pub verifier_keys: Vec<String>,
}

/// Where a log goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Successor {
    /// Name of the log that goes on.
    #[cfg_attr(feature = "schema", schema(example = "fieldledger/site-a/2"))]
    pub origin: String,
    /// The key that verifies it; empty where it is not known yet.
    #[cfg_attr(feature = "serde", serde(default))]
    pub verifier_key: String,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct Freeze {
    /// The last entry, which says so.
    pub entry: u64,
    /// The last tree head.
    pub checkpoint: Checkpoint,
}
