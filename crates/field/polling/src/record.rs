//! What of a sensor survives a restart of the provider.

use fieldledger_wire::heartbeat::Heartbeat;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A sensor as stored. The heartbeat is checked again when it is read back: the rules may have
/// changed since, and the store is not ours alone.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) heartbeat: &'a Heartbeat,
    /// Wall clock, microseconds.
    pub(crate) first_seen: u64,
    /// Wall clock, microseconds.
    pub(crate) last_heartbeat: u64,
    /// How long its slowest answer took, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slowest_answer: Option<u64>,
}

impl Record<'_> {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers are JSON")
    }
}

/// A record read back, its heartbeat not yet checked.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredRecord {
    pub(crate) heartbeat: Value,
    pub(crate) first_seen: u64,
    pub(crate) last_heartbeat: u64,
    #[serde(default)]
    pub(crate) slowest_answer: Option<u64>,
}
