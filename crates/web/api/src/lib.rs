//! The HTTP interface of Fieldledger, as an [`axum::Router`] over the [`Parts`] that answer.
//!
//! ```text
//! router.rs     every route, and the OpenAPI description that comes with it
//! description.rs  what that description says of every operation alike
//! logs.rs       POST /api/logs, POST /api/results      searching the log
//! sensors.rs    GET /api/sensors, /api/sensors/{id}    sensors with their newest reading
//! readings.rs   GET /api/readings                      one sensor over time
//! entries.rs    GET /api/entries                       the log as it is, range by range
//! dead_letters.rs GET /api/dead-letters ...            what could not be recorded
//! devices.rs    POST /api/devices/approve, /retire     which key is a sensor's
//! conditions.rs ...                                    what is odd about how they count
//! gaps.rs       GET /api/gaps, POST /api/gaps/{id}/close  which readings are missing
//! refusals.rs   GET /api/refusals                      what devices sent and was not taken
//! proofs.rs     GET /api/proof/{entry}, /api/checkpoint  what a verifier needs
//! life.rs       POST /api/log/...                       erasing, changing keys, freezing
//! log/          GET /log/…                             the log for tools that others wrote
//! witness.rs    POST /witness/add-checkpoint ...       a witness of other logs; GET /api/log/witnesses
//! status.rs     GET /api/status                         how the log is
//! health.rs     GET /healthz
//! metrics/      GET /metrics
//! assets.rs     everything else                        the page
//! sites.rs      several sites, asked as one
//! cached.rs     answers that a client may keep
//! extract.rs    how bodies, query strings and paths are read
//! problem.rs    errors, all of one shape (RFC 9457)
//! time_input.rs times as clients write them
//! spreadsheet.rs CSV that a spreadsheet opens right
//! pangea/       POST /audit/...                         Pangea's API
//! keyed.rs      writes that may be sent again: Idempotency-Key
//! tokens.rs     who may use what is not for everybody
//! authorize.rs  whether a request's token allows it
//! parts.rs      the parts of the system that the API asks
//! ```
//!
//! What can be asked is in `fieldledger_contract::calls`, and so are the types of the answers. The
//! crate knows neither wasm nor wasmCloud: `actors/http-gateway` gives it parts whose calls cross the
//! lattice, `fieldledger-standalone` a ledger in the same process, and the tests answer from memory.
#![forbid(unsafe_code)]

mod assets;
mod authorize;
mod cached;
mod conditions;
mod dead_letters;
mod description;
mod devices;
mod entries;
mod extract;
mod gaps;
mod health;
mod keyed;
mod life;
mod log;
mod logs;
mod metrics;
mod pangea;
mod parts;
mod problem;
mod proofs;
mod readings;
mod refusals;
mod router;
mod sensors;
mod sites;
pub mod spreadsheet;
mod status;
mod time_input;
mod tokens;
mod witness;

/// The bodies of answers that are not types of `fieldledger_contract`, for clients.
pub mod answers {
    pub use crate::dead_letters::{DecidedLetter, LetterList, SiteLetter};
    pub use crate::devices::DecidedKey;
    pub use crate::entries::EntriesResponse;
    pub use crate::gaps::GapsResponse;
    pub use crate::health::Health;
    pub use crate::logs::{CountIs, LogEvent, LogResponse, LogResult, Root};
    pub use crate::problem::{FieldProblem, Problem};
    pub use crate::refusals::RefusalList;
    pub use crate::sensors::{Sensor, SensorList};
    pub use crate::sites::SiteAway;
}

pub use extract::BODY_LIMIT;
pub use parts::{Environment, Parts};
pub use problem::{LOG_ENDED, Problem};
pub use router::{largest_body, openapi, refusal, router};
pub use time_input::TimeInput;
pub use tokens::{Denied, Scope, Tokens, TokensError};
