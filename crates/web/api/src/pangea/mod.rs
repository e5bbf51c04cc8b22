//! Pangea's Secure Audit Log, so that its SDKs work against this log unchanged.
//!
//! An SDK's base URL is a template, `http://host:port/{SERVICE_NAME}`, so that the API lies below
//! `/audit`. Requests, answers and errors are Pangea's, not the problem bodies of the rest of the
//! API. The crate `fieldledger-pangea-tree` says what the proofs mean.
//!
//! ```text
//! call.rs       one request: who it is from, its body, and the wrapper around the answer
//! failure.rs    errors as Pangea's documentation lists them
//! events.rs     events out of requests
//! logging.rs    POST /audit/v1/log, /audit/v2/log, /audit/v2/log_async
//! searching.rs  POST /audit/v1/search, /audit/v1/results, /audit/v1/root
//! exporting.rs  POST /audit/v1/export, /audit/v1/download_results; GET /audit/request/{id}
//! download.rs   GET /audit/download/{name}
//! schema.rs     POST /audit/v1/schema
//! arweave.rs    POST /arweave/graphql, GET /arweave/{size}/: published roots, where SDKs look for them
//! tickets.rs    what a request leaves behind for a client that comes back
//! shapes.rs     events and roots as JSON
//! ```

mod arweave;
mod call;
mod download;
mod events;
mod exporting;
mod failure;
mod logging;
mod schema;
mod searching;
mod shapes;
mod tickets;

pub(crate) use call::{BODY_LIMIT, refusal};

use axum::Router;
use axum::routing::{get, post};

use crate::parts::Shared;

/// Below `/audit`.
pub(crate) fn service() -> Router<Shared> {
    Router::new()
        .route("/v1/log", post(logging::log_one))
        .route("/v2/log", post(logging::log_many))
        .route("/v2/log_async", post(logging::log_async))
        .route("/v1/search", post(searching::search))
        .route("/v1/results", post(searching::page))
        .route("/v1/root", post(searching::show_root))
        .route("/v1/export", post(exporting::export))
        .route("/v1/download_results", post(exporting::offer_download))
        .route("/v1/schema", post(schema::show_schema))
        .route("/request/{id}", get(exporting::show_request))
        .route("/download/{name}", get(download::download))
        .fallback(call::no_such_endpoint)
        .method_not_allowed_fallback(call::no_such_endpoint)
}

/// Below `/arweave`.
pub(crate) fn published_roots() -> Router<Shared> {
    Router::new()
        .route("/graphql", post(arweave::find_roots))
        .route("/{size}", get(arweave::show_root))
        .route("/{size}/", get(arweave::show_root))
}
