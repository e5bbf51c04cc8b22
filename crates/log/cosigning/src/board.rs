//! What is asked of the witnesses, what came back, and what is published. No input or output.
//!
//! All witnesses are asked about one checkpoint at a time, the candidate: cosignatures on different
//! checkpoints make no quorum. The next candidate is taken when the quorum is met, or when every
//! witness has cosigned this one or failed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{OwnWitnesses, WitnessState};
use fieldledger_ledger::Checkpoint;
use fieldledger_witness::{Cosignature, Policy, SignedCheckpoint};

/// What is published while the quorum is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// The newest checkpoint, with the cosignatures that there are.
    #[default]
    Serve,
    /// The last checkpoint that satisfied the policy.
    Hold,
}

impl Behaviour {
    /// The word for it in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Hold => "hold",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Behaviour {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Serve, Self::Hold]
            .into_iter()
            .find(|behaviour| behaviour.as_str() == word)
            .ok_or(())
    }
}

/// The checkpoint that all witnesses are asked about.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Counted from 1; two candidates can be about one tree.
    pub(crate) number: u64,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) signed: SignedCheckpoint,
}

/// The checkpoint that is shown to the world.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) witnessed: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Board {
    policy: Policy,
    behaviour: Behaviour,
    candidate: Option<Arc<Candidate>>,
    /// On the candidate, by witness.
    cosignatures: Vec<Option<Cosignature>>,
    /// Whether a witness is done with the candidate: it has cosigned, or has failed and waits.
    settled: Vec<bool>,
    published: Option<Published>,
    witnessed_size: Option<u64>,
    progress: Vec<WitnessState>,
}

impl Board {
    /// Begins with the checkpoint that satisfied the policy last, where there is one.
    pub(crate) fn new(
        policy: Policy,
        behaviour: Behaviour,
        witnessed: Option<Checkpoint>,
        progress: Vec<WitnessState>,
    ) -> Self {
        let count = policy.witnesses().len();
        Self {
            policy,
            behaviour,
            candidate: None,
            cosignatures: vec![None; count],
            settled: vec![false; count],
            witnessed_size: witnessed.as_ref().map(|checkpoint| checkpoint.tree_size),
            published: witnessed.map(|checkpoint| Published {
                checkpoint,
                witnessed: true,
            }),
            progress,
        }
    }

    /// The size of the tree that the witness is believed to have cosigned last.
    pub(crate) fn old_size(&self, witness: usize) -> u64 {
        self.progress[witness].cosigned_size
    }

    /// Whether the newest checkpoint may become the candidate.
    pub(crate) fn wants(&self, newest: &Checkpoint) -> bool {
        self.candidate.as_ref().is_none_or(|candidate| {
            candidate.checkpoint.tree_size < newest.tree_size && self.round_is_over()
        })
    }

    /// Takes a new candidate, and publishes it at once where nobody needs to cosign it, or nobody
    /// will.
    pub(crate) fn propose(&mut self, checkpoint: Checkpoint, signed: SignedCheckpoint) {
        let number = self.candidate.as_ref().map_or(0, |before| before.number) + 1;
        self.candidate = Some(Arc::new(Candidate {
            number,
            checkpoint,
            signed,
        }));
        self.cosignatures.fill(None);
        for (settled, progress) in self.settled.iter_mut().zip(&self.progress) {
            // Who waits after a failure holds nobody up.
            *settled = progress.failures > 0 || progress.url.is_empty();
        }
        self.end_round();
    }

    pub(crate) fn candidate(&self) -> Option<Arc<Candidate>> {
        self.candidate.clone()
    }

    fn is_met(&self) -> bool {
        let cosigned: Vec<bool> = self.cosignatures.iter().map(Option::is_some).collect();
        self.policy.is_met_by(&cosigned)
    }

    fn round_is_over(&self) -> bool {
        self.is_met() || self.settled.iter().all(|&settled| settled)
    }

    /// A witness has cosigned a candidate. Returns the checkpoint to write down and then to
    /// [`Board::publish`], if this completes or enriches one that satisfies the policy.
    pub(crate) fn cosigned(
        &mut self,
        witness: usize,
        candidate: &Candidate,
        cosignature: Cosignature,
    ) -> Option<Checkpoint> {
        let progress = &mut self.progress[witness];
        progress.cosigned_size = candidate.checkpoint.tree_size;
        progress.cosigned_at = Some(WallTime::from_seconds(cosignature.time));
        progress.failures = 0;
        progress.refuses = false;
        let current = self.candidate.as_ref();
        if current.is_none_or(|current| current.number != candidate.number) {
            return None;
        }
        self.settled[witness] = true;
        self.cosignatures[witness] = Some(cosignature);
        let met = self.is_met();
        if !met {
            self.end_round();
        }
        met.then(|| self.merged(candidate))
    }

    /// Publishes a checkpoint that satisfies the policy.
    pub(crate) fn publish(&mut self, checkpoint: Checkpoint) {
        let size = checkpoint.tree_size;
        let newer = self.witnessed_size.is_none_or(|before| before <= size);
        let overtaken = self
            .published
            .as_ref()
            .is_some_and(|published| published.checkpoint.tree_size > size);
        if newer {
            self.witnessed_size = Some(size);
        }
        if newer && !overtaken {
            self.published = Some(Published {
                checkpoint,
                witnessed: true,
            });
        }
    }

    /// A witness did not cosign. `refuses` where it says that this is not the log it knows.
    pub(crate) fn failed(&mut self, witness: usize, reason: String, refuses: bool) -> u32 {
        let progress = &mut self.progress[witness];
        progress.failures = progress.failures.saturating_add(1);
        progress.last_error = reason;
        progress.refuses = refuses;
        let failures = progress.failures;
        self.settled[witness] = true;
        self.end_round();
        failures
    }

    /// The witness says what it has cosigned last.
    pub(crate) fn corrected(&mut self, witness: usize, size: u64) {
        self.progress[witness].cosigned_size = size;
    }

    /// Publishes the candidate as it is, where nobody is waited for any more and that may be shown.
    fn end_round(&mut self) {
        let Some(candidate) = self.candidate.clone() else {
            return;
        };
        if !self.round_is_over() {
            return;
        }
        let witnessed = self.is_met();
        if self.behaviour == Behaviour::Serve || witnessed {
            self.published = Some(Published {
                checkpoint: self.merged(&candidate),
                witnessed,
            });
        }
        if witnessed {
            self.witnessed_size = Some(candidate.checkpoint.tree_size);
        }
    }

    /// The candidate with its cosignatures.
    fn merged(&self, candidate: &Candidate) -> Checkpoint {
        let mut checkpoint = candidate.checkpoint.clone();
        for cosignature in self.cosignatures.iter().flatten() {
            checkpoint.note.push_str(&cosignature.line);
        }
        checkpoint
    }

    /// What is published; none where nothing may be, or the first candidate is still out.
    pub(crate) fn published(&self) -> Option<Published> {
        self.published.clone()
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// The names of the witnesses that have not cosigned the candidate.
    pub(crate) fn missing(&self) -> Vec<&str> {
        let witnesses = self.progress.iter().zip(&self.cosignatures);
        let missing = witnesses.filter(|(_, cosignature)| cosignature.is_none());
        missing
            .map(|(progress, _)| progress.name.as_str())
            .collect()
    }

    /// All of it, for a log of this size.
    pub(crate) fn status(&self, tree_size: u64) -> OwnWitnesses {
        let published = self.published.as_ref();
        let shown = self.behaviour == Behaviour::Serve;
        OwnWitnesses {
            behaviour: self.behaviour.to_string(),
            tree_size,
            published_size: published
                .map(|published| published.checkpoint.tree_size)
                .or(shown.then_some(tree_size)),
            witnessed: published.is_some_and(|published| published.witnessed),
            witnessed_size: self.witnessed_size,
            witnesses: self
                .progress
                .iter()
                .map(|progress| WitnessState {
                    lag: tree_size.saturating_sub(progress.cosigned_size),
                    ..progress.clone()
                })
                .collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_tlog::{Hash, LogKey};
    use fieldledger_witness::WitnessSigner;

    fn signer(seed: u8) -> WitnessSigner {
        WitnessSigner::from_seed("example.org/w", &[seed; 32]).unwrap()
    }

    /// Two witnesses, and how many of them are needed.
    fn board(needed: &str, behaviour: Behaviour) -> Board {
        let policy = format!(
            "witness a {} http://a\nwitness b {} http://b\ngroup g {needed} a b\nquorum g\n",
            signer(1).key(),
            signer(2).key()
        );
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let progress = policy.witnesses().iter().map(|witness| WitnessState {
            name: witness.name.clone(),
            url: witness.url.clone().unwrap(),
            ..WitnessState::default()
        });
        let progress = progress.collect();
        Board::new(policy, behaviour, None, progress)
    }

    fn checkpoint(size: u64) -> Checkpoint {
        let key = LogKey::from_seed("example.com/log", &[7; 32]).unwrap();
        Checkpoint {
            origin: key.origin().to_owned(),
            tree_size: size,
            root_hash: String::new(),
            note: key.sign(size, Hash([1; 32])).unwrap(),
            verifier_key: key.verifier_key().to_owned(),
            verifier_keys: vec![key.verifier_key().to_owned()],
        }
    }

    fn propose(board: &mut Board, size: u64) -> Arc<Candidate> {
        let checkpoint = checkpoint(size);
        assert!(board.wants(&checkpoint), "{size}");
        let signed = SignedCheckpoint::parse(checkpoint.note.as_bytes()).unwrap();
        board.propose(checkpoint, signed);
        board.candidate().unwrap()
    }

    fn cosign(board: &mut Board, witness: usize, candidate: &Candidate) -> Option<Checkpoint> {
        let seed = u8::try_from(witness + 1).unwrap();
        let cosignature = signer(seed).cosign(&candidate.signed, 5);
        board.cosigned(witness, candidate, cosignature)
    }

    fn published(board: &Board) -> Option<(u64, bool)> {
        let published = board.published()?;
        Some((published.checkpoint.tree_size, published.witnessed))
    }

    #[test]
    fn a_quorum_publishes_and_later_cosignatures_are_added() {
        let mut board = board("any", Behaviour::Hold);
        let candidate = propose(&mut board, 3);
        assert_eq!(published(&board), None);
        assert!(!board.wants(&checkpoint(4)), "nobody has answered");
        let first = cosign(&mut board, 0, &candidate).unwrap();
        assert_eq!(published(&board), None, "not before it is written down");
        board.publish(first.clone());
        assert_eq!(published(&board), Some((3, true)));
        let both = cosign(&mut board, 1, &candidate).unwrap();
        assert!(both.note.starts_with(&first.note) && both.note.len() > first.note.len());
        board.publish(both.clone());
        assert_eq!(board.published().unwrap().checkpoint, both);
        let signed = SignedCheckpoint::parse(both.note.as_bytes()).unwrap();
        assert!(board.policy.evaluate(&signed).unwrap().satisfied);
    }

    #[test]
    fn without_a_quorum_hold_stays_and_serve_goes_on() {
        for (behaviour, expected) in [
            (Behaviour::Hold, Some((3, true))),
            (Behaviour::Serve, Some((9, false))),
        ] {
            let mut board = board("all", behaviour);
            let candidate = propose(&mut board, 3);
            assert_eq!(cosign(&mut board, 0, &candidate), None);
            let witnessed = cosign(&mut board, 1, &candidate).unwrap();
            board.publish(witnessed);
            let candidate = propose(&mut board, 9);
            assert_eq!(published(&board), Some((3, true)), "b may still cosign");
            assert_eq!(cosign(&mut board, 0, &candidate), None);
            assert_eq!(board.failed(1, "down".to_owned(), false), 1);
            assert_eq!(published(&board), expected, "{behaviour}");
            let status = board.status(12);
            assert_eq!(status.witnessed_size, Some(3));
            assert_eq!(status.witnesses[1].lag, 9);
            assert_eq!(status.witnesses[1].last_error, "down");
            // Who comes back in time still completes the quorum.
            let witnessed = cosign(&mut board, 1, &candidate).unwrap();
            board.publish(witnessed);
            assert_eq!(published(&board), Some((9, true)));
            assert_eq!(board.status(12).witnesses[1].failures, 0);
        }
    }

    #[test]
    fn a_witness_that_is_down_holds_nobody_up() {
        let mut board = board("all", Behaviour::Serve);
        let candidate = propose(&mut board, 3);
        board.failed(1, "down".to_owned(), false);
        assert!(!board.wants(&checkpoint(4)), "a may still cosign");
        cosign(&mut board, 0, &candidate);
        let next = propose(&mut board, 4);
        assert_eq!(next.number, 2);
        cosign(&mut board, 0, &next);
        assert_eq!(published(&board), Some((4, false)));
        assert_eq!(board.missing(), ["b"]);
    }

    #[test]
    fn a_late_cosignature_moves_its_witness_only() {
        let mut board = board("any", Behaviour::Hold);
        let old = propose(&mut board, 3);
        let witnessed = cosign(&mut board, 0, &old).unwrap();
        board.publish(witnessed);
        let new = propose(&mut board, 8);
        assert_eq!(cosign(&mut board, 1, &old), None);
        assert_eq!(board.old_size(1), 3);
        assert_eq!(published(&board), Some((3, true)));
        let late = checkpoint(3);
        let witnessed = cosign(&mut board, 0, &new).unwrap();
        board.publish(witnessed);
        board.publish(late);
        assert_eq!(published(&board), Some((8, true)), "never back");
    }

    #[test]
    fn no_quorum_needed_means_published_at_once() {
        let policy = Policy::parse(b"quorum none\n").unwrap();
        let mut board = Board::new(policy, Behaviour::Hold, None, Vec::new());
        propose(&mut board, 3);
        assert_eq!(published(&board), Some((3, true)));
        propose(&mut board, 4);
        assert_eq!(published(&board), Some((4, true)));
    }
}
