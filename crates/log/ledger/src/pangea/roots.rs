//! The published roots as two files, `roots` and `nodes`. Derived: a start checks them from end to
//! end, goes on with what of them fits the log, and finds the rest in the log again.

use std::path::Path;

use fieldledger_pangea_tree::{Completed, Hash, Nodes, completed_by};

use crate::error::StoreError;
use crate::store::disk::{Disk, DiskFile, Mode};

/// Bytes of a root in the file: its entries, the entry that tells of it, its time and its hash.
const RECORD_BYTES: usize = 64;

/// Bytes of a hash.
const NODE_BYTES: usize = 32;

/// Roots that a start reads in one go.
const ROOTS_AT_ONCE: u64 = 4_096;

/// A root that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RootRecord {
    /// The first entry it covers.
    pub(super) first: u64,
    /// Entries it covers.
    pub(super) count: u64,
    /// The entry that tells of it.
    pub(super) entry: u64,
    /// When that was received, microseconds since the Unix epoch.
    pub(super) published_at: u64,
    /// Root of the hot tree over the entries it covers.
    pub(super) hot_root: Hash,
}

impl RootRecord {
    /// The first entry that it does not cover.
    pub(super) fn end(&self) -> u64 {
        self.first + self.count
    }

    fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let numbers = [self.first, self.count, self.entry, self.published_at];
        for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_be_bytes());
        }
        bytes[32..].copy_from_slice(&self.hot_root.0);
        bytes
    }

    /// `bytes` are [`RECORD_BYTES`].
    fn decode(bytes: &[u8]) -> Self {
        let number = |position: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[8 * position..8 * position + 8]);
            u64::from_be_bytes(number)
        };
        let mut hot_root = [0; NODE_BYTES];
        hot_root.copy_from_slice(&bytes[32..RECORD_BYTES]);
        Self {
            first: number(0),
            count: number(1),
            entry: number(2),
            published_at: number(3),
            hot_root: Hash(hot_root),
        }
    }

    /// Whether this can be the root after one that ends at `end`, in a log of `log_size` entries.
    fn follows(&self, end: u64, log_size: u64) -> bool {
        self.first == end
            && self.count > 0
            && self
                .first
                .checked_add(self.count)
                .is_some_and(|end| end <= self.entry)
            && self.entry < log_size
    }
}

/// The cold tree on disk. Any number of threads may read below a size that was written.
#[derive(Debug)]
pub(super) struct Roots {
    records: DiskFile,
    nodes: DiskFile,
}

impl Roots {
    /// Opens the files, and says how many of the roots in them can be those of a log of `log_size`
    /// entries, and where the last of them ends.
    pub(super) fn open(
        disk: &Disk,
        folder: &Path,
        log_size: u64,
    ) -> Result<(Self, u64, u64), StoreError> {
        disk.create_folder(folder)?;
        let roots = Self {
            records: disk.open(&folder.join("roots"), Mode::Create)?,
            nodes: disk.open(&folder.join("nodes"), Mode::Create)?,
        };
        let (size, end) = roots.check(log_size)?;
        Ok((roots, size, end))
    }

    /// Reads all roots that follow each other, and writes those nodes that are not what they make.
    fn check(&self, log_size: u64) -> Result<(u64, u64), StoreError> {
        let there = self.records.len()? / RECORD_BYTES as u64;
        let mut frontier = Frontier::default();
        let (mut size, mut end) = (0, 0);
        while size < there {
            let wanted = usize::try_from((there - size).min(ROOTS_AT_ONCE)).unwrap_or(1);
            let mut bytes = vec![0; wanted * RECORD_BYTES];
            self.records
                .read_at(&mut bytes, size * RECORD_BYTES as u64)?;
            let first_node = nodes_before(size);
            let mut nodes = Vec::new();
            let mut fits = true;
            for bytes in bytes.chunks_exact(RECORD_BYTES) {
                let record = RootRecord::decode(bytes);
                fits = record.follows(end, log_size);
                if !fits {
                    break;
                }
                let Ok(completed) = completed_by(record.hot_root, size, &frontier);
                for node in completed {
                    frontier.keep(node);
                    nodes.extend_from_slice(&node.hash.0);
                }
                size += 1;
                end = record.end();
            }
            self.write_nodes_if_others(first_node, &nodes)?;
            if !fits {
                break;
            }
        }
        Ok((size, end))
    }

    fn write_nodes_if_others(&self, first: u64, nodes: &[u8]) -> Result<(), StoreError> {
        let offset = first * NODE_BYTES as u64;
        let mut there = vec![0; nodes.len()];
        let read = self.nodes.read_at(&mut there, offset);
        if read.is_ok() && there == nodes {
            return Ok(());
        }
        self.nodes.write_at(nodes, offset)
    }

    /// Forgets all roots.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        self.records.set_len(0)
    }

    /// Writes the root that becomes number `size`. Not synced: what is lost is found in the log.
    pub(super) fn append(&self, size: u64, record: &RootRecord) -> Result<(), StoreError> {
        let completed = completed_by(record.hot_root, size, self)?;
        let nodes: Vec<u8> = completed.iter().flat_map(|node| node.hash.0).collect();
        self.nodes
            .write_at(&nodes, nodes_before(size) * NODE_BYTES as u64)?;
        self.records
            .write_at(&record.encode(), size * RECORD_BYTES as u64)
    }

    /// Root number `leaf`.
    pub(super) fn record(&self, leaf: u64) -> Result<RootRecord, StoreError> {
        let mut bytes = [0; RECORD_BYTES];
        self.records
            .read_at(&mut bytes, leaf * RECORD_BYTES as u64)?;
        Ok(RootRecord::decode(&bytes))
    }

    /// Which of the first `size` roots covers the entry, which one of them does.
    pub(super) fn leaf_of(&self, entry: u64, size: u64) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.record(middle)?.end() <= entry {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

impl Nodes for Roots {
    type Error = StoreError;

    fn node(&self, level: u8, number: u64) -> Result<Hash, StoreError> {
        let last_leaf = ((number + 1) << level) - 1;
        let position = nodes_before(last_leaf) + u64::from(level);
        let mut hash = [0; NODE_BYTES];
        self.nodes
            .read_at(&mut hash, position * NODE_BYTES as u64)?;
        Ok(Hash(hash))
    }
}

/// Subtrees that the first `leaves` leaves complete; they lie in the file in the order in which
/// they became complete.
fn nodes_before(leaves: u64) -> u64 {
    2 * leaves - u64::from(leaves.count_ones())
}

/// The newest complete subtree of each level: all that the next leaf can need.
#[derive(Default)]
struct Frontier(Vec<Completed>);

impl Frontier {
    fn keep(&mut self, node: Completed) {
        let level = usize::from(node.level);
        if level == self.0.len() {
            self.0.push(node);
        } else {
            self.0[level] = node;
        }
    }
}

impl Nodes for Frontier {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, number: u64) -> Result<Hash, Self::Error> {
        let node = &self.0[usize::from(level)];
        debug_assert_eq!(node.number, number);
        Ok(node.hash)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_pangea_tree::{Tree, root};

    fn record(number: u64) -> RootRecord {
        RootRecord {
            first: 10 * number,
            count: 10,
            entry: 10 * number + 12,
            published_at: number,
            hot_root: Hash([u8::try_from(number % 251).unwrap(); 32]),
        }
    }

    fn written(folder: &Path, count: u64) -> Tree {
        let (roots, size, end) = Roots::open(&Disk::default(), folder, u64::MAX).unwrap();
        assert_eq!((size, end), (0, 0));
        for number in 0..count {
            roots.append(number, &record(number)).unwrap();
        }
        (0..count).map(|number| record(number).hot_root).collect()
    }

    #[test]
    fn what_was_written_is_read_and_proves_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let tree = written(folder.path(), 100);
        let (roots, size, end) = Roots::open(&Disk::default(), folder.path(), u64::MAX).unwrap();
        assert_eq!((size, end), (100, 1_000));
        for size in 0..=100 {
            let Ok(expected) = root(size, &tree);
            assert_eq!(root(size, &roots).unwrap(), expected);
        }
        for entry in 0..1_000 {
            assert_eq!(roots.leaf_of(entry, 100).unwrap(), entry / 10);
        }
        assert_eq!(roots.record(42).unwrap(), record(42));
    }

    #[test]
    fn what_a_crash_left_is_cut_off_and_nodes_are_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let tree = written(folder.path(), 50);
        let records = folder.path().join("roots");
        let bytes = std::fs::read(&records).unwrap();
        // Half a record, and one that never reached the disk.
        let mut torn = bytes[..30 * RECORD_BYTES].to_vec();
        torn.extend_from_slice(&[0; RECORD_BYTES]);
        torn.extend_from_slice(&bytes[31 * RECORD_BYTES..31 * RECORD_BYTES + 20]);
        std::fs::write(&records, torn).unwrap();
        std::fs::write(folder.path().join("nodes"), [7; 100]).unwrap();
        let (roots, size, end) = Roots::open(&Disk::default(), folder.path(), u64::MAX).unwrap();
        assert_eq!((size, end), (30, 300));
        let Ok(expected) = root(30, &tree);
        assert_eq!(root(30, &roots).unwrap(), expected);
        // Roots whose entries the log does not have are none of its.
        let (_, size, _) = Roots::open(&Disk::default(), folder.path(), record(20).entry).unwrap();
        assert_eq!(size, 20);
    }
}
