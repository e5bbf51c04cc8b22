//! `POST /api/log/...`: what changes the log otherwise than an append, for tokens with the scope
//! `admin`. The name of the token goes into the log as who asked for it.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts as RequestParts;
use fieldledger_contract::ledger::{
    Erasure, Freeze, KeyChange, Retained, Retention, RetentionScope, Successor,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::authorize::authorize;
use crate::extract::{JsonBody, Whole64};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::time_input::TimeInput;
use crate::tokens::Scope;

/// Who asks, by the name of their token.
pub(crate) struct Admin(pub(crate) String);

impl FromRequestParts<Shared> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(
        request: &mut RequestParts,
        parts: &Shared,
    ) -> Result<Self, Problem> {
        let holder = authorize(parts.environment.as_ref(), &request.headers, Scope::Admin)?;
        Ok(Self(holder))
    }
}

/// Which entry, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseParams {
    /// Position in the log, from 0.
    #[schema(value_type = i64, minimum = 0)]
    entry: Whole64,
    /// Why; it stays in the log, so it must not tell what was erased.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Why a key changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyParams {
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Why the log ends, and where it goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreezeParams {
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// The log that goes on, where that is known.
    successor: Option<Successor>,
}

/// Erases the payload of an entry for good. Its leaf and every proof stay; an entry of the log says
/// who had it erased, and why. A frozen log erases, too: the duty to erase does not end with the log.
#[utoipa::path(
    post,
    path = "/api/log/erase",
    request_body = EraseParams,
    responses(
        (status = 200, description = "The payload is gone", body = Erasure),
        (status = 404, description = "The log has no such entry", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The entry is one of the log's own", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log is read-only; one that is frozen still erases", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn erase_entry(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<EraseParams>,
) -> Result<Json<Erasure>, Problem> {
    let erasure = parts
        .control
        .erase(params.entry.get(), &params.reason, &actor)?;
    Ok(Json(erasure))
}

/// What is given up, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetainParams {
    /// Payloads received before this are given up: RFC 3339 (UTC where it names no zone), a date, a
    /// span before now such as `30d`, or milliseconds since 1970.
    #[schema(value_type = String, example = "30d")]
    before: TimeInput,
    /// Which payloads.
    #[serde(default)]
    scope: RetentionScope,
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Gives up the payloads of old entries, as far as full segments hold nothing newer. Their leaves
/// and every proof stay; an entry of the log says up to where, who asked for it, and why. The answer
/// comes once that is certain; `GET /api/log/retention` shows how much disk is freed behind it.
#[utoipa::path(
    post,
    path = "/api/log/retain",
    request_body = RetainParams,
    responses(
        (status = 200, description = "The payloads are given up", body = Retained),
        (status = 410, description = "The log has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retain_entries(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<RetainParams>,
) -> Result<Json<Retained>, Problem> {
    let before = params.before.resolve(parts.environment.now());
    let before = before.map_err(|problem| Problem::bad_parameter("before", problem))?;
    let retained = parts
        .control
        .retain(before, params.scope, &params.reason, &actor)?;
    Ok(Json(retained))
}

/// What payloads are given up, and how much disk that has freed.
#[utoipa::path(
    get,
    path = "/api/log/retention",
    responses(
        (status = 200, description = "What is given up", body = Retention),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retention(State(parts): State<Shared>) -> Result<Json<Retention>, Problem> {
    Ok(Json(parts.control.retention()?))
}

/// Adds a key, which signs the log beside the one there is until that is retired.
#[utoipa::path(
    post,
    path = "/api/log/rotate-key",
    request_body = KeyParams,
    responses(
        (status = 200, description = "Both keys sign", body = KeyChange),
        (status = 409, description = "Two keys sign already", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rotate_key(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<KeyParams>,
) -> Result<Json<KeyChange>, Problem> {
    Ok(Json(parts.control.rotate_key(&params.reason, &actor)?))
}

/// Retires the older of two keys; the newer one signs alone.
#[utoipa::path(
    post,
    path = "/api/log/retire-key",
    request_body = KeyParams,
    responses(
        (status = 200, description = "The newer key signs alone", body = KeyChange),
        (status = 409, description = "Only one key signs", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retire_key(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<KeyParams>,
) -> Result<Json<KeyChange>, Problem> {
    Ok(Json(parts.control.retire_key(&params.reason, &actor)?))
}

/// Ends the log: nothing is ever appended to it again.
#[utoipa::path(
    post,
    path = "/api/log/freeze",
    request_body = FreezeParams,
    responses(
        (status = 200, description = "The log has ended", body = Freeze),
        (status = 410, description = "The log has ended already", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn freeze_log(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<FreezeParams>,
) -> Result<Json<Freeze>, Problem> {
    let frozen = parts
        .control
        .freeze(params.successor.as_ref(), &params.reason, &actor)?;
    Ok(Json(frozen))
}
