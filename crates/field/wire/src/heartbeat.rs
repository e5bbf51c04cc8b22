//! What a sensor announces of itself, and the checks it has to pass.
//!
//! The nine fields of the original contract, and three optional new ones:
//!
//! ```json
//! {"id":"f3088463-5623-476f-a1b5-ecb49446a443","alias":"temp_01","location":"Boiler Room",
//!  "poll_interval":60000,"poll_topic":"picow/f3088463-5623-476f-a1b5-ecb49446a443/poll",
//!  "read_topic":"picow/f3088463-5623-476f-a1b5-ecb49446a443/read",
//!  "disconnect_topic":"picow/f3088463-5623-476f-a1b5-ecb49446a443/disconnect",
//!  "ip_addr":"192.168.1.17","mac_addr":[40,205,193,3,226,159],
//!  "unit":"Cel","range":{"low":-40,"high":125},"calibration":{"base":0,"scale":1,"offset":0}}
//! ```
//!
//! A device that signs its readings names its key as well, and ends with the proof that it has it:
//! `"key":"ed25519:…","boot":"a1b2","beat":3,"key_sig":"…"`, all four or none. The proof signs all that
//! stands before it ([`fieldledger_attest::heartbeat`]), topics and calibration too, and nothing may stand
//! behind it. It is verified here, so whatever has passed was said by who has the key that it names;
//! whether that is the key which the sensor had before, and the count is above the last one, is for the
//! registry to say.
//!
//! `"lost":12` counts readings of this boot that the device had to drop before it sent them, or before
//! anyone acknowledged them as history; answers to polls are not among them.
//!
//! Fields that are not known are ignored: a later version may add some.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use fieldledger_attest::heartbeat::{is_signed, split};
use fieldledger_attest::identity::{Fingerprint, PublicKey};
use fieldledger_attest::signature::Signature;
use fieldledger_attest::statement::BootId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use crate::batch::{Calibration, Range, SensorProfile};
use crate::excerpt::quoted;
use crate::reply::{MAX_BOOT_BYTES, NUMBERS_END};
use crate::topic::{Subject, TopicError, TopicRules};

/// The largest heartbeat, in bytes. Two topics of the longest kind and every name at its longest
/// stay below it.
pub const MAX_HEARTBEAT_BYTES: usize = 4_096;

/// The longest alias and location, in characters: an audit event's `actor` and `target` hold 128.
pub const MAX_NAME_CHARACTERS: usize = 128;

/// The longest unit, in bytes.
pub const MAX_UNIT_BYTES: usize = 32;

/// Poll intervals that are accepted unless configured otherwise: 100 ms to a day.
pub const POLL_INTERVALS_MS: RangeInclusive<u64> = 100..=86_400_000;

/// The fields of which there are all or none.
const IDENTITY_FIELDS: [&str; 4] = ["key", "boot", "beat", "key_sig"];

/// What a counter may be.
const BELOW_NUMBERS_END: &str = "a whole number from 0 up to 2^53 - 1";

/// A heartbeat as a sensor writes it, but for the proof of its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Name a person gave the sensor.
    pub alias: String,
    /// The sensor's id.
    pub id: Uuid,
    /// Milliseconds between polls.
    pub poll_interval: u64,
    /// Where the sensor listens for polls.
    pub poll_topic: String,
    /// Where the sensor answers, unless it answers the poll's reply subject.
    pub read_topic: String,
    /// Where the sensor, or its broker on its behalf, says that it leaves.
    pub disconnect_topic: String,
    /// The sensor's IP address.
    pub ip_addr: IpAddr,
    /// The sensor's MAC address.
    pub mac_addr: [u8; 6],
    /// Where the sensor is.
    pub location: String,
    /// UCUM code of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Plausible engineering values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// From raw to engineering value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The key of the device.
    #[serde(flatten)]
    pub identity: Option<Identity>,
    /// Readings of this boot, other than answers to polls, that were dropped before anyone acknowledged
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// A device's key, in this boot, as of this heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What the device signs with.
    pub key: PublicKey,
    /// The device's boot id; not empty.
    pub boot: String,
    /// Number of the heartbeat within the boot, below 2^53.
    pub beat: u64,
}

impl Heartbeat {
    /// Checks a heartbeat from anyone.
    ///
    /// # Errors
    ///
    /// Names the field, what it holds and what would be right.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Device, HeartbeatError> {
        let fields = object(bytes)?;
        let fields = Fields(&fields);
        let device = Device::from_fields(&fields, limits)?;
        if let Some(identity) = &device.identity {
            prove(identity, fields.proof()?, bytes)?;
        }
        Ok(device)
    }

    /// Checks one that was accepted before and is stored as [`Device::to_heartbeat`] has it: its proof
    /// was verified then, and is not kept.
    ///
    /// # Errors
    ///
    /// Those of [`Heartbeat::parse`]; limits may have changed since.
    pub fn restore(bytes: &[u8], limits: &Limits) -> Result<Device, HeartbeatError> {
        Device::from_fields(&Fields(&object(bytes)?), limits)
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, HeartbeatError> {
    if bytes.len() > MAX_HEARTBEAT_BYTES {
        return Err(HeartbeatError::TooLong {
            length: bytes.len(),
        });
    }
    let json = serde_json::from_slice(bytes).map_err(HeartbeatError::NotJson)?;
    match json {
        Value::Object(fields) => Ok(fields),
        _ => Err(HeartbeatError::NotAnObject),
    }
}

/// Verifies the proof of a key, which is the last of the message.
fn prove(identity: &Identity, proof: Signature, message: &[u8]) -> Result<(), HeartbeatError> {
    let (declaration, end) = split(message).ok_or(HeartbeatError::ProofNotLast)?;
    // What is read of the message must have been signed, so nothing else stands behind.
    let end: Result<Map<String, Value>, _> = serde_json::from_slice(&[b"{", end].concat());
    if end.map_or(0, |end| end.len()) != 1 {
        return Err(HeartbeatError::ProofNotLast);
    }
    match is_signed(declaration, &identity.key, &proof) {
        true => Ok(()),
        false => Err(HeartbeatError::NotPossessed {
            key: identity.key.fingerprint(),
        }),
    }
}

/// What a heartbeat may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Which topics it may name.
    pub topics: TopicRules,
    /// Poll intervals it may ask for, in milliseconds.
    pub poll_interval_ms: RangeInclusive<u64>,
}

/// A sensor as its heartbeat describes it, every field checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The sensor's id.
    pub id: Uuid,
    /// What travels on with its readings.
    pub profile: SensorProfile,
    /// Milliseconds between polls.
    pub poll_interval_ms: u64,
    /// Where to poll it.
    pub poll: Subject,
    /// Where it answers, unless it answers the reply subject.
    pub read: Subject,
    /// Where it says that it leaves.
    pub disconnect: Subject,
    /// IP address it gave.
    pub ip_addr: IpAddr,
    /// MAC address it gave.
    pub mac_addr: [u8; 6],
    /// The key that it proved to have, or none for a device that does not sign.
    pub identity: Option<Identity>,
    /// Readings of this boot that were dropped before anyone acknowledged them, as far as it says.
    pub lost: Option<u64>,
}

impl Device {
    fn from_fields(fields: &Fields<'_>, limits: &Limits) -> Result<Self, HeartbeatError> {
        let id = fields.id()?;
        let poll = fields.topic("poll_topic", id, limits)?;
        let read = fields.topic("read_topic", id, limits)?;
        let disconnect = fields.topic("disconnect_topic", id, limits)?;
        // Otherwise the provider would take its own poll for an answer, or for a farewell.
        if poll == read || poll == disconnect || read == disconnect {
            return Err(HeartbeatError::SameTopics);
        }
        let profile = SensorProfile {
            id: id.hyphenated().to_string(),
            alias: fields.name("alias")?,
            location: fields.name("location")?,
            unit: fields.unit()?,
            range: fields.range()?,
            calibration: fields.calibration()?,
        };
        Ok(Self {
            id,
            profile,
            poll_interval_ms: fields.poll_interval(&limits.poll_interval_ms)?,
            poll,
            read,
            disconnect,
            ip_addr: fields.ip_addr()?,
            mac_addr: fields.mac_addr()?,
            identity: fields.identity()?,
            lost: fields.optional_number("lost")?,
        })
    }

    /// True where `later` says nothing new of the sensor: it may differ in what every heartbeat of a
    /// device that signs brings, the count, and in what was lost.
    #[must_use]
    pub fn declares_the_same(&self, later: &Self) -> bool {
        let mut aligned = later.clone();
        aligned.lost = self.lost;
        if let (Some(own), Some(other)) = (&self.identity, &mut aligned.identity) {
            other.beat = own.beat;
        }
        *self == aligned
    }

    /// The heartbeat that describes this sensor, with its topics as NATS subjects.
    #[must_use]
    pub fn to_heartbeat(&self) -> Heartbeat {
        let SensorProfile {
            alias,
            location,
            unit,
            range,
            calibration,
            id: _,
        } = self.profile.clone();
        Heartbeat {
            alias,
            id: self.id,
            poll_interval: self.poll_interval_ms,
            poll_topic: self.poll.to_string(),
            read_topic: self.read.to_string(),
            disconnect_topic: self.disconnect.to_string(),
            ip_addr: self.ip_addr,
            mac_addr: self.mac_addr,
            location,
            unit: Some(unit).filter(|unit| !unit.is_empty()),
            range,
            calibration,
            identity: self.identity.clone(),
            lost: self.lost,
        }
    }
}

/// True for what may stand as a unit: printable ASCII without spaces, as every UCUM code is.
pub(crate) fn is_unit(text: &str) -> bool {
    text.len() <= MAX_UNIT_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The fields of a heartbeat, read one by one so that an error can name the field.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
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

    fn id(&self) -> Result<Uuid, HeartbeatError> {
        let expected = "a UUID such as f3088463-5623-476f-a1b5-ecb49446a443";
        self.get("id", expected, |value| {
            let text = value.as_str().filter(|text| text.len() == 36)?;
            Uuid::parse_str(text).ok().filter(|id| !id.is_nil())
        })
    }

    fn name(&self, field: &'static str) -> Result<String, HeartbeatError> {
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

    fn topic(
        &self,
        field: &'static str,
        sensor: Uuid,
        limits: &Limits,
    ) -> Result<Subject, HeartbeatError> {
        let expected = "a string such as sim.poll.<id>";
        let topic = self.get(field, expected, |value| value.as_str().map(str::to_owned))?;
        Subject::from_topic(&topic, sensor, &limits.topics)
            .map_err(|source| HeartbeatError::Topic { field, source })
    }

    fn poll_interval(&self, allowed: &RangeInclusive<u64>) -> Result<u64, HeartbeatError> {
        let expected = format!(
            "a whole number of milliseconds from {} to {}",
            allowed.start(),
            allowed.end()
        );
        self.get("poll_interval", &expected, |value| {
            value.as_u64().filter(|interval| allowed.contains(interval))
        })
    }

    fn ip_addr(&self) -> Result<IpAddr, HeartbeatError> {
        let expected = "an IP address such as 192.168.1.17";
        self.get("ip_addr", expected, |value| value.as_str()?.parse().ok())
    }

    fn mac_addr(&self) -> Result<[u8; 6], HeartbeatError> {
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

    fn unit(&self) -> Result<String, HeartbeatError> {
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

    fn range(&self) -> Result<Option<Range>, HeartbeatError> {
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

    fn calibration(&self) -> Result<Option<Calibration>, HeartbeatError> {
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
    fn identity(&self) -> Result<Option<Identity>, HeartbeatError> {
        if IDENTITY_FIELDS
            .iter()
            .all(|field| self.optional(field).is_none())
        {
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

    fn proof(&self) -> Result<Signature, HeartbeatError> {
        let expected = "a string of 88 characters, the base64 of a signature";
        self.get("key_sig", expected, |value| value.as_str()?.parse().ok())
    }

    fn optional_number(&self, field: &'static str) -> Result<Option<u64>, HeartbeatError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_attest::heartbeat::with_proof;
    use fieldledger_attest::identity::DeviceKey;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

    fn limits() -> Limits {
        let prefixes = ["sim".to_owned(), "picow".to_owned()];
        Limits {
            topics: TopicRules::new(&prefixes, "default").unwrap(),
            poll_interval_ms: POLL_INTERVALS_MS,
        }
    }

    fn simulated() -> Value {
        json!({
            "alias": "FAULTY_HumiditySensor-A1",
            "id": ID,
            "poll_interval": 610_000,
            "poll_topic": format!("sim.poll.{ID}"),
            "read_topic": format!("sim.read.{ID}"),
            "disconnect_topic": format!("sim.disconnect/{ID}"),
            "ip_addr": "93.184.216.34",
            "mac_addr": [0, 1, 2, 3, 4, 255],
            "location": "SIMULATION-Filling Line 3",
        })
    }

    fn parse(json: &Value) -> Result<Device, HeartbeatError> {
        Heartbeat::parse(json.to_string().as_bytes(), &limits())
    }

    #[test]
    fn the_original_simulators_heartbeat_is_accepted() {
        let device = parse(&simulated()).unwrap();
        assert_eq!(device.profile.alias, "FAULTY_HumiditySensor-A1");
        assert_eq!(device.disconnect.as_str(), format!("sim.disconnect.{ID}"));
        assert_eq!(device.poll_interval_ms, 610_000);
        assert_eq!(device.profile.unit, "");
    }

    #[test]
    fn the_pico_w_heartbeat_is_accepted() {
        let text = r#"{"disconnect_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/disconnect",
            "poll_interval": 60000, "ip_addr": "1.2.3.4", "mac_addr": [40, 205, 193, 3, 226, 159],
            "id": "f3088463-5623-476f-a1b5-ecb49446a443", "location": "rp-pico-w",
            "poll_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/poll", "alias": "temp_01",
            "read_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/read"}"#;
        let device = Heartbeat::parse(text.as_bytes(), &limits()).unwrap();
        assert_eq!(device.poll.as_str(), format!("picow.{ID}.poll"));
        assert_eq!(device.mac_addr, [40, 205, 193, 3, 226, 159]);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut json = simulated();
        json["unit"] = json!("%");
        json["range"] = json!({"low": 20.0, "high": 90.0});
        json["calibration"] = json!({"base": 4.0, "scale": 6.25, "offset": 0.0});
        let device = parse(&json).unwrap();
        let written = serde_json::to_vec(&device.to_heartbeat()).unwrap();
        assert_eq!(Heartbeat::parse(&written, &limits()).unwrap(), device);
    }

    #[test]
    fn every_missing_field_is_named() {
        let complete = simulated();
        for field in complete.as_object().unwrap().keys() {
            let mut json = complete.clone();
            json.as_object_mut().unwrap().remove(field);
            let text = parse(&json).unwrap_err().to_string();
            assert!(text.contains(field), "{field}: {text}");
        }
    }

    #[test]
    fn every_hostile_value_is_refused_and_named() {
        let long = "x".repeat(MAX_NAME_CHARACTERS + 1);
        for (field, value) in [
            ("id", json!("not a uuid")),
            ("id", json!("00000000-0000-0000-0000-000000000000")),
            ("id", json!(7)),
            ("alias", json!("")),
            ("alias", json!(long)),
            ("alias", json!("a\u{1b}[2Jb")),
            ("location", json!(null)),
            ("poll_interval", json!(0)),
            ("poll_interval", json!(99)),
            ("poll_interval", json!(86_400_001_u64)),
            ("poll_interval", json!(-1)),
            ("poll_interval", json!(1000.5)),
            ("poll_interval", json!("1000")),
            ("poll_topic", json!(["sim"])),
            ("poll_topic", json!(format!("wasmbus.ctl.v1.{ID}"))),
            ("read_topic", json!(format!("sim.*.{ID}"))),
            ("disconnect_topic", json!("sim.disconnect.>")),
            ("ip_addr", json!("localhost")),
            ("mac_addr", json!([1, 2, 3, 4, 5])),
            ("mac_addr", json!([1, 2, 3, 4, 5, 256])),
            ("mac_addr", json!("00:11:22:33:44:55")),
            ("unit", json!("degrees celsius")),
            ("range", json!({"low": 2, "high": 1})),
            ("range", json!([1, "2"])),
            ("calibration", json!({"base": 0, "scale": 0, "offset": 0})),
            ("calibration", json!({"base": 0})),
        ] {
            let mut json = simulated();
            json[field] = value.clone();
            let text = parse(&json).unwrap_err().to_string();
            assert!(text.contains(field), "{field} = {value}: {text}");
            assert!(text.len() < 400, "{text}");
        }
    }

    fn key() -> DeviceKey {
        DeviceKey::from_seed(&[9; 32])
    }

    /// What a device with a key says before its proof.
    fn declared() -> Value {
        let mut json = simulated();
        json["key"] = json!(key().public());
        json["boot"] = json!("a1b2");
        json["beat"] = json!(3);
        json["lost"] = json!(12);
        json
    }

    /// That with its proof.
    fn proven(json: &Value) -> String {
        with_proof(&json.to_string(), &key()).unwrap()
    }

    fn parse_text(text: &str) -> Result<Device, HeartbeatError> {
        Heartbeat::parse(text.as_bytes(), &limits())
    }

    #[test]
    fn a_device_that_proves_its_key_is_accepted_and_stored_so() {
        let device = parse_text(&proven(&declared())).unwrap();
        let identity = device.identity.clone().unwrap();
        assert_eq!(identity.key, key().public());
        assert_eq!((identity.boot.as_str(), identity.beat), ("a1b2", 3));
        assert_eq!(device.lost, Some(12));
        let written = serde_json::to_vec(&device.to_heartbeat()).unwrap();
        assert_eq!(Heartbeat::restore(&written, &limits()).unwrap(), device);
        let read: Heartbeat = serde_json::from_slice(&written).unwrap();
        assert_eq!(read, device.to_heartbeat());
        assert_eq!(parse(&simulated()).unwrap().identity, None);
    }

    #[test]
    fn only_what_is_new_of_a_sensor_is_a_change() {
        let device = parse_text(&proven(&declared())).unwrap();
        let mut later = device.clone();
        later.lost = None;
        let identity = later.identity.as_mut().unwrap();
        identity.beat += 1;
        assert!(device.declares_the_same(&later) && device != later);
        let mut rebooted = later.clone();
        rebooted.identity.as_mut().unwrap().boot = "c3d4".to_owned();
        assert!(!device.declares_the_same(&rebooted));
        let mut renamed = later.clone();
        renamed.profile.alias = "other".to_owned();
        assert!(!device.declares_the_same(&renamed));
        later.identity = None;
        assert!(!device.declares_the_same(&later));
    }

    #[test]
    fn a_key_without_its_proof_is_refused() {
        let is_missing = |field: &str, text: &str| {
            let error = parse_text(text).unwrap_err().to_string();
            assert!(
                error.contains(field) && error.contains("missing"),
                "{error}"
            );
        };
        for field in ["key", "boot", "beat"] {
            let mut json = declared();
            json.as_object_mut().unwrap().remove(field);
            is_missing(field, &proven(&json));
        }
        is_missing("key_sig", &declared().to_string());
        is_missing("key", &proven(&simulated()));
    }

    #[test]
    fn all_that_a_heartbeat_says_is_signed() {
        let said = proven(&declared());
        let stranger = DeviceKey::from_seed(&[8; 32]).public().to_string();
        let names = key().public().to_string();
        for (from, to) in [
            (names.as_str(), stranger.as_str()),
            ("a1b2", "a1b3"),
            ("\"beat\":3", "\"beat\":4"),
            ("a443", "a444"),
            ("sim.poll.", "picow.poll."),
            ("610000", "610001"),
            ("Filling Line 3", "Filling Line 4"),
            ("\"lost\":12", "\"lost\":0"),
            ("{", "{ "),
            ("{", "{\"calibration\":null,"),
        ] {
            let forged = said.replace(from, to);
            assert_ne!(said, forged, "{from}");
            let error = parse_text(&forged).unwrap_err();
            assert!(
                matches!(error, HeartbeatError::NotPossessed { .. }),
                "{from}: {error}"
            );
        }
    }

    #[test]
    fn nothing_stands_behind_the_proof() {
        let said = proven(&declared());
        parse_text(&format!("{said} \n")).unwrap();
        let open = said.strip_suffix('}').unwrap();
        let proof = &said[said.rfind(":").unwrap()..said.len() - 1];
        for behind in [
            ",\"lost\":0}",
            ",\"unit\":\"Cel\"}",
            ", \"poll_interval\" : 100}",
        ] {
            let error = parse_text(&format!("{open}{behind}")).unwrap_err();
            assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
        }
        // The last of two counts, here and for the parser of JSON.
        let twice = format!("{open},\"key_sig\"{proof}}}");
        let error = parse_text(&twice).unwrap_err();
        assert!(
            matches!(error, HeartbeatError::NotPossessed { .. }),
            "{error}"
        );
        // It is found where it is, and not within something else.
        let within = format!("{open},\"a\":{{\"key_sig\"{proof}}}}}");
        let error = parse_text(&within).unwrap_err();
        assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
        let escaped = said.replace("key_sig", "key_si\\u0067");
        let error = parse_text(&escaped).unwrap_err();
        assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
    }

    #[test]
    fn every_hostile_part_of_an_identity_is_named() {
        for (field, value) in [
            ("key", json!("ed25519:AAAA")),
            ("key", json!(7)),
            ("boot", json!("")),
            ("boot", json!("a b")),
            ("boot", json!("b".repeat(65))),
            ("beat", json!(-1)),
            ("beat", json!(1_u64 << 53)),
            ("beat", json!("3")),
            ("lost", json!(-1)),
            ("lost", json!("12")),
        ] {
            let mut json = declared();
            json[field] = value.clone();
            let text = parse_text(&proven(&json)).unwrap_err().to_string();
            assert!(text.contains(field), "{field} = {value}: {text}");
            assert!(text.len() < 400, "{text}");
        }
    }

    #[test]
    fn a_proof_that_is_no_signature_is_named() {
        for proof in [json!("AAAA"), json!(7), json!(null)] {
            let mut json = declared();
            json["key_sig"] = proof;
            let text = parse(&json).unwrap_err().to_string();
            assert!(text.contains("key_sig"), "{text}");
        }
    }

    #[test]
    fn topics_must_differ() {
        let topics = ["poll_topic", "read_topic", "disconnect_topic"];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let mut json = simulated();
            json[topics[one]] = json[topics[other]].clone();
            assert!(matches!(parse(&json), Err(HeartbeatError::SameTopics)));
        }
    }

    #[test]
    fn the_longest_heartbeat_is_read_and_no_longer_one() {
        let text = format!("{:1$}", simulated().to_string(), MAX_HEARTBEAT_BYTES);
        parse_text(&text).unwrap();
        let error = parse_text(&format!("{text} ")).unwrap_err();
        assert!(matches!(error, HeartbeatError::TooLong { .. }), "{error}");
    }

    #[test]
    fn other_bytes_are_refused() {
        let limits = limits();
        let long = vec![b' '; MAX_HEARTBEAT_BYTES + 1];
        let deep = "[".repeat(MAX_HEARTBEAT_BYTES);
        for bytes in [
            &b""[..],
            b"\xff\xfe",
            b"{",
            b"[]",
            b"7",
            &long,
            deep.as_bytes(),
        ] {
            assert!(Heartbeat::parse(bytes, &limits).is_err());
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Heartbeat::parse(&bytes, &limits());
        }

        #[test]
        fn arbitrary_values_never_panic(field in 0..9_usize, text in "\\PC{0,80}") {
            let mut json = simulated();
            let name = json.as_object().unwrap().keys().nth(field).unwrap().clone();
            json[name] = json!(text);
            let _ = parse(&json);
        }
    }
}
