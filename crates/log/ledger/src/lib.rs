//! The ledger: a durable, signed, append-only log of audit events.
//!
//! # Invariants
//!
//! - An append is answered once its events are on the disk, were read back, and are covered by a
//!   signed tree head that lies in the anchor: write, sync, read back, sign, anchor, answer.
//! - One thread writes (`commit`). All others read what it has published (`head`).
//! - An event with a producer and a sequence is in the log once, however often it is sent.
//! - Entries never change and never move. A payload can go (`life`), its leaf stays, and an entry of
//!   the log says why it went.
//! - A log that has ended, because it was frozen or restored read-only, never takes another event.
//! - Segments, keys and anchor are the log. All other files are derived: what is missing or damaged is
//!   computed again, and `fsck` says so.
//! - What a crash leaves half done is finished by the next start (`recovery`), or refused with what
//!   would be right.
//!
//! # Modules
//!
//! How entries, frames and searches are written is a crate of its own, `fieldledger_formats`. An
//! append follows this way through the modules:
//!
//! ```text
//! ledger        the handle: appends and questions come in here
//! request       checks events, where the caller is, and puts them in canonical form
//! intake        hands them over
//! queue         holds them until the next commit
//! commit        takes all that wait and makes them durable
//!   framing       writes their envelopes and frames
//!   grower        extends the tree
//!   keys          sign it
//!   anchor        has the newest signed tree head, apart from the log
//!   head          the newest signed tree head, as readers see it
//!   producers     which events the log has already
//!   claims        whether it has a device's reading, whose number it may have for another one
//!   readings      readings in events, and the newest of each sensor
//!   gaps          which readings are missing
//!   snapshots     what the entries add up to, written down for the next start
//! ```
//!
//! Questions are answered by these:
//!
//! ```text
//! search        from the log, or from the index
//! index         finds entries by text, column and sensor; follows the log
//! proofs        entries and their proofs
//! tree          tiles and bundles, for whoever computes proofs
//! pangea        the log as Pangea's clients know it; publishes roots
//! usage, stats  numbers for the status
//! growth        how fast the log grows
//! calls         what the contract asks, by all of these
//! ```
//!
//! And these open, change and check a log:
//!
//! ```text
//! config        the settings
//! recovery      how a ledger starts
//! life          erasures, retention, changes of keys, the end of a log, backups
//! markers       what entries say of other entries
//! packer        compresses full segments
//! archiver      moves full segments to the archive
//! follower      how these two follow the log
//! gap_recorder  writes entries about gaps
//! fsck          checks a log without opening it
//! store         one module for each kind of file
//! objects       a folder in an object store
//! paths         the names of the files
//! clock, clock_watch, clock_recorder, error, problem
//! ```
//!
//! # Example
//!
//! ```
//! use fieldledger_ledger::{Config, EventColumns, Ledger};
//!
//! let folder = tempfile::tempdir()?;
//! let ledger = Ledger::open(Config::new(folder.path().join("log")))?;
//! let events = EventColumns {
//!     message: vec!["the door was opened".to_owned()],
//!     ..EventColumns::default()
//! };
//! let written = futures::executor::block_on(ledger.append(events))?;
//! assert_eq!(written.indices, [Some(0)]);
//! let proof = ledger.inclusion(0)?;
//! assert_eq!(proof.checkpoint.tree_size, 1);
//! ledger.close();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod anchor;
mod archiver;
mod calls;
mod claims;
mod clock;
mod clock_recorder;
mod clock_watch;
mod commit;
mod config;
mod error;
mod follower;
mod framing;
pub mod fsck;
mod gap_recorder;
mod gaps;
mod grower;
mod growth;
mod head;
mod index;
mod intake;
mod keys;
mod ledger;
mod life;
mod markers;
mod objects;
mod packer;
mod pangea;
mod paths;
mod problem;
mod producers;
mod proofs;
mod queue;
mod readings;
mod recovery;
mod request;
mod search;
mod snapshots;
mod stats;
mod store;
mod tree;
mod usage;

pub use anchor::AnchorPlace;
pub use clock::Clock;
pub use config::{Config, DEFAULT_ORIGIN, Publication, RetentionPolicy};
pub use error::{AppendError, ControlError, OpenError, QueryError, StoreError};
pub use fieldledger_contract::InvalidField;
pub use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Order, Removal, RemovalKind,
    Restriction, SearchPage, SearchQuery, Written,
};
pub use fieldledger_contract::ledger::{
    ArchiveStatus, Bucket, Erasure, Freeze, Gap, GapKind, GapPage, GapQuery, GapState, GapTotals,
    KeyChange, LedgerStatus, MissingRange, PangeaEvent, PangeaLogged, PangeaPage, PangeaRoot,
    Reading, Retained, Retention, RetentionScope, Series, Successor, UnknownScope,
};
pub use fieldledger_formats::own::{Details, OWN_PRODUCERS, OwnKind};
pub use ledger::Ledger;
pub use life::backup::{Backup, BackupError, BackupReport, Progress, backup};
pub use life::restore::{RestoreMode, Restored, restore};
pub use objects::ObjectFolder;
pub use store::faults::{Done, Fault, Faults, PowerLoss};
