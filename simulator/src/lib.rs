//! Simulated sensors that misbehave on demand and whose every value can be computed again.
//!
//! Everything follows from a seed: the sensors' ids, what each measures at its n-th poll
//! ([`Sensor::value`]), and what goes wrong with that answer ([`Simulation::fault`]). A test that
//! knows the seed knows what must be in the log. There is no task per sensor and no timer per
//! sensor: thousands share one connection, one subscription and one loop.
//!
//! A sensor numbers the polls it hears from 1, and that number is the sequence number of its
//! answer. A poll that it drops uses up its number too, as a message lost on the way would; a poll
//! that comes while it is off ([`Flapping`]) does not. A late answer keeps the number and the time
//! of its poll, so it may arrive after an answer with a higher number.
//!
//! The *original* is the proof of concept that Fieldledger grew out of: a simulator of forty sensors
//! over NATS, and a program for the Pico W over MQTT. [`Style::Original`] speaks as these did.
//!
//! A mesh of simulated radios is another matter, and needs no broker: [`run_mesh`]. A [`PolledMesh`]
//! has gateways that a site polls through one.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use fieldledger_simulator::{Settings, Simulation, run};
//! use tokio_util::sync::CancellationToken;
//!
//! let settings = Settings { sensors: 1000, seed: 7, polls: Some(10), ..Settings::default() };
//! let simulation = Arc::new(Simulation::new(settings)?);
//! run(simulation.clone(), CancellationToken::new()).await?;
//! println!("{} answers", simulation.counts().answers);
//! # Ok(()) }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `catalogue` | the plant that is simulated |
//! | `sensor`, `simulation` | one sensor, and all of them, without any network |
//! | `chance`, `hundredths` | draws that repeat; a value with two decimals, exact |
//! | `faults` | what can go wrong, and how often |
//! | `announcements`, `messages`, `topics` | when heartbeats are sent, what is sent, and where |
//! | `broker`, `connection`, `login`, `nats`, `mqtt` | connections |
//! | `counters`, `record` | what is counted; every answer that was sent, to compare the log with |
//! | `run`, `mesh` | runs a simulation; a mesh of radios |
//!
//! **Invariants.** The same seed, sensor and turn give the same value and the same fault, on every machine.
#![forbid(unsafe_code)]

mod announcements;
mod broker;
pub mod catalogue;
mod chance;
mod connection;
mod counters;
mod faults;
mod hundredths;
mod login;
mod mesh;
pub mod messages;
mod mqtt;
mod nats;
mod record;
mod run;
mod sensor;
mod simulation;
mod topics;

pub use broker::{Broker, MqttBroker, NatsBroker};
pub use counters::Counts;
pub use faults::{Fault, Faults, FaultsError, Flapping};
pub use hundredths::Hundredths;
pub use login::{Login, LoginError};
pub use mesh::{
    MeshError, MeshPolls, MeshReport, MeshSettings, PolledMesh, PolledMeshError, run_mesh,
};
pub use mqtt::MqttError;
pub use nats::NatsError;
pub use record::RecordError;
pub use run::{RunError, run};
pub use sensor::Sensor;
pub use simulation::{Answer, Settings, SettingsError, Simulation};
pub use topics::{PrefixError, Protocol, Style, Topics};
