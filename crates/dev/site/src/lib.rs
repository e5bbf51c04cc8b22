//! Starts, watches and stops the processes of one site: two nats-servers, one for the lattice and one
//! for the field, the wasmCloud host with wadm, the deployed application and the simulator.
//!
//! [`Site`] does it all; `cargo xtask up` and the end-to-end tests are built on it. The parts can
//! be killed and started again one by one, which is what those tests do:
//!
//! ```no_run
//! # async fn example() -> Result<(), fieldledger_site::SiteError> {
//! use fieldledger_site::{Artifacts, Site, SiteOptions};
//!
//! let mut options = SiteOptions::new(Artifacts::locate()?, "/tmp/a-site".into())?;
//! options.set("nats-polling", "BATCH_AGE_MS", "20");
//! let mut site = Site::start(options).await?;
//! let simulator = site.start_simulator("simulator", &["--sensors", "40"]).await?;
//! println!("the page is at {}", site.http_url());
//! site.host.kill9().await;
//! site.restart_host().await?;
//! simulator.stop().await;
//! site.stop().await;
//! # Ok(()) }
//! ```
//!
//! Nothing here depends on wasmCloud's crates: a site is spoken to over NATS, as wash does.
//!
//! | module | holds |
//! |---|---|
//! | `site`, `leaf_site` | a whole site; one that belongs to the lattice of another |
//! | `site_options`, `part` | what a site is made of; the processes that are started again where they end |
//! | `host`, `nats_server`, `nats_options`, `simulator`, `emulator` | its processes, and how nats-server is configured |
//! | `process`, `leftovers` | child processes, and those that a killed parent left |
//! | `ports`, `listener`, `own_names`, `disk` | TCP ports, who listens there, names of this machine, room on disks |
//! | `access`, `authority` | who may speak on which subject; the authority behind TLS |
//! | `lattice`, `manifest`, `placement` | deploying `wadm.yaml`: requests, settings, labels |
//! | `leafnodes`, `mqtt_streams`, `adopted` | servers that join another; bounds on MQTT's streams; streams of a server without accounts |
//! | `brokers`, `field_address` | lists of brokers for provider and devices; where devices reach the field's server |
//! | `artifacts`, `tools`, `nats_version` | what `cargo xtask build` made; programs that are not ours |
//! | `error` | what can go wrong |
//!
//! **Invariants.** What a killed owner left running is stopped by the next start in the same folder. A test's site
//! listens on free ports of loopback only.
#![forbid(unsafe_code)]

mod access;
mod adopted;
mod artifacts;
mod authority;
mod brokers;
mod disk;
mod emulator;
mod error;
mod field_address;
mod host;
mod lattice;
mod leaf_site;
mod leafnodes;
mod leftovers;
mod listener;
mod manifest;
mod mqtt_streams;
mod nats_options;
mod nats_server;
mod nats_version;
mod own_names;
mod part;
mod placement;
mod ports;
mod process;
mod simulator;
mod site;
mod site_options;
mod tools;

pub use access::Access;
pub use access::user::{DEVICE_PREFIX, OPEN_PREFIXES, Role, User};
pub use access::users::{FieldUsers, NewUser};
pub use artifacts::Artifacts;
pub use authority::FieldAuthority;
pub use brokers::{BrokerAnswer, BrokerList, FieldOperator};
pub use disk::free_space;
pub use emulator::{Emulator, HOST_OF_EMULATOR};
pub use error::SiteError;
pub use field_address::FieldAddress;
pub use host::{Host, HostOptions, Manager};
pub use lattice::{ApplicationStatus, Lattice};
pub use leaf_site::LeafSite;
pub use leafnodes::{Leaf, Place};
pub use leftovers::stop_leftovers;
pub use listener::Listener;
pub use manifest::Manifest;
pub use nats_options::NatsOptions;
pub use nats_server::NatsServer;
pub use nats_version::{NatsVersion, OLDEST_NATS};
pub use part::Part;
pub use ports::{check_free, free_port, free_ports};
pub use process::Process;
pub use simulator::Simulator;
pub use site::Site;
pub use site_options::{LeafSiteOptions, SiteOptions};
pub use tools::{
    DEBIAN_GO_PATH, find_cose, find_micropython, find_moto_server, find_nats_server, find_qemu_arm,
    find_witness_log, tools_dir,
};
