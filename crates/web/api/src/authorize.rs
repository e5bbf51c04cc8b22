//! Whether a request's token allows what it asks for.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};

use crate::parts::Environment;
use crate::problem::Problem;
use crate::tokens::{Denied, Scope};

/// Whose request this is, if its token may do what `needed` says.
///
/// # Errors
///
/// Why it is refused.
pub(crate) fn authorize(
    environment: &dyn Environment,
    headers: &HeaderMap,
    needed: Scope,
) -> Result<String, Denied> {
    let header = headers.get(AUTHORIZATION).ok_or(Denied::Missing)?;
    let header = header.to_str().map_err(|_| Denied::Unknown)?;
    let (scheme, token) = header.split_once(' ').ok_or(Denied::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::Missing);
    }
    let tokens = environment.tokens().map_err(Denied::Unusable)?;
    tokens.holder(token.trim(), needed).map(str::to_owned)
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Missing | Denied::Unknown => StatusCode::UNAUTHORIZED,
            Denied::Scope { .. } => StatusCode::FORBIDDEN,
            Denied::Unusable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, denied.to_string())
    }
}
