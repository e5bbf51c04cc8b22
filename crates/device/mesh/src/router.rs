//! A node's routing.

use heapless::Vec;

use crate::neighbours::Neighbours;
use crate::seen::{Key, Seen};
use crate::source::Source;
use crate::{Control, DropReason, Header, INFINITY, Metric, NoRoute, NodeId, Sequence, Verdict};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It measures, and passes on what others measure.
    Sensor,
    /// Readings end here.
    Gateway {
        /// Where its sequence numbers begin. After a restart any will do: those who know a newer
        /// one ask for the next, and the gateway goes on from there.
        sequence: Sequence,
    },
}

/// Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often [`Router::tick`] is called.
    pub interval_ms: u32,
    /// A neighbour that was not heard for so long is none any more.
    pub neighbour_timeout_ms: u32,
    /// A gateway without a route for so long is forgotten. By then, what others know of it must
    /// have been forgotten or renewed.
    pub gateway_timeout_ms: u32,
    /// How many times a packet, or a request, is sent on.
    pub hop_limit: u8,
    /// How many times a packet is given to another gateway.
    pub retargets: u8,
}

impl Default for Settings {
    /// 4 s, with three and a half of them for a neighbour as in RFC 8966, appendix B; three minutes
    /// for a gateway.
    fn default() -> Self {
        Self {
            interval_ms: 4_000,
            neighbour_timeout_ms: 14_000,
            gateway_timeout_ms: 180_000,
            hop_limit: 32,
            retargets: 2,
        }
    }
}

/// What did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages of nodes that the table of neighbours had no room for.
    pub neighbours_refused: u32,
    /// Messages about gateways that the table of gateways had no room for.
    pub gateways_refused: u32,
}

/// A node's routing, for `NEIGHBOURS` neighbours and `GATEWAYS` gateways, with a memory of `SEEN`
/// packets.
#[derive(Debug, Clone)]
pub struct Router<const NEIGHBOURS: usize, const GATEWAYS: usize, const SEEN: usize> {
    id: NodeId,
    role: Role,
    settings: Settings,
    neighbours: Neighbours<NEIGHBOURS>,
    sources: Vec<Source<NEIGHBOURS>, GATEWAYS>,
    seen: Seen<SEEN>,
    is_own_update_due: bool,
    is_hello_due: bool,
    /// When the silence after the start ends; nothing before the first time that was told.
    silent_until: Option<u64>,
    is_silent: bool,
    counters: Counters,
}

impl<const NEIGHBOURS: usize, const GATEWAYS: usize, const SEEN: usize>
    Router<NEIGHBOURS, GATEWAYS, SEEN>
{
    /// A node that has heard nothing. From its first [`tick`](Self::tick) or message on it is silent
    /// for the time of [`Settings::neighbour_timeout_ms`] and two intervals, until its neighbours have
    /// forgotten what it may have told them before a restart.
    #[must_use]
    pub const fn new(id: NodeId, role: Role, settings: Settings) -> Self {
        Self {
            id,
            role,
            settings,
            neighbours: Neighbours::new(),
            sources: Vec::new(),
            seen: Seen::new(),
            is_own_update_due: false,
            is_hello_due: false,
            silent_until: None,
            is_silent: true,
            counters: Counters {
                neighbours_refused: 0,
                gateways_refused: 0,
            },
        }
    }

    /// The node.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// What did not fit.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether the node has just started, and takes no part yet.
    ///
    /// A node that restarts has forgotten what it told others. It could take a route that leads
    /// back to itself, through a neighbour that still believes what it told before. So it says
    /// nothing until its neighbours must have forgotten it.
    fn is_silent(&mut self, now: u64) -> bool {
        let timeout = u64::from(self.settings.neighbour_timeout_ms);
        let silence = timeout + 2 * u64::from(self.settings.interval_ms);
        let until = *self.silent_until.get_or_insert(now.saturating_add(silence));
        self.is_silent = now < until;
        self.is_silent
    }

    /// An interval has passed: silent neighbours are forgotten, and everybody is told everything.
    pub fn tick(&mut self, now_ms: u64) {
        let timeout = u64::from(self.settings.neighbour_timeout_ms);
        self.neighbours.forget_older(now_ms.saturating_sub(timeout));
        if self.is_silent(now_ms) {
            return;
        }
        self.select_all(now_ms);
        self.ask_for_shorter(now_ms);
        let timeout = u64::from(self.settings.gateway_timeout_ms);
        self.sources
            .retain(|source| now_ms < source.routed_at.saturating_add(timeout));
        for source in &mut self.sources {
            source.is_update_due = true;
        }
        self.is_own_update_due = true;
        self.is_hello_due = true;
    }

    /// A neighbour could not be reached, as the radio found out: its routes are gone at once.
    pub fn lost(&mut self, neighbour: NodeId, now_ms: u64) {
        self.neighbours.remove(neighbour);
        self.select_all(now_ms);
    }

    /// A control message was heard from a neighbour, over a link of that cost, at least 1.
    pub fn hear(&mut self, from: NodeId, cost: Metric, message: &Control, now_ms: u64) {
        if from == self.id {
            return;
        }
        if !self.neighbours.heard(from, cost, now_ms) {
            self.counters.neighbours_refused = self.counters.neighbours_refused.saturating_add(1);
            return;
        }
        if self.is_silent(now_ms) {
            return;
        }
        match *message {
            Control::Hello => {}
            Control::Update { gateway, .. } if gateway == self.id => {}
            Control::Update {
                gateway,
                sequence,
                metric,
            } => {
                if let Some(source) = self.source(gateway, metric, now_ms) {
                    source.update(from, sequence, metric);
                }
            }
            Control::Request {
                gateway,
                sequence,
                hops_left,
            } => {
                self.asked(gateway, sequence, hops_left, now_ms);
            }
        }
        self.select_all(now_ms);
    }

    /// The row of a gateway, a new one where there is a route to it.
    fn source(
        &mut self,
        gateway: NodeId,
        metric: Metric,
        now: u64,
    ) -> Option<&mut Source<NEIGHBOURS>> {
        let is_known = self.sources.iter().any(|source| source.gateway == gateway);
        if !is_known {
            if metric == INFINITY {
                return None;
            }
            if self.sources.push(Source::new(gateway, now)).is_err() {
                let refused = &mut self.counters.gateways_refused;
                *refused = refused.saturating_add(1);
                return None;
            }
        }
        self.sources
            .iter_mut()
            .find(|source| source.gateway == gateway)
    }

    /// Somebody asks for a newer sequence number (RFC 8966, section 3.8.1.2).
    fn asked(&mut self, gateway: NodeId, sequence: Sequence, hops_left: u8, now: u64) {
        if let (true, Role::Gateway { sequence: own }) = (gateway == self.id, &mut self.role) {
            if sequence.is_newer_than(*own) {
                *own = sequence;
            }
            self.is_own_update_due = true;
            return;
        }
        let interval = u64::from(self.settings.interval_ms);
        let source = self
            .sources
            .iter_mut()
            .find(|source| source.gateway == gateway);
        let Some(source) = source else { return };
        let has_it = source
            .selected
            .is_some_and(|selected| !sequence.is_newer_than(selected.sequence));
        if has_it {
            source.is_update_due = true;
        } else if hops_left > 0 && source.may_request(sequence, now, interval) {
            source.request_due = Some((sequence, hops_left - 1));
        }
    }

    fn select_all(&mut self, now: u64) {
        let interval = u64::from(self.settings.interval_ms);
        for source in &mut self.sources {
            if source.select(&self.neighbours, now) {
                source.is_update_due = true;
            }
            if let Some(needed) = source.needed()
                && source.may_request(needed, now, interval)
            {
                source.request_due = Some((needed, self.settings.hop_limit));
            }
        }
    }

    /// Asks for what would make shorter routes possible. Not more often than each interval: while a
    /// change is on its way through the mesh, many a route seems shorter for a moment, and each new
    /// sequence number is a change.
    fn ask_for_shorter(&mut self, now: u64) {
        let interval = u64::from(self.settings.interval_ms);
        for source in &mut self.sources {
            if let Some(wanted) = source.wanted(&self.neighbours)
                && source.may_request(wanted, now, interval)
            {
                source.request_due = Some((wanted, self.settings.hop_limit));
            }
        }
    }

    /// The next control message to send to all neighbours; nothing if all was said.
    pub fn poll(&mut self) -> Option<Control> {
        if self.is_silent {
            return None;
        }
        if let (true, Role::Gateway { sequence }) = (self.is_own_update_due, self.role) {
            self.is_own_update_due = false;
            self.is_hello_due = false;
            return Some(Control::Update {
                gateway: self.id,
                sequence,
                metric: 0,
            });
        }
        self.is_own_update_due = false;
        for source in &mut self.sources {
            let gateway = source.gateway;
            if source.is_update_due {
                source.is_update_due = false;
                self.is_hello_due = false;
                let (sequence, metric) = source.tell();
                return Some(Control::Update {
                    gateway,
                    sequence,
                    metric,
                });
            }
            if let Some((sequence, hops_left)) = source.request_due.take() {
                return Some(Control::Request {
                    gateway,
                    sequence,
                    hops_left,
                });
            }
        }
        core::mem::take(&mut self.is_hello_due).then_some(Control::Hello)
    }

    /// The neighbour on the way to a gateway, and the distance.
    #[must_use]
    pub fn route(&self, gateway: NodeId) -> Option<(NodeId, Metric)> {
        let source = self
            .sources
            .iter()
            .find(|source| source.gateway == gateway)?;
        let selected = source.selected?;
        Some((selected.neighbour, selected.metric))
    }

    /// The gateway at the least distance, and the distance; 0 where this is one.
    #[must_use]
    pub fn nearest(&self) -> Option<(NodeId, Metric)> {
        if let Role::Gateway { .. } = self.role {
            return Some((self.id, 0));
        }
        let reached = self.sources.iter().filter_map(|source| {
            let selected = source.selected?;
            Some((source.gateway, selected.metric))
        });
        reached.min_by_key(|(gateway, metric)| (*metric, *gateway))
    }

    /// Sends a reading of this node's own: its header, and the neighbour to send it to.
    ///
    /// # Errors
    ///
    /// [`NoRoute`], and the reading waits at this node. A gateway has no use for it either.
    pub fn originate(&self, number: u32) -> Result<(Header, NodeId), NoRoute> {
        let (gateway, _) = self.nearest().ok_or(NoRoute)?;
        let (next_hop, _) = self.route(gateway).ok_or(NoRoute)?;
        let header = Header {
            origin: self.id,
            number,
            gateway,
            hops_left: self.settings.hop_limit,
            retargets_left: self.settings.retargets,
        };
        Ok((header, next_hop))
    }

    /// What to do with a packet that was heard, and meant for this node.
    pub fn forward(&mut self, header: &Header) -> Verdict {
        let is_gateway = matches!(self.role, Role::Gateway { .. });
        let key = match is_gateway {
            true => Key::at_the_end(header),
            false => Key::on_the_way(header),
        };
        if !self.seen.is_new(key) {
            return Verdict::Drop(DropReason::Duplicate);
        }
        if is_gateway {
            return Verdict::Deliver;
        }
        match header.hops_left.checked_sub(1) {
            Some(hops_left) => self.retry(&Header {
                hops_left,
                ..*header
            }),
            None => Verdict::Drop(DropReason::HopLimit),
        }
    }

    /// What to do with a packet that could not be handed to a neighbour, with the header that it was
    /// to have there. The neighbour is taken for lost.
    pub fn reroute(&mut self, header: &Header, unreachable: NodeId, now_ms: u64) -> Verdict {
        self.lost(unreachable, now_ms);
        self.retry(header)
    }

    /// What to do with a packet that has waited at this node for a route.
    #[must_use]
    pub fn retry(&self, header: &Header) -> Verdict {
        if let Some((next_hop, _)) = self.route(header.gateway) {
            return Verdict::Forward {
                header: *header,
                next_hop,
            };
        }
        let elsewhere = self.nearest().and_then(|(gateway, _)| {
            let (next_hop, _) = self.route(gateway)?;
            Some((gateway, next_hop, header.retargets_left.checked_sub(1)?))
        });
        match elsewhere {
            Some((gateway, next_hop, retargets_left)) => {
                let header = Header {
                    gateway,
                    retargets_left,
                    ..*header
                };
                Verdict::Forward { header, next_hop }
            }
            None => Verdict::Drop(DropReason::NoRoute),
        }
    }
}
