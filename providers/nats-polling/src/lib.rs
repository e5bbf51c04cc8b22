//! Polls sensors over NATS and hands what they say to a reader, losing nothing it has accepted.
//!
//! ```text
//!  heartbeats, answers ──▶ polling_loop (drives crates/field/polling) ──batches──▶ spool ──▶ JetStream
//!                                                                                     │
//!                                      reader ◀── recording ◀── delivery ◀────────────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`instance`] | one link: its tasks, from start to drain |
//! | [`reader`] | who takes the batches, as a trait |
//! | [`wasmcloud`] | the lattice's side: links, calls to the reader, the registry interface |
//!
//! | inside an instance | |
//! |---|---|
//! | `runs`, `reaching`, `present_run` | run after run, each from a server that was reached; what others may know of it |
//! | `connection`, `authorities`, `clock`, `backoff` | the NATS client, who vouches for its server, the time, pauses between attempts |
//! | `polling_loop`, `questions` | the engine with a network, and what is asked of it |
//! | `storage`, `sensor_store` | streams and buckets; what a restart must know of sensors |
//! | `spool`, `room` | batches into the stream; how full it may be |
//! | `delivery`, `recording`, `apart`, `log_end` | batches out of the stream; one to the reader, whole or in parts; a log that takes no more |
//! | `dead_letters` | what cannot be recorded in any form |
//! | `backlog`, `pacing` | many old batches at a time, and how fast these |
//! | `ranking`, `orders`, `rest` | which of several servers; which others an operator sends; when to move |
//! | `progress`, `latency` | what `status` says of all that |
//!
//! # Invariants
//!
//! - What a device was told is stored is on disk: an acknowledgement follows JetStream's, and that its fsync.
//! - A batch leaves the stream after the reader has recorded it, or as a dead letter; so it may be delivered
//!   twice, and the log knows it then.
//! - A sensor's results stay in order: they keep to one lane, and a lane has one batch under way.
//! - Nothing that was accepted is dropped for want of room or of a log: polling stops instead.
#![forbid(unsafe_code)]

pub mod instance;
pub mod reader;
pub mod wasmcloud;

mod apart;
mod authorities;
mod backlog;
mod backoff;
mod clock;
mod connection;
mod dead_letters;
mod delivery;
mod latency;
mod log_end;
mod orders;
mod pacing;
mod polling_loop;
mod present_run;
mod progress;
mod questions;
mod ranking;
mod reaching;
mod recording;
mod rest;
mod room;
mod runs;
mod sensor_store;
mod spool;
mod storage;
