//! What the ledger answers beyond the types of [`fieldledger_audit::log`]: the Rust twins of
//! `fieldledger:ledger/{proofs, readings, status}` in `wit/`, with the same names and units.
//!
//! Times are microseconds since the Unix epoch.

use fieldledger_audit::log::{Checkpoint, Entry};

/// An entry with its audit path in the tree of `checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The entry; its `proof` is filled.
    pub entry: Entry,
    /// The newest signed tree head.
    pub checkpoint: Checkpoint,
}

/// Entries that follow each other in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRange {
    /// The entries; their `proof` is filled if asked for.
    pub entries: Vec<Entry>,
    /// The newest signed tree head; it covers them.
    pub checkpoint: Checkpoint,
}

/// A reading as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Entry of the log.
    pub index: u64,
    /// The sensor's id.
    pub sensor: String,
    /// `SUCCESS`, `VALUE_ERROR` or `COMM_ERROR`.
    pub status: String,
    /// OPC UA status code name, such as `Good` or `BadNoCommunication`.
    pub quality: String,
    /// Engineering value; none where the quality is Bad.
    pub value: Option<f64>,
    /// UCUM code, or empty.
    pub unit: String,
    /// When the device was polled.
    pub polled_at: u64,
    /// When the ledger received the entry.
    pub received_at: u64,
}

/// Readings of a span of time, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Start of the span.
    pub start: u64,
    /// Readings in the span.
    pub count: u32,
    /// Those of them without a value.
    pub bad: u32,
    /// Smallest value.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// Arithmetic mean of the values.
    pub mean: Option<f64>,
    /// The last value in the span.
    pub last: Option<f64>,
}

/// Readings of one sensor over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// Every reading, oldest first.
    Raw(Vec<Reading>),
    /// One item for each span that has readings, oldest first; spans are equally long.
    Buckets(Vec<Bucket>),
}

/// Counters since the ledger was opened, but for the gauges, which say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerStatus {
    /// The log's name.
    pub origin: String,
    /// Gauge: entries in the log.
    pub tree_size: u64,
    /// Gauge: entries that can be found by text, field and sensor.
    pub indexed_size: u64,
    /// Gauge: bytes of log, tiles and index.
    pub bytes_on_disk: u64,
    /// Events appended.
    pub appended: u64,
    /// Events that were already in the log.
    pub duplicates: u64,
    /// Events of calls that were refused as invalid.
    pub rejected: u64,
    /// Commits that wrote something.
    pub commits: u64,
    /// What the last start found and did, in a sentence.
    pub recovery: String,
    /// Median time from request to durable, microseconds, over the newest 512 to 1,024 commits.
    pub commit_p50: u64,
    /// 99th percentile of the same.
    pub commit_p99: u64,
    /// Why the log takes no more events, if it has ended: it was frozen, or restored read-only.
    pub ended: Option<String>,
    /// Why entries cannot be indexed at present; empty if nothing is wrong.
    pub index_problem: String,
    /// What is in the archive; none where there is no archive.
    pub archive: Option<ArchiveStatus>,
}

/// What is in the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveStatus {
    /// Segments that are there whole.
    pub segments: u64,
    /// Entries in them: all below this.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Segments that are there only, and no longer on this disk.
    pub removed: u64,
    /// Why nothing more can be archived at present; empty if nothing is wrong.
    pub problem: String,
}
