//! Why a heartbeat is refused.

use fieldledger_attest::identity::Fingerprint;
use thiserror::Error;

use super::message::MAX_HEARTBEAT_BYTES;
use crate::topic::TopicError;

/// Why a heartbeat is refused.
#[derive(Debug, Error)]
pub enum HeartbeatError {
    /// Longer than [`MAX_HEARTBEAT_BYTES`].
    #[error("heartbeat of {length} bytes is too long; at most {MAX_HEARTBEAT_BYTES} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
    },
    /// No JSON.
    #[error("heartbeat is no JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but no object.
    #[error("heartbeat is no JSON object; expected {{\"id\":…,\"alias\":…,…}}")]
    NotAnObject,
    /// A field that every heartbeat needs is not there.
    #[error("heartbeat field {field} is missing; expected {expected}")]
    Missing {
        /// Name of the field.
        field: &'static str,
        /// What belongs there.
        expected: String,
    },
    /// A field holds something else than it should.
    #[error("heartbeat field {field} is {value}; expected {expected}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What it holds, shortened and quoted.
        value: String,
        /// What belongs there.
        expected: String,
    },
    /// A topic is not acceptable.
    #[error("heartbeat field {field} is refused")]
    Topic {
        /// Name of the field.
        field: &'static str,
        /// Which rule it breaks.
        #[source]
        source: TopicError,
    },
    /// Two topics are one.
    #[error(
        "heartbeat fields poll_topic, read_topic and disconnect_topic must be three different topics"
    )]
    SameTopics,
    /// Something stands behind the proof, which it does not sign.
    #[error(
        "heartbeat field key_sig is not the last one; it must be, as it signs what is before it"
    )]
    ProofNotLast,
    /// The signature is not that of the key over what stands before it.
    #[error("heartbeat field key_sig is no signature of key {key} over what is before it")]
    NotPossessed {
        /// The key that the heartbeat names.
        key: Fingerprint,
    },
}
