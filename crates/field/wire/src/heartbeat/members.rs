//! Reading a heartbeat member by member.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use fieldledger_attest::NUMBERS_END;
use fieldledger_attest::reading::MAX_UNIT_BYTES;
use fieldledger_attest::signature::Signature;
use fieldledger_attest::statement::{BootId, MAX_BOOT_BYTES};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::HeartbeatError;
use super::message::{Identity, MAX_NAME_CHARACTERS};
use crate::batch::{Calibration, Range};
use crate::excerpt::quoted;
use crate::topic::{Subject, TopicRules};
use crate::unit::is_unit;

/// The members of which there are all or none.
const IDENTITY: [&str; 4] = ["key", "boot", "beat", "key_sig"];

/// What a counter may be.
const BELOW_NUMBERS_END: &str = "a whole number from 0 up to 2^53 - 1";

/// The members of a heartbeat, read one by one so that an error can name the one that is wrong.
pub(super) struct Members<'a>(pub(super) &'a Map<String, Value>);

impl Members<'_> {
    fn required(&self, field: &'static str, expected: &str) -> Result<&Value, HeartbeatError> {
        self.0.get(field).ok_or_else(|| HeartbeatError::Missing {
            field,
            expected: expected.to_owned(),
        })
    }

    /// The optional `field`; null is the same as absent.
    fn optional(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
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

    pub(super) fn name(&self, field: &'static str) -> Result<String, HeartbeatError> {
        let expected = format!(
            "a string of 1 to {MAX_NAME_CHARACTERS} characters, none of them a control character"
        );
        self.get(field, &expected, |value| {
            let text = value.as_str()?;
            let length_fits = (1..=MAX_NAME_CHARACTERS).contains(&text.chars().count());
            let acceptable = length_fits && !text.contains(char::is_control);
            acceptable.then(|| text.to_owned())
        })
    }

    pub(super) fn topic(
        &self,
        field: &'static str,
        sensor: Uuid,
        rules: &TopicRules,
    ) -> Result<Subject, HeartbeatError> {
        let expected = "a string such as sim.poll.<id>";
        let topic = self.get(field, expected, |value| value.as_str().map(str::to_owned))?;
        Subject::from_topic(&topic, sensor, rules)
            .map_err(|source| HeartbeatError::Topic { field, source })
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
            value.as_u64().filter(|interval| allowed.contains(interval))
        })
    }

    pub(super) fn ip_addr(&self) -> Result<IpAddr, HeartbeatError> {
        let expected = "an IP address such as 192.168.1.17";
        self.get("ip_addr", expected, |value| value.as_str()?.parse().ok())
    }

    pub(super) fn mac_addr(&self) -> Result<[u8; 6], HeartbeatError> {
        let expected = "a list of six numbers from 0 to 255";
        self.get("mac_addr", expected, |value| {
            let bytes: Option<Vec<u8>> = value
                .as_array()?
                .iter()
                .map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            bytes?.try_into().ok()
        })
    }

    pub(super) fn unit(&self) -> Result<String, HeartbeatError> {
        let Some(value) = self.optional("unit") else {
            return Ok(String::new());
        };
        match value.as_str() {
            Some(unit) if is_unit(unit) => Ok(unit.to_owned()),
            _ => {
                let expected =
                    format!("a UCUM code such as Cel, at most {MAX_UNIT_BYTES} characters");
                Err(invalid("unit", value, &expected))
            }
        }
    }

    pub(super) fn range(&self) -> Result<Option<Range>, HeartbeatError> {
        let Some(value) = self.optional("range") else {
            return Ok(None);
        };
        let range: Option<Range> = Range::deserialize(value).ok();
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
        let calibration: Option<Calibration> = Calibration::deserialize(value).ok();
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

    pub(super) fn optional_number(
        &self,
        field: &'static str,
    ) -> Result<Option<u64>, HeartbeatError> {
        let Some(value) = self.optional(field) else {
            return Ok(None);
        };
        let number = below_numbers_end(value);
        number
            .map(Some)
            .ok_or_else(|| invalid(field, value, BELOW_NUMBERS_END))
    }
}

fn below_numbers_end(value: &Value) -> Option<u64> {
    value.as_u64().filter(|number| *number < NUMBERS_END)
}

fn invalid(field: &'static str, value: &Value, expected: &str) -> HeartbeatError {
    let value = match value {
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    HeartbeatError::Invalid {
        field,
        value,
        expected: expected.to_owned(),
    }
}
