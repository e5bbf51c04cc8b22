//! Tickets: what a request leaves behind in the ledger, for a client that comes back.

use fieldledger_contract::WallTime;
use serde::{Deserialize, Serialize};

use super::call::{Call, REQUEST_PREFIX};
use super::failure::Failure;

/// How long an asynchronous request or an export can be asked for.
pub(super) const REQUEST_MINUTES: u64 = 24 * 60;

/// How long a download can be begun, and an export lives that is the result of a search.
pub(super) const DOWNLOAD_MINUTES: u64 = 60;

/// Which form events have in a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Csv,
    Json,
}

/// Which events are in a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// Those of a search.
    Search { id: String },
    /// Those at these positions of the log.
    Span {
        start: u64,
        end: u64,
        descending: bool,
        verbose: bool,
        /// The published root to prove them against, as far as it covers them.
        published: Option<u64>,
    },
}

/// What a request leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ticket {
    /// Events were logged at these positions.
    Logged { indices: Vec<u64>, verbose: bool },
    /// An export can be downloaded.
    Export { source: Source, format: Format },
    /// Whoever knows this one's number may download it.
    Download { source: Source, format: Format },
}

/// Stores a ticket; its number is the id of the request that left it.
pub(super) fn store(call: &Call<'_>, ticket: &Ticket, minutes: u64) -> Result<String, Failure> {
    let content = serde_json::to_string(ticket)
        .expect("numbers, truth values and texts have a JSON form, and a String takes it");
    let name = call
        .parts
        .pangea
        .keep(&content, in_minutes(call.now, minutes))?;
    Ok(format!("{REQUEST_PREFIX}{name}"))
}

/// The ticket of a request.
pub(super) fn find(call: &Call<'_>, request_id: &str) -> Result<Ticket, Failure> {
    let name = request_id.strip_prefix(REQUEST_PREFIX).unwrap_or_default();
    let content = call.parts.pangea.kept(name)?;
    read(&content)
}

/// Reads a ticket that was stored.
pub(super) fn read(content: &str) -> Result<Ticket, Failure> {
    serde_json::from_str(content)
        .map_err(|error| Failure::internal(format!("the stored ticket cannot be read: {error}")))
}

/// The time in so many minutes.
pub(super) fn in_minutes(now: WallTime, minutes: u64) -> WallTime {
    WallTime::from_micros(now.micros + minutes * 60_000_000)
}
