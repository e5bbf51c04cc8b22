//! What a client comes back for: `/v1/export`, `/v1/download_results` and `/request/{id}`.
//!
//! An export is bounds in the log and nothing else, so it is ready at once; the events are read
//! when they are downloaded.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use fieldledger_contract::audit::SearchQuery;
use fieldledger_contract::{Error, WallTime};
use serde::{Deserialize, Serialize};

use super::call::{Call, Done, REQUEST_PREFIX, answer};
use super::failure::Failure;
use super::logging;
use super::searching::LARGEST_RESULT;
use super::tickets::{self, DOWNLOAD_MINUTES, Format, REQUEST_MINUTES, Source, Ticket, in_minutes};
use crate::logs::Order;
use crate::parts::Shared;
use crate::tokens::Scope;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: Option<Format>,
    start: Option<String>,
    end: Option<String>,
    order: Option<Order>,
    order_by: Option<String>,
    verbose: Option<bool>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DownloadResults {
    result_id: Option<String>,
    request_id: Option<String>,
    format: Option<Format>,
    #[serde(rename = "return_context")]
    _return_context: Option<bool>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct DownloadResult {
    dest_url: String,
    expires_at: WallTime,
}

/// `POST /audit/v1/export`.
pub(super) async fn export(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let body: Export = call.json()?;
        let format = body.format.unwrap_or(Format::Csv);
        let (source, minutes) = match body.order_by.as_deref() {
            None | Some("received_at") => (span(call, &body)?, REQUEST_MINUTES),
            Some(_) => (sorted(call, body)?, DOWNLOAD_MINUTES),
        };
        let id = tickets::store(call, &Ticket::Export { source, format }, minutes)?;
        Done::accepted(call, id, minutes)
    })
    .await
}

/// The export in the order of the log, of which any number of events can be had.
fn span(call: &Call<'_>, body: &Export) -> Result<Source, Failure> {
    let (start, end) = (body.start.as_deref(), body.end.as_deref());
    let (start, end) = call.parts.pangea.span(start, end)?;
    let published = match call.parts.pangea.pangea_root(None) {
        Ok(root) => Some(root.size),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Source::Span {
        start,
        end,
        descending: body.order == Some(Order::Desc),
        verbose: body.verbose.unwrap_or(true),
        published,
    })
}

/// The export in another order, which is the result of a search.
fn sorted(call: &Call<'_>, body: Export) -> Result<Source, Failure> {
    let query = SearchQuery {
        query: String::new(),
        start: body.start,
        end: body.end,
        order: body.order.unwrap_or(Order::Asc).into(),
        order_by: body.order_by,
        limit: 1,
        max_results: LARGEST_RESULT,
        restriction: Vec::new(),
        verbose: body.verbose.unwrap_or(true),
    };
    let found = call.parts.pangea.pangea_search(&query)?;
    let all = call
        .parts
        .pangea
        .span(query.start.as_deref(), query.end.as_deref())?;
    if all.1 - all.0 > u64::from(LARGEST_RESULT) {
        let detail = format!(
            "order_by sorts at most {LARGEST_RESULT} events, and these are {}; leave it out, or \
             narrow start and end",
            all.1 - all.0
        );
        return Err(Failure::field("NotWithinRange", "/order_by", detail));
    }
    Ok(Source::Search { id: found.id })
}

/// `POST /audit/v1/download_results`.
pub(super) async fn offer_download(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let body: DownloadResults = call.json()?;
        let (source, format) = match (body.result_id, body.request_id) {
            (Some(id), None) => {
                // Says at once whether there is such a result.
                call.parts.pangea.pangea_page(&id, 0, 1, None)?;
                (Source::Search { id }, None)
            }
            (None, Some(id)) => match tickets::find(call, &id)? {
                Ticket::Export { source, format } => (source, Some(format)),
                Ticket::Logged { .. } | Ticket::Download { .. } => {
                    let detail = "request_id is not that of an export";
                    return Err(Failure::field("DoesNotExist", "/request_id", detail));
                }
            },
            (None, None) => {
                let detail = "result_id or request_id must be given";
                return Err(Failure::field("MustProvideOne", "/result_id", detail));
            }
            (Some(_), Some(_)) => {
                let detail = "only one of result_id and request_id can be given";
                return Err(Failure::field("MutuallyExclusive", "/request_id", detail));
            }
        };
        let format = body.format.or(format).unwrap_or(Format::Csv);
        let id = tickets::store(call, &Ticket::Download { source, format }, DOWNLOAD_MINUTES)?;
        let name = id.trim_start_matches(REQUEST_PREFIX);
        let result = DownloadResult {
            dest_url: format!("{}/audit/download/{name}", call.base_url),
            expires_at: in_minutes(call.now, DOWNLOAD_MINUTES),
        };
        Done::new("Download is ready", &result)
    })
    .await
}

/// `GET /audit/request/{id}`.
pub(super) async fn show_request(
    state: State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    answer(state, request, Scope::Read, |call| {
        let done = match tickets::find(call, &id)? {
            Ticket::Logged { indices, verbose } => logging::results(call, &indices, verbose),
            Ticket::Export { .. } | Ticket::Download { .. } => {
                Done::new("Export is ready", &Empty {})
            }
        };
        Ok(done?.of_request(id))
    })
    .await
}
