//! The file `snapshot`: what the log's entries up to a size add up to, so that a start need not
//! read them. Derived: without it, or with one that does not fit, a start reads the whole log.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_formats::checked;
use fieldledger_tlog::Edge;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, Durability};
use crate::error::StoreError;
use crate::gaps::Gaps;

/// Changes whenever the meaning of a member does. With 4 numbers out of reach became jumps.
const VERSION: u32 = 4;

/// The state after entry `size - 1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    version: u32,
    /// Entries it covers.
    pub(crate) size: u64,
    /// First entry of the segment that the next entry goes to, or went to.
    pub(crate) segment: u64,
    /// Where in that segment the next frame begins.
    pub(crate) offset: u64,
    /// When the last entry was received.
    pub(crate) received_at: u64,
    /// The edge's unfinished tiles, base64.
    edge: Vec<String>,
    /// Ranges of sequences of each producer.
    pub(crate) producers: Vec<(String, Vec<(u64, u64)>)>,
    /// Entries that hold the newest reading of a sensor.
    pub(crate) latest: Vec<u64>,
    /// The newest entry about the keys that sign.
    pub(crate) key_entry: Option<u64>,
    /// Which numbers of which devices are missing.
    pub(crate) gaps: Gaps,
}

impl Snapshot {
    pub(crate) fn new(
        edge: &Edge,
        (segment, offset): (u64, u64),
        received_at: u64,
        producers: Vec<(String, Vec<(u64, u64)>)>,
        latest: Vec<u64>,
        key_entry: Option<u64>,
    ) -> Self {
        let levels = u8::try_from(edge.levels()).unwrap_or(u8::MAX);
        let tiles = (0..levels).filter_map(|level| edge.tile(level));
        Self {
            version: VERSION,
            size: edge.size(),
            segment,
            offset,
            received_at,
            edge: tiles.map(|tile| BASE64_STANDARD.encode(&*tile)).collect(),
            producers,
            latest,
            key_entry,
            gaps: Gaps::default(),
        }
    }

    /// The same with what is known of missing readings.
    pub(crate) fn with_gaps(self, gaps: Gaps) -> Self {
        Self { gaps, ..self }
    }

    /// The tree's edge; none where it does not fit the size.
    pub(crate) fn edge(&self) -> Option<Edge> {
        let tiles = self.edge.iter().map(|tile| BASE64_STANDARD.decode(tile));
        let tiles: Result<Vec<Vec<u8>>, _> = tiles.collect();
        Edge::restore(self.size, tiles.ok()?).ok()
    }

    /// Replaces the file, durably.
    pub(crate) fn write(&self, disk: &Disk, path: &Path) -> Result<(), StoreError> {
        let failed = |error: serde_json::Error| StoreError::io("encode", path)(error.into());
        let bytes = checked::encode(self).map_err(failed)?;
        disk.replace(path, &bytes, 0o644, Durability::Power)
    }

    /// Reads the file; what is missing, damaged or of another version counts as none.
    pub(crate) fn read(disk: &Disk, path: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = disk.read_if_there(path)? else {
            return Ok(None);
        };
        let snapshot = decode(&bytes);
        if snapshot.is_none() {
            tracing::warn!(path = %path.display(), "the snapshot cannot be used; the log is read whole");
        }
        Ok(snapshot)
    }
}

fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let snapshot: Snapshot = checked::decode(bytes)?;
    (snapshot.version == VERSION).then_some(snapshot)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_tlog::Hash;

    fn snapshot() -> Snapshot {
        let mut edge = Edge::default();
        for index in 0..300_u16 {
            let mut hash = [0; 32];
            hash[..2].copy_from_slice(&index.to_be_bytes());
            edge.push(Hash(hash));
        }
        let producers = vec![("p".to_owned(), vec![(1, 5), (9, 9)])];
        Snapshot::new(&edge, (256, 99), 5, producers, vec![3], Some(2))
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        assert_eq!(Snapshot::read(&Disk::default(), &path).unwrap(), None);
        snapshot().write(&Disk::default(), &path).unwrap();
        let read = Snapshot::read(&Disk::default(), &path).unwrap().unwrap();
        assert_eq!(read, snapshot());
        assert_eq!(read.edge().unwrap().size(), 300);
    }

    #[test]
    fn a_damaged_snapshot_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        snapshot().write(&Disk::default(), &path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for position in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert_eq!(decode(&bad), None, "byte {position}");
            assert_eq!(decode(&good[..position]), None, "cut at {position}");
        }
    }

    #[test]
    fn a_tree_of_another_size_does_not_fit() {
        let mut other = snapshot();
        other.size += 1;
        assert_eq!(other.edge(), None);
    }
}
