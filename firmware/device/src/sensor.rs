//! What measures.
//!
//! The wire contract knows sensors, not devices: each has an id, topics and heartbeats of its own. So a
//! device with three sensors sends three heartbeats, signed by the device's one key. An id is either
//! configured, or derived from the key: the same board then has the same sensors after every flash.

use fieldledger_attest::SensorId;
use fieldledger_attest::identity::PublicKey;
use heapless::String;
use sha2::{Digest as _, Sha256};

use crate::config::MAX_NAME_BYTES;

/// The longest value, in bytes: what the longest 64-bit float needs.
pub const MAX_TEXT_BYTES: usize = 24;

/// The longest unit, in bytes.
pub const MAX_UNIT_BYTES: usize = 32;

/// A decimal number as it will be signed, such as `21.50`. Its length takes one byte, since a ring holds
/// hundreds.
pub type Text = String<MAX_TEXT_BYTES, u8>;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(
    /// In a few words, such as `not connected`.
    pub &'static str,
);

/// Something that can be read at any time and answers at once.
pub trait Sensor {
    /// The number that it shows now: finite, decimal, printable ASCII without spaces.
    ///
    /// # Errors
    ///
    /// Why it has none.
    fn read(&mut self) -> Result<Text, Fault>;
}

/// What a heartbeat says of a sensor.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its id.
    pub id: SensorId,
    /// Name for people; not empty, no control characters.
    pub alias: String<MAX_NAME_BYTES>,
    /// Where it is; not empty, no control characters.
    pub location: String<MAX_NAME_BYTES>,
    /// UCUM code, or empty.
    pub unit: String<MAX_UNIT_BYTES>,
    /// Lowest and highest plausible value, both finite.
    pub range: Option<(f64, f64)>,
    /// Milliseconds between polls, 100 to 86,400,000.
    pub poll_interval_ms: u64,
}

/// The line before what an id is derived from.
const ID_DOMAIN: &str = "fieldledger-sensor-v1\n";

/// The id of a device's sensor number `number`: a UUID of version 8 (RFC 9562, section 5.8) whose
/// other bits begin the SHA-256 of the line `fieldledger-sensor-v1`, the key and the number (four
/// bytes, big-endian).
#[must_use]
pub fn derived_id(key: &PublicKey, number: u32) -> SensorId {
    let hash = Sha256::new()
        .chain_update(ID_DOMAIN)
        .chain_update(key.as_bytes())
        .chain_update(number.to_be_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// The number by which the device's own id is derived: that of no sensor.
pub const DEVICE_NUMBER: u32 = u32::MAX;

/// What servers take for a number.
pub(crate) fn is_decimal(text: &Text) -> bool {
    let characters = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: Option<f64> = text.parse().ok();
    text.bytes().all(characters) && number.is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use fieldledger_attest::identity::DeviceKey;
    use uuid::{Uuid, Variant};

    use super::*;

    #[test]
    fn a_derived_id_is_a_uuid_that_depends_on_key_and_number() {
        let key = |seed| DeviceKey::from_seed(&[seed; 32]).public();
        let id = derived_id(&key(1), 0);
        let uuid = Uuid::from_bytes(id);
        assert_eq!(
            (uuid.get_version_num(), uuid.get_variant()),
            (8, Variant::RFC4122)
        );
        assert_eq!(derived_id(&key(1), 0), id);
        assert_ne!(derived_id(&key(1), 1), id);
        assert_ne!(derived_id(&key(2), 0), id);
    }
}
