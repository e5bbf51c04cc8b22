//! What is shown of witnesses.

use crate::board::Behaviour;

/// How the ledger's own checkpoints are witnessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorStatus {
    /// What is published while the quorum is missing.
    pub behaviour: Behaviour,
    /// Entries in the log.
    pub tree_size: u64,
    /// Size of the published checkpoint; none where none may be published yet.
    pub published_size: Option<u64>,
    /// Whether the published checkpoint satisfies the policy.
    pub witnessed: bool,
    /// Size of the newest checkpoint that satisfies the policy; none where none ever did.
    pub witnessed_size: Option<u64>,
    /// Each witness of the policy, in its order.
    pub witnesses: Vec<WitnessProgress>,
}

/// How far a witness is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WitnessProgress {
    /// What the policy calls it.
    pub name: String,
    /// Its key, `name+id+key`.
    pub key: String,
    /// Where it is asked; empty where the policy gives no URL.
    pub url: String,
    /// Size of the tree that it has cosigned last, as far as is known; 0 for none.
    pub cosigned_size: u64,
    /// When it did so, seconds since the Unix epoch; 0 for never.
    pub cosigned_at: u64,
    /// Entries of the log beyond that.
    pub lag: u64,
    /// Attempts in a row that failed; 0 where the last one succeeded.
    pub failures: u32,
    /// Why an attempt failed last, in a sentence; stays after a success, empty where none failed.
    pub last_error: String,
    /// Whether it says that this log is not the one it has cosigned: one of the two stories is
    /// false, and people must look.
    pub refuses: bool,
}

/// This site as a witness of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStatus {
    /// The key that others must configure, `name+id+key`.
    pub key: String,
    /// The logs watched, by origin.
    pub logs: Vec<WatchedStatus>,
}

/// A log that this site watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedStatus {
    /// The log's name.
    pub origin: String,
    /// Size of the tree cosigned last; 0 for none.
    pub size: u64,
    /// When, seconds since the Unix epoch; 0 for never.
    pub cosigned_at: u64,
    /// Checkpoints refused since the start because they do not continue the tree cosigned.
    pub refused: u64,
    /// The newest such refusal, or why this log cannot be cosigned, in a sentence; else empty.
    pub problem: String,
}
