//! What a sensor announces of itself, and the checks it has to pass.
//!
//! The nine members that the proof of concept this grew out of had, and three optional new ones:
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
//! `"answer_within":800` says how many milliseconds the device may need for an answer.
//!
//! Members that are not known are ignored: a later version may add some. Needed are `id`, `poll_interval`
//! and the three topics. What only informs (`alias`, `location`, `ip_addr`, `mac_addr`, `unit`, `lost`,
//! `answer_within`) may be missing or odd: it is kept as it was sent, or left out, and [`Device::remarks`]
//! says so. A number may be written in any way that is exactly that number (`60000.0`, `6e4`, `"60000"`),
//! and a byte order mark, blanks and NULs around the message are passed over.
//!
//! | module | holds |
//! |---|---|
//! | `message` | a heartbeat as it is written |
//! | `device` | the sensor that it describes, every member checked |
//! | `members` | reading it member by member |
//! | `address` | addresses, in whatever way they are written |
//! | `error` | why one is refused |

mod address;
mod device;
mod error;
mod members;
mod message;
#[cfg(test)]
mod tests;

use fieldledger_attest::heartbeat::{is_signed, split};
use fieldledger_attest::signature::Signature;
use serde_json::{Map, Value};

pub use address::MacAddr;
pub use device::{Device, Limits};
pub use error::HeartbeatError;
use members::Members;
pub use message::{
    ANSWERS_WITHIN_MS, Heartbeat, Identity, MAX_HEARTBEAT_BYTES, MAX_NAME_CHARACTERS,
    POLL_INTERVALS_MS,
};
use uuid::Uuid;

use crate::text::{readable, trimmed};

/// A UUID with its hyphens, in bytes.
const UUID_BYTES: usize = 36;

impl Heartbeat {
    /// Checks a heartbeat from anyone.
    ///
    /// # Errors
    ///
    /// Names the member, what it holds and what would be right.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Device, HeartbeatError> {
        let members = object(bytes)?;
        let members = Members::sent(&members);
        let mut device = Device::from_members(&members, limits)?;
        if let Some(identity) = &device.identity {
            prove(identity, members.proof()?, trimmed(bytes))?;
        }
        if readable(bytes).is_latin {
            let remark = "the heartbeat is no UTF-8; it was read as Latin-1".to_owned();
            device.remarks.push(remark);
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
        Device::from_members(&Members::stored(&object(bytes)?), limits)
    }
}

/// The sensor that a message names, as far as that can be told of one that is refused: its `id`, or the
/// first UUID in it.
#[must_use]
pub fn sensor_named(bytes: &[u8]) -> Option<Uuid> {
    let bytes = bytes.get(..MAX_HEARTBEAT_BYTES).unwrap_or(bytes);
    let read = readable(bytes);
    let json: Option<Value> = serde_json::from_str(&read.text).ok();
    let id = json.as_ref().and_then(|json| json.get("id")?.as_str());
    if let Some(id) = id.and_then(|id| Uuid::parse_str(id).ok()) {
        return Some(id);
    }
    let mut windows = bytes.windows(UUID_BYTES);
    windows.find_map(|window| Uuid::try_parse_ascii(window).ok().filter(|id| !id.is_nil()))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, HeartbeatError> {
    if bytes.len() > MAX_HEARTBEAT_BYTES {
        return Err(HeartbeatError::TooLong {
            length: bytes.len(),
        });
    }
    let json = serde_json::from_str(&readable(bytes).text).map_err(HeartbeatError::NotJson)?;
    match json {
        Value::Object(members) => Ok(members),
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
