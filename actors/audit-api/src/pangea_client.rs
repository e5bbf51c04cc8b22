//! HTTP to a Pangea-shaped service. What is said over it is decided in `fieldledger_audit::pangea`.

use std::time::Duration;

use fieldledger_audit::pangea;
use fieldledger_contract::Error;
use fieldledger_contract::audit::{Checkpoint, EventColumns, SearchPage, SearchQuery, Written};
use wstd::http::body::util::Limited;
use wstd::http::{Body, BodyExt, Client, HeaderValue, Method, Request, Uri};
use wstd::runtime::block_on;

/// The host gives a call that a component makes 10 s, so each wait ends well before.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);

/// A page of 1,000 entries of the usual 1 KiB has 1 MiB.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// A service and the right to use it.
pub(crate) struct PangeaClient {
    base_url: String,
    authorization: HeaderValue,
}

struct Answer {
    http_status: u16,
    body: Vec<u8>,
}

impl PangeaClient {
    /// Checks the URL and the token; the token is never part of an error.
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, String> {
        let base_url = url.trim_end_matches('/').to_owned();
        let parsed: Uri = base_url
            .parse()
            .map_err(|error| format!("pangea_url is no URL: {error}"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            return Err(
                "pangea_url must begin with http:// or https:// and name a host".to_owned(),
            );
        }
        if parsed.query().is_some() {
            return Err("pangea_url must not hold a query".to_owned());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| "the token holds characters that no HTTP header may hold".to_owned())?;
        authorization.set_sensitive(true);
        Ok(PangeaClient {
            base_url,
            authorization,
        })
    }

    /// Writes events, in several requests where they are many: then not all or none.
    pub(crate) fn write(&self, events: &EventColumns) -> Result<Written, Error> {
        for request in pangea::log_requests(events) {
            let answer = self.post(pangea::LOG_PATH, request.body)?;
            pangea::read_log_answer(answer.http_status, &answer.body, request.events)?;
        }
        Ok(pangea::written(events.len()))
    }

    /// Entries that match, from the first.
    pub(crate) fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error> {
        let answer = self.post(pangea::SEARCH_PATH, pangea::search_request(query)?)?;
        pangea::read_page(answer.http_status, &answer.body, None)
    }

    /// More of an earlier search.
    pub(crate) fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error> {
        let answer = self.post(
            pangea::RESULTS_PATH,
            pangea::results_request(id, offset, limit)?,
        )?;
        pangea::read_page(answer.http_status, &answer.body, Some(id))
    }

    /// The newest published root.
    pub(crate) fn root(&self) -> Result<Checkpoint, Error> {
        let answer = self.post(pangea::ROOT_PATH, pangea::ROOT_REQUEST.to_owned())?;
        pangea::read_root(answer.http_status, &answer.body)
    }

    fn post(&self, path: &str, body: String) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.base_url);
        block_on(self.exchange(&url, body))
            .map_err(|error| Error::Unavailable(format!("no answer from {url}: {error:#}")))
    }

    async fn exchange(&self, url: &str, body: String) -> Result<Answer, wstd::http::Error> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header("authorization", self.authorization.clone())
            .header("content-type", "application/json")
            .body(Body::from(body))?;
        let mut client = Client::new();
        client.set_connect_timeout(CONNECT_TIMEOUT);
        client.set_first_byte_timeout(ANSWER_TIMEOUT);
        client.set_between_bytes_timeout(ANSWER_TIMEOUT);

        let response = client.send(request).await?;
        let http_status = response.status().as_u16();
        let body = Limited::new(response.into_body().into_boxed_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(wstd::http::Error::from_boxed)?;
        Ok(Answer {
            http_status,
            body: body.to_bytes().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn urls_and_tokens_are_checked() {
        let client = PangeaClient::new("http://127.0.0.1:9999/audit/", "t\n").unwrap();
        assert_eq!(client.base_url, "http://127.0.0.1:9999/audit");
        assert_eq!(client.authorization, "Bearer t");
        for url in [
            "",
            "audit.example",
            "ftp://a.example",
            "http://a.example?x=1",
            "http://a b",
        ] {
            assert!(PangeaClient::new(url, "t").is_err(), "{url:?}");
        }
        let problem = PangeaClient::new("http://a.example", "se\ncret")
            .err()
            .unwrap();
        assert!(!problem.contains("cret"));
    }
}
