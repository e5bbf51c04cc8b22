//! The ledger: a durable, signed, append-only log of audit events.
//!
//! An append follows this way through the modules: `intake` checks the events where the caller is,
//! `queue` holds them, `commit` takes all that wait and makes them durable (`store::segment`),
//! extends the tree (`grower`), signs it, puts the signed tree head in the `anchor`, publishes it
//! (`head`), and answers. `recovery` is how it starts. `search` answers from the log or from the `index`, `proofs` from the tiles.
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
mod commit;
mod config;
mod envelope;
mod error;
pub mod fsck;
mod gaps;
mod grower;
mod head;
mod index;
mod intake;
mod ledger;
mod life;
mod objects;
mod own;
mod pangea;
mod problem;
mod producers;
mod proofs;
mod query;
mod queue;
mod readings;
mod recovery;
mod search;
mod stats;
mod store;
mod tree;
mod types;
mod usage;

pub use anchor::AnchorPlace;
pub use archiver::ArchiveStatus;
pub use config::{Clock, Config, DEFAULT_ORIGIN};
pub use error::{AppendError, ControlError, OpenError, QueryError, StoreError};
pub use fieldledger_audit::log::{
    Checkpoint, Entry, Order, Removal, RemovalKind, SearchPage, SearchQuery, Written,
};
pub use fieldledger_audit::{EventColumns, InvalidField};
pub use gaps::{Gap, GapKind, GapPage, GapQuery, GapState, GapTotals, MissingRange};
pub use ledger::Ledger;
pub use life::backup::{Backup, BackupError, BackupReport, Progress, backup};
pub use life::erasure::Erasure;
pub use life::freeze::{Freeze, Successor};
pub use life::keys::KeyChange;
pub use life::restore::{RestoreMode, Restored, restore};
pub use life::retention::{
    Retained, RetentionPolicy, RetentionScope, RetentionStatus, UnknownScope,
};
pub use objects::ObjectFolder;
pub use own::{Details, OWN_PRODUCERS, OwnKind};
pub use pangea::{Logged, PangeaEvent, PangeaPage, PangeaRoot, Publication, Restriction};
pub use store::faults::{Done, Fault, Faults, PowerLoss};
pub use types::{Bucket, EntryRange, InclusionProof, LedgerStatus, Reading, Series};
