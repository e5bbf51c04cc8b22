//! The thread that gives up what is to be given up, and what is old.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::compact::compact;
use super::plan::Plans;
use crate::clock::Clock;
use crate::commit::{CommitQueue, command};
use crate::config::RetentionPolicy;
use crate::error::{ControlError, StoreError, with_causes};
use crate::head::Published;
use crate::markers::GivenUp;
use crate::problem::Problem;
use crate::store::reader::LogReader;
use fieldledger_contract::ledger::{Retained, Retention, RetentionScope};

/// How often it looks whether there is something to do.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long it waits after an error before it tries again.
const RETRY: Duration = Duration::from_secs(10);

/// How often it looks whether something has become too old, microseconds.
const POLICY_INTERVAL: u64 = 60_000_000;

/// Who asks for what the policy asks for, in the log.
const POLICY_ACTOR: &str = "retention policy";

/// Gives up payloads.
#[derive(Clone)]
pub(crate) struct Retainer {
    pub(crate) plans: Arc<Plans>,
    pub(crate) log: Arc<LogReader>,
    pub(crate) published: Arc<Published>,
    pub(crate) queue: Arc<CommitQueue>,
    /// Held while the log is changed otherwise than by an append.
    pub(crate) control: Arc<Mutex<()>>,
    pub(crate) clock: Clock,
    pub(crate) problem: Problem,
}

impl Retainer {
    /// Goes on until the ledger is closed.
    pub(crate) fn run(self, mut policy: Option<RetentionPolicy>) {
        let mut looked_at = None;
        while !self.published.is_closed() {
            let pause = match self.step(&mut policy, &mut looked_at) {
                Ok(()) => {
                    self.problem.note("");
                    INTERVAL
                }
                Err(problem) => {
                    if !self.published.is_closed() {
                        tracing::warn!(problem, "payloads cannot be given up; trying again");
                    }
                    self.problem.note(problem);
                    RETRY
                }
            };
            self.published.pause(pause);
        }
    }

    fn step(
        &self,
        policy: &mut Option<RetentionPolicy>,
        looked_at: &mut Option<u64>,
    ) -> Result<(), String> {
        if let Some(&pending) = self.plans.now().pending.first() {
            return self.carry_out(pending);
        }
        let now = self.clock.now();
        let is_due = looked_at.is_none_or(|at| now.saturating_sub(at) >= POLICY_INTERVAL);
        let Some(wanted) = policy.filter(|_| is_due) else {
            return Ok(());
        };
        *looked_at = Some(now);
        let keep_for = u64::try_from(wanted.keep_for.as_micros()).unwrap_or(u64::MAX);
        let hours = wanted.keep_for.as_secs() / 3_600;
        let reason = format!("{} are kept for {hours} hours", wanted.scope);
        let before = now.saturating_sub(keep_for);
        match self.begin(before, wanted.scope, &reason, POLICY_ACTOR) {
            Ok(_) => Ok(()),
            Err(error @ ControlError::Ended(_)) => {
                let problem = with_causes(&error);
                tracing::warn!(problem, "nothing more is given up");
                *policy = None;
                Ok(())
            }
            Err(error) => Err(with_causes(&error)),
        }
    }

    /// Has the payloads given up that were received before `before`, microseconds since the Unix
    /// epoch. Returns once that is certain; what it frees is freed behind it.
    pub(crate) fn begin(
        &self,
        before: u64,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, ControlError> {
        let _alone = self.control();
        let known = self.plans.now().below(scope);
        let below = self.older_than(before, known)?;
        if below <= known {
            return Ok(Retained {
                marker: None,
                below: known,
            });
        }
        let plans = Arc::clone(&self.plans);
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        let marker = command(&self.queue, move |committer| {
            committer.begin_retention(&plans, (below, scope), before, (&reason, &actor))
        })?;
        Ok(Retained {
            marker: Some(marker),
            below,
        })
    }

    /// The first entry after the full segments all of whose entries are older; those before `known`
    /// are. They are not looked at: they may be in the archive only, and a policy asks every minute.
    fn older_than(&self, before: u64, known: u64) -> Result<u64, StoreError> {
        let mut below = known;
        let sealed = self.log.sealed_segments().into_iter();
        for (_, end) in sealed.filter(|(_, end)| *end > known) {
            if self.log.received_at(end - 1)? >= before {
                break;
            }
            below = end;
        }
        Ok(below)
    }

    /// Writes the segments anew that hold what is given up.
    fn carry_out(&self, pending: GivenUp) -> Result<(), String> {
        // A snapshot of before may name a place in a segment that will be another one.
        command(&self.queue, |committer| {
            committer.try_write_snapshot().map_err(ControlError::from)
        })
        .map_err(|error| with_causes(&error))?;
        let mut given_up = 0;
        let done_below = self.plans.now().done_below(pending.scope);
        for (first, end) in self.log.sealed_segments() {
            if end <= done_below || first >= pending.below {
                continue;
            }
            if self.published.is_closed() {
                return Ok(());
            }
            let replaced = self.replace((first, end), pending);
            given_up += replaced.map_err(|error| with_causes(&error))?;
        }
        let changed = self.plans.change(|plan| plan.done(pending));
        changed.map_err(|error| with_causes(&error))?;
        let freed_bytes = self.plans.now().freed_bytes;
        let (below, marker) = (pending.below, pending.marker);
        tracing::info!(
            given_up,
            below,
            marker,
            freed_bytes,
            "payloads were given up"
        );
        Ok(())
    }

    /// Writes one segment anew; how many payloads are gone.
    fn replace(&self, (first, end): (u64, u64), pending: GivenUp) -> Result<u64, StoreError> {
        // Nothing is erased meanwhile.
        let _alone = self.control();
        let segment = self.log.read_to_replace(first)?;
        let compacted = compact(&segment.bytes, (first, end), pending);
        let compacted = compacted.map_err(|(offset, problem)| StoreError::Damaged {
            path: segment.path.clone(),
            offset,
            problem,
        })?;
        let is_shorter = compacted.bytes.len() < segment.bytes.len();
        // An attempt that failed may have left offsets that do not fit.
        if !is_shorter && self.plans.now().replacing != Some(first) {
            return Ok(0);
        }
        self.plans.change(|plan| plan.replacing = Some(first))?;
        let stored_bytes = self
            .log
            .replace(&segment, &compacted.bytes, &compacted.ends)?;
        let freed = segment.stored_bytes.saturating_sub(stored_bytes);
        self.plans.change(|plan| {
            plan.replacing = None;
            plan.freed_bytes += freed;
        })?;
        tracing::debug!(first, end, freed, "a segment was written anew");
        Ok(compacted.given_up)
    }

    /// How far it is.
    pub(crate) fn status(&self) -> Retention {
        let plan = self.plans.now();
        Retention {
            readings_below: plan.below(RetentionScope::Readings),
            all_below: plan.below(RetentionScope::All),
            freed_bytes: plan.freed_bytes,
            pending: !plan.pending.is_empty(),
            problem: self.problem.text(),
        }
    }

    fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock()
    }
}
