//! Finding events and roots: `/v1/search`, `/v1/results` and `/v1/root`.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use fieldledger_contract::Error;
use fieldledger_contract::audit::{Restriction, SearchQuery};
use fieldledger_contract::ledger::PangeaPage;
use serde::{Deserialize, Serialize};

use super::call::{Done, answer};
use super::failure::{Failure, Status};
use super::shapes::{PageShape, RootShape};
use crate::logs::{CountIs, Order};
use crate::parts::Shared;
use crate::tokens::Scope;

/// Events on a page unless the request says otherwise.
const DEFAULT_PAGE: u32 = 20;
/// Events on a page at most.
pub(super) const LARGEST_PAGE: u32 = 1_000;
/// Events in a result at most, and unless the request says otherwise.
pub(super) const LARGEST_RESULT: u32 = 10_000;
/// How far back a search goes unless the request names a bound.
const DEFAULT_START: &str = "14d";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    order: Option<Order>,
    order_by: Option<String>,
    start: Option<String>,
    /// What `start` was called once.
    last: Option<String>,
    end: Option<String>,
    limit: Option<u32>,
    max_results: Option<u32>,
    search_restriction: Option<BTreeMap<String, Vec<String>>>,
    verbose: Option<bool>,
    /// Of encrypted fields, which this log does not have.
    #[serde(rename = "return_context")]
    _return_context: Option<bool>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Results {
    id: String,
    limit: Option<u32>,
    offset: Option<u32>,
    assert_search_restriction: Option<BTreeMap<String, Vec<String>>>,
    #[serde(rename = "return_context")]
    _return_context: Option<bool>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootRequest {
    tree_size: Option<u64>,
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Serialize)]
struct RootResult<'a> {
    data: RootShape<'a>,
}

/// `POST /audit/v1/search`.
pub(super) async fn search(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let body: Search = call.json()?;
        // An end alone may be earlier than where a search goes back to.
        let otherwise = || body.end.is_none().then(|| DEFAULT_START.to_owned());
        let query = SearchQuery {
            query: body.query,
            start: body.start.or(body.last).or_else(otherwise),
            end: body.end,
            order: body.order.unwrap_or(Order::Desc).into(),
            order_by: body.order_by,
            limit: body.limit.unwrap_or(DEFAULT_PAGE),
            max_results: body.max_results.unwrap_or(LARGEST_RESULT),
            restriction: restriction(body.search_restriction),
            verbose: body.verbose.unwrap_or(true),
        };
        check_range("limit", query.limit, LARGEST_PAGE)?;
        check_range("max_results", query.max_results, LARGEST_RESULT)?;
        found(&call.parts.pangea.pangea_search(&query)?, &call.base_url)
    })
    .await
}

/// `POST /audit/v1/results`.
pub(super) async fn page(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let body: Results = call.json()?;
        let limit = body.limit.unwrap_or(DEFAULT_PAGE);
        check_range("limit", limit, LARGEST_PAGE)?;
        let offset = body.offset.unwrap_or(0);
        let asserted = body.assert_search_restriction;
        let asserted = asserted.map(|asserted| restriction(Some(asserted)));
        let page = call
            .parts
            .pangea
            .pangea_page(&body.id, offset, limit, asserted.as_ref())?;
        found(&page, &call.base_url)
    })
    .await
}

fn found(page: &PangeaPage, base_url: &str) -> Result<Done, Failure> {
    let summary = match CountIs::of(page.count, page.total) {
        CountIs::Exact => format!("Found {} event(s)", page.count),
        CountIs::AtLeast => format!("Found at least {} event(s)", page.count),
    };
    Done::new(summary, &PageShape::new(page, base_url)?)
}

/// `POST /audit/v1/root`.
pub(super) async fn show_root(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let body: RootRequest = call.json()?;
        if body.tree_size == Some(0) {
            let detail = "tree_size is 0; it must be 1 or more";
            return Err(Failure::field("NotWithinRange", "/tree_size", detail));
        }
        let root = call.parts.pangea.pangea_root(body.tree_size);
        let root = root.map_err(|error| match error {
            Error::NotFound(what) => {
                Failure::new(StatusCode::NOT_FOUND, Status::TreeNotFound, what)
            }
            error => error.into(),
        })?;
        let data = RootShape::new(&root, &call.base_url);
        Done::new("Root was found", &RootResult { data })
    })
    .await
}

/// A field without values restricts nothing.
fn restriction(fields: Option<BTreeMap<String, Vec<String>>>) -> Restriction {
    let fields = fields.unwrap_or_default().into_iter();
    fields.filter(|(_, values)| !values.is_empty()).collect()
}

fn check_range(name: &str, number: u32, most: u32) -> Result<(), Failure> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    let detail = format!("{name} is {number}; it must be 1 to {most}");
    Err(Failure::field("NotWithinRange", format!("/{name}"), detail))
}
