//! The envelope around an event: the bytes whose hash the tree commits to.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fieldledger_audit::{EventRow, Signature, timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use fieldledger_tlog::Leaf;

/// Random bytes in an envelope: enough that nobody can guess an erased value from its hash.
pub const SALT_BYTES: usize = 16;

/// Bytes an envelope can have at most: the longest event has 98 KB, of which JSON can make six
/// times as many.
pub const MAX_ENVELOPE_BYTES: usize = 1024 * 1024;

/// What an envelope says of its time, where that is not to be believed: its member `clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMark {
    /// The server's clock had stepped, or was behind the last entry.
    Stepped,
}

/// Appends the canonical JSON of an envelope to `target`: sorted keys, no spaces.
pub fn write_envelope(
    target: &mut Vec<u8>,
    canonical_event: &str,
    origin: Option<(&str, u64)>,
    signed: Signature<'_>,
    (received_at, clock): (&str, Option<ClockMark>),
    salt: [u8; SALT_BYTES],
) {
    target.push(b'{');
    if let Some(ClockMark::Stepped) = clock {
        target.extend_from_slice(b"\"clock\":\"stepped\",");
    }
    target.extend_from_slice(b"\"event\":");
    target.extend_from_slice(canonical_event.as_bytes());
    if let Some((producer, _)) = origin {
        target.extend_from_slice(b",\"producer\":");
        write_json(target, producer);
    }
    if !signed.public_key.is_empty() {
        target.extend_from_slice(b",\"public_key\":");
        write_json(target, signed.public_key);
    }
    target.extend_from_slice(b",\"received_at\":\"");
    target.extend_from_slice(received_at.as_bytes());
    target.extend_from_slice(b"\",\"salt\":\"");
    let mut encoded = [0; SALT_BYTES.div_ceil(3) * 4];
    let length = BASE64_URL_SAFE_NO_PAD.encode_slice(salt, &mut encoded);
    let length = length.expect("four letters for each three bytes are room enough");
    target.extend_from_slice(&encoded[..length]);
    target.push(b'"');
    if let Some((_, sequence)) = origin {
        target.extend_from_slice(b",\"sequence\":");
        write_json(target, &sequence);
    }
    if !signed.signature.is_empty() {
        target.extend_from_slice(b",\"signature\":");
        write_json(target, signed.signature);
    }
    target.push(b'}');
}

fn write_json(target: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(target, value)
        .expect("texts and numbers have a form in JSON, and memory takes it");
}

/// Why an envelope cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It is not the JSON of an envelope.
    #[error("the envelope cannot be read: {0}")]
    Json(serde_json::Error),
    /// Its `received_at` is not a time.
    #[error("received_at {0:?} is not a time")]
    Time(String),
}

/// What the ledger needs to know of an envelope that it reads from disk.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    event: Event<'a>,
    #[serde(borrow, default)]
    producer: Cow<'a, str>,
    received_at: &'a str,
    #[serde(default)]
    sequence: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    new: Cow<'a, str>,
    #[serde(borrow)]
    old: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    tenant_id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::Json`] where it is not an envelope.
    pub fn parse(json: &'a [u8]) -> Result<Self, EnvelopeError> {
        serde_json::from_slice(json).map_err(EnvelopeError::Json)
    }

    /// The event in it.
    #[must_use]
    pub fn event(&self) -> EventRow<'_> {
        EventRow {
            action: &self.event.action,
            actor: &self.event.actor,
            message: &self.event.message,
            new: &self.event.new,
            old: &self.event.old,
            source: &self.event.source,
            status: &self.event.status,
            target: &self.event.target,
            tenant_id: &self.event.tenant_id,
            timestamp: &self.event.timestamp,
        }
    }

    /// Producer and sequence, where it has them.
    #[must_use]
    pub fn origin(&self) -> Option<(&str, u64)> {
        (!self.producer.is_empty()).then_some((&self.producer, self.sequence))
    }

    /// When the ledger received it, microseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::Time`] where it does not say.
    pub fn received_at(&self) -> Result<u64, EnvelopeError> {
        timestamp::to_micros(self.received_at)
            .ok_or_else(|| EnvelopeError::Time(self.received_at.to_owned()))
    }
}

/// The tree's leaf for an envelope.
#[must_use]
pub fn leaf_of(envelope: &[u8], index: u64, received_at: u64) -> Leaf {
    Leaf {
        envelope_hash: Sha256::digest(envelope).into(),
        index,
        received_at,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    const RECEIVED_AT: &str = "2026-01-02T03:04:05.000006Z";

    fn envelope(event: EventRow<'_>, origin: Option<(&str, u64)>) -> Vec<u8> {
        signed_envelope(event, origin, Signature::default())
    }

    fn signed_envelope(
        event: EventRow<'_>,
        origin: Option<(&str, u64)>,
        signed: Signature<'_>,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_envelope(
            &mut bytes,
            &event.canonical(),
            origin,
            signed,
            (RECEIVED_AT, None),
            [0xff; 16],
        );
        bytes
    }

    #[test]
    fn a_time_that_is_not_to_be_believed_says_so() {
        let event = EventRow {
            message: "m",
            ..EventRow::default()
        };
        let mut bytes = Vec::new();
        let when = (RECEIVED_AT, Some(ClockMark::Stepped));
        let signed = Signature::default();
        write_envelope(
            &mut bytes,
            &event.canonical(),
            None,
            signed,
            when,
            [0xff; 16],
        );
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"{"clock":"stepped","event":{"message":"m"},"received_at":"2026-01-02T03:04:05.000006Z","salt":"_____________________w"}"#
        );
        assert_eq!(crate::canonical::problem_with(&bytes), None);
        assert_eq!(Envelope::parse(&bytes).unwrap().event().message, "m");
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let event = EventRow {
            message: "a \"b\"\n\u{1}é\u{2028}",
            actor: "x",
            ..EventRow::default()
        };
        let with_origin = envelope(event, Some(("p\\q", 7)));
        let expected = concat!(
            r#"{"event":{"actor":"x","message":"a \"b\"\n\u0001é"#,
            "\u{2028}",
            r#""},"producer":"p\\q","received_at":"2026-01-02T03:04:05.000006Z","#,
            r#""salt":"_____________________w","sequence":7}"#
        );
        assert_eq!(String::from_utf8(with_origin).unwrap(), expected);
        let without = String::from_utf8(envelope(event, None)).unwrap();
        assert!(!without.contains("producer") && !without.contains("sequence"));
        let signed = Signature {
            signature: "c2ln",
            public_key: "{\"key\":\"k\"}",
        };
        let signed = signed_envelope(event, Some(("p\\q", 7)), signed);
        let expected = expected
            .replace(
                r#","received_at""#,
                r#","public_key":"{\"key\":\"k\"}","received_at""#,
            )
            .replace(r#""sequence":7}"#, r#""sequence":7,"signature":"c2ln"}"#);
        assert_eq!(String::from_utf8(signed).unwrap(), expected);
    }

    #[test]
    fn what_is_not_an_envelope_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"event":{"message":"m"}}"#,
            r#"{"event":7,"received_at":""}"#,
        ] {
            assert!(Envelope::parse(text.as_bytes()).is_err(), "{text}");
        }
        let no_time = Envelope::parse(br#"{"event":{"message":"m"},"received_at":"now"}"#).unwrap();
        assert!(no_time.received_at().is_err());
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_written_is_read_and_canonical(
            message in any::<String>(),
            actor in any::<String>(),
            producer in any::<String>(),
            sequence in 0_u64..1 << 53,
            signature in any::<String>(),
            public_key in any::<String>(),
        ) {
            let signed = Signature { signature: &signature, public_key: &public_key };
            let event = EventRow { message: &message, actor: &actor, ..EventRow::default() };
            let origin = (!producer.is_empty()).then_some((producer.as_str(), sequence));
            let bytes = signed_envelope(event, origin, signed);
            let read = Envelope::parse(&bytes).unwrap();
            prop_assert_eq!(read.event(), event);
            prop_assert_eq!(read.origin(), origin);
            prop_assert_eq!(read.received_at().unwrap(), 1_767_323_045_000_006);
            // serde_json keeps objects sorted by key.
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
        }
    }
}
