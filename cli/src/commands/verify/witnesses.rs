//! Which witnesses have cosigned a tree head, and whether they are enough.

use fieldledger_verifier::policy::Judgement;
use serde::Serialize;

use crate::output::plain;

/// Who has cosigned a tree head.
#[derive(Debug, Serialize)]
pub(super) struct Witnesses {
    /// They are enough.
    pub(super) satisfied: bool,
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
    /// Why the tree head is not accepted, where they are too few.
    pub(super) fn refusal(&self) -> String {
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
