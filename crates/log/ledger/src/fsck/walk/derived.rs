//! Whether the derived files follow from the log: tiles, offsets and the snapshot.

use std::collections::BTreeMap;

use fieldledger_tlog::{Edge, FullTile, HASH_BYTES, Hash, TILE_WIDTH, tile_path};

use super::{Difference, Walk};
use crate::error::StoreError;
use crate::fsck::report::{Finding, FindingKind, Severity};
use crate::store::snapshot::Snapshot;
use crate::store::tile_files::TileFiles;

impl Walk<'_> {
    /// The hash of an entry's leaf, from its tile.
    pub(super) fn hash_in_tile(&self, index: u64) -> Result<Option<Hash>, StoreError> {
        let width = TILE_WIDTH as u64;
        let Some(tile) = self.stored_tile(0, index / width)? else {
            return Ok(None);
        };
        let (hashes, _) = tile.as_chunks::<HASH_BYTES>();
        let position = usize::try_from(index % width).unwrap_or(usize::MAX);
        Ok(hashes.get(position).copied().map(Hash))
    }

    /// A full tile, from the disk or the archive.
    fn stored_tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(tile) = self.tiles.read(level, number)? {
            return Ok(Some(tile));
        }
        match &self.archive {
            Some(archive) => archive.get(&tile_path(level, number, TILE_WIDTH)),
            None => Ok(None),
        }
    }

    /// Which hash of a tile is the first that is stored otherwise than it follows from the log.
    pub(super) fn first_difference(
        &mut self,
        computed: &FullTile,
    ) -> Result<Option<usize>, StoreError> {
        if !self.whole {
            return Ok(None);
        }
        let Some(stored) = self.stored_tile(computed.level, computed.number)? else {
            if self.incomplete_levels.insert(computed.level) {
                self.findings.add(Finding {
                    kind: FindingKind::Tile,
                    severity: Severity::Note,
                    file: self.tiles.path_of(computed.level),
                    offset: Some(TileFiles::offset_of(computed.number)),
                    entry: None,
                    problem: format!("tiles are missing, the first is {}", computed.number),
                    advice: "nothing need be done: they are computed again when they are needed"
                        .to_owned(),
                });
            }
            return Ok(None);
        };
        if stored == *computed.bytes {
            return Ok(None);
        }
        Ok(Some(same_hashes(&stored, &computed.bytes)))
    }

    /// A tile of the lowest level has another hash for the entry at this position.
    pub(super) fn tile_differs(&mut self, tile: &FullTile, position: usize) {
        self.differences.push(Difference {
            kind: FindingKind::Tile,
            entry: tile.number * TILE_WIDTH as u64 + position as u64,
            place: self.places.get(position).cloned().flatten(),
            derived: self.tiles.path_of(tile.level),
            offset: TileFiles::offset_of(tile.number) + (position * HASH_BYTES) as u64,
        });
    }

    /// A tile of a higher level has another hash at this position.
    pub(super) fn upper_tile_differs(&mut self, tile: &FullTile, position: usize) {
        self.differences.push(Difference {
            kind: FindingKind::Tile,
            entry: u64::MAX,
            place: None,
            derived: self.tiles.path_of(tile.level),
            offset: TileFiles::offset_of(tile.number) + (position * HASH_BYTES) as u64,
        });
    }

    pub(super) fn end_by_offsets(&self, index: u64) -> Option<u64> {
        let ends = self.offsets.as_ref()?.read(index, 1).ok()?;
        ends.first().copied()
    }

    pub(super) fn compare_offsets(&mut self, first: u64, ends: &[u64]) -> Result<(), StoreError> {
        let Some(offsets) = &self.offsets else {
            return Ok(());
        };
        // What is not signed yet may not be there.
        let known = offsets.len()?;
        let count = known.saturating_sub(first).min(ends.len() as u64);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let stored = offsets.read(first, count)?;
        let differs = stored
            .iter()
            .zip(ends)
            .position(|(one, other)| one != other);
        let lacks = self
            .signed
            .is_some_and(|signed| known < signed.size.min(first + ends.len() as u64));
        let Some(position) = differs.or(lacks.then_some(count)) else {
            return Ok(());
        };
        let entry = first + position as u64;
        self.findings.add(Finding {
            kind: FindingKind::Offsets,
            severity: Severity::Repairable,
            file: self.paths.offsets.clone(),
            offset: Some(entry * 8),
            entry: Some(entry),
            problem: "it does not say where the entry ends".to_owned(),
            advice: "repair, or remove this file and the snapshot: the next start writes them anew"
                .to_owned(),
        });
        Ok(())
    }

    pub(super) fn read_snapshot(&mut self) -> Result<Option<Snapshot>, StoreError> {
        let there = self.paths.snapshot.is_file();
        let snapshot = Snapshot::read(self.disk, &self.paths.snapshot)?;
        if there && snapshot.is_none() {
            self.snapshot_is_wrong("its checksum does not match, or it is of another version");
        }
        if let (Some(snapshot), Some(signed)) = (&snapshot, self.signed)
            && snapshot.size > signed.size
            && !self.in_use
        {
            let problem = format!(
                "the snapshot was written after a tree of {} entries was signed, but the anchor \
                 holds one of {}: an older checkpoint was put in its place",
                snapshot.size, signed.size
            );
            self.findings.add(Finding {
                kind: FindingKind::Checkpoint,
                severity: Severity::Damage,
                file: self.paths.snapshot.clone(),
                offset: None,
                entry: Some(signed.size),
                problem,
                advice: "find out who changed the anchor, and compare the log with its witnesses"
                    .to_owned(),
            });
        }
        Ok(snapshot)
    }

    fn snapshot_is_wrong(&mut self, problem: &str) {
        self.findings.add(Finding {
            kind: FindingKind::Snapshot,
            severity: Severity::Repairable,
            file: self.paths.snapshot.clone(),
            offset: None,
            entry: None,
            problem: problem.to_owned(),
            advice: "repair, or remove this file: the next start reads the whole log".to_owned(),
        });
    }

    /// Once as many entries are read as the snapshot covers, both must say the same.
    pub(super) fn compare_snapshot(&mut self) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        if snapshot.size != self.edge.size() || !self.whole {
            return;
        }
        let mut problems = Vec::new();
        match snapshot.edge() {
            Some(edge) if edge != self.edge => {
                let hashes = |edge: &Edge| edge.tile(0).unwrap_or_default();
                let position = same_hashes(&hashes(&edge), &hashes(&self.edge));
                let first = snapshot.size - self.places.len() as u64;
                let is_in_it = position < self.places.len();
                self.differences.push(Difference {
                    kind: FindingKind::Snapshot,
                    entry: match is_in_it {
                        true => first + position as u64,
                        false => u64::MAX,
                    },
                    place: self.places.get(position).cloned().flatten(),
                    derived: self.paths.snapshot.clone(),
                    offset: 0,
                });
            }
            Some(_) => {}
            None => problems.push("its tree does not fit its size"),
        }
        let noted: BTreeMap<&str, &Vec<(u64, u64)>> = snapshot
            .producers
            .iter()
            .map(|(producer, ranges)| (producer.as_str(), ranges))
            .collect();
        let there: BTreeMap<&str, Vec<(u64, u64)>> = self.producers.ranges().collect();
        let same = self.unread
            || noted.len() == there.len()
                && noted
                    .iter()
                    .zip(&there)
                    .all(|(one, other)| one.0 == other.0 && *one.1 == other.1);
        if !same {
            problems.push("it has other events than the log");
        }
        for problem in problems {
            self.snapshot_is_wrong(problem);
        }
    }
}

/// How many hashes both begin with.
fn same_hashes(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.chunks(HASH_BYTES).zip(other.chunks(HASH_BYTES));
    pairs.take_while(|(one, other)| one == other).count()
}
