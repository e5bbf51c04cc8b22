//! What is due when, for all sensors in one heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use uuid::Uuid;

/// What to do with a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Poll it.
    Poll,
    /// See whether its heartbeats are still arriving.
    Watch,
}

/// Entries are never taken back: one that no longer fits the sensor's state is skipped when due.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BinaryHeap<Reverse<(u64, Task, Uuid)>>,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: u64, task: Task, sensor: Uuid) {
        self.entries.push(Reverse((at, task, sensor)));
    }

    /// When the next entry is due, on the steady clock.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.entries.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The next entry if it is due by now.
    pub(crate) fn pop_due(&mut self, steady_now: u64) -> Option<(u64, Task, Uuid)> {
        if self.next_at()? > steady_now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }
}
