//! `POST /witness/add-checkpoint`, `GET /witness/{origin}/checkpoint`: this site as a witness of
//! other sites' logs, C2SP tlog-witness. `GET /api/log/witnesses`: how both directions do.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::extract::{PathParameter, QueryString};
use crate::problem::{AsItIs, Problem, excerpt};
use crate::sensors::NoQuery;

/// Witnesses: those of this site's log, and this site as one of other logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Witnessing {
    /// How this log's checkpoints are witnessed; absent where no policy is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnWitnesses>,
    /// What this site does as a witness; absent where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_witness: Option<AsWitness>,
}

/// How this log's checkpoints are witnessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnWitnesses {
    /// What is published while the quorum is missing: `serve` the newest checkpoint, or `hold` the
    /// last one that satisfied the policy.
    #[schema(example = "serve")]
    pub behaviour: String,
    /// Entries in the log.
    pub tree_size: u64,
    /// Entries in the published tree; absent where nothing may be published yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_size: Option<u64>,
    /// Whether the published checkpoint satisfies the policy.
    pub witnessed: bool,
    /// Entries in the newest tree that satisfied the policy; absent where none ever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witnessed_size: Option<u64>,
    /// Each witness of the policy.
    pub witnesses: Vec<WitnessState>,
}

/// One witness of this log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct WitnessState {
    /// What the policy calls it.
    pub name: String,
    /// Its verifier key.
    pub key: String,
    /// Where it is asked; empty where the policy gives no URL.
    pub url: String,
    /// Entries in the tree that it cosigned last; 0 for none.
    pub cosigned_size: u64,
    /// When it did, seconds since the Unix epoch; 0 for never.
    pub cosigned_at: u64,
    /// Entries of the log beyond that.
    pub lag: u64,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Why an attempt failed last; stays after a success.
    pub last_error: String,
    /// Whether it says that this log is not the one it has cosigned.
    pub refuses: bool,
}

/// This site as a witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AsWitness {
    /// The verifier key that others must configure.
    pub key: String,
    /// The logs watched.
    pub logs: Vec<WatchedLog>,
}

/// A log that this site watches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct WatchedLog {
    /// Its name.
    pub origin: String,
    /// Entries in the tree cosigned last; 0 for none.
    pub size: u64,
    /// When that was, seconds since the Unix epoch; 0 for never.
    pub cosigned_at: u64,
    /// Checkpoints refused since the start because they do not continue that tree.
    pub refused: u64,
    /// The newest such refusal, or why the log cannot be cosigned; else empty.
    pub problem: String,
}

impl OwnWitnesses {
    /// How it stands, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut sentence = match (self.witnessed, self.witnessed_size) {
            (true, _) => "the published checkpoint is witnessed".to_owned(),
            (false, None) => "no checkpoint has satisfied the witness policy yet".to_owned(),
            (false, Some(size)) => format!(
                "the published checkpoint is not witnessed; the last one that was has {size} entries"
            ),
        };
        for witness in &self.witnesses {
            let problem = match witness {
                witness if witness.refuses => "says that this is not the log it has cosigned",
                witness if witness.url.is_empty() => "has no URL and is never asked",
                witness if witness.failures > 0 => "does not cosign",
                _ => continue,
            };
            sentence = format!("{sentence}; witness {} {problem}", witness.name);
        }
        sentence
    }
}

/// What a witness answers, as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessReply {
    /// HTTP status.
    pub status: u16,
    /// Content-Type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl IntoResponse for WitnessReply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body).into_response();
        if let Ok(content_type) = HeaderValue::from_str(&self.content_type) {
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
    State(backend): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    body: Bytes,
) -> Result<WitnessReply, Problem> {
    Ok(backend.add_checkpoint(&body)?)
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
    State(backend): State<Shared>,
    PathParameter(origin): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Response, Problem> {
    let note = backend.cosigned_checkpoint(&origin)?.ok_or_else(|| {
        let hash = excerpt(&origin);
        let detail = format!("nothing was cosigned here of a log whose origin has SHA-256 {hash}");
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
    State(backend): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Json<Witnessing>, Problem> {
    Ok(Json(backend.witnessing()?))
}
