//! Writing events: `/v1/log`, `/v2/log` and `/v2/log_async`.

use std::borrow::Cow;

use axum::extract::{Request, State};
use axum::response::Response;
use fieldledger_contract::ledger::PangeaLogged;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, Done, answer};
use super::events::{SentEvent, columns};
use super::failure::Failure;
use super::shapes::envelope;
use super::tickets::{self, REQUEST_MINUTES, Ticket};
use crate::parts::Shared;
use crate::tokens::Scope;

/// Events in a request at most.
const MOST_EVENTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogOne {
    event: Box<RawValue>,
    signature: Option<String>,
    public_key: Option<String>,
    verbose: Option<bool>,
    prev_root: Option<String>,
    /// A service of Pangea's can have several logs; this one has one.
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogMany {
    events: Vec<SentEvent>,
    verbose: Option<bool>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

/// What became of an event.
#[derive(Serialize)]
struct LogResult<'a> {
    hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership_proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpublished_root: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_proof: Option<&'a [String]>,
}

impl<'a> LogResult<'a> {
    fn new(logged: &'a PangeaLogged, verbose: bool) -> Result<Self, Failure> {
        let event = &logged.event;
        if !verbose {
            return Ok(Self {
                hash: &event.hash,
                envelope: None,
                membership_proof: None,
                unpublished_root: None,
                consistency_proof: None,
            });
        }
        Ok(Self {
            hash: &event.hash,
            envelope: Some(envelope(event)?),
            membership_proof: event.membership_proof.as_deref(),
            unpublished_root: Some(&logged.unpublished_root),
            consistency_proof: logged.consistency_proof.as_deref(),
        })
    }
}

#[derive(Serialize)]
struct LogResults<'a> {
    results: Vec<LogResult<'a>>,
}

/// `POST /audit/v1/log`.
pub(super) async fn log_one(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Write, |call| {
        let body: LogOne = call.json()?;
        let verbose = body.verbose.unwrap_or(false);
        let previous = checked_root(body.prev_root)?;
        let sent = [SentEvent {
            event: body.event,
            signature: body.signature,
            public_key: body.public_key,
        }];
        let indices = write(call, &sent, |_| String::new())?;
        let logged = call
            .parts
            .pangea
            .pangea_logged(&indices, previous.as_deref())?;
        let only = logged.first().ok_or_else(not_logged)?;
        Done::new("Logged 1 record(s)", &LogResult::new(only, verbose)?)
    })
    .await
}

/// `POST /audit/v2/log`.
pub(super) async fn log_many(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Write, |call| {
        let (indices, verbose) = write_many(call)?;
        results(call, &indices, verbose)
    })
    .await
}

/// `POST /audit/v2/log_async`: the events are in the log when this is answered, but the answer says
/// no more than where to ask what became of them.
pub(super) async fn log_async(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Write, |call| {
        let (indices, verbose) = write_many(call)?;
        let id = tickets::store(call, &Ticket::Logged { indices, verbose }, REQUEST_MINUTES)?;
        Done::accepted(call, id, REQUEST_MINUTES)
    })
    .await
}

/// What became of events at these positions.
pub(super) fn results(call: &Call<'_>, indices: &[u64], verbose: bool) -> Result<Done, Failure> {
    let logged = call.parts.pangea.pangea_logged(indices, None)?;
    let results: Result<_, _> = logged
        .iter()
        .map(|logged| LogResult::new(logged, verbose))
        .collect();
    let results = LogResults { results: results? };
    Done::new(format!("Logged {} record(s)", indices.len()), &results)
}

fn write_many(call: &Call<'_>) -> Result<(Vec<u64>, bool), Failure> {
    let body: LogMany = call.json()?;
    let found = body.events.len();
    if found == 0 {
        let detail = "events is empty; it must hold at least one";
        return Err(Failure::field("BelowMinItems", "/events", detail));
    }
    if found > MOST_EVENTS {
        let detail = format!("events has {found} items; at most {MOST_EVENTS} are allowed");
        return Err(Failure::field("AboveMaxItems", "/events", detail));
    }
    let indices = write(call, &body.events, |item| format!("/events/{item}"))?;
    Ok((indices, body.verbose.unwrap_or(false)))
}

/// Writes the events, all or none, and says where they are.
fn write(
    call: &Call<'_>,
    sent: &[SentEvent],
    pointer: impl Fn(usize) -> String,
) -> Result<Vec<u64>, Failure> {
    let mut columns = columns(sent, pointer).map_err(Failure::invalid)?;
    if let Some(key) = &call.key {
        key.mark(&mut columns);
        let written = call.parts.log.write(columns)?;
        return Ok(key.places(call.parts, written.indices)?);
    }
    let written = call.parts.log.write(columns)?;
    written
        .indices
        .into_iter()
        .collect::<Option<Vec<u64>>>()
        .ok_or_else(not_logged)
}

fn not_logged() -> Failure {
    Failure::internal(
        "the events were written, but not to this site's ledger, which alone can prove them",
    )
}

fn checked_root(root: Option<String>) -> Result<Option<String>, Failure> {
    let is_hash = |text: &String| {
        text.len() == 64
            && text
                .bytes()
                .all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'))
    };
    match root {
        Some(text) if !is_hash(&text) => Err(Failure::field(
            "DoesNotMatchPattern",
            "/prev_root",
            "prev_root is not a root; it must be 64 hex digits",
        )),
        root => Ok(root),
    }
}
