//! `GET /log/proof/{entry}` and `GET /api/proof/{entry}/bundle`: an entry's proof in the text of C2SP
//! tlog-proof, alone or with its payload, to be saved as a file and checked without a network.
//!
//! The opaque *extra* data is the entry's leaf, 49 bytes, and after it the payload where the file has
//! one. A verifier of tlog-proofs needs the leaf and nothing else of it; ours goes on to the payload,
//! whose hash is in the leaf. None of it is trusted before the proof has been checked.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_contract::audit::{Checkpoint, Entry, InclusionProof};

use super::payload::refuse_if_removed;
use crate::extract::{NoQuery, PathParameter, QueryString};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::proofs::entry_index;

const MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// Proves that an entry is in the published tree, as a C2SP tlog-proof with the cosignatures of
/// witnesses. An entry that is newer is proven in the newest tree.
///
/// Its `extra` line is the leaf. It proves an entry without its payload too.
#[utoipa::path(
    get,
    path = "/log/proof/{entry}",
    params(("entry" = u64, Path, description = "Position in the log, from 0")),
    responses(
        (status = 200, description = "`c2sp.org/tlog-proof@v1`", body = String, content_type = "text/plain"),
        (status = 404, description = "The log has no such entry", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_proof(
    State(parts): State<Shared>,
    PathParameter(entry): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Response, Problem> {
    let InclusionProof { entry, checkpoint } = parts.witnesses.inclusion(entry_index(&entry)?)?;
    let text = tlog_proof(&entry, &entry.leaf, &checkpoint);
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

/// All that an offline verifier needs, in one file: a C2SP tlog-proof that carries the payload.
///
/// Its `extra` line is the leaf, 49 bytes, followed by the payload.
#[utoipa::path(
    get,
    path = "/api/proof/{entry}/bundle",
    params(("entry" = u64, Path, description = "Position in the log, from 0")),
    responses(
        (status = 200, description = "`c2sp.org/tlog-proof@v1`", body = String, content_type = "text/plain"),
        (status = 404, description = "The log has no such entry", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The entry lost its envelope; `detail` says why", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn download_bundle(
    State(parts): State<Shared>,
    PathParameter(entry): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Response, Problem> {
    let InclusionProof { entry, checkpoint } = parts.witnesses.inclusion(entry_index(&entry)?)?;
    refuse_if_removed(&entry)?;
    let mut extra = BASE64_STANDARD.decode(&entry.leaf).map_err(|error| {
        let detail = format!("the leaf of entry {} is not base64: {error}", entry.index);
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    extra.extend_from_slice(entry.envelope.as_bytes());
    let text = tlog_proof(&entry, &BASE64_STANDARD.encode(extra), &checkpoint);
    let file = format!("attachment; filename=\"entry-{}.tlog-proof\"", entry.index);
    let headers = [
        (CONTENT_TYPE, MEDIA_TYPE),
        (CONTENT_DISPOSITION, file.as_str()),
    ];
    Ok((headers, text).into_response())
}

fn tlog_proof(entry: &Entry, extra: &str, checkpoint: &Checkpoint) -> String {
    let mut text = format!(
        "c2sp.org/tlog-proof@v1\nextra {extra}\nindex {}\n",
        entry.index
    );
    for hash in &entry.proof {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{hash}");
    }
    text.push('\n');
    text.push_str(&checkpoint.note);
    text
}
