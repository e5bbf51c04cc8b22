//! What happens in a mesh, in the order in which it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fieldledger_mesh::{
    Control, DropReason, Header, Metric, NodeId, Role, Router, Sequence, Settings, Verdict,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod polls;

use self::polls::Poll;
use super::graph::{Link, Links};
use super::settings::MOST_GATEWAYS;
use super::{MeshReport, MeshSettings};

/// A node as it would be built, with room for the neighbours that the densest mesh has.
type Node = Router<32, { MOST_GATEWAYS as usize }, 128>;

const ROUTING: Settings = Settings {
    interval_ms: 4_000,
    neighbour_timeout_ms: 14_000,
    gateway_timeout_ms: 180_000,
    hop_limit: 32,
    retargets: 2,
};

/// Milliseconds until everybody knows the way: the silence after the start, and then some.
pub(super) const COMING_UP: u64 = 60_000;

/// How often a frame is sent until its neighbour is taken for lost.
const ATTEMPTS: u32 = 8;

/// How often a reading for which there is no route is looked at again, and after how many
/// milliseconds: long enough for a neighbour to be heard again, and for a request to come back.
const WAITS: u32 = 30;
const WAIT: u64 = 1_000;

/// Readings that wait at a node at a time.
const WAITING: usize = 16;

/// Readings and polls by which a late copy is still known. One that comes later counts as a copy.
const MOST_UNDER_WAY: usize = 100_000;

/// Milliseconds until a frame without an acknowledgement is sent again.
const ACKNOWLEDGED_WITHIN: u64 = 50;

/// Cost of a link that loses nothing. A link's cost is this by the attempts that it takes on average
/// (ETX, as RFC 8966, appendix A.2.2).
const PERFECT: f64 = 16.0;

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Event {
    /// A node's interval has passed.
    Tick(u16),
    /// A node takes a reading.
    Reading(u16),
    /// A node dies.
    Death,
    /// A routing message arrives.
    Heard {
        from: u16,
        to: u16,
        message: Control,
    },
    /// A reading arrives.
    Arrives { to: u16, packet: Packet },
    /// A reading has waited for a route.
    Waited {
        at: u16,
        waits: u32,
        waiting: Waiting,
    },
    /// No acknowledgement came.
    Unacknowledged { from: u16, to: u16, packet: Packet },
    /// A poll arrives where its route says.
    PollArrives(Poll),
    /// No acknowledgement of a poll came.
    PollUnacknowledged(Poll),
}

/// A reading on its way, and what is known of it from outside.
#[derive(Debug, Clone)]
struct Packet {
    header: Header,
    taken_at: u64,
    /// The nodes that sent it on, its own first.
    path: Vec<u16>,
    /// Times that it was sent over the present link.
    attempts: u32,
}

/// What has come to its end.
#[derive(Debug, Clone)]
pub(super) enum Arrival {
    /// A reading, and the way back to its node.
    AtGateway { number: u32, route: Arc<[u16]> },
    /// A poll.
    AtNode { number: u32, node: u16 },
}

/// What became of a frame.
struct Transmission {
    delay_ms: u64,
    arrives: bool,
    is_acknowledged: bool,
}

/// A reading that has no route.
#[derive(Debug, Clone)]
enum Waiting {
    /// At the node that took it.
    Own { number: u32, taken_at: u64 },
    /// On its way.
    Passing(Packet),
}

/// A mesh in the middle of things.
pub(super) struct Mesh {
    settings: MeshSettings,
    links: Links,
    nodes: BTreeMap<u16, Node>,
    chance: ChaCha8Rng,
    now: u64,
    end: u64,
    /// By time, and in the order in which they were made.
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
    /// Readings and polls, which are numbered together.
    numbered: u32,
    /// How many readings wait, by node.
    waiting: BTreeMap<u16, usize>,
    /// Numbers of what has not arrived, and how far along its route a poll was seen.
    under_way: BTreeMap<u32, usize>,
    /// What has arrived and was not taken yet.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) report: MeshReport,
}

/// Runs a mesh to its end.
pub(super) fn run(settings: &MeshSettings, links: Links) -> MeshReport {
    let mut mesh = Mesh::new(settings, links);
    while mesh.step(u64::MAX) {
        mesh.arrivals.clear();
    }
    mesh.report
}

impl Mesh {
    pub(super) fn new(settings: &MeshSettings, links: Links) -> Self {
        let milliseconds =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4);
        let duration = milliseconds(settings.duration);
        let mut mesh = Self {
            settings: settings.clone(),
            nodes: BTreeMap::new(),
            // Other numbers than those that scatter the nodes.
            chance: ChaCha8Rng::seed_from_u64(!settings.seed),
            now: 0,
            end: COMING_UP.saturating_add(duration),
            events: BTreeMap::new(),
            made: 0,
            numbered: 0,
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            arrivals: Vec::new(),
            report: MeshReport {
                nodes: settings.nodes,
                gateways: settings.gateways,
                links: links.len() / 2,
                ..MeshReport::default()
            },
            links,
        };
        let interval = milliseconds(settings.interval);
        for id in 0..settings.nodes {
            let role = match id < settings.gateways {
                true => Role::Gateway {
                    sequence: Sequence::default(),
                },
                false => Role::Sensor,
            };
            mesh.nodes.insert(id, Node::new(NodeId(id), role, ROUTING));
            // Nobody keeps step with anybody.
            let first_tick = mesh.chance.random_range(0..u64::from(ROUTING.interval_ms));
            mesh.schedule(first_tick, Event::Tick(id));
            if role == Role::Sensor {
                let first_reading = mesh.chance.random_range(0..interval);
                mesh.schedule(COMING_UP + first_reading, Event::Reading(id));
            }
        }
        for death in 1..=u64::from(settings.deaths) {
            let share = duration / (u64::from(settings.deaths) + 1);
            mesh.schedule(COMING_UP + share * death, Event::Death);
        }
        mesh
    }

    /// Lets the next thing happen, where that is due by `time`. False where nothing was.
    pub(super) fn step(&mut self, time: u64) -> bool {
        let Some(first) = self
            .events
            .first_entry()
            .filter(|first| first.key().0 <= time)
        else {
            return false;
        };
        let ((time, _), event) = first.remove_entry();
        // A poll may have come in between.
        self.now = self.now.max(time);
        self.happens(event);
        true
    }

    /// When the next thing happens.
    pub(super) fn due(&self) -> Option<u64> {
        self.events.first_key_value().map(|((time, _), _)| *time)
    }

    /// Lets time pass in which nothing happens.
    pub(super) fn wait_until(&mut self, time: u64) {
        self.now = self.now.max(time);
    }

    pub(super) fn is_over(&self) -> bool {
        self.now >= self.end
    }

    /// Ends it: what is under way arrives or gets lost, and nothing new begins.
    pub(super) fn end(&mut self) {
        self.end = self.now;
    }

    pub(super) fn is_alive(&self, id: u16) -> bool {
        self.nodes.contains_key(&id)
    }

    /// A number for something that sets out.
    fn number(&mut self) -> u32 {
        self.numbered = self.numbered.wrapping_add(1);
        if self.under_way.len() >= MOST_UNDER_WAY {
            self.under_way.pop_first();
        }
        self.under_way.insert(self.numbered, 0);
        self.numbered
    }

    fn schedule(&mut self, time: u64, event: Event) {
        self.events.insert((time, self.made), event);
        self.made += 1;
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Tick(_) | Event::Reading(_) | Event::Death if self.is_over() => {}
            Event::Tick(id) => {
                let Some(node) = self.nodes.get_mut(&id) else {
                    return;
                };
                node.tick(self.now);
                self.tell(id);
                self.schedule(self.now + u64::from(ROUTING.interval_ms), Event::Tick(id));
            }
            Event::Reading(id) => {
                if self.take_reading(id).is_some() {
                    let interval = self.settings.interval.as_millis();
                    let next = self.now + u64::try_from(interval).unwrap_or(u64::MAX / 4);
                    self.schedule(next, Event::Reading(id));
                }
            }
            Event::Death => self.kill(),
            Event::Heard { from, to, message } => {
                let cost = self.links.get(&(from, to)).map_or(Metric::MAX, cost);
                let Some(node) = self.nodes.get_mut(&to) else {
                    return;
                };
                node.hear(NodeId(from), cost, &message, self.now);
                self.tell(to);
            }
            Event::Arrives { to, packet } => {
                let Some(node) = self.nodes.get_mut(&to) else {
                    return;
                };
                let verdict = node.forward(&packet.header);
                self.carry_out(to, packet, verdict);
            }
            Event::Unacknowledged { from, to, packet } => self.try_again(from, to, packet),
            Event::PollArrives(poll) => self.take_poll(poll),
            Event::PollUnacknowledged(poll) => self.pass_on_again(poll),
            Event::Waited { at, waits, waiting } => {
                let count = self.waiting.entry(at).or_default();
                *count = count.saturating_sub(1);
                self.look(at, waits, waiting);
            }
        }
    }

    /// Sends what a node has to say to all that hear it.
    fn tell(&mut self, id: u16) {
        while let Some(message) = self.nodes.get_mut(&id).and_then(Node::poll) {
            self.report.control_frames += 1;
            let links = self.links.range((id, 0)..=(id, u16::MAX));
            for ((from, to), link) in links {
                if !self.chance.random_bool(link.loss) {
                    let heard = Event::Heard {
                        from: *from,
                        to: *to,
                        message,
                    };
                    self.events
                        .insert((self.now + link.delay_ms, self.made), heard);
                    self.made += 1;
                }
            }
        }
    }

    /// A node takes a reading; its number, or nothing where the node is dead.
    pub(super) fn take_reading(&mut self, id: u16) -> Option<u32> {
        if !self.is_alive(id) {
            return None;
        }
        self.report.readings += 1;
        if !self.reaches_gateway(id) {
            self.report.cut_off += 1;
        }
        let (number, taken_at) = (self.number(), self.now);
        self.look(id, 0, Waiting::Own { number, taken_at });
        Some(number)
    }

    /// Sends a reading on if there is a route now, and lets it wait otherwise.
    fn look(&mut self, at: u16, waits: u32, waiting: Waiting) {
        let Some(node) = self.nodes.get(&at) else {
            self.report.died_with_node += 1;
            return;
        };
        let (packet, next_hop) = match waiting {
            Waiting::Own { number, taken_at } => match node.originate(number) {
                Ok((header, next_hop)) => {
                    let packet = Packet {
                        header,
                        taken_at,
                        path: Vec::new(),
                        attempts: 0,
                    };
                    (packet, next_hop)
                }
                Err(_) => return self.wait(at, waits, waiting),
            },
            Waiting::Passing(packet) => match node.retry(&packet.header) {
                Verdict::Forward { header, next_hop } => (
                    Packet {
                        header,
                        attempts: 0,
                        ..packet
                    },
                    next_hop,
                ),
                _ => return self.wait(at, waits, Waiting::Passing(packet)),
            },
        };
        self.send(at, next_hop.0, packet);
    }

    fn wait(&mut self, at: u16, waits: u32, waiting: Waiting) {
        let count = self.waiting.entry(at).or_default();
        if waits >= WAITS || *count >= WAITING {
            self.report.without_route += 1;
            return;
        }
        *count += 1;
        let waited = Event::Waited {
            at,
            waits: waits + 1,
            waiting,
        };
        self.schedule(self.now + WAIT, waited);
    }

    /// Whether there is a path of living nodes from one to a gateway.
    fn reaches_gateway(&self, id: u16) -> bool {
        let mut found = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(at) = open.pop() {
            if at < self.settings.gateways {
                return true;
            }
            for (_, to) in self
                .links
                .range((at, 0)..=(at, u16::MAX))
                .map(|(ends, _)| *ends)
            {
                if self.nodes.contains_key(&to) && found.insert(to) {
                    open.push(to);
                }
            }
        }
        false
    }

    /// Sends a reading over a link, and waits for the acknowledgement.
    fn send(&mut self, from: u16, to: u16, packet: Packet) {
        let packet = Packet {
            attempts: packet.attempts + 1,
            ..packet
        };
        let sent = self.transmit(from, to);
        if sent.arrives {
            let mut arrived = packet.clone();
            arrived.path.push(from);
            self.schedule(
                self.now + sent.delay_ms,
                Event::Arrives {
                    to,
                    packet: arrived,
                },
            );
        }
        if !sent.is_acknowledged {
            let time = self.now + 2 * sent.delay_ms + ACKNOWLEDGED_WITHIN;
            self.schedule(time, Event::Unacknowledged { from, to, packet });
        }
    }

    /// Sends a frame over a link.
    fn transmit(&mut self, from: u16, to: u16) -> Transmission {
        self.report.frames += 1;
        let link = self.links.get(&(from, to)).copied();
        let Link { loss, delay_ms } = link.unwrap_or(Link {
            loss: 1.0,
            delay_ms: 0,
        });
        let arrives = self.is_alive(to) && !self.chance.random_bool(loss);
        Transmission {
            delay_ms,
            arrives,
            is_acknowledged: arrives && !self.chance.random_bool(loss),
        }
    }

    fn try_again(&mut self, from: u16, to: u16, packet: Packet) {
        let Some(node) = self.nodes.get_mut(&from) else {
            self.report.died_with_node += 1;
            return;
        };
        if packet.attempts < ATTEMPTS {
            self.send(from, to, packet);
            return;
        }
        let verdict = node.reroute(&packet.header, NodeId(to), self.now);
        self.carry_out(from, packet, verdict);
        self.tell(from);
    }

    fn carry_out(&mut self, at: u16, packet: Packet, verdict: Verdict) {
        let report = &mut self.report;
        match verdict {
            Verdict::Deliver => {
                let number = packet.header.number;
                if self.under_way.remove(&number).is_none() {
                    report.duplicates += 1;
                    return;
                }
                report.delivered += 1;
                let hops = u32::try_from(packet.path.len()).unwrap_or(u32::MAX);
                *report.hops.entry(hops).or_default() += 1;
                report.slowest_ms = report.slowest_ms.max(self.now - packet.taken_at);
                let route = std::iter::once(at).chain(packet.path.into_iter().rev());
                let route = route.collect();
                self.arrivals.push(Arrival::AtGateway { number, route });
            }
            Verdict::Forward { header, next_hop } => {
                let packet = Packet {
                    header,
                    attempts: 0,
                    ..packet
                };
                self.send(at, next_hop.0, packet);
            }
            Verdict::Drop(DropReason::HopLimit) => report.over_hop_limit += 1,
            Verdict::Drop(DropReason::Duplicate) => report.duplicates += 1,
            Verdict::Drop(_) => self.wait(at, 0, Waiting::Passing(packet)),
        }
    }

    /// The first gateway dies first, where there is another; after it anybody but a gateway.
    fn kill(&mut self) {
        let is_first = self.report.deaths == 0 && self.settings.gateways > 1;
        let sensors = self
            .nodes
            .keys()
            .filter(|id| **id >= self.settings.gateways);
        let sensors: Vec<u16> = sensors.copied().collect();
        let victim = match is_first {
            true => Some(0),
            false => sensors.choose(&mut self.chance).copied(),
        };
        if let Some(victim) = victim {
            self.nodes.remove(&victim);
            self.report.deaths += 1;
        }
    }
}

fn cost(link: &Link) -> Metric {
    let both_ways = (1.0 - link.loss).powi(2);
    (PERFECT / both_ways)
        .round()
        .clamp(1.0, f64::from(Metric::MAX - 1)) as Metric
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::super::run_mesh;
    use super::*;

    #[test]
    fn without_losses_and_deaths_everything_arrives() {
        let settings = MeshSettings {
            loss: 0.0,
            deaths: 0,
            ..MeshSettings::default()
        };
        let report = run_mesh(&settings).unwrap();
        assert_eq!(report.delivered, report.readings - report.cut_off);
        let hops = report.hops.iter();
        let passed: u64 = hops.map(|(hops, count)| u64::from(*hops) * count).sum();
        assert_eq!(report.frames, passed);
        assert!(
            report.readings > 38 * 170 && report.hops.len() > 2,
            "{report}"
        );
        assert_eq!(report.duplicates, 0);
    }

    #[test]
    fn with_losses_and_deaths_nearly_everything_arrives() {
        for seed in 0..4 {
            let report = run_mesh(&MeshSettings {
                seed,
                ..MeshSettings::default()
            })
            .unwrap();
            assert_eq!(report.deaths, 3);
            assert!(report.delivery_rate() > 0.999, "{seed}: {report}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_report() {
        let settings = MeshSettings {
            duration: Duration::from_secs(100),
            ..MeshSettings::default()
        };
        assert_eq!(run_mesh(&settings).unwrap(), run_mesh(&settings).unwrap());
    }
}
