//! Proofs of RFC 6962, computed from tiles.

use std::cell::RefCell;
use std::sync::Arc;

use tlog_tiles::{
    Error, Hash, HashReader, Tile, check_record, check_tree, prove_record, prove_tree, tree_hash,
};

use crate::{HASH_BYTES, MAX_TREE_SIZE};

/// Somewhere tiles can be read.
pub trait TileSource {
    /// Why a tile cannot be read.
    type Error;

    /// The hashes of tile `number` at `level`, as many as there are.
    ///
    /// # Errors
    ///
    /// When the tile cannot be read.
    fn tile(&self, level: u8, number: u64) -> Result<Arc<Vec<u8>>, Self::Error>;
}

/// Why a proof was not computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// No such leaf or size.
    #[error("no proof exists: {0}")]
    Range(String),
    /// A tile could not be read.
    #[error("a tile cannot be read")]
    Source(E),
    /// A tile has fewer hashes than the size asked for demands.
    #[error("tile {number} at level {level} has {found} hashes instead of {expected} or more")]
    ShortTile {
        /// Its level.
        level: u8,
        /// Its number within the level.
        number: u64,
        /// Hashes it has.
        found: usize,
        /// Hashes needed.
        expected: usize,
    },
}

/// Audit path of leaf `index` in the tree of `size` leaves, from the leaf up.
///
/// # Errors
///
/// When there is no such leaf, or a tile cannot be read.
pub fn inclusion<S: TileSource>(
    index: u64,
    size: u64,
    tiles: &S,
) -> Result<Vec<Hash>, ProofError<S::Error>> {
    if index >= size || size > MAX_TREE_SIZE {
        return Err(ProofError::Range(format!(
            "leaf {index} in a tree of {size}"
        )));
    }
    Reader::new(tiles).run(|reader| prove_record(size, index, reader))
}

/// Proof that the tree of `new` leaves begins with the tree of `old`; `0 < old <= new`.
///
/// # Errors
///
/// When the sizes are out of order, or a tile cannot be read.
pub fn consistency<S: TileSource>(
    old: u64,
    new: u64,
    tiles: &S,
) -> Result<Vec<Hash>, ProofError<S::Error>> {
    if old == 0 || old > new || new > MAX_TREE_SIZE {
        return Err(ProofError::Range(format!("from size {old} to {new}")));
    }
    Reader::new(tiles).run(|reader| prove_tree(new, old, reader))
}

/// Root of the tree when it had `size` leaves.
///
/// # Errors
///
/// When a tile cannot be read.
pub fn root_at<S: TileSource>(size: u64, tiles: &S) -> Result<Hash, ProofError<S::Error>> {
    if size > MAX_TREE_SIZE {
        return Err(ProofError::Range(format!("a tree of {size}")));
    }
    Reader::new(tiles).run(|reader| tree_hash(size, reader))
}

/// Whether `proof` shows that the tree of `size` leaves and `root` has `leaf_hash` at `index`.
#[must_use]
pub fn verify_inclusion(
    proof: &[Hash],
    size: u64,
    root: Hash,
    index: u64,
    leaf_hash: Hash,
) -> bool {
    size <= MAX_TREE_SIZE && check_record(&proof.to_vec(), size, root, index, leaf_hash).is_ok()
}

/// Whether `proof` shows that the tree `new` (size and root) begins with the tree `old`.
#[must_use]
pub fn verify_consistency(proof: &[Hash], old: (u64, Hash), new: (u64, Hash)) -> bool {
    new.0 <= MAX_TREE_SIZE && check_tree(&proof.to_vec(), new.0, new.1, old.0, old.1).is_ok()
}

/// Lends a [`TileSource`] to the arithmetic, and keeps the error that it cannot carry.
struct Reader<'a, S: TileSource> {
    tiles: &'a S,
    failure: RefCell<Option<ProofError<S::Error>>>,
}

impl<'a, S: TileSource> Reader<'a, S> {
    fn new(tiles: &'a S) -> Self {
        Self {
            tiles,
            failure: RefCell::new(None),
        }
    }

    fn run<T>(
        self,
        compute: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<T, ProofError<S::Error>> {
        compute(&self).map_err(|error| {
            let failure = self.failure.into_inner();
            failure.unwrap_or_else(|| ProofError::Range(error.to_string()))
        })
    }

    fn read(&self, index: u64) -> Result<Hash, ProofError<S::Error>> {
        let needed = Tile::from_index(8, index);
        let (level, number) = (needed.level(), needed.level_index());
        let bytes = self.tiles.tile(level, number).map_err(ProofError::Source)?;
        needed
            .hash_at_index(&bytes, index)
            .map_err(|_| ProofError::ShortTile {
                level,
                number,
                found: bytes.len() / HASH_BYTES,
                expected: needed.width() as usize,
            })
    }
}

impl<S: TileSource> HashReader for Reader<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let hashes: Result<Vec<Hash>, _> = indexes.iter().map(|&index| self.read(index)).collect();
        hashes.map_err(|failure| {
            self.failure.replace(Some(failure));
            Error::InvalidTile
        })
    }
}
