//! Readings that hop from radio to radio to the nearest gateway. No radio, no clock, no allocation:
//! a [`Router`] is told what its node hears and what time it is, and says what to send and to whom.
//!
//! # Why a distance vector
//!
//! All traffic goes to a few gateways, so a node needs its distance to those and nothing else. A
//! distance vector keeps one row for each gateway and neighbour; link state would keep the whole
//! graph in every node. What a plain distance vector lacks, freedom from loops, comes from
//! Babel's feasibility condition (RFC 8966, sections 2.4 to 2.6 and 3.5.1): a node only takes a
//! route whose distance, as the neighbour tells it, is less than the least that the node has told
//! others itself, for the same sequence number. Where that leaves a node without a route, or keeps it
//! from a shorter one, it asks the gateway for a newer sequence number. A node that restarts has
//! forgotten what it told others, and is silent until its neighbours have, too.
//!
//! A packet is for one gateway, because freedom from loops holds for each destination by itself. A
//! node that has lost that gateway may give the packet to another one, a bounded number of times.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | `router` | a node's routing |
//! | `control` | what routers send each other |
//! | `neighbours` | who is within reach |
//! | `source` | what a node knows of one gateway |
//! | `forwarding` | what becomes of packets |
//! | `seen` | which packets have passed already |
//!
//! # Invariants
//!
//! Routes have no loops, whatever gets lost and whoever restarts. A node's memory has a fixed size.
//!
//! # How it is used
//!
//! * Every interval: [`Router::tick`], then send what [`Router::poll`] returns, to all neighbours.
//! * For each control message heard: [`Router::hear`], then send what [`Router::poll`] returns.
//! * For a reading: [`Router::originate`]; for a packet heard: [`Router::forward`].
//!
//! ```
//! use fieldledger_mesh::{NodeId, Role, Router, Sequence, Settings, Verdict};
//!
//! type Node = Router<8, 2, 32>;
//! let mut gateway = Node::new(NodeId(1), Role::Gateway { sequence: Sequence(0) }, Settings::default());
//! let mut sensor = Node::new(NodeId(2), Role::Sensor, Settings::default());
//!
//! // After a start a node is silent at first, and so cannot bring about a loop.
//! for node in [&mut gateway, &mut sensor] {
//!     node.tick(0);
//!     node.tick(30_000);
//! }
//! while let Some(message) = gateway.poll() {
//!     sensor.hear(gateway.id(), 1, &message, 30_000);
//! }
//! let (header, next_hop) = sensor.originate(7)?;
//! assert_eq!(next_hop, NodeId(1));
//! assert_eq!(gateway.forward(&header), Verdict::Deliver);
//! # Ok::<(), fieldledger_mesh::NoRoute>(())
//! ```
//!
//! # What it does not do
//!
//! Nothing is authenticated: whoever can send can attract readings, and lose them. That a reading
//! is genuine is what its signature shows, and that one is missing its sequence number.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod control;
mod forwarding;
mod neighbours;
mod router;
mod seen;
mod source;

pub use control::{Control, INFINITY, Metric, NodeId, Sequence};
pub use forwarding::{DropReason, Header, NoRoute, Verdict};
pub use router::{Counters, Role, Router, Settings};
