//! Every other path: the page a person sees.

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::cached::{REVALIDATED, is_known};
use crate::parts::Shared;
use crate::problem::Problem;

pub(crate) async fn serve_asset(
    State(parts): State<Shared>,
    request: Request,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let nothing_here = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path}; /api/openapi.json lists what there is"),
        )
    };
    let is_below = |folder| path == folder || path.starts_with(&format!("{folder}/"));
    if is_below("/api") || is_below("/log") {
        return Err(nothing_here());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let method = request.method();
        let problem = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} does not take {method}; the Allow header lists what it takes"),
        );
        return Ok(([(ALLOW, "GET, HEAD")], problem).into_response());
    }

    let asset = parts.pages.asset(path)?.ok_or_else(nothing_here)?;
    let etag = header_value(&asset.etag)?;
    let content_type = header_value(&asset.content_type)?;
    // A new version of the page shows at the next load; an unchanged one costs no body.
    let cache_control = HeaderValue::from_static(REVALIDATED);
    let headers = [(ETAG, etag), (CACHE_CONTROL, cache_control)];
    if is_known(request.headers(), &asset.etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, [(CONTENT_TYPE, content_type)], asset.body).into_response())
}

fn header_value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the page's component gave {text:?}, which no header can carry"),
        )
    })
}
