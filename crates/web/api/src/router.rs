//! Every route, and the description of them all.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use utoipa::OpenApi as _;

use crate::extract::BODY_LIMIT;
use crate::parts::Parts;
use crate::problem::{Problem, finish, write_body};
use crate::{
    assets, dead_letters, description, devices, entries, gaps, health, keyed, life, log, logs,
    metrics, pangea, proofs, readings, refusals, sensors, status, witness,
};

/// Where Pangea's API lies.
const PANGEA: &str = "/audit";

/// The whole HTTP interface, every answer of it: an error is a problem body, whatever made it.
///
/// The routes are listed here and once more in `Description`, because the gateway makes its router
/// anew for each request and making the description as well would double the cost of a small one.
/// A test holds the two lists together. Pangea's API has a description of its own, which is Pangea's.
pub fn router(parts: Parts) -> axum::Router {
    let parts = Arc::new(parts);
    let once = middleware::from_fn_with_state(Arc::clone(&parts), keyed::once);
    axum::Router::new()
        .route("/api/logs", post(logs::search_logs))
        .route("/api/results", post(logs::page_results))
        .route("/api/sensors", get(sensors::list_sensors))
        .route("/api/sensors/{id}", get(sensors::show_sensor))
        .route("/api/readings", get(readings::list_readings))
        .route("/api/entries", get(entries::list_entries))
        .route("/api/gaps", get(gaps::list_gaps))
        .route("/api/gaps/{id}/close", post(gaps::close_gap))
        .route("/api/refusals", get(refusals::list_refusals))
        .route("/api/proof/{entry}", get(proofs::prove_entry))
        .route(
            "/api/proof/{entry}/bundle",
            get(log::tlog_proof::download_bundle),
        )
        .route("/api/checkpoint", get(proofs::show_checkpoint))
        .route("/api/dead-letters", get(dead_letters::list_letters))
        .route("/api/dead-letters/{id}", get(dead_letters::show_letter))
        .route(
            "/api/dead-letters/{id}/retry",
            post(dead_letters::retry_letter),
        )
        .route(
            "/api/dead-letters/{id}/drop",
            post(dead_letters::drop_letter),
        )
        .route("/api/devices/approve", post(devices::approve_key))
        .route("/api/devices/retire", post(devices::retire_key))
        .route("/api/log/erase", post(life::erase_entry))
        .route("/api/log/retain", post(life::retain_entries))
        .route("/api/log/retention", get(life::retention))
        .route("/api/log/rotate-key", post(life::rotate_key))
        .route("/api/log/retire-key", post(life::retire_key))
        .route("/api/log/freeze", post(life::freeze_log))
        .route("/api/consistency", get(log::consistency::prove_consistency))
        .route("/log/checkpoint", get(log::checkpoint::show_head))
        .route("/log/tile/{*path}", get(log::tiles::show_tile))
        .route("/log/payload/{entry}", get(log::payload::show_payload))
        .route("/log/proof/{entry}", get(log::tlog_proof::show_proof))
        .route("/log/receipt/{entry}", get(log::receipt::show_receipt))
        .route("/api/status", get(status::show_status))
        .route("/api/log/witnesses", get(witness::show_witnesses))
        .route("/witness/add-checkpoint", post(witness::add_checkpoint))
        .route("/witness/{origin}/checkpoint", get(witness::show_cosigned))
        .route("/api/openapi.json", get(show_openapi))
        .route("/healthz", get(health::check_health))
        .route("/metrics", get(metrics::show_metrics))
        .nest(PANGEA, pangea::service())
        .nest("/arweave", pangea::published_roots())
        .fallback(assets::serve_asset)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(once)
        .layer(middleware::from_fn(finish))
        .with_state(parts)
}

/// Bytes that the body of a request for `path` may have: for who reads it before it comes here.
#[must_use]
pub fn largest_body(path: &str) -> usize {
    match path.starts_with(PANGEA) {
        true => pangea::BODY_LIMIT,
        false => BODY_LIMIT,
    }
}

/// An error of who stands before this API, in the shape that clients of `path` know.
pub fn refusal(path: &str, status: StatusCode, detail: &str) -> Response {
    if path.starts_with(PANGEA) {
        return pangea::refusal(status, detail);
    }
    let problem = Problem {
        instance: path.into(),
        ..Problem::new(status, detail)
    };
    let mut response = status.into_response();
    write_body(&mut response, &problem);
    response
}

/// The OpenAPI description, made from the handlers.
#[must_use]
pub fn openapi() -> Value {
    let described = serde_json::to_value(Description::openapi()).expect(
        "a description is made of texts, numbers and lists of them, which have a JSON form",
    );
    description::complete(described)
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Fieldledger",
        description = "Sensors, their readings, and the provable log that holds them. Times are \
            RFC 3339 in UTC, units UCUM codes, hashes SHA-256 in base64."
    ),
    paths(
        logs::search_logs,
        logs::page_results,
        sensors::list_sensors,
        sensors::show_sensor,
        readings::list_readings,
        entries::list_entries,
        gaps::list_gaps,
        gaps::close_gap,
        refusals::list_refusals,
        proofs::prove_entry,
        log::tlog_proof::download_bundle,
        proofs::show_checkpoint,
        dead_letters::list_letters,
        dead_letters::show_letter,
        dead_letters::retry_letter,
        dead_letters::drop_letter,
        devices::approve_key,
        devices::retire_key,
        life::erase_entry,
        life::retain_entries,
        life::retention,
        life::freeze_log,
        log::consistency::prove_consistency,
        log::checkpoint::show_head,
        log::tiles::show_tile,
        log::payload::show_payload,
        log::tlog_proof::show_proof,
        log::receipt::show_receipt,
        life::retire_key,
        life::rotate_key,
        status::show_status,
        witness::add_checkpoint,
        witness::show_cosigned,
        witness::show_witnesses,
        show_openapi,
        health::check_health,
        metrics::show_metrics,
    )
)]
struct Description;

/// This description.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    responses(
        (status = 200, description = "OpenAPI description of this interface", body = Object),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show_openapi() -> Result<Response, Problem> {
    let text = openapi().to_string();
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
