//! The HTTP interface of Fieldledger, as an [`axum::Router`] over a [`Backend`].
//!
//! ```text
//! router.rs     every route, and the OpenAPI description that comes with it
//! logs.rs       POST /api/logs, POST /api/results      searching the log
//! sensors.rs    GET /api/sensors, /api/sensors/{id}    sensors with their newest reading
//! readings.rs   GET /api/readings                      one sensor over time
//! entries.rs    GET /api/entries                       the log as it is, range by range
//! devices.rs    POST /api/devices/approve, /retire     which key is a sensor's
//! gaps.rs       GET /api/gaps                          which readings are missing
//! proofs.rs     GET /api/proof/{entry}, /api/checkpoint  what a verifier needs
//! life.rs       POST /api/log/...                       erasing, changing keys, freezing
//! log/          GET /log/…                             the log for tools that others wrote
//! witness.rs    POST /witness/add-checkpoint ...       a witness of other logs; GET /api/log/witnesses
//! status.rs     GET /api/status                         how the log is
//! health.rs     GET /healthz
//! metrics.rs    GET /metrics
//! assets.rs     everything else                        the page
//! sites.rs      several sites, asked as one
//! cached.rs     answers that a client may keep
//! extract.rs    how bodies, query strings and paths are read
//! problem.rs    errors, all of one shape (RFC 9457)
//! moment.rs     times
//! pangea/       POST /audit/...                         Pangea's API
//! tokens.rs     who may use what is not for everybody
//! backend.rs    the calls behind the API
//! ```
//!
//! The crate knows neither wasm nor wasmCloud: `actors/http-gateway` gives it a backend whose calls
//! cross the lattice, and the tests give it one that answers from memory.
#![forbid(unsafe_code)]

pub mod backend;

mod assets;
mod cached;
mod devices;
mod entries;
mod extract;
mod gaps;
mod health;
mod life;
mod log;
mod logs;
mod metrics;
mod moment;
mod pangea;
mod problem;
mod proofs;
mod readings;
mod router;
mod sensors;
mod sites;
mod status;
mod tokens;
mod witness;

pub use backend::{Backend, BackendError};
pub use extract::BODY_LIMIT;
pub use log::LogTree;
pub use moment::{Moment, TimeInput};
pub use problem::{FieldProblem, Problem};
pub use router::{openapi, router};
pub use tokens::{Denied, Scope, Tokens, TokensError, authorize};

use std::sync::Arc;

/// What every handler gets.
pub(crate) type Shared = Arc<dyn Backend>;
