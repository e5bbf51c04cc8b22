//! Whom to believe: the keys that may have signed a tree head, and the witnesses that must have
//! cosigned it.

use std::path::Path;

use fieldledger_verifier::note::{self, LogKey, NoteError, TreeHead};
use fieldledger_verifier::policy::{Judgement, Policy};
use serde::Serialize;

use super::keys;
use super::report::Report;
use crate::exit::InputError;
use crate::files;
use crate::output::plain;

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
    /// [`InputError`] says which is no key, or what is wrong with the policy.
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

/// Who has cosigned a tree head.
#[derive(Debug, Serialize)]
pub(super) struct Witnesses {
    /// They are enough.
    satisfied: bool,
    /// The name on the policy's quorum line.
    quorum: String,
    /// The members of the quorum that must have cosigned, or hold as groups themselves.
    needed: usize,
    /// How many do.
    met: usize,
    /// The members.
    members: Vec<String>,
    cosigned: Vec<Cosigned>,
    /// Witnesses of the policy that have not cosigned.
    missing: Vec<String>,
}

/// A cosignature that holds.
#[derive(Debug, Serialize)]
struct Cosigned {
    /// The witness, as the policy names it.
    witness: String,
    /// When it says that it cosigned, seconds since the Unix epoch.
    time: u64,
}

impl From<Judgement> for Witnesses {
    fn from(judgement: Judgement) -> Self {
        let cosigned = judgement.cosigned.into_iter();
        Self {
            satisfied: judgement.satisfied,
            quorum: judgement.quorum,
            needed: judgement.needed,
            met: judgement.met,
            members: judgement.members,
            cosigned: cosigned
                .map(|(witness, time)| Cosigned { witness, time })
                .collect(),
            missing: judgement.missing,
        }
    }
}

impl Witnesses {
    fn refusal(&self) -> String {
        format!(
            "too few witnesses have cosigned this tree head: {}; no cosignature from {}",
            self.count(),
            self.missing.join(", ")
        )
    }

    /// How many are needed, of whom, and how many there are.
    fn count(&self) -> String {
        let Self { needed, met, .. } = self;
        match self.needed {
            0 => "the policy needs none".to_owned(),
            _ => format!("{met} of {needed} needed of {}", self.members.join(", ")),
        }
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let mut lines = format!("witnesses: {}\n", plain(&self.count()));
        for Cosigned { witness, time } in &self.cosigned {
            let when = i64::try_from(*time).ok();
            let when = when.and_then(|time| jiff::Timestamp::from_second(time).ok());
            let when = when.map_or_else(|| format!("second {time}"), |time| time.to_string());
            lines.push_str(&format!("  {} cosigned at {when}\n", plain(witness)));
        }
        for witness in &self.missing {
            lines.push_str(&format!("  {} has not cosigned\n", plain(witness)));
        }
        lines
    }
}
