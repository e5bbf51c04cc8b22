//! Whole meshes: any graph, any deaths, any losses.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use fieldledger_chance::proptest_config;
use fieldledger_mesh::{
    Control, DropReason, Header, Metric, NodeId, Role, Router, Sequence, Settings, Verdict,
};
use proptest::prelude::*;

/// Nodes of the largest mesh.
const NODES: usize = 14;
const GATEWAYS: usize = 3;

type Node = Router<NODES, GATEWAYS, 64>;

const SETTINGS: Settings = Settings {
    interval_ms: 1_000,
    neighbour_timeout_ms: 3_500,
    gateway_timeout_ms: 120_000,
    hop_limit: 32,
    retargets: 2,
};

/// Intervals after which everybody must know the shortest path: a node is silent for six after its
/// start, silence is noticed after four, a wrong distance has gone after a walk through the mesh,
/// and so has a request, and its answer.
const SETTLED: usize = 6 + 4 + 3 * NODES;

/// A mesh with radios that lose what they are told to.
struct Mesh {
    nodes: BTreeMap<NodeId, Node>,
    links: BTreeMap<(NodeId, NodeId), Metric>,
    gateways: BTreeSet<NodeId>,
    now: u64,
    /// Which deliveries fail, over and over.
    losses: Vec<bool>,
    deliveries: usize,
}

impl Mesh {
    fn new(size: usize, gateways: usize, links: &[(usize, usize, Metric)]) -> Self {
        let id = |index: usize| NodeId(u16::try_from(index).unwrap());
        let gateways: BTreeSet<NodeId> = (0..gateways.min(size)).map(id).collect();
        let mut mesh = Self {
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            gateways,
            now: 0,
            losses: vec![false],
            deliveries: 0,
        };
        for index in 0..size {
            mesh.start(id(index), Sequence(0xfffe));
        }
        for (one, other, cost) in links {
            let (one, other) = (id(one % size), id(other % size));
            if one != other {
                mesh.links.insert((one, other), *cost);
                mesh.links.insert((other, one), *cost);
            }
        }
        mesh
    }

    fn start(&mut self, id: NodeId, sequence: Sequence) {
        let role = match self.gateways.contains(&id) {
            true => Role::Gateway { sequence },
            false => Role::Sensor,
        };
        self.nodes.insert(id, Node::new(id, role, SETTINGS));
    }

    fn neighbours(&self, id: NodeId) -> Vec<(NodeId, Metric)> {
        let links = self.links.iter().filter(|((from, _), _)| *from == id);
        let all = links.map(|((_, to), cost)| (*to, *cost));
        all.filter(|(to, _)| self.nodes.contains_key(to)).collect()
    }

    /// An interval: everybody says what there is to say, and what that gives rise to.
    fn interval(&mut self) {
        self.now += u64::from(SETTINGS.interval_ms);
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in &ids {
            self.nodes.get_mut(id).unwrap().tick(self.now);
            self.no_loop();
        }
        let mut said_something = true;
        let mut messages = 0;
        while said_something {
            said_something = false;
            for id in &ids {
                let Some(message) = self.nodes.get_mut(id).unwrap().poll() else {
                    continue;
                };
                said_something = true;
                messages += 1;
                assert!(messages < 20_000, "it must come to rest");
                self.broadcast(*id, &message);
            }
        }
    }

    fn broadcast(&mut self, from: NodeId, message: &Control) {
        for (to, cost) in self.neighbours(from) {
            self.deliveries += 1;
            if self.losses[self.deliveries % self.losses.len()] {
                continue;
            }
            self.nodes
                .get_mut(&to)
                .unwrap()
                .hear(from, cost, message, self.now);
            self.no_loop();
        }
    }

    /// No packet can go in a circle, whatever is on its way right now.
    fn no_loop(&self) {
        for gateway in &self.gateways {
            for start in self.nodes.keys() {
                let mut passed = BTreeSet::from([*start]);
                let mut at = *start;
                while let Some((next, _)) =
                    self.nodes.get(&at).and_then(|node| node.route(*gateway))
                {
                    assert!(
                        passed.insert(next),
                        "{start:?} to {gateway:?} comes back to {next:?}"
                    );
                    at = next;
                }
            }
        }
    }

    /// The least distance of every node to a gateway.
    fn distances(&self) -> BTreeMap<NodeId, Metric> {
        let living = self
            .gateways
            .iter()
            .filter(|id| self.nodes.contains_key(id));
        let mut known: BTreeMap<NodeId, Metric> = living.map(|id| (*id, 0)).collect();
        for _ in 0..self.nodes.len() {
            for ((from, to), cost) in &self.links {
                if let (Some(distance), true) =
                    (known.get(from).copied(), self.nodes.contains_key(to))
                {
                    let through = distance + cost;
                    let least = known.entry(*to).or_insert(through);
                    *least = through.min(*least);
                }
            }
        }
        known
    }

    /// Sends a reading through the mesh as it is, and returns the way it took.
    fn send(&mut self, origin: NodeId, number: u32) -> Option<Vec<NodeId>> {
        let (mut header, mut at) = self
            .nodes
            .get_mut(&origin)
            .unwrap()
            .originate(number)
            .ok()?;
        let mut way = vec![origin, at];
        loop {
            match self.nodes.get_mut(&at)?.forward(&header) {
                Verdict::Deliver => return Some(way),
                Verdict::Forward {
                    header: changed,
                    next_hop,
                } => {
                    header = changed;
                    at = next_hop;
                    way.push(at);
                }
                Verdict::Drop(reason) => {
                    assert_ne!(
                        reason,
                        DropReason::Duplicate,
                        "it has been here before: {way:?}"
                    );
                    return None;
                }
            }
        }
    }

    /// Everybody knows the shortest path, and readings take it.
    fn check(&mut self) {
        let distances = self.distances();
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in ids {
            let nearest = self.nodes[&id].nearest().map(|(_, metric)| metric);
            assert_eq!(nearest, distances.get(&id).copied(), "{id:?}");
            if self.gateways.contains(&id) {
                continue;
            }
            let number = u32::try_from(self.now).unwrap();
            let way = self.send(id, number);
            let cost = way.map(|way| {
                assert!(self.gateways.contains(way.last().unwrap()));
                let hops = way.windows(2).map(|hop| self.links[&(hop[0], hop[1])]);
                hops.sum::<Metric>()
            });
            assert_eq!(cost, distances.get(&id).copied(), "{id:?}");
        }
    }
}

/// Something that happens to a mesh.
#[derive(Debug, Clone)]
enum Change {
    Death(usize),
    /// A node that was dead starts without a memory.
    Start(usize),
    /// A node forgets everything before anybody notices.
    Restart(usize),
    Link(usize, usize, Metric),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..NODES).prop_map(Change::Death),
        2 => (0..NODES).prop_map(Change::Start),
        2 => (0..NODES).prop_map(Change::Restart),
        2 => link().prop_map(|(one, other, cost)| Change::Link(one, other, cost)),
        2 => any::<prop::sample::Index>().prop_map(Change::Cut),
    ]
}

fn link() -> impl Strategy<Value = (usize, usize, Metric)> {
    (0..NODES, 0..NODES, 1_u16..10)
}

impl Mesh {
    fn change(&mut self, change: &Change, size: usize) {
        let id = |index: usize| NodeId(u16::try_from(index % size).unwrap());
        match change {
            Change::Death(index) => {
                self.nodes.remove(&id(*index));
            }
            Change::Start(index) if !self.nodes.contains_key(&id(*index)) => {
                self.start(id(*index), Sequence(0));
            }
            Change::Start(_) => {}
            Change::Restart(index) => self.start(id(*index), Sequence(0)),
            Change::Link(one, other, cost) => {
                let (one, other) = (id(*one), id(*other));
                if one != other {
                    self.links.insert((one, other), *cost);
                    self.links.insert((other, one), *cost);
                }
            }
            Change::Cut(index) if !self.links.is_empty() => {
                let all: Vec<(NodeId, NodeId)> = self.links.keys().copied().collect();
                let (one, other) = *index.get(&all);
                self.links.remove(&(one, other));
                self.links.remove(&(other, one));
            }
            Change::Cut(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..proptest_config() })]

    #[test]
    fn the_shortest_path_is_found_again_and_never_a_loop(
        size in 2..=NODES,
        gateways in 1..=GATEWAYS,
        links in prop::collection::vec(link(), 0..40),
        changes in prop::collection::vec((change(), 0_usize..3), 0..6),
        losses in prop::collection::vec(prop::bool::weighted(0.3), 1..50),
    ) {
        let mut mesh = Mesh::new(size, gateways, &links);
        for _ in 0..SETTLED {
            mesh.interval();
        }
        mesh.check();
        // Changes come while the ones before are still being noticed, and messages are lost.
        mesh.losses = losses;
        for (change, intervals) in &changes {
            mesh.change(change, size);
            for _ in 0..*intervals {
                mesh.interval();
            }
        }
        mesh.losses = vec![false];
        for _ in 0..SETTLED {
            mesh.interval();
        }
        mesh.check();
    }
}

#[test]
fn a_shorter_route_that_may_not_be_taken_is_asked_for() {
    // Node 1 is 2 from the gateway. Without that link the way over node 2 is 4 and that over node 3 is
    // 11, but node 2 is further away than node 1 was, and node 3 is not.
    let links = [(0, 1, 2), (1, 2, 1), (2, 0, 3), (1, 3, 10), (3, 0, 1)];
    let mut mesh = Mesh::new(4, 1, &links);
    for _ in 0..SETTLED {
        mesh.interval();
    }
    mesh.links.remove(&(NodeId(0), NodeId(1)));
    mesh.links.remove(&(NodeId(1), NodeId(0)));
    for _ in 0..SETTLED {
        mesh.interval();
    }
    mesh.check();
    assert_eq!(mesh.nodes[&NodeId(1)].nearest(), Some((NodeId(0), 4)));
}

#[test]
fn a_packet_changes_its_gateway() {
    // Two gateways, and between them two sensors in a row.
    let mut mesh = Mesh::new(4, 2, &[(0, 2, 1), (2, 3, 1), (3, 1, 5)]);
    for _ in 0..SETTLED {
        mesh.interval();
    }
    let (header, next_hop) = mesh
        .nodes
        .get_mut(&NodeId(3))
        .unwrap()
        .originate(1)
        .unwrap();
    assert_eq!((header.gateway, next_hop), (NodeId(0), NodeId(2)));
    // The radio of the next one finds the gateway silent.
    let node = mesh.nodes.get_mut(&NodeId(2)).unwrap();
    let Verdict::Forward { header, next_hop } = node.forward(&header) else {
        panic!()
    };
    assert_eq!(next_hop, NodeId(0));
    let Verdict::Forward { header, next_hop } = node.reroute(&header, NodeId(0), mesh.now) else {
        panic!()
    };
    assert_eq!(
        (header.gateway, next_hop, header.retargets_left),
        (NodeId(1), NodeId(3), 1)
    );
    let verdict = mesh.nodes.get_mut(&NodeId(3)).unwrap().forward(&header);
    assert!(
        matches!(
            verdict,
            Verdict::Forward {
                next_hop: NodeId(1),
                ..
            }
        ),
        "{verdict:?}"
    );
    assert_eq!(
        mesh.nodes.get_mut(&NodeId(1)).unwrap().forward(&header),
        Verdict::Deliver
    );
}

#[test]
fn duplicates_and_limits() {
    let mut mesh = Mesh::new(3, 1, &[(0, 1, 1), (1, 2, 1)]);
    for _ in 0..SETTLED {
        mesh.interval();
    }
    let header = Header {
        origin: NodeId(2),
        number: 7,
        gateway: NodeId(0),
        hops_left: 0,
        retargets_left: 0,
    };
    let node = mesh.nodes.get_mut(&NodeId(1)).unwrap();
    assert_eq!(node.forward(&header), Verdict::Drop(DropReason::HopLimit));
    let header = Header {
        number: 8,
        hops_left: 1,
        ..header
    };
    assert!(matches!(
        node.forward(&header),
        Verdict::Forward {
            next_hop: NodeId(0),
            ..
        }
    ));
    assert_eq!(node.forward(&header), Verdict::Drop(DropReason::Duplicate));
    node.lost(NodeId(0), mesh.now);
    let header = Header {
        number: 9,
        ..header
    };
    assert_eq!(node.forward(&header), Verdict::Drop(DropReason::NoRoute));
    let gateway = mesh.nodes.get_mut(&NodeId(0)).unwrap();
    assert_eq!(gateway.forward(&header), Verdict::Deliver);
    assert_eq!(
        gateway.forward(&header),
        Verdict::Drop(DropReason::Duplicate)
    );
    assert!(gateway.originate(1).is_err());
}

#[test]
fn memory_is_bounded() {
    let mut node = Router::<2, 1, 4>::new(NodeId(0), Role::Sensor, SETTINGS);
    node.tick(0);
    let awake = 10_000;
    for number in 1..100 {
        let update = Control::Update {
            gateway: NodeId(number),
            sequence: Sequence(0),
            metric: 0,
        };
        node.hear(NodeId(number), 1, &update, awake);
    }
    assert_eq!(node.nearest(), Some((NodeId(1), 1)));
    let counters = node.counters();
    assert_eq!(
        (counters.neighbours_refused, counters.gateways_refused),
        (97, 1)
    );
    // A metric that would overflow is one that cannot be reached.
    let far = Control::Update {
        gateway: NodeId(1),
        sequence: Sequence(0),
        metric: 0xfffe,
    };
    node.hear(NodeId(1), 1, &far, awake);
    assert_eq!(node.nearest(), None);
}
