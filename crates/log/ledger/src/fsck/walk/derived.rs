//! Whether the derived files follow from the log: tiles, bundles, offsets and the snapshot.

use std::collections::BTreeMap;

use fieldledger_tlog::{LEAF_BYTES, Leaf, TILE_WIDTH, decode_bundle, entries_path};

use super::{Difference, Walk};
use crate::error::StoreError;
use crate::fsck::report::{Finding, FindingKind, Severity};
use crate::store::snapshot::Snapshot;

impl Walk<'_> {
    pub(super) fn leaf_in_bundle(&self, index: u64) -> Result<Option<Leaf>, StoreError> {
        let width = TILE_WIDTH as u64;
        let name = entries_path(index / width, TILE_WIDTH);
        let Some(bytes) = self.derived(&name)? else {
            return Ok(None);
        };
        let position = usize::try_from(index % width).unwrap_or(usize::MAX);
        let leaves = decode_bundle(&bytes).unwrap_or_default();
        let leaf = leaves
            .get(position)
            .and_then(|leaf| Leaf::decode(leaf).ok());
        Ok(leaf.filter(|leaf| leaf.index == index))
    }

    /// A tile or bundle, from the disk or the archive.
    pub(super) fn derived(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.disk.read_if_there(&self.paths.folder.join(name))? {
            return Ok(Some(bytes));
        }
        match &self.archive {
            Some(archive) => archive.get(name),
            None => Ok(None),
        }
    }

    /// Where a stored file differs first from what it should hold.
    pub(super) fn compare(
        &mut self,
        kind: FindingKind,
        name: &str,
        computed: &[u8],
    ) -> Result<Option<usize>, StoreError> {
        if !self.whole {
            return Ok(None);
        }
        let Some(stored) = self.derived(name)? else {
            self.findings.add(Finding {
                kind,
                severity: Severity::Note,
                file: self.paths.folder.join(name),
                offset: None,
                entry: None,
                problem: "the file is missing".to_owned(),
                advice: "nothing need be done: it is computed again when it is needed".to_owned(),
            });
            return Ok(None);
        };
        if stored == computed {
            return Ok(None);
        }
        let same = stored
            .iter()
            .zip(computed)
            .take_while(|(one, other)| one == other);
        Ok(Some(same.count()))
    }

    pub(super) fn differs(
        &mut self,
        kind: FindingKind,
        name: &str,
        first: u64,
        position: usize,
        offset: usize,
    ) {
        self.differences.push(Difference {
            kind,
            entry: first + position as u64,
            place: self.places.get(position).cloned().flatten(),
            derived: self.paths.folder.join(name),
            offset: offset as u64,
        });
    }

    pub(super) fn wrong(&mut self, kind: FindingKind, name: &str, offset: usize) {
        self.differences.push(Difference {
            kind,
            entry: u64::MAX,
            place: None,
            derived: self.paths.folder.join(name),
            offset: offset as u64,
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
        match snapshot.tree() {
            Some((edge, leaves)) => {
                if leaves != self.leaves {
                    let same = leaves
                        .chunks(LEAF_BYTES)
                        .zip(self.leaves.chunks(LEAF_BYTES))
                        .take_while(|(one, other)| one == other);
                    let position = same.count();
                    self.differences.push(Difference {
                        kind: FindingKind::Snapshot,
                        entry: snapshot.size - self.places.len() as u64 + position as u64,
                        place: self.places.get(position).cloned().flatten(),
                        derived: self.paths.snapshot.clone(),
                        offset: 0,
                    });
                } else if edge != self.edge {
                    self.differences.push(Difference {
                        kind: FindingKind::Snapshot,
                        entry: u64::MAX,
                        place: None,
                        derived: self.paths.snapshot.clone(),
                        offset: 0,
                    });
                }
            }
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
