//! Who is within reach.

use heapless::Vec;

use crate::{Metric, NodeId};

#[derive(Debug, Clone, Copy)]
struct Neighbour {
    id: NodeId,
    cost: Metric,
    heard_at: u64,
}

/// The neighbours heard of late, and what the links to them cost.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours<const N: usize> {
    rows: Vec<Neighbour, N>,
}

impl<const N: usize> Neighbours<N> {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A neighbour was heard. Whether it is one now: with a full table, those there stay.
    pub(crate) fn heard(&mut self, id: NodeId, cost: Metric, now: u64) -> bool {
        let row = Neighbour {
            id,
            cost: cost.max(1),
            heard_at: now,
        };
        if let Some(known) = self.rows.iter_mut().find(|row| row.id == id) {
            *known = row;
            return true;
        }
        self.rows.push(row).is_ok()
    }

    pub(crate) fn cost(&self, id: NodeId) -> Option<Metric> {
        let row = self.rows.iter().find(|row| row.id == id);
        row.map(|row| row.cost)
    }

    /// Forgets who was not heard since.
    pub(crate) fn forget_older(&mut self, than: u64) {
        self.rows.retain(|row| row.heard_at >= than);
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        self.rows.retain(|row| row.id != id);
    }
}
