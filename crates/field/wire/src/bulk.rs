//! What a sensor read while it was not polled, such as during an outage, sent in bulk afterwards.
//!
//! ```json
//! {"boot":"a1b2","sig":"<88 characters>",
//!  "readings":[{"value":21.37,"seq":7,"at":1767323045000006,"unit":"Cel"},
//!              {"value":"21.38","seq":8,"up":4000000}]}
//! ```
//!
//! Published on the history topic ([`Subject::history`](crate::topic::Subject::history)) of the
//! sensor. One signature covers all readings in their order (`fieldledger_attest`). Each has its own
//! sequence number and time, and the numbers rise. The server answers with a [`HistoryAck`] on the
//! acknowledgement topic once the readings are stored for good; until then the device keeps them and
//! sends them again, so a message can arrive more than once.

use fieldledger_attest::reading::Clock;
use fieldledger_attest::signature::Signature;
use fieldledger_attest::tree::MAX_LEAVES;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::excerpt::quoted;
use crate::reply::{self, Reply, ReplyError};
use crate::text::{Text, readable};

/// The largest message, in bytes: [`MAX_BULK_READINGS`] with every field at its longest.
pub const MAX_BULK_BYTES: usize = 262_144;

/// Most readings in a message: as many as one signature covers.
pub const MAX_BULK_READINGS: usize = MAX_LEAVES as usize;

/// Readings of one sensor, of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// The device's boot id; not empty.
    pub boot: String,
    /// The device's signature over all readings, not yet verified.
    pub sig: Signature,
    /// 1 to [`MAX_BULK_READINGS`], their sequence numbers rising.
    pub readings: Vec<BulkReading>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkReading {
    /// A finite decimal number as the device wrote it.
    pub value: String,
    /// The device's sequence number, below 2^53.
    pub seq: u64,
    /// When the device measured, by the clock it has.
    pub clock: Clock,
    /// The unit the device named, or empty.
    pub unit: String,
}

/// The server's answer: all readings of `boot` up to and with number `seq` are stored.
///
/// In JSON: `{"boot":"a1b2","seq":8}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAck {
    /// The boot id of the message.
    pub boot: String,
    /// The sequence number of its last reading.
    pub seq: u64,
}

/// What is wrong with a message of history.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BulkError {
    /// Longer than [`MAX_BULK_BYTES`].
    #[error("history of {length} bytes is too long; at most {MAX_BULK_BYTES} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
    },
    /// JSON, but no object.
    #[error("history is no JSON object; expected {{\"boot\":…,\"sig\":…,\"readings\":[…]}}")]
    NotAnObject,
    /// No JSON, or an object without a field that belongs there, or with a field twice.
    #[error(
        "history cannot be read: {message}; expected {{\"boot\":…,\"sig\":…,\"readings\":[…]}}"
    )]
    NotJson {
        /// What the JSON reader says.
        message: String,
    },
    /// None, or more than [`MAX_BULK_READINGS`].
    #[error("history has {count} readings; expected 1 to {MAX_BULK_READINGS}")]
    Count {
        /// Readings in the message.
        count: usize,
    },
    /// The boot id or the signature is not one.
    #[error("history is refused")]
    Field(#[source] ReplyError),
    /// An empty boot id.
    #[error("history has an empty boot id; a signed message names its boot")]
    NoBoot,
    /// A reading is wrong.
    #[error("reading {index} of the history is refused")]
    Reading {
        /// Number of the reading, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: ReplyError,
    },
    /// A reading without a sequence number or a time.
    #[error("reading {index} of the history has no {missing}")]
    Incomplete {
        /// Number of the reading, from 0.
        index: usize,
        /// The field that is missing.
        missing: &'static str,
    },
    /// A sequence number that is not above the one before it.
    #[error("reading {index} of the history has seq {seq}, which is not above the one before it")]
    Order {
        /// Number of the reading, from 0.
        index: usize,
        /// Its sequence number.
        seq: u64,
    },
}

/// The message, its fields not yet looked at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    boot: &'a RawValue,
    #[serde(borrow)]
    sig: &'a RawValue,
    #[serde(borrow)]
    readings: Vec<&'a RawValue>,
}

impl Bulk {
    /// Reads a message. One bad reading makes the whole message bad: the signature covers them all.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and with which reading.
    pub fn parse(bytes: &[u8]) -> Result<Self, BulkError> {
        let length = bytes.len();
        if length > MAX_BULK_BYTES {
            return Err(BulkError::TooLong { length });
        }
        let not_json = |error: serde_json::Error| BulkError::NotJson {
            message: error.to_string(),
        };
        let Text { text, .. } = readable(bytes);
        let raw: &RawValue = serde_json::from_str(&text).map_err(not_json)?;
        // serde reads a list as an object's fields in their order.
        if !raw.get().starts_with('{') {
            return Err(BulkError::NotAnObject);
        }
        let message: Message<'_> = serde_json::from_str(raw.get()).map_err(not_json)?;
        let count = message.readings.len();
        if !(1..=MAX_BULK_READINGS).contains(&count) {
            return Err(BulkError::Count { count });
        }
        let boot = reply::boot(message.boot).map_err(BulkError::Field)?;
        if boot.is_empty() {
            return Err(BulkError::NoBoot);
        }
        let sig = reply::signature(message.sig).map_err(BulkError::Field)?;
        let mut readings: Vec<BulkReading> = Vec::with_capacity(count);
        for (index, raw) in message.readings.into_iter().enumerate() {
            let reading = reading(index, raw)?;
            let seq = reading.seq;
            if readings.last().is_some_and(|last| last.seq >= seq) {
                return Err(BulkError::Order { index, seq });
            }
            readings.push(reading);
        }
        Ok(Self {
            boot,
            sig,
            readings,
        })
    }

    /// The acknowledgement of this message, for when its readings are stored.
    #[must_use]
    pub fn ack(&self) -> HistoryAck {
        let last = self.readings.last();
        HistoryAck {
            boot: self.boot.clone(),
            seq: last.map_or(0, |reading| reading.seq),
        }
    }
}

fn reading(index: usize, raw: &RawValue) -> Result<BulkReading, BulkError> {
    let refused = |source| BulkError::Reading { index, source };
    let incomplete = |missing| BulkError::Incomplete { index, missing };
    let object = reply::object_of(raw);
    let object = object.map_err(|error| refused(reply::not_json(raw.get(), &error)))?;
    let mut reply = Reply::from_object(&object, true).map_err(refused)?;
    // The signature covers what would be left out.
    if let Some(flaw) = reply.flaws.pop() {
        return Err(refused(flaw));
    }
    if !reply.unit.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(ReplyError::Invalid {
            field: "unit",
            value: quoted(&reply.unit),
            expected: "printable ASCII without spaces, as all that is signed",
        }));
    }
    let seq = reply.seq.ok_or_else(|| incomplete("seq"))?;
    let clock = reply.clock().ok_or_else(|| incomplete("at or up"))?;
    Ok(BulkReading {
        value: reply.value,
        seq,
        clock,
        unit: reply.unit,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn message() -> Value {
        json!({
            "boot": "a1b2",
            "sig": Signature::from_bytes([7; 64]).to_string(),
            "readings": [
                {"value": "21.370", "seq": 7, "at": "2026-01-02T03:04:05.000006Z", "unit": "Cel"},
                {"value": 21.5, "seq": 9, "up": 4_000_000, "new": []},
            ],
        })
    }

    fn parse(message: &Value) -> Result<Bulk, BulkError> {
        Bulk::parse(message.to_string().as_bytes())
    }

    #[test]
    fn each_reading_has_its_own_number_time_and_unit() {
        let bulk = parse(&message()).unwrap();
        assert_eq!(bulk.boot, "a1b2");
        let expected = [
            ("21.370", 7, Clock::Utc(1_767_323_045_000_006), "Cel"),
            ("21.5", 9, Clock::Uptime(4_000_000), ""),
        ];
        let found = bulk.readings.iter();
        let found: Vec<_> = found
            .map(|reading| (&*reading.value, reading.seq, reading.clock, &*reading.unit))
            .collect();
        assert_eq!(found, expected);
        let ack = serde_json::to_string(&bulk.ack()).unwrap();
        assert_eq!(ack, r#"{"boot":"a1b2","seq":9}"#);
    }

    #[test]
    fn a_bad_reading_is_named() {
        for (field, value, expected) in [
            ("value", json!("NaN"), "refused"),
            ("value", json!(null), "refused"),
            ("seq", json!(null), "no seq"),
            ("seq", json!(7), "not above"),
            ("seq", json!(6), "not above"),
            ("seq", json!(1_u64 << 53), "refused"),
            ("up", json!(null), "no at or up"),
            ("at", json!(5), "refused"),
            ("unit", json!("two words"), "refused"),
        ] {
            let mut message = message();
            message["readings"][1][field] = value.clone();
            let text = parse(&message).unwrap_err().to_string();
            let begins = text.starts_with("reading 1 of the history");
            assert!(begins && text.contains(expected), "{field} {value}: {text}");
        }
    }

    #[test]
    fn boot_and_signature_are_needed() {
        for (field, value) in [
            ("boot", json!(null)),
            ("boot", json!("")),
            ("boot", json!("a b")),
            ("sig", json!(null)),
            ("sig", json!("AAAA")),
            ("readings", json!([])),
            ("readings", json!({})),
            ("readings", json!([1])),
            ("readings", json!([["21.5", "b", 7, 5]])),
        ] {
            let mut message = message();
            message[field] = value.clone();
            assert!(parse(&message).is_err(), "{field} {value}");
            message.as_object_mut().unwrap().remove(field);
            let error = parse(&message).unwrap_err().to_string();
            assert!(
                error.contains(&format!("missing field `{field}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_list_is_no_message() {
        let object = message();
        let list = json!([object["boot"], object["sig"], object["readings"]]);
        assert_eq!(parse(&list), Err(BulkError::NotAnObject));
    }

    #[test]
    fn count_and_bytes_are_bounded() {
        let longest = |seq: usize| {
            let at = (1_u64 << 53) - 1;
            let seq = (1_u64 << 52) + seq as u64;
            json!({"value": "1".repeat(64), "seq": seq, "at": at, "unit": "m".repeat(32)})
        };
        let mut message = message();
        message["boot"] = json!("b".repeat(64));
        message["readings"] = (0..MAX_BULK_READINGS).map(longest).collect();
        let text = message.to_string();
        assert!(text.len() < MAX_BULK_BYTES, "{}", text.len());
        assert_eq!(parse(&message).unwrap().readings.len(), MAX_BULK_READINGS);
        message["readings"] = (0..=MAX_BULK_READINGS).map(longest).collect();
        let count = MAX_BULK_READINGS + 1;
        assert_eq!(parse(&message), Err(BulkError::Count { count }));
        let length = MAX_BULK_BYTES + 1;
        let error = Bulk::parse(&vec![b' '; length]);
        assert_eq!(error, Err(BulkError::TooLong { length }));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(Bulk::parse(&bytes).is_err());
        }

        #[test]
        fn arbitrary_changes_never_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = message().to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(bulk) = Bulk::parse(&bytes) {
                prop_assert!(bulk.readings.is_sorted_by(|one, next| one.seq < next.seq));
            }
        }
    }
}
