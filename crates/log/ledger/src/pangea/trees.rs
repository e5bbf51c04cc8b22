//! The hot and the cold tree. What they are follows from the log's entries: each is a leaf of the
//! hot tree, and the entry of a root moves the leaves that it names to the cold one.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::frame::Frame;
use fieldledger_formats::own::{Details, OwnKind};
use fieldledger_pangea_tree::{Hash, Nodes, Tree, completed_by, root};
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::roots::{RootRecord, Roots};
use crate::error::{StoreError, with_causes};
use crate::store::disk::Disk;
use crate::store::reader::LogReader;

/// Hot trees that were published and are remembered, because clients read what is new.
const RECENT_TREES: usize = 8;

/// Roots of hot trees that were reported to clients and are remembered.
const REPORTED_ROOTS: usize = 4_096;

/// What the entry of a root says: the message of the event.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct RootMessage {
    /// Leaves of the cold tree.
    size: u64,
    /// Its root.
    root_hash: String,
    /// First entry of the newest leaf.
    first: u64,
    /// Entries of the newest leaf.
    count: u64,
}

/// A root that can be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    /// Size of the cold tree with it.
    pub(super) size: u64,
    pub(super) details: Details,
}

/// Both trees.
#[derive(Debug)]
pub(super) struct Trees {
    pub(super) roots: Arc<Roots>,
    /// Leaves of the cold tree.
    pub(super) size: u64,
    /// The first entry that is not published: the first leaf of the hot tree.
    pub(super) first: u64,
    pub(super) hot: Tree,
    /// Leaves of the hot tree that are entries of roots, as entries of the log.
    root_entries: VecDeque<u64>,
    /// Since when there is something to publish.
    waiting_since: Option<Instant>,
    /// Roots of this hot tree that clients know, and its size then.
    reported: VecDeque<(Hash, u64)>,
    /// Why the trees are of no use: the log contradicts itself.
    contradiction: Option<String>,
}

impl Trees {
    /// The trees after those roots of the files that fit a log of `log_size` entries.
    pub(super) fn open(
        disk: &Disk,
        folder: &Path,
        log: &LogReader,
        log_size: u64,
    ) -> Result<Self, StoreError> {
        let (roots, size, first) = Roots::open(disk, folder, log_size)?;
        let mut trees = Self {
            roots: Arc::new(roots),
            size,
            first,
            hot: Tree::default(),
            root_entries: VecDeque::new(),
            waiting_since: None,
            reported: VecDeque::new(),
            contradiction: None,
        };
        if !trees.fits(log)? {
            tracing::warn!(
                folder = %folder.display(),
                "the file of published roots is another log's; it is made again from the log"
            );
            trees.roots.clear()?;
            trees.size = 0;
            trees.first = 0;
        }
        Ok(trees)
    }

    /// Whether the log tells of the newest root in the file.
    fn fits(&self, log: &LogReader) -> Result<bool, StoreError> {
        let Some(newest) = self.size.checked_sub(1) else {
            return Ok(true);
        };
        let record = self.roots.record(newest)?;
        let expected = RootMessage {
            size: self.size,
            root_hash: root(self.size, &*self.roots)?.to_string(),
            first: record.first,
            count: record.count,
        };
        let stored = log.entry(record.entry)?;
        let found = stored.envelope().and_then(root_message);
        Ok(found.is_some_and(|(message, _)| message == expected))
    }

    /// Entries in the trees.
    pub(super) fn entries(&self) -> u64 {
        self.first + self.hot.size()
    }

    /// Takes the log's entries up to `log_size` in.
    pub(super) fn catch_up(&mut self, log: &LogReader, log_size: u64) -> Result<(), StoreError> {
        if let Some(problem) = &self.contradiction {
            return Err(log.damaged(self.entries(), problem));
        }
        log.read(self.entries()..log_size, |index, frame| {
            self.push(index, frame).map_err(|problem| {
                tracing::error!(index, problem, "the log's Pangea roots cannot be followed");
                self.contradiction = Some(problem.clone());
                log.damaged(index, &problem)
            })
        })
    }

    fn push(&mut self, index: u64, frame: Frame<'_>) -> Result<(), String> {
        self.hot.push(Hash(frame.envelope_hash()));
        // The ledger's own entries are never erased.
        match frame.envelope().and_then(root_message) {
            None => {
                self.waiting_since.get_or_insert_with(Instant::now);
                Ok(())
            }
            Some((message, published_at)) => {
                self.root_entries.push_back(index);
                self.publish(&message, index, published_at)
            }
        }
    }

    /// Moves what a root covers from the hot tree to the cold one.
    fn publish(
        &mut self,
        message: &RootMessage,
        entry: u64,
        published_at: u64,
    ) -> Result<(), String> {
        if message.size == 0 {
            return Ok(());
        }
        if message.size <= self.size {
            return self.check_known(message.size, entry);
        }
        let follows = message.size == self.size + 1 && message.first == self.first;
        let covered = self.first.checked_add(message.count);
        if !follows || message.count == 0 || covered.is_none_or(|end| end > entry) {
            return Err(format!(
                "it tells of root {} over {} entries from {}, but root {} begins with entry {}",
                message.size,
                message.count,
                message.first,
                self.size + 1,
                self.first
            ));
        }
        let Ok(hot_root) = root(message.count, &self.hot);
        let record = RootRecord {
            first: message.first,
            count: message.count,
            entry,
            published_at,
            hot_root,
        };
        let appended = self.roots.append(self.size, &record);
        appended.map_err(|error| with_causes(&error))?;
        let cold_root = root(message.size, &*self.roots).map_err(|error| with_causes(&error))?;
        if cold_root.to_string() != message.root_hash {
            return Err(format!(
                "it tells of root {}, but the entries have the root {cold_root}",
                message.root_hash
            ));
        }
        self.size = message.size;
        self.first = record.end();
        // It fits: the hot tree is in memory.
        let published = usize::try_from(message.count).unwrap_or(usize::MAX);
        self.hot = self.hot.leaves()[published..].iter().copied().collect();
        while self
            .root_entries
            .front()
            .is_some_and(|&entry| entry < self.first)
        {
            self.root_entries.pop_front();
        }
        let news = self.hot.size() > self.root_entries.len() as u64;
        self.waiting_since = news.then(Instant::now);
        self.reported.clear();
        Ok(())
    }

    /// Checks that a root which the trees had at the start is told of where its file says.
    fn check_known(&self, size: u64, entry: u64) -> Result<(), String> {
        let known = self.roots.record(size - 1);
        let known = known.map_err(|error| with_causes(&error))?;
        if known.entry == entry {
            return Ok(());
        }
        Err(format!(
            "it tells of root {size}, of which entry {} tells already",
            known.entry
        ))
    }

    /// Since when an entry waits to be published that is not itself the entry of a root.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// The root over the first entries of the hot tree, at most `most` of them; over none where a
    /// lone first entry needs a neighbour.
    pub(super) fn propose(&self, tree_name: &str, most: u64) -> Result<Proposal, StoreError> {
        let count = self.hot.size().min(most.max(2));
        let (size, first, count, cold_root) = if count < 2 {
            (self.size, self.first, 0, root(self.size, &*self.roots)?)
        } else {
            let Ok(hot_root) = root(count, &self.hot);
            let with_it = WithOneMore {
                roots: &self.roots,
                size: self.size,
                hot_root,
            };
            let size = self.size + 1;
            (size, self.first, count, root(size, &with_it)?)
        };
        Ok(Proposal {
            size,
            details: Details::from([
                ("count", Value::from(count)),
                ("first", Value::from(first)),
                ("root_hash", Value::from(cold_root.to_string())),
                ("size", Value::from(size)),
                ("tree_name", Value::from(tree_name)),
            ]),
        })
    }

    /// Remembers that the hot tree's present root is reported to a client, and says which one it is.
    pub(super) fn report_root(&mut self) -> Hash {
        let root = self.hot.root();
        let is_known = self
            .reported
            .back()
            .is_some_and(|(reported, _)| *reported == root);
        if !is_known {
            if self.reported.len() == REPORTED_ROOTS {
                self.reported.pop_front();
            }
            self.reported.push_back((root, self.hot.size()));
        }
        root
    }

    /// The size that the hot tree had when its root was this, if that was reported to a client.
    pub(super) fn size_when_reported(&self, root: Hash) -> Option<u64> {
        let mut newest_first = self.reported.iter().rev();
        let reported = newest_first.find(|(reported, _)| *reported == root)?;
        Some(reported.1)
    }
}

/// The cold tree with a leaf that is not in its file yet.
struct WithOneMore<'a> {
    roots: &'a Roots,
    size: u64,
    hot_root: Hash,
}

impl Nodes for WithOneMore<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, number: u64) -> Result<Hash, StoreError> {
        if ((number + 1) << level) <= self.size {
            return self.roots.node(level, number);
        }
        let completed = completed_by(self.hot_root, self.size, self.roots)?;
        Ok(completed[usize::from(level)].hash)
    }
}

/// What the entry of a root says, and when it was received; none of other entries.
fn root_message(envelope: &[u8]) -> Option<(RootMessage, u64)> {
    // Quotes inside an event's texts are escaped, so that this is found in no other entry.
    const MARK: &[u8] = b"\"producer\":\"ledger/root\"";
    debug_assert!(MARK.ends_with(format!("\"{}\"", OwnKind::Root.producer()).as_bytes()));
    memmem::find(envelope, MARK)?;
    let envelope = Envelope::parse(envelope).ok()?;
    let message = serde_json::from_str(envelope.event().message).ok()?;
    Some((message, envelope.received_at().ok()?))
}

/// Hot trees of roots that were published, by their leaf in the cold tree.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(u64, Arc<Tree>)>);

impl Recent {
    pub(super) fn find(&self, leaf: u64) -> Option<Arc<Tree>> {
        let found = self.0.iter().find(|(known, _)| *known == leaf)?;
        Some(Arc::clone(&found.1))
    }

    pub(super) fn keep(&mut self, leaf: u64, tree: Arc<Tree>) {
        if self.0.len() == RECENT_TREES {
            self.0.pop_front();
        }
        self.0.push_back((leaf, tree));
    }
}
