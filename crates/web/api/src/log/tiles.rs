//! `GET /log/tile/…`: hashes and leaves.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::tile_path::{Kind, TilePath};
use crate::cached::{Content, IMMUTABLE};
use crate::extract::{NoQuery, QueryString};
use crate::parts::Shared;
use crate::problem::{Problem, excerpt};

/// Tiles of hashes, and bundles of leaves, C2SP tlog-tiles.
///
/// Hashes are at `/log/tile/<L>/<N>[.p/<W>]`, leaves at `/log/tile/entries/<N>[.p/<W>]`: the level L
/// is 0 to 63, the number N is written in groups of three digits (`x001/x234/067`), the width W of
/// a partial tile is 1 to 255. Every width up to that in the signed tree is there.
#[utoipa::path(
    get,
    path = "/log/tile/{path}",
    params(("path" = String, Path, description = "As in `0/x001/067.p/5` or `entries/000`; its slashes are slashes")),
    responses(
        (status = 200, description = "The hashes, or the leaves, each after its length", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "It is the one that `If-None-Match` names"),
        (status = 404, description = "The signed tree has no such tile, or not that wide", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_tile(
    State(parts): State<Shared>,
    QueryString(NoQuery {}): QueryString<NoQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // As it was sent: a tile has one URL, so `%30` is not a `0`.
    let path = uri.path().strip_prefix("/log/tile/").unwrap_or_default();
    let TilePath {
        kind,
        number,
        width,
    } = TilePath::parse(path).ok_or_else(|| {
        let detail = format!(
            "{:?} names no tile; a path is <level>/<number> or entries/<number>, and .p/<width> if \
             it is partial, such as 0/x001/067.p/5",
            excerpt(path)
        );
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let bytes = match kind {
        Kind::Hashes { level } => parts.tree.tile(level, number, width)?,
        Kind::Entries => parts.tree.entry_bundle(number, width)?,
    };
    let content = Content {
        media_type: "application/octet-stream",
        cache_control: IMMUTABLE,
        bytes,
    };
    Ok(content.answer(&headers))
}
