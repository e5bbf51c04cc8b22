//! The commit thread: the only one that writes to the log and signs its tree.
//!
//! A commit takes all that waits, writes it to the segment, makes it durable, reads it back, extends
//! the tree with what it read, signs, and only then answers. Nothing is signed that is not on disk.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fieldledger_contract::WallTime;
use fieldledger_contract::audit::Written;
use fieldledger_formats::envelope::{ClockMark, leaf_of};
use fieldledger_formats::frame::{Frame, FrameFault, read_frame};
use parking_lot::RwLock;

use crate::anchor::{Anchor, AnchorError};
use crate::claims::{Contents, Judge, Numberings, Recent};
use crate::clock_watch::ClockWatch;
use crate::error::{AppendError, ControlError, StoreError, with_causes};
use crate::framing::{Frames, frame};
use crate::gaps::{Gaps, Place};
use crate::grower::Grower;
use crate::head::{Head, Published};
use crate::index::Views;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::producers::Producers;
use crate::queue::{Queue, Work};
use crate::readings::Latest;
use crate::request::Request;
use crate::snapshots::{self, Snapshots};
use crate::stats::Stats;
use crate::store::disk::Disk;
use crate::store::reader::LogReader;
use crate::store::segment::{AppendFailure, SegmentWriter, Stage};
use crate::store::snapshot::Snapshot;

/// Something for the commit thread to do between two commits.
pub(crate) type Command = Box<dyn FnOnce(&mut Committer) + Send>;

/// The queue that the commit thread works off.
pub(crate) type CommitQueue = Queue<Command>;

/// Bytes of waiting requests that one commit takes: enough for the disk to be busy, and a buffer
/// that is not felt.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;

/// How long it waits before it tries again to reach the anchor.
const ANCHOR_RETRY: Duration = Duration::from_secs(1);

/// All that the commit thread owns or shares.
pub(crate) struct Committer {
    pub(crate) queue: Arc<CommitQueue>,
    pub(crate) segment: SegmentWriter,
    pub(crate) log: Arc<LogReader>,
    pub(crate) grower: Grower,
    pub(crate) keys: Keys,
    /// The newest entry about the keys.
    pub(crate) key_entry: Option<u64>,
    pub(crate) anchor: Anchor,
    /// The signed note that was last put in the anchor.
    pub(crate) anchored: String,
    pub(crate) published: Arc<Published>,
    pub(crate) producers: Producers,
    pub(crate) latest: Arc<RwLock<Latest>>,
    pub(crate) gaps: Arc<RwLock<Gaps>>,
    pub(crate) recent: Recent,
    /// Where older readings are found; none without an index.
    pub(crate) views: Option<Arc<Views>>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) watch: Arc<ClockWatch>,
    /// When the last entry was received.
    pub(crate) received_at: u64,
    pub(crate) disk: Disk,
    pub(crate) paths: Paths,
    pub(crate) snapshots: Snapshots,
    pub(crate) snapshot_every: u64,
    /// Size at the last snapshot.
    pub(crate) snapshot_size: u64,
    pub(crate) commit_events: usize,
    /// Why nothing more is written, once the disk cannot be trusted.
    pub(crate) stopped: Option<String>,
}

impl Committer {
    /// Commits until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(work) = self.queue.take(self.commit_events, COMMIT_BYTES) {
            match work {
                Work::Commit(requests) => self.commit(requests),
                Work::Command(command) => command(&mut self),
            }
            self.housekeeping();
        }
        if self.stopped.is_none() && self.snapshot_size != self.grower.size() {
            self.write_snapshot();
        }
        if self.stopped.is_none()
            && let Err(error) = self.anchor.settle(self.anchored.as_bytes())
        {
            tracing::warn!(
                error = with_causes(&error),
                "the anchor could not be settled; it may be lost with the power"
            );
        }
        self.published.close();
    }

    pub(crate) fn commit(&mut self, requests: Vec<Request>) {
        match self.published.ended() {
            Some(reason) if self.stopped.is_none() => {
                refuse(requests, &AppendError::Ended(reason.to_owned()));
            }
            _ => self.commit_beyond_end(requests),
        }
    }

    /// Commits although the log may have ended, as what tells of an erasure.
    pub(crate) fn commit_beyond_end(&mut self, mut requests: Vec<Request>) {
        if let Some(reason) = &self.stopped {
            return refuse(requests, &AppendError::Unavailable(reason.clone()));
        }
        let (new, contents) = self.mark_new(&mut requests);
        // No two entries have the same time: whoever reads the log in spans of time, each beginning
        // where the one before ended, reads every entry once.
        let received_at = self.watch.look().max(self.received_at + 1);
        let written = self.write(&requests, &new, received_at);
        match written {
            Ok(()) => {
                self.recent.extend(contents);
                self.answer(requests, &new, received_at);
            }
            Err(reason) => {
                self.forget(&requests, &new);
                refuse(requests, &AppendError::Unavailable(reason));
            }
        }
    }

    /// For each event of each request, whether the log lacks it, and what the readings among them say.
    /// Notes those as seen, and gives each the name under which it is written.
    fn mark_new(&mut self, requests: &mut [Request]) -> (Vec<Vec<bool>>, Contents) {
        let mut judge = Judge {
            producers: &mut self.producers,
            recent: &self.recent,
            gaps: self.gaps.read(),
            log: &self.log,
            views: self.views.as_ref(),
            new: Contents::default(),
            numberings: Numberings::default(),
        };
        let mut mark = |request: &mut Request| {
            let events = request.events.iter_mut();
            events.map(|event| judge.admit(event)).collect()
        };
        let new = requests.iter_mut().map(&mut mark).collect();
        (new, judge.new)
    }

    /// Undoes [`Committer::mark_new`].
    fn forget(&mut self, requests: &[Request], new: &[Vec<bool>]) {
        for (request, new) in requests.iter().zip(new) {
            for (event, _) in request.events.iter().zip(new).filter(|(_, new)| **new) {
                self.producers.remove(&event.producer, event.sequence);
            }
        }
    }

    /// Makes the new events durable and signs a tree that covers them; the error says why not. The
    /// first is received at `received_at`, each further one a microsecond later.
    fn write(
        &mut self,
        requests: &[Request],
        new: &[Vec<bool>],
        received_at: u64,
    ) -> Result<(), String> {
        let first = self.grower.size();
        let mark = self.watch.problem().map(|_| ClockMark::Stepped);
        let frames = frame(requests, new, first, (received_at, mark))?;
        if frames.ends.is_empty() {
            return Ok(());
        }
        self.append(first, &frames.bytes)?;
        self.stats.grown(received_at, frames.bytes.len() as u64);
        self.received_at = received_at + frames.ends.len() as u64 - 1;
        self.watch.note_entry(self.received_at);
        // From here on the entries are in the log whatever fails, so a failure must stop all
        // writing: only a start sorts out what is there.
        self.extend(first, &frames, received_at)
            .inspect_err(|reason| self.stop(reason))
    }

    fn append(&mut self, first: u64, frames: &[u8]) -> Result<(), String> {
        match self.segment.roll(first) {
            Ok(true) => self.log.add_segment(first),
            Ok(false) => {}
            Err(error) => return Err(with_causes(&error)),
        }
        self.segment
            .append(frames)
            .map_err(|failure| self.clean_up(&failure))
    }

    /// After a failed append: goes on where nothing can be left of it on disk, or else stops.
    fn clean_up(&mut self, failure: &AppendFailure) -> String {
        let reason = with_causes(&failure.error);
        let cleaned = match failure.stage {
            Stage::Write => self.segment.cut_back().map_err(|error| with_causes(&error)),
            Stage::Sync | Stage::Verify => Err("what is on disk is unknown".to_owned()),
        };
        match cleaned {
            Ok(()) => tracing::error!(
                reason,
                "entries could not be written; their callers may retry"
            ),
            Err(why) => self.stop(&format!("{reason}; {why}")),
        }
        reason
    }

    /// Takes nothing more until the ledger is opened again.
    pub(crate) fn stop(&mut self, reason: &str) {
        tracing::error!(
            reason,
            tree_size = self.grower.size(),
            "the ledger takes no more entries until it is opened again"
        );
        self.stopped = Some(format!(
            "{reason}; no more entries are taken until it is opened again"
        ));
    }

    /// Extends the tree with what was written and read back as it is here, signs and publishes it.
    fn extend(&mut self, first: u64, frames: &Frames, received_at: u64) -> Result<(), String> {
        let mut start = 0;
        for (index, &end) in (first..).zip(&frames.ends) {
            let fault = match read_frame(&frames.bytes[start..end], index) {
                Ok((Frame::Envelope(envelope), _)) => {
                    let received_at = received_at + (index - first);
                    self.grower.push(&leaf_of(envelope, index, received_at));
                    None
                }
                Ok((Frame::Erased(_), _)) => Some(FrameFault::Remains),
                Err(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                return Err(format!("entry {index} read back: {fault}"));
            }
            start = end;
        }
        let before = self.segment.length() - frames.bytes.len() as u64;
        let ends: Vec<u64> = frames.ends.iter().map(|&end| before + end as u64).collect();
        self.log
            .offsets()
            .write(first, &ends)
            .map_err(|error| with_causes(&error))?;
        let head = Head::sign(&self.keys, self.grower.edge().clone())
            .map_err(|error| with_causes(&error))?;
        self.anchor(&head.checkpoint.note)?;
        self.published.publish(head);
        Ok(())
    }

    /// Puts the signed tree head in the anchor. One that cannot be reached is waited for until the
    /// ledger is closed: the entries are in the log, so their callers cannot be told to try again.
    fn anchor(&mut self, note: &str) -> Result<(), String> {
        let mut failures: u32 = 0;
        loop {
            let swapped = self
                .anchor
                .swap(Some(self.anchored.as_bytes()), note.as_bytes());
            let error = match swapped {
                Ok(()) => break,
                Err(error) => error,
            };
            let passes = matches!(error, AnchorError::Store(_));
            if !passes || !self.anchor.is_worth_waiting_for() || self.queue.is_closed() {
                return Err(with_causes(&error));
            }
            failures += 1;
            // Ever more rarely: it is the same to be told.
            if failures.is_power_of_two() {
                tracing::error!(
                    error = with_causes(&error),
                    failures,
                    "the anchor cannot be reached; nothing is acknowledged until it can be"
                );
            }
            thread::sleep(ANCHOR_RETRY);
        }
        note.clone_into(&mut self.anchored);
        Ok(())
    }

    fn answer(&self, requests: Vec<Request>, new: &[Vec<bool>], received_at: u64) {
        let tree_size = self.grower.size();
        let appended_in_all = new.iter().flatten().filter(|new| **new).count() as u64;
        let first = tree_size - appended_in_all;
        let mut next = first;
        let mut duplicates_in_all = 0;
        let oldest = requests.iter().map(|request| request.queued_at).min();
        let mut latest = self.latest.write();
        let mut gaps = self.gaps.write();
        let mut answers = Vec::with_capacity(requests.len());
        for (request, new) in requests.into_iter().zip(new) {
            let mut indices = Vec::with_capacity(new.len());
            for (event, &new) in request.events.into_iter().zip(new) {
                if !new {
                    indices.push(None);
                    continue;
                }
                let received_at = received_at + (next - first);
                indices.push(Some(next));
                if let Some(noted) = &event.noted {
                    let place = Place {
                        index: next,
                        received_at,
                    };
                    gaps.note((&event.producer, event.sequence), noted, place);
                }
                if let Some(mut reading) = event.reading {
                    reading.index = next;
                    reading.received_at = WallTime::from_micros(received_at);
                    latest.update(reading);
                }
                next += 1;
            }
            let appended = indices.iter().flatten().count();
            let duplicates = indices.len() - appended;
            duplicates_in_all += duplicates as u64;
            let written = Written {
                // A call has at most 10,000 events.
                appended: u32::try_from(appended).unwrap_or(u32::MAX),
                duplicates: u32::try_from(duplicates).unwrap_or(u32::MAX),
                indices,
                tree_size,
            };
            answers.push((request.answer, written));
        }
        drop(latest);
        drop(gaps);
        let waited = oldest.map_or_else(Default::default, |oldest| Instant::now() - oldest);
        self.stats
            .committed(appended_in_all, duplicates_in_all, waited);
        for (answer, written) in answers {
            // A caller that no longer waits is none of ours.
            let _ = answer.send(Ok(written));
        }
    }

    /// What can be done after callers have their answers.
    fn housekeeping(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        if self.anchor.sync_is_due() {
            let synced = self.anchor.sync();
            self.stop_if_failed(synced);
        }
        let is_due = self.grower.size() - self.snapshot_size >= self.snapshot_every;
        // Where they are slower than the log grows, the next start reads more.
        if is_due && !self.snapshots.is_busy() {
            match self.snapshot() {
                Ok(snapshot) => self.snapshots.write_beside(snapshot),
                Err(error) => snapshots::warn(&error),
            }
        }
    }

    fn stop_if_failed(&mut self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            self.stop(&with_causes(&error));
        }
    }

    /// A snapshot that cannot be written only makes the next start longer.
    pub(crate) fn write_snapshot(&mut self) {
        if let Err(error) = self.try_write_snapshot() {
            snapshots::warn(&error);
        }
    }

    pub(crate) fn try_write_snapshot(&mut self) -> Result<(), StoreError> {
        let snapshot = self.snapshot()?;
        self.snapshots.write(&snapshot)
    }

    /// The present state, once the anchor has it durably: a snapshot must never be newer than the
    /// checkpoint.
    fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.snapshot_size = self.grower.size();
        let latest = self.latest.read();
        let producers = self.producers.ranges();
        let snapshot = Snapshot::new(
            self.grower.edge(),
            (self.segment.first(), self.segment.length()),
            self.received_at,
            producers
                .map(|(producer, ranges)| (producer.to_owned(), ranges))
                .collect(),
            latest.indices(),
            self.key_entry,
        );
        let gaps = self.gaps.read();
        let snapshot = snapshot.with_gaps(gaps.clone());
        drop(gaps);
        drop(latest);
        self.anchor.sync()?;
        Ok(snapshot)
    }
}

fn refuse(requests: Vec<Request>, error: &AppendError) {
    for request in requests {
        let _ = request.answer.send(Err(error.clone()));
    }
}

/// Has the commit thread carry this out, and waits for it.
pub(crate) fn command<T: Send + 'static>(
    queue: &CommitQueue,
    carry_out: impl FnOnce(&mut Committer) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, ControlError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let queued = queue.push_command(Box::new(move |committer| {
        // Whoever asked waits for it.
        let _ = answer.send(carry_out(committer));
    }));
    queued.map_err(|error| ControlError::Unavailable(error.to_string()))?;
    answered.recv().unwrap_or_else(|_closed| {
        let reason = "it closed before this was done";
        Err(ControlError::Unavailable(reason.to_owned()))
    })
}
