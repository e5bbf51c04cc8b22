//! What a device signs of a heartbeat: that it has the key which the heartbeat names.
//!
//! | bytes | holds |
//! |---|---|
//! | 25 | the line `fieldledger-heartbeat-v1`, newline included |
//! | 16 | sensor id |
//! | 1 | length `b` of the boot id, 1 to 64 |
//! | `b` | the boot id |
//! | 8 | number of the heartbeat within the boot, big-endian |
//! | 32 | the public key |
//!
//! The number tells a heartbeat from a copy of an earlier one.

use heapless::Vec;

use crate::SensorId;
use crate::identity::{DeviceKey, KEY_BYTES, PublicKey};
use crate::signature::Signature;
use crate::statement::{BootId, MAX_BOOT_BYTES};

/// The line that tells this signature from all others.
pub const HEARTBEAT_DOMAIN: &str = "fieldledger-heartbeat-v1\n";

/// The most bytes that are signed.
pub const MAX_POSSESSION_BYTES: usize =
    HEARTBEAT_DOMAIN.len() + 16 + 1 + MAX_BOOT_BYTES + 8 + KEY_BYTES;

/// The device of this sensor has this key, in this boot, as of this heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Possession<'a> {
    /// The sensor that the heartbeat announces.
    pub sensor: SensorId,
    /// This run of the device.
    pub boot: BootId<'a>,
    /// Number of the heartbeat within the boot.
    pub beat: u64,
}

impl Possession<'_> {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self, key: &PublicKey) -> Vec<u8, MAX_POSSESSION_BYTES> {
        let mut bytes = Vec::new();
        for part in [
            HEARTBEAT_DOMAIN.as_bytes(),
            &self.sensor,
            &[self.boot.length_byte()],
            self.boot.as_str().as_bytes(),
            &self.beat.to_be_bytes(),
            key.as_bytes(),
        ] {
            let fits = bytes.extend_from_slice(part);
            debug_assert!(
                fits.is_ok(),
                "MAX_POSSESSION_BYTES is the sum of the longest parts"
            );
        }
        bytes
    }

    /// Proves that the device has `key`.
    #[must_use]
    pub fn sign(&self, key: &DeviceKey) -> Signature {
        key.sign(&self.encode(&key.public()))
    }

    /// True where whoever signed has the secret half of `key`, and meant this heartbeat.
    #[must_use]
    pub fn is_signed(&self, key: &PublicKey, signature: &Signature) -> bool {
        key.verifies(&self.encode(key), signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_field_is_signed() {
        let key = DeviceKey::from_seed(&[7; 32]);
        let boot = BootId::new("a1b2").unwrap();
        let possession = Possession {
            sensor: [1; 16],
            boot,
            beat: 3,
        };
        let signature = possession.sign(&key);
        assert!(possession.is_signed(&key.public(), &signature));
        let other_boot = BootId::new("a1b3").unwrap();
        for other in [
            Possession {
                sensor: [2; 16],
                ..possession
            },
            Possession {
                boot: other_boot,
                ..possession
            },
            Possession {
                beat: 4,
                ..possession
            },
        ] {
            assert!(!other.is_signed(&key.public(), &signature), "{other:?}");
        }
        let stranger = DeviceKey::from_seed(&[8; 32]).public();
        assert!(!possession.is_signed(&stranger, &signature));
    }

    #[test]
    fn a_test_vector() {
        let key = DeviceKey::from_seed(&[7; 32]);
        let boot = BootId::new("a1b2").unwrap();
        let possession = Possession {
            sensor: [0x11; 16],
            boot,
            beat: 3,
        };
        let expected = std::concat!(
            "6669656c646c65646765722d6865617274626561742d76310a",
            "11111111111111111111111111111111",
            "0461316232",
            "0000000000000003",
            "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
        );
        assert_eq!(hex::encode(possession.encode(&key.public())), expected);
        let longest = "b".repeat(MAX_BOOT_BYTES);
        let boot = BootId::new(&longest).unwrap();
        let longest = Possession { boot, ..possession };
        assert_eq!(longest.encode(&key.public()).len(), MAX_POSSESSION_BYTES);
    }
}
