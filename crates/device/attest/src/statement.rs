//! What a device signs of its readings.
//!
//! | bytes | holds |
//! |---|---|
//! | 24 | the line `fieldledger-readings-v1`, newline included |
//! | 16 | sensor id |
//! | 1 | length `b` of the boot id, 1 to 64 |
//! | `b` | the boot id |
//! | 4 | size of the tree, big-endian |
//! | 32 | root of the tree over the canonical readings |
//!
//! The signature is Ed25519 as it is (RFC 8032, section 5.1), and is verified by the strict rules: no
//! second encoding of a signature, no point of small order.

use core::fmt;

use heapless::Vec;
use thiserror::Error;

use crate::identity::{DeviceKey, PublicKey};
use crate::reading::Reading;
use crate::signature::Signature;
use crate::tree::{Hash, RootBuilder, TreeError, leaf_hash};
use crate::{SensorId, is_graphic};

/// The line that tells this signature from all others.
pub const READINGS_DOMAIN: &str = "fieldledger-readings-v1\n";

/// The longest boot id, in bytes.
pub const MAX_BOOT_BYTES: usize = 64;

/// The longest statement, in bytes.
pub const MAX_STATEMENT_BYTES: usize = READINGS_DOMAIN.len() + 16 + 1 + MAX_BOOT_BYTES + 4 + 32;

/// Why a text is no boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "boot id of {length} bytes is not 1 to {MAX_BOOT_BYTES} printable ASCII characters without spaces"
)]
pub struct BootError {
    /// Bytes of the text.
    pub length: usize,
}

/// Names one run of a device, from power-up to power-down: 1 to 64 printable ASCII characters without
/// spaces, drawn at random at each boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId<'a>(&'a str);

impl<'a> BootId<'a> {
    /// Checks a boot id.
    ///
    /// # Errors
    ///
    /// [`BootError`].
    pub fn new(text: &'a str) -> Result<Self, BootError> {
        let length = text.len();
        if (1..=MAX_BOOT_BYTES).contains(&length) && is_graphic(text) {
            return Ok(Self(text));
        }
        Err(BootError { length })
    }

    /// The boot id as text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Its length in one byte, as it stands before it in what is signed.
    pub(crate) fn length_byte(self) -> u8 {
        self.0.len() as u8
    }
}

impl fmt::Display for BootId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// These readings, in this order, are what this sensor read in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    sensor: SensorId,
    boot: BootId<'a>,
    size: u32,
    root: Hash,
}

impl<'a> Statement<'a> {
    /// About one reading, such as the answer to a poll.
    #[must_use]
    pub fn of_one(sensor: SensorId, boot: BootId<'a>, reading: &Reading<'_>) -> Self {
        Self::of_root(sensor, boot, 1, leaf_hash(reading))
    }

    /// About all readings that a tree was built of.
    ///
    /// # Errors
    ///
    /// [`TreeError::Size`] where it was built of none.
    pub fn of_tree(
        sensor: SensorId,
        boot: BootId<'a>,
        tree: RootBuilder,
    ) -> Result<Self, TreeError> {
        let size = tree.size();
        Ok(Self::of_root(sensor, boot, size, tree.root()?))
    }

    pub(crate) fn of_root(sensor: SensorId, boot: BootId<'a>, size: u32, root: Hash) -> Self {
        Self {
            sensor,
            boot,
            size,
            root,
        }
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8, MAX_STATEMENT_BYTES> {
        let mut bytes = Vec::new();
        for part in [
            READINGS_DOMAIN.as_bytes(),
            &self.sensor,
            &[self.boot.length_byte()],
            self.boot.as_str().as_bytes(),
            &self.size.to_be_bytes(),
            &self.root,
        ] {
            let fits = bytes.extend_from_slice(part);
            debug_assert!(
                fits.is_ok(),
                "MAX_STATEMENT_BYTES is the sum of the longest parts"
            );
        }
        bytes
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &DeviceKey) -> Signature {
        key.sign(&self.encode())
    }

    /// True where `key` signed exactly this.
    #[must_use]
    pub fn is_signed(&self, key: &PublicKey, signature: &Signature) -> bool {
        key.verifies(&self.encode(), signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::reading::Clock;

    #[test]
    fn a_test_vector() {
        let key = DeviceKey::from_seed(&[7; 32]);
        let reading = Reading::new(7, Clock::Utc(1_767_323_045_000_006), "21.50", "Cel").unwrap();
        let boot = BootId::new("a1b2").unwrap();
        let statement = Statement::of_one([0x11; 16], boot, &reading);
        let expected = std::concat!(
            "6669656c646c65646765722d72656164696e67732d76310a",
            "11111111111111111111111111111111",
            "0461316232",
            "00000001",
            "1d2977b122718bb5e177b1681b33584d918a1d667ee43655756552733a8dfc3c"
        );
        assert_eq!(hex::encode(statement.encode()), expected);
        let signature = statement.sign(&key);
        assert_eq!(
            std::string::ToString::to_string(&signature),
            "DkKWHLrjuzl6L3nMSzC9CJ9YocHQ3Hf1RbZ45cKiZdJGag7XAY32AVd3GYIJklH8MOfyEi22RQAMdCzdId6PDA=="
        );
        assert!(statement.is_signed(&key.public(), &signature));
        let other = DeviceKey::from_seed(&[8; 32]).public();
        assert!(!statement.is_signed(&other, &signature));
    }

    #[test]
    fn the_longest_statement_fits() {
        let text = "b".repeat(MAX_BOOT_BYTES);
        let boot = BootId::new(&text).unwrap();
        let statement = Statement::of_root([0; 16], boot, 1, [0; 32]);
        assert_eq!(statement.encode().len(), MAX_STATEMENT_BYTES);
    }

    #[test]
    fn what_is_no_boot_id_is_refused() {
        for text in ["", "a b", "\u{e4}", "a\n", &"b".repeat(MAX_BOOT_BYTES + 1)] {
            let length = text.len();
            assert_eq!(BootId::new(text), Err(BootError { length }), "{text}");
        }
    }

    #[test]
    fn the_order_of_readings_counts() {
        let boot = BootId::new("a").unwrap();
        let one = Reading::new(1, Clock::Uptime(1), "1", "").unwrap();
        let two = Reading::new(2, Clock::Uptime(2), "2", "").unwrap();
        let statement = |readings: [&Reading<'_>; 2]| {
            let mut tree = RootBuilder::new();
            readings
                .iter()
                .for_each(|reading| tree.push(reading).unwrap());
            Statement::of_tree([0; 16], boot, tree).unwrap()
        };
        assert_ne!(statement([&one, &two]), statement([&two, &one]));
    }
}
