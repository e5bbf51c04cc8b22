//! Which sink the configuration names.
//!
//! A mistake here is `unavailable`, not `invalid`: an operator can mend it, and what was to be
//! written must wait for that.

use fieldledger_contract::Error;
use wasmcloud_component::wasi::config::store as config;

use crate::bindings::wasmcloud::secrets::reveal::reveal;
use crate::bindings::wasmcloud::secrets::store::{self as secrets, SecretValue, SecretsError};
use crate::pangea_client::PangeaClient;

/// Where events go.
pub(crate) enum Sink {
    /// The ledger provider.
    Ledger,
    /// A Pangea-shaped HTTP service.
    Pangea(PangeaClient),
}

/// The configured sink. Configuration can change between two calls, so it is read for each.
pub(crate) fn sink() -> Result<Sink, Error> {
    match value("sink")?.as_deref() {
        None | Some("ledger") => Ok(Sink::Ledger),
        Some("pangea") => {
            let url = value("pangea_url")?.ok_or_else(|| {
                mistake("pangea_url is missing; it must be the service's base URL")
            })?;
            PangeaClient::new(&url, &token()?)
                .map(Sink::Pangea)
                .map_err(|problem| mistake(&problem))
        }
        Some(other) => Err(mistake(&format!(
            "sink is {other:?}; it must be ledger or pangea"
        ))),
    }
}

fn token() -> Result<String, Error> {
    if let Some(token) = value("pangea_token")? {
        return Ok(token);
    }
    let name = value("pangea_token_secret")?.ok_or_else(|| {
        mistake("neither pangea_token nor pangea_token_secret is set; one must be")
    })?;
    let secret = secrets::get(&name).map_err(|error| {
        let problem = match error {
            SecretsError::NotFound => "this component was given no secret of that name".to_owned(),
            SecretsError::Upstream(text) | SecretsError::Io(text) => text,
        };
        mistake(&format!(
            "pangea_token_secret {name:?} cannot be read: {problem}"
        ))
    })?;
    match reveal(&secret) {
        SecretValue::String(token) => Ok(token),
        SecretValue::Bytes(bytes) => String::from_utf8(bytes).map_err(|_| {
            mistake(&format!(
                "pangea_token_secret {name:?} is no text; it must be a token"
            ))
        }),
    }
}

/// A setting; a blank one is the same as none.
fn value(key: &str) -> Result<Option<String>, Error> {
    let value =
        config::get(key).map_err(|error| mistake(&format!("{key} cannot be read: {error:?}")))?;
    Ok(value.filter(|value| !value.trim().is_empty()))
}

fn mistake(problem: &str) -> Error {
    Error::Unavailable(format!("configuration of the audit API: {problem}"))
}
