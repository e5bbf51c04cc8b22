//! `POST /witness/add-checkpoint`, `GET /witness/{origin}/checkpoint`: this site as a witness of
//! other sites' logs, C2SP tlog-witness. `GET /api/log/witnesses`: how both directions do.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fieldledger_contract::ledger::{WitnessReply, Witnessing};

use crate::extract::{NoQuery, PathParameter, QueryString};
use crate::parts::Shared;
use crate::problem::{AsItIs, Problem, excerpt};

/// What a witness answers, as it goes over HTTP.
pub(crate) struct Reply(WitnessReply);

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.0.body).into_response();
        if let Ok(content_type) = HeaderValue::from_str(&self.0.content_type) {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        response.extensions_mut().insert(AsItIs);
        response
    }
}

/// Cosigns a checkpoint of a log that this site watches, C2SP tlog-witness.
#[utoipa::path(
    post,
    path = "/witness/add-checkpoint",
    request_body(content = String, content_type = "text/plain", description = "Old size, consistency proof, empty line, checkpoint"),
    responses(
        (status = 200, description = "The cosignature, a note signature line", body = String, content_type = "text/plain"),
        (status = 400, description = "No such request, or an old size beyond the checkpoint's", body = String, content_type = "text/plain"),
        (status = 403, description = "Not signed by the log", body = String, content_type = "text/plain"),
        (status = 404, description = "A log that is not watched here", body = String, content_type = "text/plain"),
        (status = 409, description = "The size of the tree cosigned last", body = String, content_type = "text/x.tlog.size"),
        (status = 422, description = "The proof does not hold: the log may have forked", body = String, content_type = "text/plain"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn add_checkpoint(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    body: Bytes,
) -> Result<Reply, Problem> {
    Ok(Reply(parts.witnesses.add_checkpoint(&body)?))
}

/// The checkpoint that this site cosigned last of a log, with the cosignature.
#[utoipa::path(
    get,
    path = "/witness/{origin}/checkpoint",
    params(("origin" = String, Path, description = "SHA-256 of the log's origin, lower-case hexadecimal")),
    responses(
        (status = 200, description = "The signed note", body = String, content_type = "text/plain"),
        (status = 404, description = "Nothing of such a log was cosigned here", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_cosigned(
    State(parts): State<Shared>,
    PathParameter(origin): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Response, Problem> {
    let note = parts
        .witnesses
        .cosigned_checkpoint(&origin)?
        .ok_or_else(|| {
            let hash = excerpt(&origin);
            let detail =
                format!("nothing was cosigned here of a log whose origin has SHA-256 {hash}");
            Problem::new(StatusCode::NOT_FOUND, detail)
        })?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

/// How this log's checkpoints are witnessed, and what this site does as a witness.
#[utoipa::path(
    get,
    path = "/api/log/witnesses",
    responses(
        (status = 200, description = "Both directions", body = Witnessing),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_witnesses(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Json<Witnessing>, Problem> {
    Ok(Json(parts.witnesses.witnessing()?))
}
