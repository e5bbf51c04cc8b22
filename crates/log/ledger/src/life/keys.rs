//! The keys that sign the log, and how one takes over from another.
//!
//! Adding a key: it is written to the file `key`, signs from then on beside the old one, and an
//! entry says so. Retiring the old one: an entry says so, signed by the new key alone, and then the
//! old one leaves the file. Whatever a crash leaves of this, a start finishes: a key in the file
//! that no entry tells of is told of, and one that an entry retired leaves the file.

use fieldledger_tlog::{
    CheckpointError, Hash, LogKey, ReceiptError, TreeHead, open_checkpoint, receipt,
    sign_checkpoint,
};
use serde::Deserialize;
use serde_json::Value;

use crate::commit::Committer;
use crate::envelope::Envelope;
use crate::error::{ControlError, StoreError, with_causes};
use crate::own::{Details, OwnKind};
use crate::recovery::Paths;
use crate::store::disk::Disk;
use crate::store::key_file::{self, MOST_KEYS, Seed};
use crate::store::reader::LogReader;

/// What an entry says of itself when it retires a key.
const RETIRED: &str = "retired";

/// What an entry says of itself when it adds a key.
const ADDED: &str = "added";

/// Who asks, where a start finishes what a crash left.
const RECOVERY: &str = "recovery";

/// A change of the keys that sign the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The entry of the log that tells of it.
    pub entry: u64,
    /// The key that signed before.
    pub old: String,
    /// The key that signs from now on: beside the old one, or alone.
    pub new: String,
    /// Keys that sign from now on, oldest first.
    pub verifier_keys: Vec<String>,
}

/// The keys that sign, oldest first; none in a log that is read-only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    keys: Vec<(Seed, LogKey)>,
    /// Number of the next change.
    next_change: u64,
}

/// What the newest entry about keys says.
#[derive(Debug, Deserialize)]
struct ToldChange {
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

    fn oldest(&self) -> &str {
        self.keys.first().map_or("", |(_, key)| key.verifier_key())
    }

    fn newest(&self) -> &str {
        self.keys.last().map_or("", |(_, key)| key.verifier_key())
    }

    /// The secrets of the keys, oldest first.
    pub(crate) fn seeds(&self) -> Vec<Seed> {
        self.keys.iter().map(|(seed, _)| *seed).collect()
    }

    /// At a start: brings the keys in line with what the log says of them, and returns whether an
    /// entry must yet tell of the newest. `told` is the newest entry about keys.
    ///
    /// The error says which key is missing or is none of the log's.
    pub(crate) fn reconcile(
        &mut self,
        disk: &Disk,
        log: &LogReader,
        told: Option<u64>,
        paths: &Paths,
    ) -> Result<bool, StoreError> {
        let Some(entry) = told else {
            return Ok(self.keys.len() > 1);
        };
        let change = told_change(log, entry)?;
        self.next_change = change.change + 1;
        if change.step == RETIRED && self.keys.len() > 1 && self.oldest() == change.old {
            self.keys.remove(0);
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

fn told_change(log: &LogReader, entry: u64) -> Result<ToldChange, StoreError> {
    let stored = log.entry(entry)?;
    let change = stored.envelope().and_then(|bytes| {
        let envelope = Envelope::parse(bytes).ok()?;
        serde_json::from_str(envelope.event().message).ok()
    });
    change.ok_or_else(|| log.damaged(entry, "it does not tell of a change of keys"))
}

impl Committer {
    /// Adds a key that signs beside the one there is.
    pub(crate) fn rotate_key(
        &mut self,
        reason: &str,
        actor: &str,
    ) -> Result<KeyChange, ControlError> {
        self.check_running()?;
        if self.keys.keys.len() >= MOST_KEYS {
            return Err(ControlError::Refused(format!(
                "{} and {} sign already; retire the older one first",
                self.keys.oldest(),
                self.keys.newest()
            )));
        }
        let seed = key_file::new_seed();
        let key = LogKey::from_seed(self.keys.origin(), &seed)
            .map_err(|error| ControlError::Unavailable(with_causes(&error)))?;
        let mut seeds = self.keys.seeds();
        seeds.push(seed);
        key_file::write(&self.disk, &self.paths.key, &seeds)?;
        self.keys.keys.push((seed, key));
        self.tell_of_key(reason, actor)
    }

    /// At a start: tells of a key that a crash came before.
    pub(crate) fn finish_rotation(&mut self) -> Result<KeyChange, ControlError> {
        self.tell_of_key("a start found a key that no entry told of", RECOVERY)
    }

    fn tell_of_key(&mut self, reason: &str, actor: &str) -> Result<KeyChange, ControlError> {
        let details = self.key_details(ADDED, reason, actor, self.keys.oldest());
        let old = self.keys.oldest().to_owned();
        self.append_key_change(&details, old)
    }

    /// Lets the newest key sign alone.
    pub(crate) fn retire_key(
        &mut self,
        reason: &str,
        actor: &str,
    ) -> Result<KeyChange, ControlError> {
        self.check_running()?;
        if self.keys.keys.len() < 2 {
            return Err(ControlError::Refused(format!(
                "only {} signs; add another key first",
                self.keys.newest()
            )));
        }
        let old = self.keys.oldest().to_owned();
        let mut details = self.key_details(RETIRED, reason, actor, &old);
        // The last tree head that both keys signed leads whoever trusts the old one to the new one.
        let last = self.published.head().checkpoint.note.clone();
        details.insert("checkpoint", Value::from(last));
        let before = self.keys.clone();
        self.keys.keys.remove(0);
        match self.append_key_change(&details, old) {
            Ok(change) => {
                if let Err(error) = key_file::write(&self.disk, &self.paths.key, &self.keys.seeds())
                {
                    // It signs no more; the next start takes it out of the file.
                    tracing::warn!(
                        error = with_causes(&error),
                        "the retired key is still in its file"
                    );
                }
                Ok(change)
            }
            Err(error) => {
                self.keys = before;
                Err(error)
            }
        }
    }

    fn key_details(&self, step: &str, reason: &str, actor: &str, old: &str) -> Details {
        Details::from([
            ("change", Value::from(self.keys.next_change)),
            ("step", Value::from(step)),
            ("old", Value::from(old)),
            ("new", Value::from(self.keys.newest())),
            // The tree with the entry that has these details.
            ("from", Value::from(self.grower.size() + 1)),
            ("reason", Value::from(reason)),
            ("actor", Value::from(actor)),
        ])
    }

    fn append_key_change(
        &mut self,
        details: &Details,
        old: String,
    ) -> Result<KeyChange, ControlError> {
        let entry = self.append_own(OwnKind::Key, self.keys.next_change, details)?;
        self.keys.next_change += 1;
        self.key_entry = Some(entry);
        let verifier_keys = self.keys.verifier_keys();
        tracing::info!(entry, keys = ?verifier_keys, "the keys that sign have changed");
        Ok(KeyChange {
            entry,
            old,
            new: self.keys.newest().to_owned(),
            verifier_keys,
        })
    }
}
