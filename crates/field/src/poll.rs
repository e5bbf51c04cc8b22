//! The payload of a poll.
//!
//! The original sent the word `poll`; its devices ignore the payload, and so may any device. One
//! that reads it can repeat the number in its answer, which then is matched exactly.

use serde::{Deserialize, Serialize};

/// `{"poll":<number>}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Number of the poll within the provider's run, below 2^53.
    pub poll: u64,
}

impl Poll {
    /// The bytes to send.
    #[must_use]
    pub fn payload(self) -> Vec<u8> {
        format!("{{\"poll\":{}}}", self.poll).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_payload_is_the_type_in_json() {
        let poll = Poll { poll: 17 };
        assert_eq!(poll.payload(), serde_json::to_vec(&poll).unwrap());
    }
}
