//! What a node knows of one gateway.

use heapless::Vec;

use crate::neighbours::Neighbours;
use crate::{INFINITY, Metric, NodeId, Sequence};

/// A neighbour's distance to the gateway, as it told it last.
#[derive(Debug, Clone, Copy)]
struct Route {
    neighbour: NodeId,
    sequence: Sequence,
    metric: Metric,
}

/// A route that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) neighbour: NodeId,
    pub(crate) sequence: Sequence,
    /// This node's own distance.
    pub(crate) metric: Metric,
}

/// The least distance that this node has told others (RFC 8966, section 3.2.6).
#[derive(Debug, Clone, Copy)]
struct Feasible {
    sequence: Sequence,
    metric: Metric,
}

#[derive(Debug, Clone)]
pub(crate) struct Source<const N: usize> {
    pub(crate) gateway: NodeId,
    routes: Vec<Route, N>,
    feasible: Option<Feasible>,
    pub(crate) selected: Option<Selected>,
    pub(crate) is_update_due: bool,
    /// A request to send: the sequence number, and how often it may be passed on.
    pub(crate) request_due: Option<(Sequence, u8)>,
    /// The newest request sent or passed on, and when.
    requested: Option<(Sequence, u64)>,
    /// When there was a route last.
    pub(crate) routed_at: u64,
}

impl<const N: usize> Source<N> {
    pub(crate) const fn new(gateway: NodeId, now: u64) -> Self {
        Self {
            gateway,
            routes: Vec::new(),
            feasible: None,
            selected: None,
            is_update_due: false,
            request_due: None,
            requested: None,
            routed_at: now,
        }
    }

    /// A neighbour tells its distance. What does not fit is not taken.
    pub(crate) fn update(&mut self, neighbour: NodeId, sequence: Sequence, metric: Metric) {
        self.routes.retain(|route| route.neighbour != neighbour);
        if metric < INFINITY {
            let route = Route {
                neighbour,
                sequence,
                metric,
            };
            // There are no more neighbours than the table has rows.
            self.routes.push(route).ok();
        }
    }

    /// Whether a route may be taken: it cannot lead back here.
    fn is_feasible(&self, route: &Route) -> bool {
        self.feasible.is_none_or(|feasible| {
            route.sequence.is_newer_than(feasible.sequence)
                || (route.sequence == feasible.sequence && route.metric < feasible.metric)
        })
    }

    /// Takes the shortest of the routes that may be taken. Whether that is another than before, or
    /// another distance.
    pub(crate) fn select(&mut self, neighbours: &Neighbours<N>, now: u64) -> bool {
        self.routes
            .retain(|route| neighbours.cost(route.neighbour).is_some());
        let mut best: Option<Selected> = None;
        for route in self.routes.iter().filter(|route| self.is_feasible(route)) {
            let Some(cost) = neighbours.cost(route.neighbour) else {
                continue;
            };
            let metric = route.metric.saturating_add(cost);
            let is_better =
                best.is_none_or(|best| (metric, route.neighbour) < (best.metric, best.neighbour));
            if metric < INFINITY && is_better {
                let Route {
                    neighbour,
                    sequence,
                    ..
                } = *route;
                best = Some(Selected {
                    neighbour,
                    sequence,
                    metric,
                });
            }
        }
        let is_changed = best != self.selected;
        self.selected = best;
        if best.is_some() {
            self.routed_at = now;
        }
        is_changed
    }

    /// The distance that others are told now, which binds this node from then on.
    pub(crate) fn tell(&mut self) -> (Sequence, Metric) {
        let Some(selected) = self.selected else {
            let sequence = self
                .feasible
                .map_or(Sequence::default(), |feasible| feasible.sequence);
            return (sequence, INFINITY);
        };
        let Selected {
            sequence, metric, ..
        } = selected;
        let told = Feasible { sequence, metric };
        self.feasible = Some(match self.feasible {
            Some(least) if sequence.is_newer_than(least.sequence) => told,
            Some(least) if sequence == least.sequence && metric < least.metric => told,
            Some(least) => least,
            None => told,
        });
        (sequence, metric)
    }

    /// The sequence number to ask for, where there is no route that may be taken.
    pub(crate) fn needed(&self) -> Option<Sequence> {
        let feasible = self.feasible.filter(|_| self.selected.is_none())?;
        Some(feasible.sequence.next())
    }

    /// The sequence number to ask for, where there is no route that may be taken, or a shorter one
    /// that may not (RFC 8966, section 3.8.2).
    pub(crate) fn wanted(&self, neighbours: &Neighbours<N>) -> Option<Sequence> {
        let feasible = self.feasible?;
        let selected = self.selected.map_or(INFINITY, |selected| selected.metric);
        let is_shorter = |route: &Route| {
            let cost = neighbours.cost(route.neighbour);
            let metric = cost.map_or(INFINITY, |cost| route.metric.saturating_add(cost));
            metric < selected && !self.is_feasible(route)
        };
        let is_wanted = self.selected.is_none() || self.routes.iter().any(is_shorter);
        is_wanted.then(|| feasible.sequence.next())
    }

    /// Whether a request is worth sending: not one that was sent a moment ago.
    pub(crate) fn may_request(&mut self, sequence: Sequence, now: u64, again_after: u64) -> bool {
        let is_known = self.requested.is_some_and(|(newest, at)| {
            !sequence.is_newer_than(newest) && now < at.saturating_add(again_after)
        });
        if !is_known {
            self.requested = Some((sequence, now));
        }
        !is_known
    }
}
