//! What the ledger tells beyond the audit log: `fieldledger:ledger/types`.

mod completeness;
mod control;
mod pangea;
mod readings;
mod status;
mod witness;

pub use completeness::{Gap, GapKind, GapPage, GapQuery, GapState, GapTotals, MissingRange};
pub use control::{
    Erasure, Freeze, KeyChange, Retained, Retention, RetentionScope, Successor, UnknownScope,
};
pub use pangea::{PangeaEvent, PangeaLogged, PangeaPage, PangeaRoot};
pub use readings::{Bucket, Reading, Series};
pub use status::{ArchiveStatus, ClockProblem, LedgerStatus};
pub use witness::{AsWitness, OwnWitnesses, WatchedLog, WitnessReply, WitnessState, Witnessing};
