//! wRPC 0.0.1 over NATS, for wasmCloud's host and providers.
//!
//! This crate takes the place of the published `wrpc-transport-nats` 0.29 (`[patch.crates-io]` in the
//! workspace's manifest) and has the part of its public face that host and SDK use: [`Client`]. The
//! published one notes where an answer will arrive in one task and reads messages in another, without
//! an order between the two. On a busy machine the answer can be read first; it is dropped, and the call
//! hangs until its caller gives up. Eight to sixteen callers lost one call in 500 so.
//!
//! ```text
//!   caller                                             server
//!   registers inbox, inbox.results
//!   ── request, first parameters, reply: inbox ──────▶ registers its own inbox.params
//!   ◀───────────────── accepted, reply: server's inbox ──
//!   ── the other parameters to server's inbox.params ─▶
//!   ◀──────────────────────── results to inbox.results ──
//! ```
//!
//! What it holds to:
//!
//! - **In order by construction**: where a message will arrive is registered in a map, under its lock,
//!   before the message that causes it is published (`switchboard`).
//! - **Nobody waits for another**: the task that reads a connection's messages never waits for a call. A
//!   call that does not read has 64 MiB; beyond that it ends with an error (`pipe`).
//! - **One subscription** a connection, not one for each call: all clients of a connection share its
//!   switchboard.
//! - **In the process**: a call to a function that is served on the same connection is handed over in
//!   memory (`exchange`), without NATS. Not where the server has no queue group, because then each
//!   subscriber is to have its own copy.
//! - **A caller that falls silent** before its parameters are complete is given up after five seconds,
//!   because the calls of a function are read one after the other.
//!
//! An end of the connection ends all calls with an error. Subjects are in `subjects`, the two ends of a
//! call in `incoming` and `outgoing`, the public face in `client`.
#![forbid(unsafe_code)]

mod client;
mod exchange;
mod incoming;
mod outgoing;
mod pipe;
mod subjects;
mod switchboard;

pub use client::Client;
pub use incoming::Incoming;
pub use outgoing::Outgoing;
