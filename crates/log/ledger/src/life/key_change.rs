//! How one signing key takes over from another.
//!
//! Adding a key: it is written to the file `key`, signs from then on beside the old one, and an
//! entry says so. Retiring the old one: an entry says so, signed by the new key alone, and then the
//! old one leaves the file. Whatever a crash leaves of this, a start finishes.

use fieldledger_contract::ledger::KeyChange;
use fieldledger_formats::own::{Details, OwnKind};
use serde_json::Value;

use crate::commit::Committer;
use crate::error::{ControlError, with_causes};
use crate::keys::RETIRED;
use crate::store::key_file::{self, MOST_KEYS};

/// What an entry says of itself when it adds a key.
const ADDED: &str = "added";

/// Who asks, where a start finishes what a crash left.
const RECOVERY: &str = "recovery";

impl Committer {
    /// Adds a key that signs beside the one there is.
    pub(crate) fn rotate_key(
        &mut self,
        reason: &str,
        actor: &str,
    ) -> Result<KeyChange, ControlError> {
        self.check_running()?;
        if self.keys.count() >= MOST_KEYS {
            return Err(ControlError::Refused(format!(
                "{} and {} sign already; retire the older one first",
                self.keys.oldest(),
                self.keys.newest()
            )));
        }
        let seed = key_file::new_seed();
        let mut keys = self.keys.clone();
        keys.add(seed)
            .map_err(|error| ControlError::Unavailable(with_causes(&error)))?;
        key_file::write(&self.disk, &self.paths.key, &keys.seeds())?;
        self.keys = keys;
        self.write_key_entry(reason, actor)
    }

    /// At a start: tells of a key that a crash came before.
    pub(crate) fn finish_rotation(&mut self) -> Result<KeyChange, ControlError> {
        self.write_key_entry("a start found a key that no entry told of", RECOVERY)
    }

    fn write_key_entry(&mut self, reason: &str, actor: &str) -> Result<KeyChange, ControlError> {
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
        if self.keys.count() < 2 {
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
        self.keys.remove_oldest();
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
            ("change", Value::from(self.keys.next_change())),
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
        let entry = self.append_own(OwnKind::Key, self.keys.next_change(), details)?;
        self.keys.count_change();
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
