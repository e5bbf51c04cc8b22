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
//! Everything but `value` is optional. The number is kept as text, with the digits that the device wrote:
//! `21.370` says more than 21.37 does. Blanks, NULs and a byte order mark around it are none of it. Plain
//! text that is exactly a number (`+21.37`) is taken for one.
//!
//! What is not the value never costs the value. A member that cannot be read is left out, and the answer
//! says so in `flaws`; what was read with good will stands in `notes`.
//!
//! A device that does not know the time says `up` instead of `at`: microseconds since its boot. One
//! that signs adds `sig`, the base64 of its signature over the reading (`fieldledger_attest`), which
//! covers `value`, `seq`, `boot`, the time and `unit`; a signed answer has all of them but the unit.
//! The signature is kept here and verified by [`Reply::attested`], with the key of the sensor. It is left
//! out where something is missing that it covers.

pub use fieldledger_attest::NUMBERS_END;
use fieldledger_attest::reading::{Clock, MAX_UNIT_BYTES};
use fieldledger_attest::signature::{SIGNATURE_CHARACTERS, Signature};
use fieldledger_attest::statement::MAX_BOOT_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::excerpt::quoted;
use crate::instant::instant;
pub use crate::number::MAX_NUMBER_BYTES;
use crate::number::{instead_of, is_number, whole};
use crate::points::MAX_POINTS;
use crate::text::{Text, readable, trimmed_text};
use crate::unit;

/// The largest answer, in bytes.
pub const MAX_REPLY_BYTES: usize = 4_096;

/// How much of an unparsable answer is kept, in bytes.
pub const MAX_UNPARSABLE_BYTES: usize = 256;

/// An answer that holds a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// A finite decimal number with the digits that the device wrote.
    pub value: String,
    /// The device's boot id, or empty.
    pub boot: String,
    /// The device's sequence number, below 2^53.
    pub seq: Option<u64>,
    /// The device's own time, microseconds since the Unix epoch.
    pub at: Option<u64>,
    /// Microseconds since the device's boot, where it does not know the time.
    pub up: Option<u64>,
    /// The unit as the device named it, or empty.
    pub unit: String,
    /// The poll that is answered, where the device repeats its number.
    pub poll: Option<u64>,
    /// The device's signature, not yet verified.
    pub sig: Option<Signature>,
    /// Members that were left out because they cannot be read, or contradict another.
    pub flaws: Vec<ReplyError>,
    /// What was read with good will.
    pub notes: Vec<String>,
}

/// An answer that holds no number.
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
    #[error(
        "the answer is {text}, which is no JSON ({message}); expected {expected}, or {{\"value\":…}}"
    )]
    NotJson {
        /// What is there, shortened and quoted.
        text: String,
        /// What the JSON reader says.
        message: String,
        /// What would be right in its place.
        expected: &'static str,
    },
    /// An object without a value.
    #[error("field value is missing{beside}; expected a finite number, or a string that holds one")]
    NoValue {
        /// Which fields are there instead.
        beside: String,
    },
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
    /// An answer with points that has none of them, or too many.
    #[error("{count} points are there; expected 1 to {MAX_POINTS}")]
    PointCount {
        /// How many there are.
        count: usize,
    },
    /// Both `at` and `up`.
    #[error("fields at and up are both there; expected one of them, and at is taken")]
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
    pub(crate) value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) boot: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) up: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) unit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) poll: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) sig: Option<&'a RawValue>,
}

impl Reply {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// Says why there is no number in it, together with the text to keep and the poll it belongs to.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsable> {
        if bytes.len() > MAX_REPLY_BYTES {
            let length = bytes.len();
            return Err(unparsable(bytes, None, ReplyError::TooLong { length }));
        }
        let Text { text, is_latin } = readable(bytes);
        if is_number(&text) {
            return Ok(Self::of_value(text.into_owned()));
        }
        let raw: Result<&RawValue, _> = serde_json::from_str(&text);
        let object = raw.and_then(object_of);
        let object = object.map_err(|error| not_json(&text, &error));
        let object = match object {
            Ok(object) => object,
            Err(reason) => return Err(unparsable(bytes, None, reason)),
        };
        let poll = object.poll.and_then(|raw| number("poll", raw).ok());
        let mut reply = Self::from_object(&object, object.sig.is_some())
            .map_err(|reason| match reason {
                ReplyError::NoValue { .. } => ReplyError::NoValue {
                    beside: members_of(&text),
                },
                other => other,
            })
            .map_err(|reason| unparsable(bytes, poll, reason))?;
        if is_latin {
            let note = "the answer is no UTF-8; it was read as Latin-1".to_owned();
            reply.notes.push(note);
        }
        Ok(reply)
    }

    /// One that says nothing but a value.
    fn of_value(value: String) -> Self {
        Self {
            value,
            boot: String::new(),
            seq: None,
            at: None,
            up: None,
            unit: String::new(),
            poll: None,
            sig: None,
            flaws: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What was left out of the answer and why, in one line; empty where nothing was.
    #[must_use]
    pub fn flaw(&self) -> String {
        let flaws: Vec<String> = self.flaws.iter().map(ToString::to_string).collect();
        flaws.join("; ")
    }

    /// When the device measured, by the clock it has, where it says so.
    #[must_use]
    pub fn clock(&self) -> Option<Clock> {
        let utc = self.at.map(Clock::Utc);
        utc.or(self.up.map(Clock::Uptime))
    }

    /// `is_signed` where a signature covers the time as it is written.
    pub(crate) fn from_object(object: &Object<'_>, is_signed: bool) -> Result<Self, ReplyError> {
        let missing = || ReplyError::NoValue {
            beside: String::new(),
        };
        let value = value(object.value.ok_or_else(missing)?)?;
        Ok(Self::with_members(value, object, is_signed))
    }

    /// With all members but the value, as far as they can be read.
    pub(crate) fn with_members(value: String, object: &Object<'_>, is_signed: bool) -> Self {
        let mut reply = Self::of_value(value);
        let mut flaws = Vec::new();
        let at = read(object.at, &mut flaws, |raw| time(raw, is_signed));
        if at.is_some_and(|(_, without_zone)| without_zone) {
            let note = "field at names no zone; it is taken for UTC".to_owned();
            reply.notes.push(note);
        }
        reply.at = at.map(|(micros, _)| micros);
        reply.up = read(object.up, &mut flaws, |raw| number("up", raw));
        reply.boot = read(object.boot, &mut flaws, boot).unwrap_or_default();
        reply.seq = read(object.seq, &mut flaws, |raw| number("seq", raw));
        reply.unit = read(object.unit, &mut flaws, unit).unwrap_or_default();
        reply.poll = read(object.poll, &mut flaws, |raw| number("poll", raw));
        reply.sig = read(object.sig, &mut flaws, signature);
        if reply.at.is_some() && reply.up.take().is_some() {
            flaws.push(ReplyError::TwoClocks);
        }
        if reply.sig.is_some()
            && let Err(missing) = reply.check_complete()
        {
            reply.sig = None;
            flaws.push(missing);
        }
        reply.flaws = flaws;
        reply
    }

    /// Whether everything is there that a signature covers.
    fn check_complete(&self) -> Result<(), ReplyError> {
        let missing = if self.boot.is_empty() {
            "boot"
        } else if self.seq.is_none() {
            "seq"
        } else if self.clock().is_none() {
            "at or up"
        } else if !self.unit.bytes().all(|byte| byte.is_ascii_graphic()) {
            "a unit in printable ASCII"
        } else {
            return Ok(());
        };
        Err(ReplyError::SignedWithout { missing })
    }
}

/// A member, unless it cannot be read.
fn read<'a, T>(
    raw: Option<&'a RawValue>,
    flaws: &mut Vec<ReplyError>,
    read: impl FnOnce(&'a RawValue) -> Result<T, ReplyError>,
) -> Option<T> {
    read(raw?).map_err(|flaw| flaws.push(flaw)).ok()
}

/// The answer as an object: a bare string or number is the value of one.
pub(crate) fn object_of(raw: &RawValue) -> Result<Object<'_>, serde_json::Error> {
    if raw.get().starts_with('{') {
        return serde_json::from_str(raw.get());
    }
    Ok(Object {
        value: Some(raw),
        ..Object::default()
    })
}

pub(crate) fn not_json(text: &str, error: &serde_json::Error) -> ReplyError {
    // What JSON has no word for, though some programs write it.
    let has_word = |word: &str| {
        let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
        words.any(|found| found.eq_ignore_ascii_case(word))
    };
    let expected = match ["nan", "inf", "infinity"].into_iter().any(has_word) {
        true => instead_of("nan"),
        false => instead_of(text),
    };
    ReplyError::NotJson {
        text: quoted(text),
        message: error.to_string(),
        expected,
    }
}

/// Which members an object has that lacks a value, for the sentence that says so.
fn members_of(text: &str) -> String {
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let names = members.keys().map(String::as_str);
    // It is there, and null.
    let names: Vec<&str> = names.filter(|name| *name != "value").collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(", and there is {}", quoted(&names.join(", "))),
    }
}

fn value(raw: &RawValue) -> Result<String, ReplyError> {
    let text = unquoted(raw);
    let text = trimmed_text(&text);
    match is_number(text) {
        true => Ok(text.to_owned()),
        false => Err(invalid("value", raw, instead_of(text))),
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
    let unit = parsed.map(|unit| trimmed_text(&unit).to_owned());
    unit.filter(|unit| unit::fits(unit)).ok_or_else(|| {
        debug_assert_eq!(MAX_UNIT_BYTES, 32, "the sentence below says so");
        invalid("unit", raw, "a UCUM code such as Cel, at most 32 bytes")
    })
}

fn number(field: &'static str, raw: &RawValue) -> Result<u64, ReplyError> {
    let is_scalar = !raw.get().starts_with(['[', '{']);
    whole(&unquoted(raw))
        .filter(|number| is_scalar && *number < NUMBERS_END)
        .ok_or_else(|| invalid(field, raw, "a whole number from 0 up to 2^53 - 1"))
}

/// The time, and whether it names no zone.
fn time(raw: &RawValue, is_signed: bool) -> Result<(u64, bool), ReplyError> {
    let expected = "microseconds since 1970, or a time such as 2026-01-02T03:04:05.678Z";
    let instant = instant(&unquoted(raw), is_signed).ok_or_else(|| invalid("at", raw, expected))?;
    Ok((instant.micros, instant.without_zone))
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
            flaws: Vec::new(),
            notes: Vec::new(),
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
            (
                ",\"boot\":\"b\",\"seq\":0,\"up\":5,\"unit\":\"°C\"",
                "a unit in printable ASCII",
            ),
        ] {
            let reply = signed(fields).unwrap();
            let flaws = [ReplyError::SignedWithout { missing }];
            assert_eq!(reply.flaws, flaws, "{fields}");
            assert_eq!((reply.sig, reply.poll), (None, Some(12)));
        }
    }

    #[test]
    fn two_clocks_are_one_too_many() {
        let reply = parse(r#"{"value":1,"at":1,"up":1}"#).unwrap();
        assert_eq!(reply.flaws, [ReplyError::TwoClocks]);
        assert_eq!(reply.clock(), Some(Clock::Utc(1_000_000)));
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
            let reply = with(&bad).unwrap();
            let flaw = reply.flaw();
            assert!(flaw.contains("field sig") && flaw.contains("88"), "{flaw}");
            assert_eq!(reply.sig, None);
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
            "\"6,3\"",
            "6,3",
            "1_000",
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
    fn one_bad_field_is_left_out_and_named() {
        for field in [
            "\"seq\":-1",
            "\"seq\":1.5",
            "\"seq\":9007199254740992",
            "\"seq\":[1]",
            "\"boot\":\"a b\"",
            "\"boot\":true",
            "\"at\":\"yesterday\"",
            "\"at\":-1",
            "\"at\":\"1960-01-01T00:00:00Z\"",
            "\"unit\":\"a unit that is much longer than any unit is\"",
            "\"unit\":1",
            "\"up\":-1",
            "\"up\":\"2026-01-02T03:04:05Z\"",
            "\"up\":9007199254740992",
            "\"sig\":\"AAAA\"",
        ] {
            let reply = parse(&format!("{{\"value\":1,\"poll\":12,{field}}}")).unwrap();
            assert_eq!((reply.value.as_str(), reply.poll), ("1", Some(12)));
            let name = field.split('"').nth(1).unwrap();
            let flaw = reply.flaw();
            assert!(
                flaw.contains(name) && flaw.contains("expected"),
                "{field}: {flaw}"
            );
        }
        let unnamed = parse(r#"{"value":1,"poll":-1}"#).unwrap();
        assert_eq!((unnamed.poll, unnamed.flaws.len()), (None, 1));
    }

    #[test]
    fn numbers_are_numbers_in_every_spelling_that_is_exactly_one() {
        for (answer, value) in [
            ("\" 6.3\"", "6.3"),
            ("\"6.3 \"", "6.3"),
            ("\"+6.3\"", "+6.3"),
            ("+6.3", "+6.3"),
            ("6.30", "6.30"),
            ("{\"value\":6.3e0}", "6.3e0"),
            ("{\"value\":\"\\u00006.3\\u0000\"}", "6.3"),
            ("6.3\0", "6.3"),
            ("{\"value\":6.3}\0\0\r\n", "6.3"),
            ("\u{feff}6.3", "6.3"),
            ("\u{feff}{\"value\":\"\u{feff}6.3\"}", "6.3"),
        ] {
            assert_eq!(parse(answer).unwrap().value, value, "{answer}");
        }
        let reply = parse(r#"{"value":1,"seq":"7","poll":12.0,"up":5e6}"#).unwrap();
        assert_eq!(
            (reply.seq, reply.poll, reply.up),
            (Some(7), Some(12), Some(5_000_000))
        );
        assert!(reply.flaws.is_empty());
    }

    #[test]
    fn what_is_no_number_hears_what_was_there_and_what_would_be_right() {
        for (answer, parts) in [
            ("\"6,3\"", ["field value", "6,3", "comma"]),
            ("6,3", ["6,3", "no JSON", "comma"]),
            (
                "{\"value\":\"1_000\"}",
                ["field value", "1_000", "separator"],
            ),
            ("\"NaN\"", ["field value", "NaN", "finite"]),
            (
                "{\"value\":NaN}",
                ["{\\\"value\\\":NaN}", "no JSON", "unanswered"],
            ),
            ("{\"value\":null}", ["field value", "missing", "expected"]),
            ("{\"value\":true}", ["field value", "true", "expected"]),
            (
                "{\"temperature\":21.5}",
                ["field value is missing", "temperature", "expected"],
            ),
            ("\"21.5 °C\"", ["field value", "21.5 °C", "unit"]),
            ("ok", ["ok", "no JSON", "expected"]),
            ("", ["\"\"", "no JSON", "expected"]),
        ] {
            let reason = parse(answer).unwrap_err().reason.to_string();
            for part in parts {
                assert!(reason.contains(part), "{answer}: {reason}: {part}");
            }
            assert!(reason.len() < 400, "{reason}");
        }
    }

    #[test]
    fn a_time_never_costs_the_value() {
        let at = |text: &str| parse(&format!("{{\"value\":1,\"at\":{text}}}")).unwrap();
        let time = Some(1_767_323_045_000_000);
        for text in [
            "\"2026-01-02T03:04:05Z\"",
            "\"2026-01-02 03:04:05Z\"",
            "1767323045",
            "1767323045.0",
            "1767323045000",
            "\"1767323045\"",
        ] {
            let reply = at(text);
            assert_eq!((reply.at, reply.flaw().as_str()), (time, ""), "{text}");
            assert!(reply.notes.is_empty());
        }
        let local = at("\"2026-01-02T03:04:05\"");
        assert_eq!((local.at, local.notes.len()), (time, 1));
        for text in ["\"02.01.2026\"", "[]", "true", "\"\"", "1e300"] {
            let reply = at(text);
            assert_eq!(reply.at, None, "{text}");
            assert!(
                reply.flaw().contains("field at is"),
                "{text}: {}",
                reply.flaw()
            );
        }
    }

    #[test]
    fn a_unit_is_kept_as_it_was_sent() {
        for (unit, kept) in [("°C", "°C"), (" Cel ", "Cel"), ("furlongs", "furlongs")] {
            let reply = parse(&format!("{{\"value\":1,\"unit\":\"{unit}\"}}")).unwrap();
            assert_eq!((reply.unit.as_str(), reply.flaw().as_str()), (kept, ""));
        }
        let reply = Reply::parse(b"{\"value\":21.5,\"unit\":\"\xb0C\"}").unwrap();
        assert_eq!(reply.unit, "°C");
        assert!(reply.notes[0].contains("Latin-1"));
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
