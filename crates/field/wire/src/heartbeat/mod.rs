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
//! Members that are not known are ignored: a later version may add some.
//!
//! | module | holds |
//! |---|---|
//! | `message` | a heartbeat as it is written |
//! | `device` | the sensor that it describes, every member checked |
//! | `members` | reading it member by member |
//! | `error` | why one is refused |

mod device;
mod error;
mod members;
mod message;
#[cfg(test)]
mod tests;

use fieldledger_attest::heartbeat::{is_signed, split};
use fieldledger_attest::signature::Signature;
use serde_json::{Map, Value};

pub use device::{Device, Limits};
pub use error::HeartbeatError;
use members::Members;
pub use message::{
    Heartbeat, Identity, MAX_HEARTBEAT_BYTES, MAX_NAME_CHARACTERS, POLL_INTERVALS_MS,
};

impl Heartbeat {
    /// Checks a heartbeat from anyone.
    ///
    /// # Errors
    ///
    /// Names the member, what it holds and what would be right.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Device, HeartbeatError> {
        let members = object(bytes)?;
        let members = Members(&members);
        let device = Device::from_members(&members, limits)?;
        if let Some(identity) = &device.identity {
            prove(identity, members.proof()?, bytes)?;
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
        Device::from_members(&Members(&object(bytes)?), limits)
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
