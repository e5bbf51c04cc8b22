//! `GET /log/payload/{entry}`: what an entry says. The tree holds its hash only.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use fieldledger_contract::audit::{Entry, RemovalKind};

use crate::cached::{Content, REVALIDATED};
use crate::extract::{NoQuery, PathParameter, QueryString};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::proofs::entry_index;

/// An entry's envelope, byte for byte as it was hashed. The entity tag is its SHA-256 in hexadecimal.
#[utoipa::path(
    get,
    path = "/log/payload/{entry}",
    params(("entry" = u64, Path, description = "Position in the log, from 0")),
    responses(
        (status = 200, description = "`{event, received_at, salt, producer?, sequence?}`", body = Object),
        (status = 304, description = "It is the one that `If-None-Match` names"),
        (status = 404, description = "The log has no such entry", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The entry lost its envelope; `detail` says why", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_payload(
    State(parts): State<Shared>,
    PathParameter(entry): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = parts.tree.entry(entry_index(&entry)?)?;
    refuse_if_removed(&entry)?;
    let content = Content {
        media_type: "application/json",
        // It may be erased, and a cache must not hold on to it then.
        cache_control: REVALIDATED,
        bytes: entry.envelope.into_bytes(),
    };
    Ok(content.answer(&headers))
}

/// 410 for an entry that has no envelope any more.
pub(crate) fn refuse_if_removed(entry: &Entry) -> Result<(), Problem> {
    let Some(removal) = &entry.removed else {
        return Ok(());
    };
    let went = match removal.kind {
        RemovalKind::Erased => "was erased",
        RemovalKind::GivenUp => "was older than what the log keeps",
    };
    let (index, marker, reason) = (entry.index, removal.entry, &removal.reason);
    let detail = format!(
        "the payload of entry {index} {went}, as entry {marker} of the log says: {reason:?}; \
         /log/proof/{index} still proves the entry"
    );
    Err(Problem::new(StatusCode::GONE, detail))
}
