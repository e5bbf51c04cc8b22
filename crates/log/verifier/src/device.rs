//! From a device's key to the log: readings that their device signed, and the entries in which
//! somebody approved its key.

use std::collections::{BTreeMap, BTreeSet};

use fieldledger_attest::evidence::{Evidence, EvidenceError};
use fieldledger_attest::identity::{Fingerprint, PublicKey};
use fieldledger_attest::reading::{Clock, Reading, ReadingError};
use fieldledger_attest::statement::{BootError, BootId};
use serde::Deserialize;

/// `action` of the entries that tell of readings.
const READING: &str = "SENSOR_READING";
/// `action` of the entries that tell that a key is approved.
const APPROVE: &str = "DEVICE_KEY_APPROVE";
/// `attestation` of a reading that was taken for its sensor's own.
const VALID: &str = "valid";

/// What of an event the check needs.
#[derive(Debug, Default, Deserialize)]
pub struct Event {
    /// What was done.
    #[serde(default)]
    pub action: String,
    /// The text of the event.
    #[serde(default)]
    pub message: String,
    /// In an approval: the key, or its fingerprint while it was asked for only.
    #[serde(default)]
    pub new: String,
    /// The sensor.
    #[serde(default)]
    pub source: String,
}

/// Why a signed reading does not prove its device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The message lacks what was signed, or the evidence.
    #[error("says that its device signed it, but has no {0}")]
    Lacks(&'static str),
    /// The message cannot be read.
    #[error("cannot be read as a reading: {0}")]
    Message(String),
    /// What it says cannot have been signed.
    #[error("says something that no device signs")]
    Boot(#[from] BootError),
    /// What it says cannot have been signed.
    #[error("says something that no device signs")]
    Reading(#[from] ReadingError),
    /// The signature does not hold.
    #[error("has a device's signature that does not hold")]
    Signature(#[from] EvidenceError),
    /// Nobody approved the key.
    #[error("is signed by the key {0}, which no entry before it approves for this sensor")]
    NotApproved(Fingerprint),
}

/// A reading that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Who signed.
    pub key: PublicKey,
}

/// The message of a reading, as far as its device signed it.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    attestation: String,
    boot: Option<String>,
    device_at: Option<u64>,
    device_unit: Option<String>,
    device_up: Option<u64>,
    evidence: Option<Evidence>,
    raw: Option<String>,
    seq: Option<u64>,
}

/// Checks a reading alone: that the key in it signed what it says. None where it does not say that
/// its device signed it.
///
/// # Errors
///
/// Says why it does not hold.
pub fn verify(event: &Event) -> Result<Option<Signed>, DeviceError> {
    if event.action != READING {
        return Ok(None);
    }
    let message: Message = serde_json::from_str(&event.message)
        .map_err(|error| DeviceError::Message(error.to_string()))?;
    if message.attestation != VALID {
        return Ok(None);
    }
    let evidence = message.evidence.ok_or(DeviceError::Lacks("evidence"))?;
    let boot = message.boot.ok_or(DeviceError::Lacks("boot id"))?;
    let sequence = message.seq.ok_or(DeviceError::Lacks("sequence number"))?;
    let value = message.raw.ok_or(DeviceError::Lacks("value"))?;
    let clock = match (message.device_at, message.device_up) {
        (Some(at), _) => Clock::Utc(at),
        (None, Some(up)) => Clock::Uptime(up),
        (None, None) => return Err(DeviceError::Lacks("time of the device")),
    };
    let unit = message.device_unit.unwrap_or_default();
    let sensor = sensor_id(&event.source).ok_or(DeviceError::Lacks("sensor id"))?;
    let reading = Reading::new(sequence, clock, &value, &unit)?;
    evidence.verify(sensor, BootId::new(&boot)?, &reading)?;
    Ok(Some(Signed { key: evidence.key }))
}

/// Checks the reading in an entry's envelope alone, as [`verify`] does.
///
/// # Errors
///
/// Says why it does not hold.
pub fn verify_envelope(envelope: &str) -> Result<Option<Signed>, DeviceError> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        event: Event,
    }
    let envelope: Envelope =
        serde_json::from_str(envelope).map_err(|error| DeviceError::Message(error.to_string()))?;
    verify(&envelope.event)
}

/// The 16 bytes of a UUID in its usual form.
fn sensor_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.split('-').collect();
    let mut id = [0; 16];
    for (position, byte) in id.iter_mut().enumerate() {
        let pair = digits.get(2 * position..2 * position + 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    (digits.len() == 32).then_some(id)
}

/// The keys that a log approves, as far as it was read.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    /// By sensor: fingerprints of keys that were asked for or approved. Keys that were retired stay,
    /// because readings from before may reach the log later.
    of: BTreeMap<String, BTreeSet<String>>,
    /// Readings that their devices signed.
    pub signed: u64,
}

impl Approvals {
    /// Takes the next event of a log that is read from its first entry on.
    ///
    /// # Errors
    ///
    /// Says why a reading does not prove its device.
    pub fn add(&mut self, event: &Event) -> Result<(), DeviceError> {
        if event.action == APPROVE {
            let key: Result<PublicKey, _> = event.new.parse();
            let fingerprint = match key {
                Ok(key) => key.fingerprint().to_string(),
                Err(_) => event.new.clone(),
            };
            let known = self.of.entry(event.source.clone()).or_default();
            known.insert(fingerprint);
            return Ok(());
        }
        let Some(signed) = verify(event)? else {
            return Ok(());
        };
        self.signed += 1;
        let fingerprint = signed.key.fingerprint();
        let approved = self.of.get(&event.source);
        if approved.is_some_and(|keys| keys.contains(&fingerprint.to_string())) {
            return Ok(());
        }
        Err(DeviceError::NotApproved(fingerprint))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_attest::identity::DeviceKey;
    use fieldledger_attest::statement::Statement;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

    fn key(seed: u8) -> DeviceKey {
        DeviceKey::from_seed(&[seed; 32])
    }

    fn message() -> Value {
        let reading = Reading::new(4, Clock::Utc(1_767_323_045_000_006), "21.370", "Cel").unwrap();
        let boot = BootId::new("b1").unwrap();
        let statement = Statement::of_one(sensor_id(ID).unwrap(), boot, &reading);
        let evidence = Evidence::of_one(key(1).public(), statement.sign(&key(1)));
        json!({
            "attestation": "valid",
            "boot": "b1",
            "device_at": 1_767_323_045_000_006_u64,
            "device_unit": "Cel",
            "evidence": evidence,
            "raw": "21.370",
            "seq": 4,
        })
    }

    fn event(action: &str, new: &str, message: &Value) -> Event {
        Event {
            action: action.to_owned(),
            message: message.to_string(),
            new: new.to_owned(),
            source: ID.to_owned(),
        }
    }

    #[test]
    fn a_reading_leads_to_the_key_that_was_approved() {
        let fingerprint = key(1).public().fingerprint().to_string();
        for approved in [key(1).public().to_string(), fingerprint] {
            let mut approvals = Approvals::default();
            approvals
                .add(&event(APPROVE, &approved, &json!("seen")))
                .unwrap();
            approvals.add(&event(READING, "", &message())).unwrap();
            assert_eq!(approvals.signed, 1);
        }
    }

    #[test]
    fn a_key_that_nobody_approved_for_this_sensor_proves_nothing() {
        let mut elsewhere = event(APPROVE, &key(1).public().to_string(), &json!("seen"));
        elsewhere.source = ID.replace('f', "e");
        let other = event(APPROVE, &key(2).public().to_string(), &json!("seen"));
        let mut approvals = Approvals::default();
        approvals.add(&elsewhere).unwrap();
        approvals.add(&other).unwrap();
        let refused = approvals.add(&event(READING, "", &message()));
        let shown = key(1).public().fingerprint();
        assert_eq!(refused, Err(DeviceError::NotApproved(shown)));
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        for (field, value) in [
            ("boot", json!("b2")),
            ("device_at", json!(1_767_323_045_000_007_u64)),
            ("device_unit", json!("K")),
            ("raw", json!("21.37")),
            ("raw", json!("9".repeat(500))),
            ("seq", json!(5)),
            ("seq", json!("5")),
            ("evidence", json!({})),
            ("evidence", Value::Null),
            ("boot", Value::Null),
            ("seq", Value::Null),
            ("raw", Value::Null),
            ("device_at", Value::Null),
        ] {
            let mut changed = message();
            changed[field] = value.clone();
            let refused = verify(&event(READING, "", &changed));
            assert!(refused.is_err(), "{field} {value}");
        }
        let mut elsewhere = event(READING, "", &message());
        elsewhere.source = ID.replace('f', "e");
        assert!(matches!(verify(&elsewhere), Err(DeviceError::Signature(_))));
    }

    #[test]
    fn what_claims_no_device_needs_none() {
        for attestation in [json!("unsigned"), json!("invalid"), Value::Null] {
            let mut claims_less = message();
            claims_less["attestation"] = attestation;
            if claims_less["attestation"].is_null() {
                claims_less.as_object_mut().unwrap().remove("attestation");
            }
            claims_less["evidence"] = Value::Null;
            assert_eq!(verify(&event(READING, "", &claims_less)), Ok(None));
        }
        assert_eq!(verify(&event("DOOR_OPENED", "", &json!("x"))), Ok(None));
    }

    #[test]
    fn an_envelope_is_read_as_it_is_stored() {
        let envelope = json!({"event": {
            "action": READING, "source": ID, "message": message().to_string(),
        }});
        let signed = verify_envelope(&envelope.to_string()).unwrap();
        assert_eq!(signed.map(|signed| signed.key), Some(key(1).public()));
        assert_eq!(verify_envelope("{}"), Ok(None));
        assert!(verify_envelope("[").is_err());
    }
}
