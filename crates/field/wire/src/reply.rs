//! What a sensor answers to a poll.
//!
//! Three forms are understood:
//!
//! ```json
//! "21.37"
//! 21.37
//! {"value":21.37,"seq":7,"boot":"a1b2","at":"2026-01-02T03:04:05Z","unit":"Cel","poll":12}
//! ```
//!
//! Everything but `value` is optional. The number is kept as text, exactly as the device wrote it:
//! `21.370` says more than 21.37 does.
//!
//! A device that does not know the time says `up` instead of `at`: microseconds since its boot. One
//! that signs adds `sig`, the base64 of its signature over the reading (`fieldledger_attest`), which
//! covers `value`, `seq`, `boot`, the time and `unit`; a signed answer has all of them but the unit.
//! The signature is kept here and verified by [`Reply::attested`], with the key of the sensor.

pub use fieldledger_attest::NUMBERS_END;
use fieldledger_attest::reading::{Clock, MAX_UNIT_BYTES};
use fieldledger_attest::signature::{SIGNATURE_CHARACTERS, Signature};
use fieldledger_attest::statement::MAX_BOOT_BYTES;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::excerpt::quoted;
use crate::unit::is_unit;

/// The largest answer, in bytes.
pub const MAX_REPLY_BYTES: usize = 4_096;

/// The longest number, in bytes. The longest that a 64-bit float can need is 24.
pub const MAX_NUMBER_BYTES: usize = 64;

/// How much of an unparsable answer is kept, in bytes.
pub const MAX_UNPARSABLE_BYTES: usize = 256;

/// An answer that holds a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// A finite decimal number as the device wrote it.
    pub value: String,
    /// The device's boot id, or empty.
    pub boot: String,
    /// The device's sequence number, below 2^53.
    pub seq: Option<u64>,
    /// The device's own time, microseconds since the Unix epoch.
    pub at: Option<u64>,
    /// Microseconds since the device's boot, where it does not know the time.
    pub up: Option<u64>,
    /// The unit the device named, or empty.
    pub unit: String,
    /// The poll that is answered, where the device repeats its number.
    pub poll: Option<u64>,
    /// The device's signature, not yet verified.
    pub sig: Option<Signature>,
}

/// An answer that holds no number, or is wrong in another way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("answer {} is refused", quoted(&self.text))]
pub struct Unparsable {
    /// The answer, at most [`MAX_UNPARSABLE_BYTES`] of it; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// The poll that is answered, where the device repeats its number.
    pub poll: Option<u64>,
    /// What is wrong with it.
    #[source]
    pub reason: ReplyError,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// Longer than [`MAX_REPLY_BYTES`].
    #[error("{length} bytes are too long; at most {MAX_REPLY_BYTES} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
    },
    /// No JSON, or an object with a field twice.
    #[error("no JSON: {message}; expected a string, a number or {{\"value\":…}}")]
    NotJson {
        /// What the JSON reader says.
        message: String,
    },
    /// An object without a value.
    #[error("field value is missing; expected a finite number, or a string that holds one")]
    NoValue,
    /// A field holds something else than it should.
    #[error("field {field} is {value}; expected {expected}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What it holds, shortened and quoted.
        value: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Both `at` and `up`.
    #[error("fields at and up are both there; expected one of them")]
    TwoClocks,
    /// A signature that covers more than the answer holds.
    #[error("field sig is there without {missing}; a signed answer has boot, seq, and at or up")]
    SignedWithout {
        /// The field that is missing.
        missing: &'static str,
    },
}

/// The answer as an object, its fields not yet looked at.
#[derive(Default, Deserialize)]
pub(crate) struct Object<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    boot: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    up: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    poll: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sig: Option<&'a RawValue>,
}

impl Reply {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// Says what is wrong, together with the text to keep and the poll it belongs to. An answer
    /// with a good value and one bad field is refused whole: half of it would be a guess.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsable> {
        if bytes.len() > MAX_REPLY_BYTES {
            let length = bytes.len();
            return Err(unparsable(bytes, None, ReplyError::TooLong { length }));
        }
        let raw: Result<&RawValue, _> = serde_json::from_slice(bytes);
        let object = match raw.map_err(not_json).and_then(object_of) {
            Ok(object) => object,
            Err(reason) => return Err(unparsable(bytes, None, reason)),
        };
        let poll = object.poll.and_then(|raw| number("poll", raw).ok());
        Self::from_object(&object).map_err(|reason| unparsable(bytes, poll, reason))
    }

    /// When the device measured, by the clock it has, where it says so.
    #[must_use]
    pub fn clock(&self) -> Option<Clock> {
        let utc = self.at.map(Clock::Utc);
        utc.or(self.up.map(Clock::Uptime))
    }

    pub(crate) fn from_object(object: &Object<'_>) -> Result<Self, ReplyError> {
        let reply = Self {
            value: value(object.value.ok_or(ReplyError::NoValue)?)?,
            boot: object.boot.map(boot).transpose()?.unwrap_or_default(),
            seq: object.seq.map(|raw| number("seq", raw)).transpose()?,
            at: object.at.map(time).transpose()?,
            up: object.up.map(|raw| number("up", raw)).transpose()?,
            unit: object.unit.map(unit).transpose()?.unwrap_or_default(),
            poll: object.poll.map(|raw| number("poll", raw)).transpose()?,
            sig: object.sig.map(signature).transpose()?,
        };
        if reply.at.is_some() && reply.up.is_some() {
            return Err(ReplyError::TwoClocks);
        }
        if reply.sig.is_some() {
            reply.check_complete()?;
        }
        Ok(reply)
    }

    /// Whether everything is there that a signature covers.
    fn check_complete(&self) -> Result<(), ReplyError> {
        let missing = if self.boot.is_empty() {
            "boot"
        } else if self.seq.is_none() {
            "seq"
        } else if self.clock().is_none() {
            "at or up"
        } else {
            return Ok(());
        };
        Err(ReplyError::SignedWithout { missing })
    }
}

/// The answer as an object: a bare string or number is the value of one.
pub(crate) fn object_of(raw: &RawValue) -> Result<Object<'_>, ReplyError> {
    if raw.get().starts_with('{') {
        return serde_json::from_str(raw.get()).map_err(not_json);
    }
    Ok(Object {
        value: Some(raw),
        ..Object::default()
    })
}

#[allow(clippy::needless_pass_by_value)] // the signature of map_err
fn not_json(error: serde_json::Error) -> ReplyError {
    ReplyError::NotJson {
        message: error.to_string(),
    }
}

fn value(raw: &RawValue) -> Result<String, ReplyError> {
    let text = unquoted(raw);
    let decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let fits = text.len() <= MAX_NUMBER_BYTES && text.bytes().all(decimal);
    match text.parse::<f64>() {
        Ok(number) if fits && number.is_finite() => Ok(text),
        _ => Err(invalid(
            "value",
            raw,
            "a finite number, or a string that holds one",
        )),
    }
}

pub(crate) fn boot(raw: &RawValue) -> Result<String, ReplyError> {
    let text = unquoted(raw);
    let scalar = raw
        .get()
        .starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if scalar && printable && text.len() <= MAX_BOOT_BYTES {
        return Ok(text);
    }
    let expected = "a string of at most 64 printable characters without spaces, or a number";
    Err(invalid("boot", raw, expected))
}

fn unit(raw: &RawValue) -> Result<String, ReplyError> {
    let parsed: Option<String> = serde_json::from_str(raw.get()).ok();
    parsed.filter(|unit| is_unit(unit)).ok_or_else(|| {
        debug_assert_eq!(MAX_UNIT_BYTES, 32, "the sentence below says so");
        invalid("unit", raw, "a UCUM code of at most 32 characters")
    })
}

fn number(field: &'static str, raw: &RawValue) -> Result<u64, ReplyError> {
    let parsed: Option<u64> = serde_json::from_str(raw.get()).ok();
    parsed
        .filter(|number| *number < NUMBERS_END)
        .ok_or_else(|| invalid(field, raw, "a whole number from 0 up to 2^53 - 1"))
}

fn time(raw: &RawValue) -> Result<u64, ReplyError> {
    let expected = "microseconds since 1970, or a time such as 2026-01-02T03:04:05.678Z";
    let microseconds = if raw.get().starts_with('"') {
        let parsed: Option<Timestamp> = unquoted(raw).parse().ok();
        parsed.and_then(|time| u64::try_from(time.as_microsecond()).ok())
    } else {
        serde_json::from_str(raw.get()).ok()
    };
    microseconds
        .filter(|microseconds| *microseconds < NUMBERS_END)
        .ok_or_else(|| invalid("at", raw, expected))
}

pub(crate) fn signature(raw: &RawValue) -> Result<Signature, ReplyError> {
    let parsed: Option<String> = serde_json::from_str(raw.get()).ok();
    let signature = parsed.and_then(|text| text.parse().ok());
    signature.ok_or_else(|| {
        debug_assert_eq!(SIGNATURE_CHARACTERS, 88, "the sentence below says so");
        invalid(
            "sig",
            raw,
            "a string of 88 characters, the base64 of 64 bytes",
        )
    })
}

/// The content of a JSON string; any other JSON as it is written.
fn unquoted(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

fn invalid(field: &'static str, raw: &RawValue, expected: &'static str) -> ReplyError {
    ReplyError::Invalid {
        field,
        value: quoted(&unquoted(raw)),
        expected,
    }
}

fn unparsable(bytes: &[u8], poll: Option<u64>, reason: ReplyError) -> Unparsable {
    // A replacement character is longer than the byte it stands for, hence the second cut.
    let beginning = &bytes[..bytes.len().min(MAX_UNPARSABLE_BYTES)];
    let mut text = String::from_utf8_lossy(beginning).into_owned();
    while text.len() > MAX_UNPARSABLE_BYTES {
        text.pop();
    }
    Unparsable { text, poll, reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Reply, Unparsable> {
        Reply::parse(text.as_bytes())
    }

    #[test]
    fn a_bare_string_or_number_is_the_value_as_written() {
        for (answer, value) in [
            ("\"21.37\"", "21.37"),
            ("\"-3\"", "-3"),
            ("21.370", "21.370"),
            (" 1e3\n", "1e3"),
            (
                "0.1000000000000000055511151231257827",
                "0.1000000000000000055511151231257827",
            ),
        ] {
            assert_eq!(parse(answer).unwrap().value, value);
        }
    }

    #[test]
    fn an_object_carries_the_devices_own_account() {
        let reply = parse(
            r#"{"value":"21.50","seq":7,"boot":"a1b2","at":"2026-01-02T03:04:05.000006Z","unit":"Cel","poll":12,"new":[]}"#,
        )
        .unwrap();
        let expected = Reply {
            value: "21.50".to_owned(),
            boot: "a1b2".to_owned(),
            seq: Some(7),
            at: Some(1_767_323_045_000_006),
            up: None,
            unit: "Cel".to_owned(),
            poll: Some(12),
            sig: None,
        };
        assert_eq!(reply, expected);
        assert_eq!(reply.clock(), Some(Clock::Utc(1_767_323_045_000_006)));
    }

    fn signed(fields: &str) -> Result<Reply, Unparsable> {
        let signature = Signature::from_bytes([7; 64]);
        parse(&format!(
            "{{\"value\":1,\"poll\":12,\"sig\":\"{signature}\"{fields}}}"
        ))
    }

    #[test]
    fn a_signed_answer_has_all_that_is_signed() {
        let reply = signed(",\"boot\":\"b\",\"seq\":0,\"up\":5").unwrap();
        assert_eq!(reply.sig, Some(Signature::from_bytes([7; 64])));
        assert_eq!(reply.clock(), Some(Clock::Uptime(5)));
        for (fields, missing) in [
            (",\"seq\":0,\"up\":5", "boot"),
            (",\"boot\":\"\",\"seq\":0,\"up\":5", "boot"),
            (",\"boot\":\"b\",\"up\":5", "seq"),
            (",\"boot\":\"b\",\"seq\":0", "at or up"),
        ] {
            let error = signed(fields).unwrap_err();
            assert_eq!(
                error.reason,
                ReplyError::SignedWithout { missing },
                "{fields}"
            );
            assert_eq!(error.poll, Some(12));
        }
    }

    #[test]
    fn two_clocks_are_one_too_many() {
        let error = parse(r#"{"value":1,"at":1,"up":1}"#).unwrap_err();
        assert_eq!(error.reason, ReplyError::TwoClocks);
        let reply = parse(r#"{"value":1,"at":null,"up":1}"#).unwrap();
        assert_eq!(reply.clock(), Some(Clock::Uptime(1)));
    }

    #[test]
    fn only_the_one_spelling_of_a_signature_is_read() {
        let good = Signature::from_bytes([7; 64]).to_string();
        let with = |sig: &str| {
            let text = format!("{{\"value\":1,\"boot\":1,\"seq\":1,\"up\":1,\"sig\":{sig}}}");
            parse(&text)
        };
        assert!(with(&format!("\"{good}\"")).is_ok());
        for bad in [
            "\"\"".to_owned(),
            "7".to_owned(),
            format!("\"{}\"", &good[..84]),
            format!("\"{}\"", good.replace('=', "")),
            format!("\"{}\"", good.replace("w==", "x==")),
            format!("\" {good}\""),
            format!("[\"{good}\"]"),
        ] {
            let reason = with(&bad).unwrap_err().reason.to_string();
            assert!(
                reason.contains("field sig") && reason.contains("88"),
                "{reason}"
            );
        }
    }

    #[test]
    fn numbers_stand_for_boot_and_time_too() {
        let reply = parse(r#"{"value":1,"boot":4711,"at":1767323045000006,"seq":null}"#).unwrap();
        assert_eq!(reply.boot, "4711");
        assert_eq!(reply.at, Some(1_767_323_045_000_006));
        assert_eq!(reply.seq, None);
    }

    #[test]
    fn what_is_no_finite_number_is_unparsable() {
        for answer in [
            "",
            "ok",
            "\"\"",
            "\"NaN\"",
            "\"inf\"",
            "\"1e999\"",
            "1e999",
            "true",
            "null",
            "[1]",
            "\" 1\"",
            "\"0x10\"",
            "{}",
            "{\"value\":null}",
            "{\"value\":{}}",
            "{\"value\":1",
            "1 2",
        ] {
            assert!(parse(answer).is_err(), "{answer}");
        }
        let long = format!("\"{}\"", "1".repeat(MAX_NUMBER_BYTES + 1));
        assert!(parse(&long).is_err());
    }

    #[test]
    fn one_bad_field_makes_the_answer_unparsable_but_keeps_its_poll() {
        for field in [
            "\"seq\":-1",
            "\"seq\":1.5",
            "\"seq\":9007199254740992",
            "\"seq\":\"1\"",
            "\"boot\":\"a b\"",
            "\"boot\":true",
            "\"at\":\"yesterday\"",
            "\"at\":-1",
            "\"at\":\"1960-01-01T00:00:00Z\"",
            "\"unit\":\"degrees celsius\"",
            "\"unit\":1",
            "\"up\":-1",
            "\"up\":\"2026-01-02T03:04:05Z\"",
            "\"up\":9007199254740992",
            "\"sig\":\"AAAA\"",
        ] {
            let error = parse(&format!("{{\"value\":1,\"poll\":12,{field}}}")).unwrap_err();
            assert_eq!(error.poll, Some(12));
            let name = field.split('"').nth(1).unwrap();
            assert!(
                error.reason.to_string().contains(name),
                "{field}: {}",
                error.reason
            );
        }
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        assert!(parse(r#"{"value":1,"value":2}"#).is_err());
    }

    #[test]
    fn an_unparsable_text_is_cut_at_a_character() {
        let text = parse(&"ö".repeat(1_000)).unwrap_err().text;
        assert!(text.len() <= MAX_UNPARSABLE_BYTES);
        assert!(text.starts_with("öö"));
        let replaced = Reply::parse(&[0xff; 1_000]).unwrap_err().text;
        assert!(replaced.len() <= MAX_UNPARSABLE_BYTES);
        assert!(Reply::parse(&vec![b'1'; MAX_REPLY_BYTES + 1]).is_err());
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(reply) = Reply::parse(&bytes) {
                prop_assert!(reply.value.parse::<f64>().unwrap().is_finite());
            }
        }

        #[test]
        fn every_finite_float_is_kept_as_written(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let text = format!("{number:e}");
            let quoted_reply = parse(&format!("\"{text}\"")).unwrap();
            prop_assert_eq!(&quoted_reply.value, &text);
            let value: f64 = quoted_reply.value.parse().unwrap();
            prop_assert_eq!(value.to_bits(), number.to_bits());
        }
    }
}
