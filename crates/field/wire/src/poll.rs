//! The payload of a poll.
//!
//! ```json
//! {"poll":12}
//! {"poll":13,"boot":"a1b2","stored":[6,7]}
//! ```
//!
//! The proof of concept this grew out of sent the word `poll`; its devices ignore the payload, and so may any device. One
//! that reads it can repeat the number in its answer, which then is matched exactly.
//!
//! To a sensor with a key the server also says which answers it has stored since the poll before. Such a
//! device holds each answer until it is named there, and sends one that is not as history
//! ([`bulk`](crate::bulk)). Where `boot` and `stored` are missing the server will never say so, and
//! nothing is held for it.

use serde::{Deserialize, Serialize};

/// Most answers that a poll names. More of them are stored between two polls only where storing took
/// several intervals; those that are left out arrive once more, as history.
pub const MAX_STORED: usize = 16;

/// `{"poll":<number>}`, or that with what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Number of the poll within the provider's run, below 2^53.
    pub poll: u64,
    /// Which answers are stored, for a sensor that holds them until then.
    #[serde(flatten)]
    pub stored: Option<StoredAnswers>,
}

/// Answers that are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswers {
    /// The boot that they are of; empty where the server has none of this run.
    pub boot: String,
    /// Their sequence numbers, at most [`MAX_STORED`].
    pub stored: Vec<u64>,
}

impl Poll {
    /// A poll that says nothing of what is stored.
    #[must_use]
    pub fn numbered(poll: u64) -> Self {
        Self { poll, stored: None }
    }

    /// The bytes to send.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a text and numbers are JSON")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_payload_is_what_devices_read() {
        let numbered = Poll::numbered(17);
        let naming = Poll {
            poll: 18,
            stored: Some(StoredAnswers {
                boot: "a1b2".to_owned(),
                stored: vec![6, 7],
            }),
        };
        for (poll, text) in [
            (numbered, r#"{"poll":17}"#),
            (naming, r#"{"poll":18,"boot":"a1b2","stored":[6,7]}"#),
        ] {
            assert_eq!(poll.payload(), text.as_bytes());
            assert_eq!(serde_json::from_str::<Poll>(text).unwrap(), poll);
        }
    }
}
