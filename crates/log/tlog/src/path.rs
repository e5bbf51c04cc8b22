//! Where a tile is found, relative to the log's folder or URL: C2SP tlog-tiles.
//!
//! (`tlog_tiles::Tile::path` names the tiles of Go's checksum database, which differ.)

use crate::TILE_WIDTH;

/// Path of the tile of hashes `number` at `level`, with `width` hashes: `tile/0/x001/067` or, for
/// a width below 256, `tile/0/x001/067.p/5`.
#[must_use]
pub fn tile_path(level: u8, number: u64, width: usize) -> String {
    format!("tile/{level}/{}", numbered(number, width))
}

/// Path of the bundle of entries `number`, with `width` entries: `tile/entries/x001/067`.
#[must_use]
pub fn entries_path(number: u64, width: usize) -> String {
    format!("tile/entries/{}", numbered(number, width))
}

/// The number in groups of three digits, all but the last with an `x` before them.
fn numbered(number: u64, width: usize) -> String {
    let mut path = format!("{:03}", number % 1_000);
    let mut rest = number / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    if width < TILE_WIDTH {
        path = format!("{path}.p/{width}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 0, 256), "tile/0/000");
        assert_eq!(tile_path(2, 5, 255), "tile/2/005.p/255");
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(entries_path(1_067, 1), "tile/entries/x001/067.p/1");
    }
}
