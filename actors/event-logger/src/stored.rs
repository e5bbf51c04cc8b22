//! A message that a stream keeps until it is acknowledged.
//!
//! Its reply subject says so, and where in the stream it is (NATS ADR-15):
//! `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, with
//! domain and account before the stream in a newer form, and a token behind all else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PREFIX: &str = "$JS.ACK.";

/// A message that was published less than this ago is recorded as it is said.
const PROMPT: Duration = Duration::from_secs(10);

/// How long the server waits before it delivers a message again that could not be recorded: at first, and at
/// most. It is twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_AT_MOST: Duration = Duration::from_secs(15);

/// What is known of a stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// How often it was delivered, this time included.
    pub(crate) delivered: u64,
    sequence: u64,
    /// When it was stored, nanoseconds since the Unix epoch.
    nanoseconds: u64,
    /// Messages that wait behind it.
    pub(crate) pending: u64,
}

impl Stored {
    /// Reads the reply subject of a message; none where nobody keeps it.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix(PREFIX)?.split('.').collect();
        let numbers = match tokens.len() {
            7 => &tokens[2..],
            9 | 10 => &tokens[4..9],
            _ => return None,
        };
        let number = |place: usize| numbers.get(place)?.parse().ok();
        Some(Self {
            delivered: number(0)?,
            sequence: number(1)?,
            nanoseconds: number(3)?,
            pending: number(4)?,
        })
    }

    /// When it was stored, since the Unix epoch.
    pub(crate) fn at(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }

    /// Whether it has been in the stream for long.
    pub(crate) fn has_waited(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().saturating_sub(self.at()) > PROMPT
    }

    /// When it is to come again.
    pub(crate) fn again_after(&self) -> Duration {
        let doublings = self.delivered.saturating_sub(1).min(8) as u32;
        (AGAIN_AFTER * 2_u32.pow(doublings)).min(AGAIN_AFTER_AT_MOST)
    }

    /// 64 bits that are as good as drawn by lot, and the same whenever this message is delivered
    /// (`splitmix64`'s last step).
    pub(crate) fn lot(&self) -> u64 {
        let mut bits = self.nanoseconds ^ self.sequence.rotate_right(16);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// What the server is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    /// It is recorded.
    Recorded,
    /// It is to come again, after this time.
    Again(Duration),
    /// It never can be.
    Hopeless,
}

impl Acknowledgement {
    /// What is sent to the reply subject.
    pub(crate) fn body(self) -> String {
        match self {
            Self::Recorded => "+ACK".to_owned(),
            Self::Again(pause) => format!("-NAK {{\"delay\":{}}}", pause.as_nanos()),
            Self::Hopeless => "+TERM".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const AT: &str = "1767323045000006007";

    #[test]
    fn both_forms_of_the_reply_subject_are_read() {
        let expected = Stored {
            delivered: 2,
            sequence: 17,
            nanoseconds: AT.parse().unwrap(),
            pending: 4,
        };
        let rest = format!("FIELDLEDGER_EVENTS.event-logger.2.17.19.{AT}.4");
        for reply in [
            format!("$JS.ACK.{rest}"),
            format!("$JS.ACK._.ABCDEF.{rest}"),
            format!("$JS.ACK.hub.ABCDEF.{rest}.token"),
        ] {
            assert_eq!(Stored::parse(&reply), Some(expected), "{reply}");
        }
        assert_eq!(
            expected.at(),
            Duration::from_nanos(1_767_323_045_000_006_007)
        );
        // By another program.
        assert_eq!(expected.lot(), 0xa4b5_7d3d_d949_b505);
        for other in [
            "",
            "_INBOX.abc",
            "$JS.ACK.a.b.1.2.3.4",
            "$JS.ACK.a.b.1.x.3.4.5",
        ] {
            assert_eq!(Stored::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_recorded_comes_again_ever_later_up_to_a_quarter_of_a_minute() {
        let pause = |delivered: u64| {
            let stored = Stored::parse(&format!("$JS.ACK.s.c.{delivered}.1.1.1.0"));
            stored.unwrap().again_after().as_secs()
        };
        let pauses = [1, 2, 3, 4, 5, 6, 1_000, u64::MAX].map(pause);
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15, 15]);
        let again = Acknowledgement::Again(Duration::from_secs(4));
        assert_eq!(again.body(), "-NAK {\"delay\":4000000000}");
    }

    #[test]
    fn a_message_has_waited_after_ten_seconds() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let of = |at: Duration| {
            let nanoseconds = at.as_nanos();
            Stored::parse(&format!("$JS.ACK.s.c.1.1.1.{nanoseconds}.0")).unwrap()
        };
        assert!(of(now - Duration::from_secs(11)).has_waited());
        assert!(!of(now).has_waited());
        // The server's clock may be ahead.
        assert!(!of(now + Duration::from_secs(60)).has_waited());
    }

    #[test]
    fn what_is_delivered_again_draws_the_same_lot_and_nothing_else_does() {
        let of = |sequence: u64, nanoseconds: u64, delivered: u64| {
            let rest = format!("{delivered}.{sequence}.9.{nanoseconds}.0");
            Stored::parse(&format!("$JS.ACK.s.c.{rest}")).unwrap().lot()
        };
        assert_eq!(of(1, 5, 1), of(1, 5, 2));
        // As programs publish: some at once, some a microsecond apart; the 52 bits that count.
        let lots = (0..100_u64).flat_map(|sequence| {
            (0..100)
                .map(move |time| of(sequence, 1_767_323_045_000_000_000 + 1_000 * time, 1) >> 12)
        });
        assert_eq!(lots.collect::<BTreeSet<_>>().len(), 10_000);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_reply_subject_may_come(reply in "(\\$JS\\.ACK\\.)?[a-z0-9.*$]{0,60}") {
            let _ = Stored::parse(&reply);
        }
    }
}
