//! What happens in a mesh, in the order in which it happens.

use std::collections::{BTreeMap, BTreeSet};

use fieldledger_mesh::{
    Control, DropReason, Header, Metric, NodeId, Role, Router, Sequence, Settings, Verdict,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
const COMING_UP: u64 = 60_000;

/// How often a frame is sent until its neighbour is taken for lost.
const ATTEMPTS: u32 = 8;

/// How often a reading for which there is no route is looked at again, and after how many
/// milliseconds: long enough for a neighbour to be heard again, and for a request to come back.
const WAITS: u32 = 30;
const WAIT: u64 = 1_000;

/// Readings that wait at a node at a time.
const WAITING: usize = 16;

/// Milliseconds until a frame without an acknowledgement is sent again.
const ACKNOWLEDGED_WITHIN: u64 = 50;

/// Cost of a link that loses nothing. A link's cost is this by the attempts that it takes on average
/// (ETX, as RFC 8966, appendix A.2.2).
const PERFECT: f64 = 16.0;

/// Something that is going to happen.
#[derive(Debug, Clone, Copy)]
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
}

/// A reading on its way, and what is known of it from outside.
#[derive(Debug, Clone, Copy)]
struct Packet {
    header: Header,
    taken_at: u64,
    hops: u32,
    /// Times that it was sent over the present link.
    attempts: u32,
}

/// A reading that has no route.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// At the node that took it.
    Own { number: u32, taken_at: u64 },
    /// On its way.
    Passing(Packet),
}

struct Mesh<'a> {
    settings: &'a MeshSettings,
    links: &'a Links,
    nodes: BTreeMap<u16, Node>,
    chance: ChaCha8Rng,
    now: u64,
    end: u64,
    /// By time, and in the order in which they were made.
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
    readings: u32,
    /// How many readings wait, by node.
    waiting: BTreeMap<u16, usize>,
    delivered: BTreeSet<(NodeId, u32)>,
    report: MeshReport,
}

/// Runs a mesh to its end.
pub(super) fn run(settings: &MeshSettings, links: &Links) -> MeshReport {
    let mut mesh = Mesh::new(settings, links);
    while let Some(((time, _), event)) = mesh.events.pop_first() {
        mesh.now = time;
        mesh.happens(event);
    }
    mesh.report
}

impl<'a> Mesh<'a> {
    fn new(settings: &'a MeshSettings, links: &'a Links) -> Self {
        let milliseconds =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4);
        let duration = milliseconds(settings.duration);
        let mut mesh = Self {
            settings,
            links,
            nodes: BTreeMap::new(),
            // Other numbers than those that scatter the nodes.
            chance: ChaCha8Rng::seed_from_u64(!settings.seed),
            now: 0,
            end: COMING_UP.saturating_add(duration),
            events: BTreeMap::new(),
            made: 0,
            readings: 0,
            waiting: BTreeMap::new(),
            delivered: BTreeSet::new(),
            report: MeshReport {
                nodes: settings.nodes,
                gateways: settings.gateways,
                links: links.len() / 2,
                ..MeshReport::default()
            },
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

    fn schedule(&mut self, time: u64, event: Event) {
        self.events.insert((time, self.made), event);
        self.made += 1;
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Tick(id) => {
                let Some(node) = self.nodes.get_mut(&id) else {
                    return;
                };
                node.tick(self.now);
                self.tell(id);
                let next = self.now + u64::from(ROUTING.interval_ms);
                if next < self.end {
                    self.schedule(next, Event::Tick(id));
                }
            }
            Event::Reading(id) => self.take_reading(id),
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

    fn take_reading(&mut self, id: u16) {
        if !self.nodes.contains_key(&id) {
            return;
        }
        let next =
            self.now + u64::try_from(self.settings.interval.as_millis()).unwrap_or(u64::MAX / 4);
        self.readings += 1;
        self.report.readings += 1;
        if !self.reaches_gateway(id) {
            self.report.cut_off += 1;
        }
        let (number, taken_at) = (self.readings, self.now);
        self.look(id, 0, Waiting::Own { number, taken_at });
        if next < self.end {
            self.schedule(next, Event::Reading(id));
        }
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
                        hops: 0,
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
                _ => return self.wait(at, waits, waiting),
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
        self.report.frames += 1;
        let packet = Packet {
            attempts: packet.attempts + 1,
            ..packet
        };
        let link = self.links.get(&(from, to)).copied();
        let Link { loss, delay_ms } = link.unwrap_or(Link {
            loss: 1.0,
            delay_ms: 0,
        });
        let is_there = self.nodes.contains_key(&to) && !self.chance.random_bool(loss);
        if is_there {
            let arrived = Packet {
                hops: packet.hops + 1,
                ..packet
            };
            self.schedule(
                self.now + delay_ms,
                Event::Arrives {
                    to,
                    packet: arrived,
                },
            );
        }
        let is_acknowledged = is_there && !self.chance.random_bool(loss);
        if !is_acknowledged {
            let time = self.now + 2 * delay_ms + ACKNOWLEDGED_WITHIN;
            self.schedule(time, Event::Unacknowledged { from, to, packet });
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
                let Header { origin, number, .. } = packet.header;
                if !self.delivered.insert((origin, number)) {
                    report.duplicates += 1;
                    return;
                }
                report.delivered += 1;
                *report.hops.entry(packet.hops).or_default() += 1;
                report.slowest_ms = report.slowest_ms.max(self.now - packet.taken_at);
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
