//! `GET /api/status`: how the log is.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::ledger::LedgerStatus;

use crate::extract::{NoQuery, QueryString};
use crate::parts::Shared;
use crate::problem::Problem;

/// How the log is: its size, what it counts, whether it has ended, and its archive.
#[utoipa::path(
    get,
    path = "/api/status",
    responses(
        (status = 200, description = "How the log is", body = LedgerStatus),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_status(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Json<LedgerStatus>, Problem> {
    Ok(Json(parts.tree.ledger_status()?))
}
