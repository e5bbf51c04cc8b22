//! The keys that sign the log.
//!
//! An entry of the log says of each change which keys sign from then on. A start brings the file
//! `key` in line with the newest of these entries: a key that was retired leaves the file, and a
//! key in the file that no entry tells of must yet be told of.

use fieldledger_formats::envelope::Envelope;
use fieldledger_tlog::{
    CheckpointError, Hash, LogKey, ReceiptError, TreeHead, open_checkpoint, receipt,
    sign_checkpoint,
};
use serde::Deserialize;

use crate::error::StoreError;
use crate::paths::Paths;
use crate::store::disk::Disk;
use crate::store::key_file::{self, Seed};
use crate::store::reader::LogReader;

/// What an entry says of itself when it retires a key.
pub(crate) const RETIRED: &str = "retired";

/// The keys that sign, oldest first; none in a log that is read-only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    keys: Vec<(Seed, LogKey)>,
    /// Number of the next change.
    next_change: u64,
}

/// What the newest entry about keys says.
#[derive(Debug, Deserialize)]
struct NewestChange {
    change: u64,
    step: String,
    old: String,
    new: String,
}

impl Keys {
    /// The keys with these seeds.
    pub(crate) fn of(origin: &str, seeds: &[Seed]) -> Result<Self, CheckpointError> {
        let key = |seed: &Seed| Ok((*seed, LogKey::from_seed(origin, seed)?));
        Ok(Self {
            keys: seeds.iter().map(key).collect::<Result<_, _>>()?,
            next_change: 0,
        })
    }

    /// Name of the log.
    pub(crate) fn origin(&self) -> &str {
        self.keys.first().map_or("", |(_, key)| key.origin())
    }

    /// The keys that verify, oldest first.
    pub(crate) fn verifier_keys(&self) -> Vec<String> {
        let keys = self.keys.iter();
        keys.map(|(_, key)| key.verifier_key().to_owned()).collect()
    }

    /// The signed note for a tree.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        let keys: Vec<&LogKey> = self.keys.iter().map(|(_, key)| key).collect();
        sign_checkpoint(&keys, size, root)
    }

    /// The COSE receipt of entry `index`, whose audit path is `path`; a receipt has one signature,
    /// that of the newest key.
    pub(crate) fn receipt(
        &self,
        index: u64,
        size: u64,
        root: Hash,
        path: &[Hash],
    ) -> Result<Vec<u8>, ReceiptError> {
        let newest = self.keys.last().ok_or_else(|| CheckpointError::Key {
            origin: String::new(),
            problem: "there is none".to_owned(),
        })?;
        receipt(&newest.1, index, size, root, path)
    }

    /// Reads a note that one of the keys signed.
    pub(crate) fn open(&self, note: &[u8]) -> Result<TreeHead, CheckpointError> {
        let mut opened = open_checkpoint(note, self.oldest());
        for (_, key) in self.keys.iter().skip(1) {
            if opened.is_err() {
                opened = open_checkpoint(note, key.verifier_key());
            }
        }
        opened
    }

    /// How many sign.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Number of the next change.
    pub(crate) fn next_change(&self) -> u64 {
        self.next_change
    }

    /// The log tells of the next change.
    pub(crate) fn count_change(&mut self) {
        self.next_change += 1;
    }

    /// Adds the newest key.
    pub(crate) fn add(&mut self, seed: Seed) -> Result<(), CheckpointError> {
        let key = LogKey::from_seed(self.origin(), &seed)?;
        self.keys.push((seed, key));
        Ok(())
    }

    /// Lets the oldest key sign no more.
    pub(crate) fn remove_oldest(&mut self) {
        self.keys.remove(0);
    }

    /// The key that verifies the oldest one's signatures.
    pub(crate) fn oldest(&self) -> &str {
        self.keys.first().map_or("", |(_, key)| key.verifier_key())
    }

    /// The key that verifies the newest one's signatures.
    pub(crate) fn newest(&self) -> &str {
        self.keys.last().map_or("", |(_, key)| key.verifier_key())
    }

    /// The secrets of the keys, oldest first.
    pub(crate) fn seeds(&self) -> Vec<Seed> {
        self.keys.iter().map(|(seed, _)| *seed).collect()
    }

    /// At a start: brings the keys in line with what the log says of them, and returns whether an
    /// entry must yet tell of the newest. `newest` is the newest entry about keys.
    ///
    /// The error says which key is missing, or is not one of the log's.
    pub(crate) fn reconcile(
        &mut self,
        disk: &Disk,
        log: &LogReader,
        newest: Option<u64>,
        paths: &Paths,
    ) -> Result<bool, StoreError> {
        let Some(entry) = newest else {
            return Ok(self.keys.len() > 1);
        };
        let change = change_in(log, entry)?;
        self.next_change = change.change + 1;
        if change.step == RETIRED && self.keys.len() > 1 && self.oldest() == change.old {
            self.remove_oldest();
            key_file::write(disk, &paths.key, &self.seeds())?;
        }
        let signing = if change.step == RETIRED {
            vec![change.new]
        } else {
            vec![change.old, change.new]
        };
        let found = self.verifier_keys();
        if found == signing {
            return Ok(false);
        }
        if signing.len() < found.len() && found.starts_with(&signing) {
            return Ok(true);
        }
        Err(StoreError::Damaged {
            path: paths.key.clone(),
            offset: 0,
            problem: format!(
                "it holds the keys {}, but entry {entry} of the log says that {} sign; restore the \
                 newest one",
                found.join(" and "),
                signing.join(" and ")
            ),
        })
    }
}

fn change_in(log: &LogReader, entry: u64) -> Result<NewestChange, StoreError> {
    let stored = log.entry(entry)?;
    let change = stored.envelope().and_then(|bytes| {
        let envelope = Envelope::parse(bytes).ok()?;
        serde_json::from_str(envelope.event().message).ok()
    });
    change.ok_or_else(|| log.damaged(entry, "it does not tell of a change of keys"))
}
