//! What the end-to-end tests share: a real site in a folder of its own, its HTTP interface, and
//! the account of what the field sent against what the log holds.
//!
//! The tests in `tests/` start real processes (nats-server, the wasmCloud host with wadm, the
//! providers, the simulator) on free ports. They need `cargo xtask build` to have run. The folder
//! of a test that failed is kept, with all logs, and its path printed.
//!
//! | module | holds |
//! |---|---|
//! | `plant` | a site in a temporary folder |
//! | `api` | its HTTP interface, as a client sees it |
//! | `account` | what the field sent against what the log holds |
//! | `device`, `pico_w` | devices that a test commands |
//! | `tree` | the root of a tree from its leaves, to show that an earlier tree is the beginning of a later one |
//! | `uplink` | the connection of a site to the centre, which can be cut |
#![forbid(unsafe_code)]

pub mod account;
pub mod api;
pub mod device;
pub mod pico_w;
pub mod plant;
pub mod tree;
pub mod uplink;
