//! `GET /log/receipt/{entry}`: a COSE receipt of inclusion, RFC 9942.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::extract::{NoQuery, PathParameter, QueryString};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::proofs::entry_index;

/// Proves that an entry is in the newest signed tree, as a COSE receipt of RFC 9942.
///
/// A `COSE_Sign1` of EdDSA whose payload, the tree's root, is detached: it is computed from the leaf
/// (`/log/tile/entries/…` and `/log/proof/{entry}` have it) and the inclusion proof.
#[utoipa::path(
    get,
    path = "/log/receipt/{entry}",
    params(("entry" = u64, Path, description = "Position in the log, from 0")),
    responses(
        (status = 200, description = "The receipt", body = Vec<u8>, content_type = "application/cose"),
        (status = 404, description = "The log has no such entry, or no other: the format excludes a tree of one", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_receipt(
    State(parts): State<Shared>,
    PathParameter(entry): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Response, Problem> {
    let receipt = parts.tree.receipt(entry_index(&entry)?)?;
    let media_type = "application/cose; cose-type=\"cose-sign1\"";
    Ok(([(CONTENT_TYPE, media_type)], receipt).into_response())
}
