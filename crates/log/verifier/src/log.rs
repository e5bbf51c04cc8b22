//! A whole log, entry after entry: order, numbers, times, hashes, removed envelopes, root.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Hash,
    device::{self, Approvals, Event},
    leaf::Leaf,
    note::TreeHead,
    tiles::{Edge, Tile},
    tree::leaf_hash,
};

/// Producer of the entries that say that an envelope was erased; their sequence is its entry.
const ERASURE: &str = "ledger/erasure";
/// Producer of the entries that say that old envelopes are given up; their message says which.
const RETENTION: &str = "ledger/retention";

/// Something in a log that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The leaf cannot be read.
    #[error("entry {index}: {problem}")]
    Leaf {
        /// The entry.
        index: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// The leaf is another entry's.
    #[error(
        "entry {index}: the leaf in its place is of entry {found}: entries are missing, added, doubled or out of order here"
    )]
    Order {
        /// The entry that belongs here.
        index: u64,
        /// The entry that is here.
        found: u64,
    },
    /// The log's time goes back.
    #[error(
        "entry {index}: received at {received_at} us, before the entry ahead of it, at {previous} us"
    )]
    Time {
        /// The entry.
        index: u64,
        /// What its leaf says, microseconds since the Unix epoch.
        received_at: u64,
        /// The same of the entry before.
        previous: u64,
    },
    /// The envelope is not the one that was logged.
    #[error("entry {index}: its envelope was changed: it does not hash to what the leaf holds")]
    Envelope {
        /// The entry.
        index: u64,
    },
    /// The envelope has the right hash, but is none.
    #[error("entry {index}: its envelope {problem}")]
    Form {
        /// The entry.
        index: u64,
        /// What is wrong.
        problem: String,
    },
    /// There is no envelope, and no entry of the log says why.
    #[error(
        "entry {index}: its envelope is missing, and no entry of the log says that it was erased or given up"
    )]
    Missing {
        /// The entry.
        index: u64,
    },
    /// The tree of all these leaves is not the one that was signed.
    #[error("the root of the {size} entries is {}, but {} was signed: an entry was changed, or this is another history", hex(.found), hex(.signed))]
    Root {
        /// Entries in the tree.
        size: u64,
        /// Their root.
        found: Hash,
        /// The root in the checkpoint.
        signed: Hash,
    },
    /// There are more or fewer leaves than were signed.
    #[error("there are {found} entries, but {signed} were signed")]
    Size {
        /// Entries that are there.
        found: u64,
        /// Entries in the checkpoint.
        signed: u64,
    },
}

impl Problem {
    /// The entry that the problem is in, if it is in one.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        match self {
            Self::Leaf { index, .. }
            | Self::Order { index, .. }
            | Self::Time { index, .. }
            | Self::Envelope { index }
            | Self::Form { index, .. }
            | Self::Missing { index } => Some(*index),
            Self::Root { .. } | Self::Size { .. } => None,
        }
    }
}

/// Checks a log entry by entry, in a memory that does not grow with the log.
#[derive(Debug, Clone)]
pub struct LogCheck {
    edge: Edge,
    /// The entry that the next leaf should be of, as the leaf before tells.
    next: u64,
    received_at: u64,
    /// Entries without an envelope, as ranges, so that a log of which most is given up fits.
    missing: Vec<(u64, u64)>,
    erased: BTreeSet<u64>,
    kept_from: u64,
    /// Keys of devices; none where the log was not read from its first entry on.
    approvals: Option<Approvals>,
}

impl Default for LogCheck {
    fn default() -> Self {
        Self {
            edge: Edge::default(),
            next: 0,
            received_at: 0,
            missing: Vec::new(),
            erased: BTreeSet::new(),
            kept_from: 0,
            approvals: Some(Approvals::default()),
        }
    }
}

impl LogCheck {
    /// Goes on after entries that were checked before: their tree, and when the last of them was
    /// received.
    #[must_use]
    pub fn after(edge: Edge, received_at: u64) -> Self {
        Self {
            next: edge.size(),
            edge,
            received_at,
            approvals: None,
            ..Self::default()
        }
    }

    /// Readings that their devices signed, so far; none where the log was not read from its first
    /// entry on.
    #[must_use]
    pub fn signed(&self) -> Option<u64> {
        self.approvals.as_ref().map(|approvals| approvals.signed)
    }

    /// The tree so far.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// When the last entry was received, microseconds since the Unix epoch.
    #[must_use]
    pub fn received_at(&self) -> u64 {
        self.received_at
    }

    /// Takes the next entry: its leaf, and its envelope unless that was removed. Gives the tiles
    /// that are full with it, and adds what is wrong with it to `problems`.
    pub fn add(
        &mut self,
        leaf: &[u8],
        envelope: Option<&[u8]>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Tile> {
        let index = self.edge.size();
        let tiles = self.edge.push(leaf_hash(leaf));
        match Leaf::read(leaf) {
            Ok(leaf) => self.check(index, &leaf, envelope, problems),
            Err(problem) => {
                problems.push(Problem::Leaf { index, problem });
                self.next += 1;
            }
        }
        tiles
    }

    fn check(
        &mut self,
        index: u64,
        leaf: &Leaf,
        envelope: Option<&[u8]>,
        problems: &mut Vec<Problem>,
    ) {
        // Compared with the leaf before, so that one lost entry is one problem.
        if leaf.index != self.next {
            let found = leaf.index;
            problems.push(Problem::Order { index, found });
        }
        self.next = leaf.index.saturating_add(1);
        if leaf.received_at < self.received_at {
            problems.push(Problem::Time {
                index,
                received_at: leaf.received_at,
                previous: self.received_at,
            });
        }
        self.received_at = leaf.received_at;
        match envelope {
            None => match self.missing.last_mut() {
                Some((_, end)) if *end == index => *end += 1,
                _ => self.missing.push((index, index + 1)),
            },
            Some(envelope) if !leaf.is_of(envelope) => problems.push(Problem::Envelope { index }),
            Some(envelope) => {
                if let Err(problem) = self.read(envelope, leaf) {
                    problems.push(Problem::Form { index, problem });
                }
            }
        }
    }

    /// Looks into an envelope for its time, and for what the log says about other envelopes.
    fn read(&mut self, envelope: &[u8], leaf: &Leaf) -> Result<(), String> {
        let envelope: Envelope =
            serde_json::from_slice(envelope).map_err(|error| format!("cannot be read: {error}"))?;
        let time: Timestamp = envelope
            .received_at
            .parse()
            .map_err(|_| format!("says that it was received at {:?}", envelope.received_at))?;
        if u64::try_from(time.as_microsecond()) != Ok(leaf.received_at) {
            return Err(format!(
                "says that it was received at {time}, its leaf at {} us",
                leaf.received_at
            ));
        }
        match (envelope.producer.as_deref(), envelope.sequence) {
            (Some(ERASURE), Some(entry)) => {
                self.erased.insert(entry);
            }
            (Some(RETENTION), _) => {
                let told: Retention = serde_json::from_str(&envelope.event.message)
                    .map_err(|error| format!("does not say what is given up: {error}"))?;
                self.kept_from = self.kept_from.max(told.below);
            }
            _ => {}
        }
        // Where the approvals are not known, the signature alone is checked.
        let checked = match &mut self.approvals {
            Some(approvals) => approvals.add(&envelope.event),
            None => device::verify(&envelope.event).map(|_signed| ()),
        };
        checked.map_err(|error| with_causes(&error))
    }

    /// Compares the tree so far with a signed one.
    ///
    /// # Errors
    /// [`Problem::Size`] or [`Problem::Root`].
    pub fn matches(&self, head: &TreeHead) -> Result<(), Problem> {
        let (size, signed) = (self.edge.size(), head.size);
        if size != signed {
            return Err(Problem::Size {
                found: size,
                signed,
            });
        }
        let found = self.edge.root();
        if found != head.root {
            return Err(Problem::Root {
                size,
                found,
                signed: head.root,
            });
        }
        Ok(())
    }

    /// How many entries have no envelope, and adds those of them to `problems` that the log itself
    /// does not explain. What explains them comes later in the log, so this is asked at its end.
    pub fn missing(&self, problems: &mut Vec<Problem>) -> u64 {
        let mut count = 0;
        for &(start, end) in &self.missing {
            count += end - start;
            let unexplained = start.max(self.kept_from)..end;
            let unexplained = unexplained.filter(|index| !self.erased.contains(index));
            problems.extend(unexplained.map(|index| Problem::Missing { index }));
        }
        count
    }
}

#[derive(Deserialize)]
struct Envelope {
    received_at: String,
    producer: Option<String>,
    sequence: Option<u64>,
    #[serde(default)]
    event: Event,
}

/// The message of an entry that tells of retention.
#[derive(Deserialize)]
struct Retention {
    /// The first entry whose payload is not given up.
    below: u64,
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sha2::{Digest, Sha256};

    use super::*;

    type Entry = (Vec<u8>, Option<Vec<u8>>);

    const START: u64 = 1_767_323_045_000_000;

    fn leaf(index: u64, received_at: u64, envelope: &[u8]) -> Vec<u8> {
        let mut leaf = vec![1];
        leaf.extend(Sha256::digest(envelope));
        leaf.extend(index.to_be_bytes());
        leaf.extend(received_at.to_be_bytes());
        leaf
    }

    fn entry(index: u64, origin: &str) -> Entry {
        telling(index, origin, &index.to_string())
    }

    fn telling(index: u64, origin: &str, message: &str) -> Entry {
        let received_at = START + index;
        let time = Timestamp::from_microsecond(received_at.cast_signed()).unwrap();
        let envelope =
            format!(r#"{{"event":{{"message":"{message}"}},{origin}"received_at":"{time:.6}"}}"#);
        let leaf = leaf(index, received_at, envelope.as_bytes());
        (leaf, Some(envelope.into_bytes()))
    }

    fn own(index: u64, producer: &str, sequence: u64) -> Entry {
        entry(
            index,
            &format!(r#""producer":"{producer}","sequence":{sequence},"#),
        )
    }

    fn log() -> Vec<Entry> {
        (0..9).map(|index| entry(index, "")).collect()
    }

    fn run(entries: &[Entry]) -> (LogCheck, Vec<Problem>) {
        let mut check = LogCheck::default();
        let mut problems = Vec::new();
        for (leaf, envelope) in entries {
            check.add(leaf, envelope.as_deref(), &mut problems);
        }
        check.missing(&mut problems);
        (check, problems)
    }

    fn head(check: &LogCheck) -> TreeHead {
        TreeHead {
            origin: "plant".into(),
            size: check.edge().size(),
            root: check.edge().root(),
        }
    }

    #[test]
    fn an_honest_log_has_no_problems() {
        let (check, problems) = run(&log());
        assert_eq!(problems, []);
        assert_eq!(check.matches(&head(&check)), Ok(()));
    }

    #[test]
    fn every_kind_of_tampering_is_found_where_it_is() {
        let (honest, _) = run(&log());
        let head = head(&honest);
        let tamper = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut entries = log();
            change(&mut entries);
            let (check, problems) = run(&entries);
            (problems, check.matches(&head).is_err())
        };

        let edited = tamper(&|log| log[3].1.as_mut().unwrap()[20] ^= 1);
        assert_eq!(edited, (vec![Problem::Envelope { index: 3 }], false));

        let rewritten = tamper(&|log| log[3] = own(3, "other", 7));
        assert_eq!(rewritten, (vec![], true));

        let dropped = tamper(&|log| drop(log.remove(3)));
        assert_eq!(dropped, (vec![Problem::Order { index: 3, found: 4 }], true));

        let inserted = tamper(&|log| log.insert(3, entry(3, "")));
        assert_eq!(
            inserted,
            (vec![Problem::Order { index: 4, found: 3 }], true)
        );

        let (problems, differs) = tamper(&|log| log.swap(3, 4));
        assert!(differs && problems.contains(&Problem::Order { index: 3, found: 4 }));
        assert!(
            problems
                .iter()
                .any(|problem| matches!(problem, Problem::Time { index: 4, .. }))
        );

        let swapped = tamper(&|log| {
            let (left, right) = log.split_at_mut(4);
            std::mem::swap(&mut left[3].1, &mut right[0].1);
        });
        let both = vec![
            Problem::Envelope { index: 3 },
            Problem::Envelope { index: 4 },
        ];
        assert_eq!(swapped, (both, false));

        let truncated = tamper(&|log| log.truncate(7));
        assert_eq!(truncated, (vec![], true));

        let (problems, _) = tamper(&|log| log[2].0.truncate(48));
        assert!(matches!(problems[0], Problem::Leaf { index: 2, .. }));
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_time_that_is_not_the_leafs_is_found() {
        let mut entries = log();
        let envelope = entries[8].1.clone().unwrap();
        entries[8].0 = leaf(8, START + 9, &envelope);
        let (_, problems) = run(&entries);
        assert!(matches!(&problems[..], [Problem::Form { index: 8, .. }]));
    }

    #[test]
    fn envelopes_may_be_missing_where_the_log_says_so() {
        let mut entries = log();
        for index in [0, 1, 4, 6] {
            entries[index].1 = None;
        }
        let missing = |entries: &[Entry]| {
            let (_, problems) = run(entries);
            let indices: Option<Vec<u64>> = problems.iter().map(Problem::index).collect();
            indices.unwrap()
        };
        assert_eq!(missing(&entries), [0, 1, 4, 6]);
        entries.push(own(9, ERASURE, 4));
        assert_eq!(missing(&entries), [0, 1, 6]);
        let origin = format!(r#""producer":"{RETENTION}","sequence":10,"#);
        entries.push(telling(10, &origin, r#"{\"below\":2}"#));
        assert_eq!(missing(&entries), [6]);
        entries.push(own(11, "somebody/erasure", 6));
        assert_eq!(missing(&entries), [6]);
    }

    #[test]
    fn a_check_goes_on_where_another_one_ended() {
        let entries = log();
        let (first, _) = run(&entries[..5]);
        let mut second = LogCheck::after(first.edge().clone(), first.received_at());
        let mut problems = Vec::new();
        for (leaf, envelope) in &entries[5..] {
            second.add(leaf, envelope.as_deref(), &mut problems);
        }
        assert_eq!(problems, []);
        let (whole, _) = run(&entries);
        assert_eq!(second.edge().root(), whole.edge().root());
    }
}
