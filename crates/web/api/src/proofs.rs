//! `GET /api/proof/{entry}` and `GET /api/checkpoint`: what a verifier needs.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use fieldledger_contract::audit::{Checkpoint, InclusionProof, Removal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::{NoQuery, PathParameter, QueryString, parse_whole};
use crate::parts::Shared;
use crate::problem::{Problem, excerpt};

/// All that an offline verifier needs to check one entry. Hashes are in base64.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProofResponse {
    /// Position in the log.
    index: u64,
    /// Entries in the tree that the proof is for.
    tree_size: u64,
    /// The 49 bytes that the tree's leaf hashes: version, envelope hash, index, received time.
    leaf: String,
    /// The envelope, byte for byte as it was hashed; null where it was removed.
    envelope: Option<String>,
    /// SHA-256 of the envelope's bytes.
    envelope_hash: String,
    /// RFC 6962 audit path, leaf to root.
    inclusion_proof: Vec<String>,
    /// The signed note, C2SP tlog-checkpoint, that has the tree's root hash.
    checkpoint: String,
    /// The key that verifies the note, C2SP signed-note `name+hash+key`; the newest where two sign.
    verifier_key: String,
    /// Every key that signed the note, oldest first.
    verifier_keys: Vec<String>,
    /// Where the envelope went; only if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Removal>,
}

/// Proves that an entry is in the log.
#[utoipa::path(
    get,
    path = "/api/proof/{entry}",
    params(("entry" = u64, Path, description = "Position in the log, from 0")),
    responses(
        (status = 200, description = "The entry and its proof", body = ProofResponse),
        (status = 404, description = "The log has no such entry", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn prove_entry(
    State(parts): State<Shared>,
    PathParameter(entry): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Json<ProofResponse>, Problem> {
    let InclusionProof { entry, checkpoint } = parts.log.proof(entry_index(&entry)?)?;
    Ok(Json(ProofResponse {
        index: entry.index,
        tree_size: checkpoint.tree_size,
        leaf: entry.leaf,
        envelope: entry.removed.is_none().then_some(entry.envelope),
        envelope_hash: entry.envelope_hash,
        inclusion_proof: entry.proof,
        checkpoint: checkpoint.note,
        verifier_key: checkpoint.verifier_key,
        verifier_keys: checkpoint.verifier_keys,
        removed: entry.removed,
    }))
}

/// Reads the position of an entry from a path.
pub(crate) fn entry_index(text: &str) -> Result<u64, Problem> {
    parse_whole(text).ok_or_else(|| {
        let given = excerpt(text);
        Problem::bad_parameter(
            "entry",
            format!("{given:?} is not an entry; give its position in the log, from 0"),
        )
    })
}

/// The newest signed tree head; as `text/plain` the note alone.
#[utoipa::path(
    get,
    path = "/api/checkpoint",
    responses(
        (status = 200, description = "The newest signed tree head", content(
            (Checkpoint = "application/json"),
            (String = "text/plain"),
        )),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_checkpoint(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let checkpoint = parts.log.checkpoint()?;
    let mut response = if prefers_plain_text(&headers) {
        (
            [(CONTENT_TYPE, "text/plain; charset=utf-8")],
            checkpoint.note,
        )
            .into_response()
    } else {
        Json(checkpoint).into_response()
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// True where the Accept header names `text/plain` with a higher weight than JSON.
fn prefers_plain_text(headers: &HeaderMap) -> bool {
    let mut text_weight = 0.0;
    let mut json_weight = 0.0;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let weight: f32 = parts
                .find_map(|parameter| parameter.strip_prefix("q="))
                .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if media_type.eq_ignore_ascii_case("text/plain") {
                text_weight = weight;
            } else if media_type.eq_ignore_ascii_case("application/json") {
                json_weight = weight;
            }
        }
    }
    text_weight > json_weight
}
