//! One question to one witness.

use std::time::Duration;

use fieldledger_witness::{Answer, AnswerError, SignedCheckpoint, WitnessKey};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;

use crate::authorities::Authorities;

/// Longest answer that is read, bytes: room for a few hundred cosignatures.
const LONGEST_ANSWER: usize = 32 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// The request did not get there, or the answer not back.
    #[error("the witness cannot be reached: {}", causes(.0))]
    Unreachable(#[from] reqwest::Error),
    /// The answer never ends.
    #[error("the witness answered with more than {LONGEST_ANSWER} bytes")]
    TooLong,
    /// The answer is not as it must be.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Asks witnesses over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    /// A client whose requests end after `timeout`, whatever the other side does. Over HTTPS it
    /// believes the public authorities and these.
    pub(crate) fn new(
        timeout: Duration,
        authorities: &Authorities,
    ) -> Result<Self, reqwest::Error> {
        let client = authorities
            .trusted_by(reqwest::Client::builder())
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("fieldledger/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// Posts the request, and reads the answer of the witness with this key about this checkpoint.
    pub(crate) async fn add_checkpoint(
        &self,
        url: &str,
        request: String,
        checkpoint: &SignedCheckpoint,
        key: &WitnessKey,
    ) -> Result<Answer, PostError> {
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let mut response = self.0.post(url).body(request).send().await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(PostError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::read(status, &content_type, &body, checkpoint, key)?)
    }
}

/// The error without its URL, which the status has beside it, and with its causes.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let separator = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{separator}{error}");
        cause = error.source();
    }
    match text.is_empty() {
        true => "the request failed".to_owned(),
        // What rustls says, of which there is no type here.
        false if text.contains("UnknownIssuer") => {
            format!("{text}; the authority that signed its certificate belongs into witness_ca")
        }
        false => text,
    }
}
