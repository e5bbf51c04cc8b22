//! How the log is.

use fieldledger_contract_derive::Wire;

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
