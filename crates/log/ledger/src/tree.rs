//! The tree itself, for whoever computes proofs on their own: the tiles and bundles of C2SP
//! tlog-tiles, of every width that the signed tree has.
//!
//! Readers keep tiles forever, so a damaged one must not get out: each is checked against the tile
//! above it, up to the unfinished tiles, which are in memory and were signed.

use std::sync::Arc;

use fieldledger_tlog::{
    HASH_BYTES, Hash, TILE_BYTES, TILE_WIDTH, TileSource as _, encode_bundle, tile_root,
};

use crate::error::QueryError;
use crate::head::Head;
use crate::proofs::Proofs;
use crate::store::tiles::TreeView;

impl Proofs {
    /// The first `width` hashes of a tile.
    pub(crate) fn tile(
        &self,
        level: u8,
        number: u64,
        width: u16,
        head: &Head,
    ) -> Result<Vec<u8>, QueryError> {
        let width = checked_width(level, number, width, head.size())?;
        let view = TreeView::new(&self.tiles, &head.edge);
        let tile = self.sound_tile(level, number, head, &view)?;
        Ok(tile[..width * HASH_BYTES].to_vec())
    }

    /// The first `width` leaves of a bundle.
    pub(crate) fn entry_bundle(
        &self,
        number: u64,
        width: u16,
        head: &Head,
    ) -> Result<Vec<u8>, QueryError> {
        let width = checked_width(0, number, width, head.size())?;
        let view = TreeView::new(&self.tiles, &head.edge);
        let hashes = self.sound_tile(0, number, head, &view)?;
        let hashes = &hashes[..width * HASH_BYTES];
        // Leaves are not on the disk but for the entries that they follow from.
        let first = number * TILE_WIDTH as u64;
        let mut signed = hashes.chunks(HASH_BYTES);
        let mut leaves = Vec::with_capacity(width);
        self.log.read(first..first + width as u64, |index, frame| {
            let leaf = frame.leaf(index);
            let leaf = leaf.map_err(|problem| self.log.damaged(index, problem))?;
            if signed.next() != Some(&leaf.hash().0) {
                let problem = "its leaf is not the one that was signed";
                return Err(self.log.damaged(index, problem));
            }
            leaves.push(leaf.encode());
            Ok(())
        })?;
        let bundle = encode_bundle(leaves.iter().map(<[u8; _]>::as_slice));
        bundle.map_err(|error| QueryError::Unavailable(error.to_string()))
    }

    /// A tile, as wide as it is, that leads to the signed root.
    fn sound_tile(
        &self,
        level: u8,
        number: u64,
        head: &Head,
        view: &TreeView<'_>,
    ) -> Result<Arc<Vec<u8>>, QueryError> {
        let tile = view.tile(level, number)?;
        if number == head.edge.tile_number(level) {
            return Ok(tile);
        }
        let above = self.sound_tile(level + 1, number / TILE_WIDTH as u64, head, view)?;
        let position = (number % TILE_WIDTH as u64) as usize * HASH_BYTES;
        let expected = above.get(position..position + HASH_BYTES);
        let is_sound =
            |tile: &[u8]| root_of(tile).is_some_and(|root| Some(&root.0[..]) == expected);
        if is_sound(&tile) {
            return Ok(tile);
        }
        let tile = self.tiles.rebuild(level, number)?;
        if is_sound(&tile) {
            return Ok(Arc::new(tile));
        }
        let problem = "the entries on disk are not those that were signed";
        tracing::error!(level, number, problem);
        Err(QueryError::Unavailable(problem.to_owned()))
    }
}

fn root_of(tile: &[u8]) -> Option<Hash> {
    <&[u8; TILE_BYTES]>::try_from(tile).ok().map(tile_root)
}

/// The width as asked for, if the tree of `size` leaves has the tile that wide.
fn checked_width(level: u8, number: u64, width: u16, size: u64) -> Result<usize, QueryError> {
    let wide = usize::from(width);
    if !(1..=TILE_WIDTH).contains(&wide) {
        let problem = format!("is {width}; a tile has 1 to {TILE_WIDTH} hashes");
        return Err(QueryError::parameter("width", problem));
    }
    let there = width_in_tree(level, number, size);
    if wide > there {
        let problem = match there {
            0 => format!("no tile {number} at level {level} in the signed tree of {size} entries"),
            _ => format!(
                "tile {number} at level {level} has {there} hashes in the signed tree of {size} \
                 entries, not {width}"
            ),
        };
        return Err(QueryError::NotFound(problem));
    }
    Ok(wide)
}

/// Hashes that a tile has in the tree of `size` leaves.
fn width_in_tree(level: u8, number: u64, size: u64) -> usize {
    let on_level = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    let before = number.saturating_mul(TILE_WIDTH as u64);
    let width = on_level.saturating_sub(before).min(TILE_WIDTH as u64);
    usize::try_from(width).unwrap_or(TILE_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_specifications_example() {
        // A tree of 70,000: 273 full tiles and one of 112; one full and one of 17; one of 1.
        let width = |level, number| width_in_tree(level, number, 70_000);
        assert_eq!((width(0, 272), width(0, 273), width(0, 274)), (256, 112, 0));
        assert_eq!((width(1, 0), width(1, 1), width(1, 2)), (256, 17, 0));
        assert_eq!((width(2, 0), width(2, 1), width(3, 0)), (1, 0, 0));
        assert_eq!((width(63, 0), width(255, u64::MAX)), (0, 0));
    }
}
