//! `GET /log/checkpoint`: the signed tree head that is published.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::cached::Content;
use crate::extract::{NoQuery, QueryString};
use crate::parts::Shared;
use crate::problem::Problem;

/// The published tree head, C2SP tlog-checkpoint, with the cosignatures of its witnesses.
///
/// The newest one, or where witnesses are configured, the one that they were asked about last; where
/// the witness policy says `hold`, the last one that satisfied it.
#[utoipa::path(
    get,
    path = "/log/checkpoint",
    responses(
        (status = 200, description = "The signed note", body = String, content_type = "text/plain"),
        (status = 304, description = "It is still the one that `If-None-Match` names"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_head(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let published = parts.witnesses.published_checkpoint()?;
    let content = Content {
        media_type: "text/plain; charset=utf-8",
        cache_control: "public, max-age=1",
        bytes: published.note.into_bytes(),
    };
    Ok(content.answer(&headers))
}
