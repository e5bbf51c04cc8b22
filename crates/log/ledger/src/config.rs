//! The settings of a ledger.

use std::path::PathBuf;
use std::time::Duration;

use crate::anchor::AnchorPlace;
use crate::clock::Clock;
use crate::objects::ObjectFolder;
use crate::store::faults::Faults;
use fieldledger_contract::ledger::RetentionScope;

/// The name under which a ledger signs where none is configured.
pub const DEFAULT_ORIGIN: &str = "fieldledger.local/ledger";

/// How to open a ledger. [`Config::new`] gives the settings that fit a plant; tests use smaller
/// ones.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ledger's own folder; created where it is missing.
    pub folder: PathBuf,
    /// Where the newest signed tree head is kept, apart from the log.
    pub anchor: AnchorPlace,
    /// Where segments that are no longer written are copied to, with their tiles; nowhere if none.
    pub archive: Option<ObjectFolder>,
    /// Of the segments that are in the archive, how many stay on the disk as well; all if none.
    pub local_segments: Option<usize>,
    /// The log's name in its signed tree heads, C2SP tlog-checkpoint: no spaces, no `+`.
    /// It cannot change once the ledger exists.
    pub origin: String,
    /// Whether to keep a search index. Without one, only searches without text are answered.
    pub index: bool,
    /// Size in bytes at which a segment file is closed and the next begun.
    pub segment_bytes: u64,
    /// Size in bytes from which on a closed segment is packed: compressed, in blocks that can be read
    /// alone. A smaller one takes little room as it is.
    pub pack_from_bytes: u64,
    /// Entries after which the derived state is written down, so that a start need not read them.
    pub snapshot_every: u64,
    /// Bytes of events that may wait for a commit; beyond them `append` answers `Unavailable`.
    pub queue_bytes: usize,
    /// Events that one commit takes at most; a single call is never split.
    pub commit_events: usize,
    /// How long the index waits for more entries before it makes them searchable, milliseconds.
    pub index_interval_ms: u64,
    /// How long a gap in a device's numbers may stay open before the log has an entry about it,
    /// milliseconds: late readings often fill it.
    pub gap_grace_ms: u64,
    /// When the entries since the last publication get a root of Pangea's tree; never for none.
    pub publication: Option<Publication>,
    /// Which payloads are given up once they are old, without anybody's asking; none for none.
    pub retention: Option<RetentionPolicy>,
    /// How long `open` waits for another process to let go of the folder, milliseconds.
    pub lock_wait_ms: u64,
    /// Tells the time.
    pub clock: Clock,
    /// What goes wrong with the disk, in tests; none in earnest.
    pub faults: Option<Faults>,
}

impl Config {
    /// The usual settings for a ledger in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            anchor: AnchorPlace::Beside,
            archive: None,
            local_segments: None,
            origin: DEFAULT_ORIGIN.to_owned(),
            index: true,
            segment_bytes: 16 * 1024 * 1024,
            pack_from_bytes: 1024 * 1024,
            snapshot_every: 500_000,
            queue_bytes: 64 * 1024 * 1024,
            commit_events: 16_384,
            index_interval_ms: 1_000,
            gap_grace_ms: 60_000,
            publication: Some(Publication::default()),
            retention: None,
            lock_wait_ms: 10_000,
            clock: Clock::default(),
            faults: None,
        }
    }
}

/// Which payloads a log gives up without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How long payloads are kept at least.
    pub keep_for: Duration,
    /// Which are given up after that.
    pub scope: RetentionScope,
}

/// When the entries since the last publication get a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// Once the oldest has waited so long, milliseconds.
    pub interval_ms: u64,
    /// Once there are so many; also the most that get one root. At least 2.
    pub entries: u64,
}

impl Default for Publication {
    /// Each minute, or 16,384 entries: to prove one of them, all their hashes are read.
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            entries: 16_384,
        }
    }
}
