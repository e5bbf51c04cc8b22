//! How the log is.

use std::fmt;

use fieldledger_contract_derive::Wire;

use crate::base::WallTime;

/// How the log is. What is counted is counted since the ledger started; sizes are as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LedgerStatus {
    /// Name of the log.
    pub origin: String,
    /// Entries in the log.
    pub tree_size: u64,
    /// Entries the search index has seen.
    pub indexed_size: u64,
    /// Bytes of the ledger's folder.
    pub bytes_on_disk: u64,
    /// Bytes of entries appended a day: over this hour and the 23 before, or since the start where
    /// that is shorter; 0 in the first minute.
    #[cfg_attr(feature = "serde", serde(default))]
    pub bytes_per_day: u64,
    /// Events appended.
    pub appended: u64,
    /// Events that were already there.
    pub duplicates: u64,
    /// Events refused.
    pub rejected: u64,
    /// Commits to disk.
    pub commits: u64,
    /// What the last start found and did.
    pub recovery: String,
    /// Median time of an append, microseconds.
    pub commit_p50: u64,
    /// 99th percentile of the same.
    pub commit_p99: u64,
    /// Why the log takes no more events, if it has ended: it was frozen, or restored read-only.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub ended: Option<String>,
    /// Why entries cannot be indexed at present; absent if nothing is wrong.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub index_problem: String,
    /// What is in the archive; absent where there is no archive.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub archive: Option<ArchiveStatus>,
    /// Why the times of entries cannot be believed at present; absent if they can.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub clock: Option<ClockProblem>,
}

/// The server's clock stepped, or is behind the last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct ClockProblem {
    /// When that was found, by the clock itself.
    pub since: WallTime,
    /// How far the clock is from where it would be without its steps; negative where it is behind.
    pub offset_micros: i64,
    /// How far it is behind the last entry. Meanwhile each entry gets a time just after the one before.
    pub behind_micros: u64,
}

impl fmt::Display for ClockProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Microseconds in a tenth of a second.
        const TENTH: u64 = 100_000;
        let seconds = |micros: u64| format!("{}.{} s", micros / TENTH / 10, micros / TENTH % 10);
        let offset = self.offset_micros;
        let mut parts = Vec::new();
        if offset != 0 {
            let side = if offset > 0 { "ahead of" } else { "behind" };
            let steps = seconds(offset.unsigned_abs());
            parts.push(format!("it stepped, and is {steps} {side} where it was"));
        }
        if self.behind_micros > 0 {
            let behind = seconds(self.behind_micros);
            parts.push(format!("it is {behind} behind the last entry"));
        }
        write!(
            f,
            "the server's clock is not to be believed since {}: {}",
            self.since,
            parts.join("; ")
        )
    }
}

/// What is in the archive of the log's full segments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ArchiveStatus {
    /// Segments that are there whole.
    pub segments: u64,
    /// Entries in them: all below this.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Segments that are there only, and no longer on the ledger's disk.
    pub removed: u64,
    /// Why nothing more can be archived at present; absent if nothing is wrong.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub problem: String,
}
