//! Reading a heartbeat member by member.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use fieldledger_attest::NUMBERS_END;
use fieldledger_attest::signature::Signature;
use fieldledger_attest::statement::{BootId, MAX_BOOT_BYTES};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::address::MacAddr;
use super::error::HeartbeatError;
use super::message::{ANSWERS_WITHIN_MS, Identity, MAX_ADDRESS_BYTES, MAX_NAME_CHARACTERS};
use crate::batch::{Calibration, Range};
use crate::excerpt::quoted;
use crate::number::{float_of, whole_of};
use crate::text::trimmed_text;
use crate::topic::{Subject, TopicRules};
use crate::unit;

/// The members of which there are all or none.
const IDENTITY: [&str; 4] = ["key", "boot", "beat", "key_sig"];

/// What a counter may be.
const BELOW_NUMBERS_END: &str = "a whole number from 0 up to 2^53 - 1";

/// The members of a heartbeat, read one by one so that an error can name the one that is wrong.
pub(super) struct Members<'a> {
    members: &'a Map<String, Value>,
    /// Its topics are subjects already.
    is_stored: bool,
}

impl<'a> Members<'a> {
    /// Those of a message that a sensor sent.
    pub(super) fn sent(members: &'a Map<String, Value>) -> Self {
        Self {
            members,
            is_stored: false,
        }
    }

    /// Those of one that was accepted before, as it is stored.
    pub(super) fn stored(members: &'a Map<String, Value>) -> Self {
        Self {
            members,
            is_stored: true,
        }
    }

    fn required(&self, field: &'static str, expected: &str) -> Result<&Value, HeartbeatError> {
        self.members
            .get(field)
            .ok_or_else(|| HeartbeatError::Missing {
                field,
                expected: expected.to_owned(),
            })
    }

    /// The optional `field`; null is the same as absent.
    fn optional(&self, field: &str) -> Option<&Value> {
        self.members.get(field).filter(|value| !value.is_null())
    }

    /// `field`, as `read` understands it.
    fn get<T>(
        &self,
        field: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, HeartbeatError> {
        let value = self.required(field, expected)?;
        read(value).ok_or_else(|| invalid(field, value, expected))
    }

    pub(super) fn id(&self) -> Result<Uuid, HeartbeatError> {
        let expected = "a UUID such as f3088463-5623-476f-a1b5-ecb49446a443";
        self.get("id", expected, |value| {
            let text = value.as_str().filter(|text| text.len() == 36)?;
            Uuid::parse_str(text).ok().filter(|id| !id.is_nil())
        })
    }

    /// A name that people gave; what cannot be one is left out, and what is too long is cut.
    pub(super) fn name(&self, field: &'static str, remarks: &mut Vec<String>) -> String {
        let Some(value) = self.optional(field) else {
            remarks.push(format!("{field} is missing"));
            return String::new();
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => {
                remarks.push(format!("{field} is the number {number}; expected a string"));
                number.to_string()
            }
            _ => {
                remarks.push(left_out(field, value, "a string"));
                return String::new();
            }
        };
        let kept = text.chars().filter(|c| !c.is_control());
        let kept: String = kept.take(MAX_NAME_CHARACTERS).collect();
        if kept != text {
            remarks.push(format!(
                "{field} is {}; control characters and what is beyond {MAX_NAME_CHARACTERS} \
                 characters are left out",
                quoted(&text)
            ));
        }
        kept
    }

    /// The alias, or the id where there is nothing in it to see.
    pub(super) fn shown_name(&self, alias: String, id: Uuid, remarks: &mut Vec<String>) -> String {
        if alias.chars().any(is_visible) {
            return alias;
        }
        remarks.push("alias is blank; the id is shown in its place".to_owned());
        id.hyphenated().to_string()
    }

    pub(super) fn topic(
        &self,
        field: &'static str,
        sensor: Uuid,
        rules: &TopicRules,
    ) -> Result<Subject, HeartbeatError> {
        let expected = "a string such as sim.poll.<id>";
        let topic = self.get(field, expected, |value| value.as_str().map(str::to_owned))?;
        let checked = match self.is_stored {
            true => Subject::from_subject(topic, sensor, rules),
            false => Subject::from_topic(&topic, sensor, rules),
        };
        checked.map_err(|source| HeartbeatError::Topic { field, source })
    }

    pub(super) fn poll_interval(
        &self,
        allowed: &RangeInclusive<u64>,
    ) -> Result<u64, HeartbeatError> {
        let expected = format!(
            "a whole number of milliseconds from {} to {}",
            allowed.start(),
            allowed.end()
        );
        self.get("poll_interval", &expected, |value| {
            whole_of(value).filter(|interval| allowed.contains(interval))
        })
    }

    pub(super) fn ip_addr(&self, remarks: &mut Vec<String>) -> String {
        let Some(value) = self.optional("ip_addr") else {
            remarks.push("ip_addr is missing".to_owned());
            return String::new();
        };
        let address: Option<IpAddr> = value
            .as_str()
            .and_then(|text| trimmed_text(text).parse().ok());
        match address {
            Some(address) => address.to_string(),
            None => self.as_sent(
                "ip_addr",
                value,
                "an IP address such as 192.168.1.17",
                remarks,
            ),
        }
    }

    pub(super) fn mac_addr(&self, remarks: &mut Vec<String>) -> MacAddr {
        let Some(value) = self.optional("mac_addr") else {
            remarks.push("mac_addr is missing".to_owned());
            return MacAddr::Text(String::new());
        };
        let expected = "six bytes, such as \"28:cd:c1:03:e2:9f\" or a list of numbers";
        mac_addr_of(value)
            .unwrap_or_else(|| MacAddr::Text(self.as_sent("mac_addr", value, expected, remarks)))
    }

    /// Something that only informs, kept as it was sent if it is short.
    fn as_sent(
        &self,
        field: &'static str,
        value: &Value,
        expected: &str,
        remarks: &mut Vec<String>,
    ) -> String {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // What is stored was looked at before.
        if text.is_empty() && self.is_stored {
            return text;
        }
        if text.len() > MAX_ADDRESS_BYTES || text.contains(char::is_control) {
            remarks.push(left_out(field, value, expected));
            return String::new();
        }
        let sent = quoted(&text);
        remarks.push(format!(
            "{field} is {sent}, shown as it was sent; expected {expected}"
        ));
        text
    }

    /// How long the sensor may need for an answer, in milliseconds.
    pub(super) fn answer_within(&self, remarks: &mut Vec<String>) -> Option<u64> {
        let value = self.optional("answer_within")?;
        let milliseconds = whole_of(value).filter(|ms| ANSWERS_WITHIN_MS.contains(ms));
        if milliseconds.is_none() {
            let (least, most) = ANSWERS_WITHIN_MS.into_inner();
            let expected = format!("a whole number of milliseconds from {least} to {most}");
            remarks.push(left_out("answer_within", value, &expected));
        }
        milliseconds
    }

    /// The unit as it is understood, and as it was sent where that is another text.
    pub(super) fn unit(&self, remarks: &mut Vec<String>) -> (String, String) {
        let Some(value) = self.optional("unit") else {
            return Default::default();
        };
        let expected = format!(
            "a UCUM code such as Cel, at most {} bytes",
            unit::MAX_UNIT_BYTES
        );
        let sent = value.as_str().map(trimmed_text);
        let Some(sent) = sent.filter(|sent| unit::fits(sent)) else {
            remarks.push(left_out("unit", value, &expected));
            return Default::default();
        };
        let understood = unit::understood(sent);
        if !understood.is_known {
            let sent = quoted(sent);
            remarks.push(format!(
                "unit is {sent}, which is not known; expected {expected}"
            ));
        }
        match understood.code == sent {
            true => (understood.code, String::new()),
            false => (understood.code, sent.to_owned()),
        }
    }

    pub(super) fn range(&self) -> Result<Option<Range>, HeartbeatError> {
        let Some(value) = self.optional("range") else {
            return Ok(None);
        };
        let range = floats(value, ["low", "high"]).map(|[low, high]| Range { low, high });
        let range = range.filter(|range| range.low <= range.high);
        let expected = "{\"low\":number,\"high\":number} with low not above high";
        range
            .map(Some)
            .ok_or_else(|| invalid("range", value, expected))
    }

    pub(super) fn calibration(&self) -> Result<Option<Calibration>, HeartbeatError> {
        let Some(value) = self.optional("calibration") else {
            return Ok(None);
        };
        let calibration = floats(value, ["base", "scale", "offset"]);
        let calibration = calibration.map(|[base, scale, offset]| Calibration {
            base,
            scale,
            offset,
        });
        let calibration = calibration.filter(|calibration| calibration.scale != 0.0);
        let expected =
            "{\"base\":number,\"scale\":number,\"offset\":number} with a scale other than 0";
        calibration
            .map(Some)
            .ok_or_else(|| invalid("calibration", value, expected))
    }

    /// Key, boot and count: all of them or none.
    pub(super) fn identity(&self) -> Result<Option<Identity>, HeartbeatError> {
        if IDENTITY.iter().all(|name| self.optional(name).is_none()) {
            return Ok(None);
        }
        let key = "ed25519: and 44 characters, the base64 of a public key";
        let boot = format!("a string of 1 to {MAX_BOOT_BYTES} printable characters without spaces");
        Ok(Some(Identity {
            key: self.get("key", key, |value| value.as_str()?.parse().ok())?,
            boot: self.get("boot", &boot, |value| {
                let boot = BootId::new(value.as_str()?).ok()?;
                Some(boot.as_str().to_owned())
            })?,
            beat: self.get("beat", BELOW_NUMBERS_END, below_numbers_end)?,
        }))
    }

    pub(super) fn proof(&self) -> Result<Signature, HeartbeatError> {
        let expected = "a string of 88 characters, the base64 of a signature";
        self.get("key_sig", expected, |value| value.as_str()?.parse().ok())
    }

    /// How many readings the device had to drop.
    pub(super) fn lost(&self, remarks: &mut Vec<String>) -> Option<u64> {
        let value = self.optional("lost")?;
        let number = whole_of(value).filter(|number| *number < NUMBERS_END);
        if number.is_none() {
            remarks.push(left_out("lost", value, BELOW_NUMBERS_END));
        }
        number
    }
}

/// Numbers by their names, or in this order in a list.
fn floats<const N: usize>(value: &Value, names: [&str; N]) -> Option<[f64; N]> {
    let list = value.as_array();
    if list.is_some_and(|list| list.len() != N) {
        return None;
    }
    let mut numbers = [0.0; N];
    for (index, name) in names.into_iter().enumerate() {
        let member = match list {
            Some(list) => list.get(index),
            None => value.get(name),
        };
        numbers[index] = float_of(member?)?;
    }
    Some(numbers)
}

/// Six bytes, in a list or in one of the usual spellings.
fn mac_addr_of(value: &Value) -> Option<MacAddr> {
    if let Some(text) = value.as_str() {
        return MacAddr::from_text(trimmed_text(text));
    }
    let bytes: Option<Vec<u8>> = value
        .as_array()?
        .iter()
        .map(|byte| whole_of(byte).and_then(|byte| u8::try_from(byte).ok()))
        .collect();
    bytes?.try_into().ok().map(MacAddr::Bytes)
}

/// Whether a person sees anything of it.
fn is_visible(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
    );
    !character.is_whitespace() && !character.is_control() && !is_format
}

fn left_out(field: &str, value: &Value, expected: &str) -> String {
    format!("{field} is {}, left out; expected {expected}", shown(value))
}

fn below_numbers_end(value: &Value) -> Option<u64> {
    value.as_u64().filter(|number| *number < NUMBERS_END)
}

fn invalid(field: &'static str, value: &Value, expected: &str) -> HeartbeatError {
    HeartbeatError::Invalid {
        field,
        value: shown(value),
        expected: expected.to_owned(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}
