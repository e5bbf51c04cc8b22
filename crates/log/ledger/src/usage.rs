//! How much disk the ledger takes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fieldledger_tlog::{TILE_BYTES, TILE_WIDTH};

use crate::index::readings_folder;
use crate::paths::Paths;

/// Bytes of what the system counts as a block.
const BYTES_OF_BLOCK: u64 = 512;

/// Bytes of a log of `size` entries, its tiles and its index, without the first `removed` entries,
/// which are in the archive only. Files of tiles have holes, so
/// that tiles are counted by arithmetic; a folder that cannot be read counts as empty.
pub(crate) fn bytes_on_disk(paths: &Paths, size: u64, removed: u64) -> u64 {
    let mut on_level = size / TILE_WIDTH as u64;
    // Of what was removed, only the higher tiles are there.
    let lowest_removed = removed / TILE_WIDTH as u64;
    let mut bytes = on_level.saturating_sub(lowest_removed) * TILE_BYTES as u64;
    on_level /= TILE_WIDTH as u64;
    while on_level > 0 {
        bytes += on_level * TILE_BYTES as u64;
        on_level /= TILE_WIDTH as u64;
    }
    let readings = readings_folder(&paths.index);
    let Paths {
        segments,
        index,
        pangea,
        folder,
        ..
    } = paths;
    [segments, index, &readings, pangea, folder]
        .into_iter()
        .map(|folder| bytes_of_files(folder).unwrap_or(0))
        .fold(bytes, u64::saturating_add)
}

/// Bytes of the files directly in a folder.
fn bytes_of_files(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for item in fs::read_dir(folder)? {
        let metadata = item?.metadata()?;
        if metadata.is_file() {
            // `offsets` has holes.
            let taken = metadata.blocks() * BYTES_OF_BLOCK;
            bytes += metadata.len().min(taken);
        }
    }
    Ok(bytes)
}
