//! Whom to trust: the keys that may have signed a tree head, and the witnesses that must have
//! cosigned it.

use std::path::Path;

use fieldledger_verifier::note::{self, LogKey, NoteError, TreeHead};
use fieldledger_verifier::policy::Policy;

use super::keys;
use super::report::Report;
use super::witnesses::Witnesses;
use crate::exit::InputError;
use crate::files;

/// What a tree head is held against.
pub(super) struct Trust {
    /// Any of these may have signed it; none where nobody has said.
    pub(super) keys: Vec<LogKey>,
    policy: Option<Policy>,
}

impl Trust {
    /// Reads the keys, and the policy where there is one. A policy that lists logs has their keys.
    ///
    /// # Errors
    ///
    /// [`InputError`] says which is not a key, or what is wrong with the policy.
    pub(super) fn read(given: &[String], policy: Option<&Path>) -> anyhow::Result<Self> {
        let mut keys = keys::read(given)?;
        let Some(path) = policy else {
            return Ok(Self { keys, policy: None });
        };
        let policy = Policy::parse(&files::read(path)?)
            .map_err(|error| InputError(format!("--policy {}: {error}", path.display())))?;
        if keys.is_empty() {
            keys = policy.logs().to_vec();
        }
        Ok(Self {
            keys,
            policy: Some(policy),
        })
    }

    /// Opens a signed tree head by one of the keys.
    ///
    /// # Errors
    ///
    /// [`NoteError`] says what does not hold.
    pub(super) fn open<'k>(&'k self, note: &str) -> Result<(TreeHead, &'k LogKey), NoteError> {
        note::open_with_any(note, &self.keys)
    }

    /// Judges a tree head that was opened, and notes in the report who has cosigned it. A head that
    /// does not satisfy the policy is a problem of `index`, if it is in one entry.
    pub(super) fn judge(&self, note: &str, index: Option<u64>, report: &mut Report) {
        let Some(policy) = &self.policy else {
            return;
        };
        if !policy.logs().is_empty()
            && let Err(error) = note::open_with_any(note, policy.logs())
        {
            let problem = format!("the policy is not about this log: {error}");
            report.add(index, problem);
        }
        match policy.judge(note) {
            Ok(judgement) => {
                let witnesses = Witnesses::from(judgement);
                if !witnesses.satisfied {
                    report.add(index, witnesses.refusal());
                }
                report.witnesses = Some(witnesses);
            }
            Err(error) => report.add_error(index, &error),
        }
    }
}
