//! Witnesses of transparency logs, without input or output.
//!
//! A witness remembers the largest tree it has seen of each log, and signs a larger one only where
//! a proof shows that the old tree is its beginning. Whoever wants two stories told needs all the
//! witnesses' help.
//!
//! | module | holds |
//! |---|---|
//! | `cosignature` | [`WitnessKey`], [`WitnessSigner`]: cosignatures, C2SP tlog-cosignature, Ed25519 |
//! | `vkey` | verifier keys, C2SP signed-note |
//! | `checkpoint` | [`SignedCheckpoint`]: a log's signed tree head, read strictly |
//! | `request`, `answer` | [`AddCheckpoint`], [`Answer`]: what is sent to a witness and what comes back, C2SP tlog-witness |
//! | `watched`, `judge` | [`WatchedLogs`], [`judge()`]: which logs a witness watches, and what it decides |
//! | `policy` | [`Policy`]: which witnesses are enough, C2SP tlog-policy |
//!
//! **Invariants.** A head is cosigned only if a proof shows that it continues the largest one that was cosigned
//! before, so two histories never both are. The text of a checkpoint is passed on as it was signed.
#![forbid(unsafe_code)]

mod answer;
mod checkpoint;
mod cosignature;
mod judge;
mod policy;
mod request;
mod vkey;
mod watched;

pub use answer::{Answer, AnswerError, Reply, SIZE_CONTENT_TYPE, TEXT_CONTENT_TYPE};
pub use checkpoint::{CheckpointError, SignatureError, SignedCheckpoint};
pub use cosignature::{Cosignature, WitnessKey, WitnessSigner};
pub use judge::{Cosigned, Refusal, judge};
pub use policy::{Policy, PolicyError, PolicyLog, PolicyWitness, Verdict};
pub use request::{AddCheckpoint, MAX_PROOF_HASHES, MAX_REQUEST_BYTES, RequestError};
pub use signed_note::Verifier;
pub use vkey::{LogKey, VkeyError};
pub use watched::{WatchedError, WatchedLog, WatchedLogs};
