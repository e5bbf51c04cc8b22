//! When to poll which sensor, and what to make of the answers.
//!
//! [`Engine`] is a state machine without I/O: it is given the time and what arrived, and says what to
//! do ([`Action`]) and when to be woken. `providers/nats-polling` gives it a NATS connection; the
//! tests give it any history they like.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the link's settings, checked |
//! | [`brokers`] | a list of servers that an operator sends |
//! | [`engine`] | registration, scheduling, correlation, liveness |
//! | [`enrolment`] | which key is a sensor's, and what its signatures are worth |
//! | [`batcher`] | results gathered into batches |
//! | `state` | what can be asked of an engine |
//! | `moment`, `error_chain` | the time on two clocks; an error with its causes in one line |
//!
//! | inside the engine | |
//! |---|---|
//! | `sensor`, `record` | one sensor's state, and what of it survives a restart |
//! | `sources` | whether one device speaks for a sensor, by how its answers count |
//! | `poll_queue`, `poll_book`, `poll_result` | polls that wait, polls under way and lately given up, how one ended |
//! | `heartbeat_rates`, `history_turns`, `token_bucket` | rates, so that one sensor takes nothing of others |
//! | `routes`, `origin` | subjects to sensors; who may announce whom |
//! | `points` | the points of a device that has many |
//! | `agenda` | what is due when |
//! | `receipt`, `unheard` | what devices wait to hear, and have not heard yet |
//! | `patience` | how long an answer is waited for |
//! | `refusals` | what was refused lately |
//!
//! # Invariants
//!
//! - There is at most one poll of a sensor under way, so an answer on its read topic belongs to no other.
//! - Every poll that is sent ends in exactly one result, or one for each point of its answer; a late answer
//!   is a second one, and says so. A second answer that differs is a result under a number of its own.
//! - Waiting is measured on the steady clock, what is recorded carries the wall clock.
//! - A device hears that something is stored only after it is.
#![forbid(unsafe_code)]

pub mod batcher;
pub mod brokers;
pub mod config;
pub mod engine;
pub mod sources;
mod state;

pub mod enrolment;

mod agenda;
mod error_chain;
mod heartbeat_rates;
mod history_turns;
mod moment;
mod origin;
mod patience;
mod points;
mod poll_book;
mod poll_queue;
mod poll_result;
mod receipt;
mod record;
mod refusals;
mod routes;
mod sensor;
mod token_bucket;
mod unheard;

pub use batcher::{BatchLimits, Batcher, Sealed};
pub use config::{Config, ConfigError};
pub use engine::{Action, Engine, Memory, Rejection, RestoreError, Settings};
pub use enrolment::{EnrolError, Impostor, Keys};
pub use error_chain::chain;
pub use fieldledger_contract::field::{Liveness, Standing};
pub use moment::Moment;
pub use origin::OriginError;
pub use poll_result::PollResult;
pub use receipt::{Receipt, StoredAnswer};
pub use refusals::Refusal;
pub use state::{Counters, HistoryCounters, LivenessCounts, PollCounters, SensorState};
