//! The one HTTP client. A server is not trusted: no answer is read beyond a bound, redirects are not
//! followed, and every wait ends.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use fieldledger_api::answers::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Request, Response, StatusCode};
use ureq::{Agent, Body};

use crate::exit::{Exit, InputError};
use crate::output::Output;

/// Longest answer in JSON, bytes: a page of 1,000 entries with proofs has a few megabytes.
const LONGEST_JSON: u64 = 128 << 20;
/// Longest checkpoint that is read, bytes.
pub(crate) const LONGEST_NOTE: u64 = 64 << 10;
/// Longest body of an error that is looked at, bytes.
const LONGEST_PROBLEM: u64 = 64 << 10;
/// Pauses of a patient client before it asks again, seconds.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 15];
/// Time to reach the server.
const CONNECT: Duration = Duration::from_secs(10);

/// A server of the log.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    /// Says what it waits for, where it asks again.
    patient: Option<Output>,
}

/// Why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No answer at all.
    #[error("cannot reach {url}; is a server running there? name another with --url")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        source: ureq::Error,
    },
    /// The server answers that it cannot answer.
    #[error("{url} cannot serve now ({status}): {detail}; try again")]
    Unavailable {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        detail: String,
    },
    /// A token is needed, or another one.
    #[error(
        "{url} refuses the token ({status}): {detail}; give one with --token-file or FIELDLEDGER_TOKEN"
    )]
    Denied {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        detail: String,
    },
    /// The request is wrong.
    #[error("{url} refuses the request ({status}): {detail}")]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        detail: String,
    },
    /// The answer is longer than anything that makes sense.
    #[error("{url} answers with more than {limit} bytes; is a Fieldledger log served there?")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The bound, bytes.
        limit: u64,
    },
    /// The answer is not what such a request is answered with.
    #[error("the answer of {url} cannot be understood; is a Fieldledger log served there?")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// The exit code that tells a script which of these it was.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Denied { .. } => Exit::Denied,
            Self::Refused { .. } => Exit::Input,
            Self::Unreachable { .. }
            | Self::Unavailable { .. }
            | Self::TooLong { .. }
            | Self::Malformed { .. } => Exit::Unavailable,
        }
    }

    /// An answer that ends before it should.
    pub(crate) fn cut_short(url: &str, promised: u64, given: u64) -> Self {
        let detail = format!("of {promised} entries it gives {given}");
        Self::Unavailable {
            url: url.to_owned(),
            status: 200,
            detail,
        }
    }

    /// The server may answer the same request later.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    /// The server has nothing there, or no longer: 404 or 410.
    pub(crate) fn is_not_there(&self) -> bool {
        self.is_not_found() || matches!(self, Self::Refused { status: 410, .. })
    }

    /// The server's status was 404.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl Client {
    /// A client for the server at `url`.
    ///
    /// # Errors
    ///
    /// [`InputError`] where `url` is not one of HTTP.
    pub(crate) fn new(url: &str, token: Option<&str>, timeout: Duration) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/');
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || url.parse::<ureq::http::Uri>().is_err() {
            let problem = format!("--url {url:?} is not a URL such as http://127.0.0.1:8080");
            return Err(InputError(problem).into());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("fieldledger/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().into(),
            url: url.to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
            patient: None,
        })
    }

    /// The same client for long work that only reads: it waits half a minute for a server that does
    /// not answer.
    pub(crate) fn patient(mut self, output: Output) -> Self {
        self.patient = Some(output);
        self
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for a value in JSON.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where there is no such answer.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let body = self.get_bytes(path, LONGEST_JSON)?;
        self.understand(path, &body)
    }

    /// Asks for bytes, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where there is no such answer.
    pub(crate) fn get_bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        self.call("GET", path, None, limit)
    }

    /// Sends a value in JSON and gets one back.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where there is no such answer.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, ClientError> {
        let json = serde_json::to_vec(value).expect(
            "requests are made of texts, numbers and lists of them, which have a JSON form",
        );
        let body = self.call("POST", path, Some(json), LONGEST_JSON)?;
        self.understand(path, &body)
    }

    /// One request, again and again where that is wanted; every other function here goes through it.
    fn call(
        &self,
        method: &str,
        path: &str,
        json: Option<Vec<u8>>,
        limit: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let Some(output) = self.patient else {
            return self.call_once(method, path, json, limit);
        };
        for pause in PAUSES {
            match self.call_once(method, path, json.clone(), limit) {
                Err(error) if error.is_outage() => {
                    output.note(&format!("{error}; asking again in {pause} s"));
                    thread::sleep(Duration::from_secs(pause));
                }
                answered => return answered,
            }
        }
        self.call_once(method, path, json, limit)
    }

    fn call_once(
        &self,
        method: &str,
        path: &str,
        json: Option<Vec<u8>>,
        limit: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{path}", self.url);
        let unreachable = |source| ClientError::Unreachable {
            url: url.clone(),
            source,
        };
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answered = match json {
            Some(json) => {
                let request = request.header("content-type", "application/json");
                let request = request.body(json);
                request
                    .map_err(ureq::Error::from)
                    .and_then(|request| self.agent.run(request))
            }
            None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
        };
        let mut response = answered.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(url, status, &mut response));
        }
        let mut body = Vec::new();
        // One byte more than is allowed tells that there is more.
        let mut reader = response.body_mut().as_reader().take(limit + 1);
        reader
            .read_to_end(&mut body)
            .map_err(|error| unreachable(error.into()))?;
        if body.len() as u64 > limit {
            return Err(ClientError::TooLong { url, limit });
        }
        Ok(body)
    }

    fn understand<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|source| ClientError::Malformed {
            url: format!("{}{path}", self.url),
            source,
        })
    }
}

/// What a status other than success means.
fn refusal(url: String, status: StatusCode, response: &mut Response<Body>) -> ClientError {
    let mut body = Vec::new();
    let mut reader = response.body_mut().as_reader().take(LONGEST_PROBLEM);
    // What arrived of it is still worth showing.
    let _ = reader.read_to_end(&mut body);
    let detail = words_of(&body).unwrap_or_else(|| {
        let reason = status.canonical_reason().unwrap_or("no reason given");
        reason.to_lowercase()
    });
    let status = status.as_u16();
    match status {
        401 | 403 => ClientError::Denied {
            url,
            status,
            detail,
        },
        408 | 425 | 429 | 500.. => ClientError::Unavailable {
            url,
            status,
            detail,
        },
        _ => ClientError::Refused {
            url,
            status,
            detail,
        },
    }
}

/// The words of a problem body (RFC 9457) that are for people.
fn words_of(body: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let fields = problem.errors.iter();
    let fields: Vec<String> = fields
        .map(|error| format!("{}: {}", error.field, error.problem))
        .collect();
    Some(match fields.is_empty() {
        true => problem.detail,
        false => format!("{} ({})", problem.detail, fields.join("; ")),
    })
}
