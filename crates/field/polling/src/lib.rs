//! When to poll which sensor, and what to make of the answers.
//!
//! [`Engine`] is a state machine without I/O: it is told the time and what arrived, and says what to
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
//! | [`state`] | what can be asked of an engine |
//!
//! Inside the engine: `sensor` (one sensor's state), `poll_book` (polls under way and lately given
//! up), `poll_queue`, `heartbeat_rates` and `history_turns` (so that one takes nothing of others),
//! `routes` (subjects to sensors), `origin` (who may announce whom), `agenda` (what is due when),
//! `token_bucket` (rates), `receipt` and `stored_answers` (what devices wait to hear) and `record` (what
//! survives a restart).
#![forbid(unsafe_code)]

pub mod batcher;
pub mod brokers;
pub mod config;
pub mod engine;
pub mod state;

pub mod enrolment;

mod agenda;
mod error_chain;
mod heartbeat_rates;
mod history_turns;
mod moment;
mod origin;
mod poll_book;
mod poll_queue;
mod poll_result;
mod receipt;
mod record;
mod routes;
mod sensor;
mod stored_answers;
mod token_bucket;

pub use batcher::{BatchLimits, Batcher, Sealed};
pub use config::{Config, ConfigError};
pub use engine::{Action, Engine, Memory, Rejection, RestoreError, Settings};
pub use enrolment::{EnrolError, Impostor, Keys};
pub use error_chain::chain;
pub use moment::Moment;
pub use origin::OriginError;
pub use poll_result::PollResult;
pub use receipt::{Receipt, StoredAnswer};
pub use fieldledger_contract::field::{Liveness, Standing};
pub use state::{Counters, HistoryCounters, LivenessCounts, PollCounters, SensorState};
