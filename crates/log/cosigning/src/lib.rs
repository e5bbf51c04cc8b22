//! Cosignatures over HTTP and on disk: a ledger's own, collected from its witnesses, and those that
//! it gives to the logs of other sites. The rules are in `fieldledger-witness`.
//!
//! - [`Collector`] sends the newest checkpoint to every witness of a policy, once a second where
//!   the log grows, and says which checkpoint is to be published. Appends never wait for it.
//! - [`Witness`] answers `add-checkpoint`. What it has cosigned is on disk before the answer leaves.
//! - [`Cosigning`] is both, as the settings of a site have them, and [`WitnessedLog`] what can be asked
//!   of it and its ledger.
//!
//! ```text
//! board.rs       what is asked for, what came back, what is published; no input or output
//! collector.rs   the loops that ask
//! post.rs        one question to one witness over HTTP
//! authorities.rs certificate authorities for witnesses behind HTTPS
//! backoff.rs     how long to wait after failures in a row
//! status.rs      what is shown of witnesses
//! witness.rs     the witness
//! files.rs       files that survive a crash
//! settings.rs    what an operator can set
//! witnessed.rs   what others can ask
//! ```
//!
//! **Invariants.** What this site cosigned is on disk before the answer leaves; a memory that cannot be read
//! refuses its log and never begins anew. What is published was signed by the log, and under `hold` satisfied
//! the policy.
#![forbid(unsafe_code)]

mod authorities;
mod backoff;
mod board;
mod collector;
mod files;
mod post;
mod settings;
mod witness;
mod witnessed;

pub use authorities::{Authorities, AuthoritiesError};
pub use board::Behaviour;
pub use collector::{Collector, CollectorConfig, CollectorError, Pace};
pub use fieldledger_witness::Reply;
pub use files::FileError;
pub use settings::{Cosigning, CosigningError, CosigningSettings, DEFAULT_WITNESS_DIR};
pub use witness::{Witness, WitnessError};
pub use witnessed::WitnessedLog;
