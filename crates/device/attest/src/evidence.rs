//! What a log entry keeps of a signature, so that its reading can be checked for ever.
//!
//! In JSON (feature `serde`), keys sorted, everything in its only spelling:
//!
//! ```json
//! {"index":1,"key":"ed25519:<44 characters>","path":"<base64>","sig":"<88 characters>","size":3}
//! ```
//!
//! `path` is the base64 of its hashes one after another, from the leaf's neighbour upwards; it is
//! empty for an answer to a poll, which is a tree of one.
//!
//! Each signature is verified alone, by the strict rules. The batch verification of ed25519-dalek takes
//! some signatures that these refuse, and so would let evidence into a log that does not hold later.
//! [`Evidence::verify_known`] (feature `tables`) gives the same verdict sooner.
//!
//! [`Evidence::verify`] says that the key in the evidence signed the reading. Whether that key is
//! this sensor's is for the caller to know: it compares the key with the one it enrolled.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::SensorId;
use crate::base64;
use crate::identity::{Fingerprint, PublicKey};
use crate::reading::Reading;
use crate::signature::Signature;
use crate::statement::{BootId, Statement};
use crate::tree::{self, Hash, MAX_PATH, TreeError, leaf_hash, root_of_path};

/// Why evidence does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// No such tree, no such place in it, or another number of hashes than belongs there.
    #[error("the reading's place in its batch is impossible")]
    Place(#[source] TreeError),
    /// The signature is over something else. The root is computed and not carried, so it cannot be
    /// said which part was changed.
    #[error(
        "the signature of key {key} does not cover this reading: a field, its sensor, its boot, its place in the batch, the path or the signature was changed"
    )]
    Signature {
        /// The key of the evidence.
        key: Fingerprint,
    },
}

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a path; expected the padded base64 of 0 to {MAX_PATH} hashes of 32 bytes")]
pub struct PathError;

/// The hashes from a leaf's neighbour up to the root's child.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(tree::Path);

impl Path {
    /// The hashes.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }
}

impl From<tree::Path> for Path {
    fn from(path: tree::Path) -> Self {
        Self(path)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base64::write_padded(f, self.0.as_flattened())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut bytes = [0; MAX_PATH * 32];
        let length = base64::decode_into(text, &mut bytes).ok_or(PathError)?;
        let (hashes, rest) = bytes[..length].as_chunks();
        if !rest.is_empty() {
            return Err(PathError);
        }
        let path = tree::Path::from_slice(hashes).map_err(|_too_long| PathError)?;
        Ok(Self(path))
    }
}

/// That a device signed a reading: its key, the signature over the batch, and the reading's place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Evidence {
    /// Number of the reading in its batch, from 0.
    pub index: u32,
    /// Who signed.
    pub key: PublicKey,
    /// From the reading to the batch's root.
    pub path: Path,
    /// The signature of the batch.
    pub sig: Signature,
    /// Readings in the batch, 1 to [`tree::MAX_LEAVES`].
    pub size: u32,
}

impl Evidence {
    /// For a reading that was signed alone.
    #[must_use]
    pub fn of_one(key: PublicKey, sig: Signature) -> Self {
        Self {
            index: 0,
            key,
            path: Path::default(),
            sig,
            size: 1,
        }
    }

    /// For each reading of a batch, in the batch's order. The signature is verified, once.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Place`] for no or too many readings, [`EvidenceError::Signature`] where the
    /// signature is over others.
    #[cfg(feature = "alloc")]
    pub fn of_all(
        key: PublicKey,
        sig: Signature,
        sensor: SensorId,
        boot: BootId<'_>,
        readings: &[Reading<'_>],
    ) -> Result<alloc::vec::Vec<Self>, EvidenceError> {
        let tree = tree::Tree::new(readings).map_err(EvidenceError::Place)?;
        let size = tree.size();
        let statement = Statement::of_root(sensor, boot, size, tree.root());
        if !statement.is_signed(&key, &sig) {
            return Err(EvidenceError::Signature {
                key: key.fingerprint(),
            });
        }
        let evidence = |index| {
            let path = tree.path(index).map_err(EvidenceError::Place)?;
            Ok(Self {
                index,
                key,
                path: Path(path),
                sig,
                size,
            })
        };
        (0..size).map(evidence).collect()
    }

    /// Checks that the key of this evidence signed this reading of this sensor in this boot.
    ///
    /// # Errors
    ///
    /// Says what does not hold.
    pub fn verify(
        &self,
        sensor: SensorId,
        boot: BootId<'_>,
        reading: &Reading<'_>,
    ) -> Result<(), EvidenceError> {
        let statement = self.statement(sensor, boot, reading)?;
        self.verdict(statement.is_signed(&self.key, &self.sig))
    }

    /// The same, for one who verifies many signatures of the same keys.
    ///
    /// # Errors
    ///
    /// As [`Evidence::verify`].
    #[cfg(feature = "tables")]
    pub fn verify_known(
        &self,
        sensor: SensorId,
        boot: BootId<'_>,
        reading: &Reading<'_>,
        keys: &mut crate::tables::KnownKeys,
    ) -> Result<(), EvidenceError> {
        let statement = self.statement(sensor, boot, reading)?;
        self.verdict(keys.verifies(&self.key, &statement.encode(), &self.sig))
    }

    /// What the signature has to cover.
    fn statement<'a>(
        &self,
        sensor: SensorId,
        boot: BootId<'a>,
        reading: &Reading<'_>,
    ) -> Result<Statement<'a>, EvidenceError> {
        let leaf = leaf_hash(reading);
        let root = root_of_path(leaf, self.index, self.size, self.path.hashes())
            .map_err(EvidenceError::Place)?;
        Ok(Statement::of_root(sensor, boot, self.size, root))
    }

    fn verdict(&self, is_signed: bool) -> Result<(), EvidenceError> {
        match is_signed {
            true => Ok(()),
            false => Err(EvidenceError::Signature {
                key: self.key.fingerprint(),
            }),
        }
    }
}
