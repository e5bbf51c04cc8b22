//! `POST /api/logs` and `POST /api/results`: searching the log, page by page.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldledger_contract::audit::{Checkpoint, Entry, Removal, SearchPage, SearchQuery};
use fieldledger_contract::{Error, WallTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::extract::{JsonBody, Whole32, in_range};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::time_input::{TimeInput, resolve_span};

/// Entries on a page unless the request says otherwise.
pub(crate) const DEFAULT_PAGE: u32 = 20;
/// Entries on a page at most.
pub(crate) const LARGEST_PAGE: u32 = 1_000;
/// Entries in a result at most, and unless the request says otherwise.
const LARGEST_RESULT: u32 = 10_000;

/// Order of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Oldest or smallest first.
    Asc,
    /// Newest or largest first.
    Desc,
}

impl From<Order> for fieldledger_contract::audit::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Asc => Self::Ascending,
            Order::Desc => Self::Descending,
        }
    }
}

/// What to search for. Every member may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchParams {
    /// Earliest time an entry was received: RFC 3339 (UTC where it names no zone), a date, a span
    /// before now such as `7d`, `now`, or milliseconds since 1970.
    #[schema(value_type = Option<String>, example = "7d")]
    start: Option<TimeInput>,
    /// End of the time in which entries were received, itself not included; written like `start`,
    /// which must be before it.
    #[schema(value_type = Option<String>)]
    end: Option<TimeInput>,
    /// Entries on the first page.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<Whole32>,
    /// Entries in the whole result.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 10000, default = 10000)]
    max_results: Option<Whole32>,
    /// Newest first (`desc`, the default) or oldest first.
    order: Option<Order>,
    /// Field of the event to order by; `received_at` unless given. All entries that match are
    /// ordered: numbers in `new` and `old`, and times, as such and first, then texts, last what lacks
    /// the field.
    order_by: Option<String>,
    /// Space-separated terms, `"phrases"`, `field:value`, `prefix*` and `~anycase`; empty or `*`
    /// matches all. Case matters but after `~`.
    #[schema(example = "action:SENSOR_READING status:COMM_ERROR")]
    query: Option<String>,
    /// For each named field the exact values it may have.
    search_restriction: Option<BTreeMap<String, Vec<String>>>,
    /// With leaf and audit path for each entry.
    #[schema(default = false)]
    verbose: Option<bool>,
}

impl SearchParams {
    fn check(self, now: WallTime) -> Result<SearchQuery, Problem> {
        let mut problems = Vec::new();
        let limit = in_range(
            "limit",
            self.limit,
            DEFAULT_PAGE,
            1..=LARGEST_PAGE,
            &mut problems,
        );
        let max_results = in_range(
            "max_results",
            self.max_results,
            LARGEST_RESULT,
            1..=LARGEST_RESULT,
            &mut problems,
        );
        let (start, end) = resolve_span(
            ("start", self.start.as_ref()),
            ("end", self.end.as_ref()),
            now,
            &mut problems,
        );
        if !problems.is_empty() {
            return Err(Problem::bad_parameters(problems));
        }
        Ok(SearchQuery {
            query: self.query.unwrap_or_default(),
            start: start.map(WallTime::to_rfc3339),
            end: end.map(WallTime::to_rfc3339),
            order: self.order.unwrap_or(Order::Desc).into(),
            order_by: self.order_by,
            limit,
            max_results,
            restriction: self
                .search_restriction
                .unwrap_or_default()
                .into_iter()
                .collect(),
            verbose: self.verbose.unwrap_or(false),
        })
    }
}

/// Which page of an earlier search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultParams {
    /// The `id` of an earlier result.
    id: String,
    /// Entries to skip.
    #[schema(value_type = Option<i32>, minimum = 0, default = 0)]
    offset: Option<Whole32>,
    /// Entries on this page.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<Whole32>,
}

/// Entries of the log, in the wrapper of Pangea's Secure Audit Log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogResponse {
    /// Unique id of the request.
    #[schema(example = "prq_0123456789abcdef0123456789abcdef")]
    pub request_id: String,
    /// When the request arrived.
    pub request_time: WallTime,
    /// When it was answered.
    pub response_time: WallTime,
    /// Always `Success`: an error is a problem body.
    #[schema(example = "Success")]
    pub status: String,
    /// The result in a sentence.
    pub summary: String,
    /// The result.
    pub result: LogResult,
}

/// One page of a search's result. Hashes are in base64.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogResult {
    /// Entries in the whole result: those that match, at most `max_results`.
    pub count: u64,
    /// Whether that is all entries that match.
    pub count_is: CountIs,
    /// Entries that match, however many are in the result.
    pub total: u64,
    /// Entries of this page.
    pub events: Vec<LogEvent>,
    /// Give it to `/api/results` for more of the same result.
    pub id: String,
    /// When the result goes; null where the sink does not say.
    pub expires_at: Option<WallTime>,
    /// The signed tree that covers the entries.
    pub root: Root,
    /// Entries the search index has seen; less than the tree's size while it catches up.
    pub indexed_size: u64,
}

/// What the number of entries in a result says of those that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum CountIs {
    /// So many match.
    #[serde(rename = "exact")]
    Exact,
    /// More match than the result holds.
    #[serde(rename = "at least")]
    AtLeast,
}

impl CountIs {
    /// For a result of `count` entries where `total` match.
    pub(crate) fn of(count: u64, total: u64) -> Self {
        match total > count {
            true => Self::AtLeast,
            false => Self::Exact,
        }
    }
}

/// One entry of the log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogEvent {
    /// `{event, received_at, salt, producer?, sequence?}`, in the canonical form that was hashed;
    /// null where it was removed.
    #[schema(value_type = Option<Object>)]
    pub envelope: Option<Box<RawValue>>,
    /// SHA-256 of the envelope's bytes.
    pub hash: String,
    /// Position in the log.
    pub leaf_index: u64,
    /// Always true: an entry can be read once a signed tree covers it.
    pub published: bool,
    /// What the tree's leaf hashes; only if `verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// RFC 6962 audit path, leaf to root, in the tree of `root`; only if `verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inclusion_proof: Option<Vec<String>>,
    /// Where the envelope went; only if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removal>,
}

/// A signed tree head.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Root {
    /// Name of the log.
    pub tree_name: String,
    /// Entries in the tree.
    pub size: u64,
    /// RFC 6962 root hash.
    pub root_hash: String,
    /// The whole signed note, C2SP tlog-checkpoint.
    pub note: String,
    /// The key that verifies it; the newest where two sign.
    pub verifier_key: String,
    /// Every key that signed it, oldest first.
    pub verifier_keys: Vec<String>,
}

impl From<Checkpoint> for Root {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            tree_name: checkpoint.origin,
            size: checkpoint.tree_size,
            root_hash: checkpoint.root_hash,
            note: checkpoint.note,
            verifier_key: checkpoint.verifier_key,
            verifier_keys: checkpoint.verifier_keys,
        }
    }
}

/// Searches the log.
#[utoipa::path(
    post,
    path = "/api/logs",
    request_body = SearchParams,
    responses(
        (status = 200, description = "The first page of the entries that match", body = LogResponse),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn search_logs(
    State(parts): State<Shared>,
    JsonBody(params): JsonBody<SearchParams>,
) -> Result<Json<LogResponse>, Problem> {
    let request_time = parts.environment.now();
    let query = params.check(request_time)?;
    let page = parts.log.search(&query).map_err(name_fields_as_here)?;
    respond(page, query.verbose, request_time, parts.environment.now())
}

/// A page of an earlier search. Leaf and audit path come as that search asked for them.
#[utoipa::path(
    post,
    path = "/api/results",
    request_body = ResultParams,
    responses(
        (status = 200, description = "A page of the result", body = LogResponse),
        (status = 410, description = "The result has expired; search again", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn page_results(
    State(parts): State<Shared>,
    JsonBody(params): JsonBody<ResultParams>,
) -> Result<Json<LogResponse>, Problem> {
    let request_time = parts.environment.now();
    let mut problems = Vec::new();
    let limit = in_range(
        "limit",
        params.limit,
        DEFAULT_PAGE,
        1..=LARGEST_PAGE,
        &mut problems,
    );
    if !problems.is_empty() {
        return Err(Problem::bad_parameters(problems));
    }
    let page = parts
        .log
        .page(&params.id, params.offset.map_or(0, u32::from), limit)?;
    let verbose = page.entries.iter().any(|entry| !entry.proof.is_empty());
    respond(page, verbose, request_time, parts.environment.now())
}

/// The audit interface calls one parameter by a shorter name.
fn name_fields_as_here(error: Error) -> Error {
    let Error::Invalid(mut fields) = error else {
        return error;
    };
    for problem in &mut fields {
        if problem.field.starts_with("restriction") {
            problem.field.insert_str(0, "search_");
        }
    }
    Error::Invalid(fields)
}

fn respond(
    page: SearchPage,
    verbose: bool,
    request_time: WallTime,
    response_time: WallTime,
) -> Result<Json<LogResponse>, Problem> {
    let (count, total, here) = (page.count, page.total, page.entries.len());
    let summary = match CountIs::of(count, total) {
        CountIs::Exact => format!("Found {count} entries, here are {here}"),
        CountIs::AtLeast => {
            format!("Found {total} entries, the result has the first {count}, here are {here}")
        }
    };
    let mut events = Vec::with_capacity(page.entries.len());
    for entry in page.entries {
        events.push(log_event(entry, verbose, verbose)?);
    }
    Ok(Json(LogResponse {
        request_id: format!("prq_{}", Uuid::new_v4().simple()),
        request_time,
        response_time,
        status: "Success".to_owned(),
        summary,
        result: LogResult {
            count,
            count_is: CountIs::of(count, total),
            total,
            events,
            id: page.id,
            expires_at: page.expires_at,
            root: page.checkpoint.into(),
            indexed_size: page.indexed_size,
        },
    }))
}

/// The entry in JSON, with its leaf and its audit path if asked for.
pub(crate) fn log_event(
    entry: Entry,
    with_leaf: bool,
    with_proof: bool,
) -> Result<LogEvent, Problem> {
    let index = entry.index;
    let envelope = match entry.removed {
        Some(_) => None,
        None => Some(RawValue::from_string(entry.envelope).map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the envelope of entry {index} is not JSON: {error}"),
            )
        })?),
    };
    Ok(LogEvent {
        envelope,
        hash: entry.envelope_hash,
        leaf_index: index,
        published: true,
        leaf: with_leaf.then_some(entry.leaf),
        inclusion_proof: with_proof.then_some(entry.proof),
        removed: entry.removed,
    })
}
