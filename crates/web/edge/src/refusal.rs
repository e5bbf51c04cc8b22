//! Errors of the edge, of the shape that the API's clients know.

use axum::body::Body;
use fieldledger_api::refusal;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, HeaderName, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::HeaderValue;
use hyper::{Response, StatusCode};

/// Why a request is not handed on.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is answered with an error.
    Error {
        status: StatusCode,
        detail: String,
        /// Whether the connection ends, because what follows on it is not known.
        last: bool,
    },
    /// What it asks for is elsewhere.
    Moved(HeaderValue),
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::Error {
            status,
            detail: detail.into(),
            last: false,
        }
    }

    pub(crate) fn last(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::Error {
            status,
            detail: detail.into(),
            last: true,
        }
    }

    /// The answer to a request for `path`.
    pub(crate) fn answer(self, path: &str) -> Response<Body> {
        let mut response = match &self {
            Self::Moved(to) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, to.clone());
                response
            }
            Self::Error { status, detail, .. } => refusal(path, *status, detail),
        };
        let mut set = |name: HeaderName, value: &'static str| {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        };
        set(CACHE_CONTROL, "no-store");
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        if let Self::Error { status, last, .. } = self {
            if last {
                set(CONNECTION, "close");
            }
            if status == StatusCode::METHOD_NOT_ALLOWED {
                set(ALLOW, "GET, HEAD, POST");
            }
        }
        response
    }
}
