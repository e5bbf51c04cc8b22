//! Polls sensors over NATS and hands what they say to a reader, losing nothing it has accepted.
//!
//! ```text
//!  heartbeats, answers ──▶ field (drives crates/field/polling) ──batches──▶ spool ──▶ JetStream
//!                                                                              │
//!                                      reader ◀── delivery ◀───────────────────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`instance`] | one link: its tasks, from start to drain |
//! | [`reader`] | who takes the batches, as a trait |
//! | [`wasmcloud`] | the lattice's side: links, calls to the reader, the registry interface |
//!
//! Inside an instance: `connection`, `authorities` (who vouches for its server) and `clock`; `field` (the
//! engine with a network), `sensor_store` (what a restart must know), `ranking` (which of several servers),
//! `orders` (which others an operator sends), `rest` (when to move), `storage` (streams and buckets), `spool`
//! (batches into the stream), `delivery` (batches out of it), `backlog` (many of them at a time), `pacing`
//! (how fast these), `progress` and `latency` (what `status` says of all that).
#![forbid(unsafe_code)]

pub mod instance;
pub mod reader;
pub mod wasmcloud;

mod authorities;
mod backlog;
mod backoff;
mod clock;
mod connection;
mod delivery;
mod field;
mod latency;
mod orders;
mod pacing;
mod progress;
mod ranking;
mod rest;
mod sensor_store;
mod spool;
mod storage;
