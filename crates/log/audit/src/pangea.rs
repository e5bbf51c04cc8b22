//! Speaks the JSON of a Pangea-shaped audit service: request bodies out, answers in. No I/O.
//!
//! What such a service cannot do, and what becomes of it here:
//!
//! - It has no producers and sequences, so it does **not** recognise an event it already has: an
//!   event whose write is retried can appear twice. Both are left out of what is sent.
//! - A write of more events than one request holds is several requests: not all or none.
//! - It tells no position on writing (`indices` are none, `tree_size` is 0) and has no signed
//!   C2SP checkpoint (`note` and `verifier_key` are empty).
//! - Its tree hashes without RFC 6962's prefixes and on two levels, so `leaf` and `proof` stay empty:
//!   our verifiers could do nothing with them. Pangea's own clients verify such a log.
//! - `index` of an entry is Pangea's `leaf_index`, which events published together share; an entry not
//!   yet published has the size of the published tree there, the index it will get at the earliest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fieldledger_contract::audit::{
    Checkpoint, Entry, EventColumns, Order, SearchPage, SearchQuery, Written,
};
use fieldledger_contract::{Error, WallTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::columns::EventRows as _;
use crate::log::RECEIVED_AT;
use crate::stringify;
use crate::timestamp;

/// Path that takes many events.
pub const LOG_PATH: &str = "/v2/log";

/// Path that takes a search.
pub const SEARCH_PATH: &str = "/v1/search";

/// Path that gives more of an earlier search.
pub const RESULTS_PATH: &str = "/v1/results";

/// Path that gives the root of the published tree.
pub const ROOT_PATH: &str = "/v1/root";

/// Most events in one request, Pangea's own limit.
pub const MAX_EVENTS_PER_REQUEST: usize = 1_000;

/// A request is closed once its body has this size; one event more than that is at most 0.6 MiB.
const REQUEST_BYTES: usize = 1 << 20;

/// Most characters of a service's own words that an error repeats.
const QUOTED_CHARACTERS: usize = 300;

/// The body of one `/v2/log` request.
#[derive(Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// JSON.
    pub body: String,
    /// Events in it.
    pub events: usize,
}

/// Cuts events into requests, in order.
#[must_use]
pub fn log_requests(columns: &EventColumns) -> Vec<LogRequest> {
    let mut requests = Vec::new();
    let mut open = LogRequest {
        body: String::new(),
        events: 0,
    };
    for (item, row) in columns.rows().enumerate() {
        open.body.push_str(if open.events == 0 {
            "{\"events\":[{\"event\":"
        } else {
            ",{\"event\":"
        });
        open.body.push_str(&row.canonical());
        let signed = columns.signature(item);
        for (name, text) in [
            ("public_key", signed.public_key),
            ("signature", signed.signature),
        ] {
            if !text.is_empty() {
                let text = serde_json::to_string(text)
                    .expect("a text has a form in JSON, and memory takes it");
                open.body.push_str(&format!(",\"{name}\":{text}"));
            }
        }
        open.body.push('}');
        open.events += 1;
        if open.events == MAX_EVENTS_PER_REQUEST || open.body.len() >= REQUEST_BYTES {
            requests.push(std::mem::replace(
                &mut open,
                LogRequest {
                    body: String::new(),
                    events: 0,
                },
            ));
        }
    }
    if open.events > 0 {
        requests.push(open);
    }
    for request in &mut requests {
        request.body.push_str("],\"verbose\":false}");
    }
    requests
}

/// The body of a `/v1/search` request. It always asks to be verbose: without that the answer names
/// no root, and a page without the tree it belongs to is worth little.
///
/// # Errors
///
/// Where the query cannot be put in JSON, which does not happen.
pub fn search_request(query: &SearchQuery) -> Result<String, Error> {
    let restriction: serde_json::Map<String, Value> = query
        .restriction
        .iter()
        .map(|(field, values)| (field.clone(), Value::from(values.clone())))
        .collect();
    to_json(&SearchRequest {
        query: &query.query,
        start: query.start.as_deref(),
        end: query.end.as_deref(),
        order: match query.order {
            Order::Ascending => "asc",
            Order::Descending => "desc",
        },
        order_by: query.order_by.as_deref().unwrap_or(RECEIVED_AT),
        limit: query.limit,
        max_results: query.max_results,
        search_restriction: (!restriction.is_empty()).then_some(restriction),
        verbose: true,
    })
}

/// The body of a `/v1/results` request.
///
/// # Errors
///
/// Where the id cannot be put in JSON, which does not happen.
pub fn results_request(id: &str, offset: u32, limit: u32) -> Result<String, Error> {
    to_json(&ResultsRequest { id, offset, limit })
}

/// The body of a `/v1/root` request for the newest root.
pub const ROOT_REQUEST: &str = "{}";

/// What an answer to one `/v2/log` request of `events` events means: nothing, if all is well.
///
/// # Errors
///
/// Where the service refused, failed, or answered for another number of events.
pub fn read_log_answer(http_status: u16, body: &[u8], events: usize) -> Result<(), Error> {
    let answer: LogAnswer = read_answer(http_status, body)?;
    if answer.results.len() != events {
        let found = answer.results.len();
        return Err(Error::Unavailable(format!(
            "the audit service answered with {found} results for {events} events; it must give one each"
        )));
    }
    Ok(())
}

/// What a whole write tells the caller.
#[must_use]
pub fn written(events: usize) -> Written {
    Written {
        indices: vec![None; events],
        appended: u32::try_from(events).unwrap_or(u32::MAX),
        duplicates: 0,
        tree_size: 0,
    }
}

/// The page in an answer to `/v1/search` or `/v1/results`. `id` is that of the result where it is
/// known: the answer to `/v1/results` does not repeat it.
///
/// # Errors
///
/// Where the service refused or failed.
pub fn read_page(http_status: u16, body: &[u8], id: Option<&str>) -> Result<SearchPage, Error> {
    let answer: SearchAnswer = read_answer(http_status, body)?;
    let checkpoint = answer
        .root
        .map(Root::into_checkpoint)
        .transpose()?
        .unwrap_or_default();
    let published = checkpoint.tree_size;
    let entries = answer
        .events
        .into_iter()
        .map(|found| found.into_entry(published));
    Ok(SearchPage {
        id: answer
            .id
            .or_else(|| id.map(str::to_owned))
            .unwrap_or_default(),
        expires_at: answer
            .expires_at
            .as_deref()
            .and_then(timestamp::to_micros)
            .map(WallTime::from_micros),
        count: answer.count,
        total: answer.count,
        entries: entries.collect::<Result<Vec<Entry>, Error>>()?,
        indexed_size: published,
        checkpoint,
    })
}

/// The tree head in an answer to `/v1/root`.
///
/// # Errors
///
/// Where the service refused or failed.
pub fn read_root(http_status: u16, body: &[u8]) -> Result<Checkpoint, Error> {
    let answer: RootAnswer = read_answer(http_status, body)?;
    answer.data.into_checkpoint()
}

#[derive(Serialize)]
struct SearchRequest<'a> {
    query: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'a str>,
    order: &'a str,
    order_by: &'a str,
    limit: u32,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_restriction: Option<serde_json::Map<String, Value>>,
    verbose: bool,
}

#[derive(Serialize)]
struct ResultsRequest<'a> {
    id: &'a str,
    offset: u32,
    limit: u32,
}

/// What is around every answer.
#[derive(Deserialize)]
struct Wrapper<'a> {
    status: String,
    #[serde(default)]
    summary: Option<String>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LogAnswer {
    results: Vec<Value>,
}

#[derive(Deserialize)]
struct SearchAnswer {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    count: u64,
    events: Vec<FoundEvent>,
    #[serde(default)]
    root: Option<Root>,
}

#[derive(Deserialize)]
struct FoundEvent {
    envelope: Box<RawValue>,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    leaf_index: Option<u64>,
}

#[derive(Deserialize)]
struct RootAnswer {
    data: Root,
}

#[derive(Deserialize)]
struct Root {
    tree_name: String,
    size: u64,
    root_hash: String,
}

impl FoundEvent {
    fn into_entry(self, published: u64) -> Result<Entry, Error> {
        Ok(Entry {
            index: self.leaf_index.unwrap_or(published),
            envelope: stringify::sorted(&self.envelope).map_err(|error| {
                Error::Unavailable(format!("an envelope from the audit service {error}"))
            })?,
            envelope_hash: self
                .hash
                .as_deref()
                .map(base64_of_hex)
                .transpose()?
                .unwrap_or_default(),
            leaf: String::new(),
            proof: Vec::new(),
            removed: None,
        })
    }
}

impl Root {
    fn into_checkpoint(self) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            root_hash: base64_of_hex(&self.root_hash)?,
            origin: self.tree_name,
            tree_size: self.size,
            note: String::new(),
            verifier_key: String::new(),
            verifier_keys: Vec::new(),
        })
    }
}

fn to_json(request: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(request)
        .map_err(|error| Error::Refused(format!("the request cannot be written as JSON: {error}")))
}

/// Takes the result out of its wrapper, or says why there is none.
///
/// A refused token is `Unavailable`, not the caller's fault: it is mended by the operator, and the
/// events must wait for that rather than be given up.
fn read_answer<T: DeserializeOwned>(http_status: u16, body: &[u8]) -> Result<T, Error> {
    let wrapper: Option<Wrapper<'_>> = serde_json::from_slice(body).ok();
    let words = match &wrapper {
        Some(wrapper) => described(http_status, wrapper),
        None => format!("HTTP {http_status} without the JSON of a Pangea-shaped service"),
    };
    match (http_status, wrapper) {
        (200..=299, Some(wrapper)) if wrapper.status == "Success" => {
            serde_json::from_str(wrapper.result.map_or("null", RawValue::get)).map_err(|error| {
                Error::Unavailable(format!(
                    "the audit service's answer cannot be read: {error}"
                ))
            })
        }
        (400..=499, Some(wrapper)) if wrapper.status.contains("Expired") => {
            Err(Error::Expired(words))
        }
        (400 | 413 | 422, _) => Err(Error::invalid(
            "",
            format!("was refused by the audit service: {words}"),
        )),
        (401 | 403, _) => Err(Error::Unavailable(format!(
            "the audit service refuses the token ({words}); set pangea_token or pangea_token_secret"
        ))),
        (404, Some(_)) => Err(Error::NotFound(words)),
        (404, None) => Err(Error::Unavailable(format!(
            "no audit service at this URL ({words}); check pangea_url"
        ))),
        _ => Err(Error::Unavailable(format!(
            "the audit service answered {words}"
        ))),
    }
}

fn described(http_status: u16, wrapper: &Wrapper<'_>) -> String {
    let summary = wrapper.summary.as_deref().unwrap_or("");
    let words = format!("HTTP {http_status} {}: {summary}", wrapper.status);
    words.chars().take(QUOTED_CHARACTERS).collect()
}

fn base64_of_hex(hash: &str) -> Result<String, Error> {
    let bytes = hex::decode(hash).map_err(|error| {
        Error::Unavailable(format!(
            "the audit service gave a hash that is no hexadecimal text: {error}"
        ))
    })?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::{Event, Origin};
    use crate::log::samples;

    fn columns(count: usize, message: &str) -> EventColumns {
        let mut columns = EventColumns::default();
        for _ in 0..count {
            let event = Event {
                message: message.into(),
                ..Event::default()
            };
            columns.push(
                event,
                Some(Origin {
                    producer: "p".into(),
                    sequence: 1,
                }),
            );
        }
        columns
    }

    fn wrapped(status: &str, result: &Value) -> Vec<u8> {
        json!({
            "request_id": "prq_x", "request_time": "t", "response_time": "t",
            "status": status, "summary": "in short", "result": result,
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn log_request_is_exact_and_leaves_the_producer_out() {
        let requests = log_requests(&columns(2, "m"));
        let body =
            r#"{"events":[{"event":{"message":"m"}},{"event":{"message":"m"}}],"verbose":false}"#;
        assert_eq!(
            requests,
            [LogRequest {
                body: body.into(),
                events: 2
            }]
        );
        assert!(log_requests(&EventColumns::default()).is_empty());
    }

    #[test]
    fn a_signature_goes_with_its_event() {
        let mut signed = columns(2, "m");
        signed.signature = vec![String::new(), "c2ln".into()];
        signed.public_key = vec![String::new(), "\"k\"".into()];
        let body = &log_requests(&signed)[0].body;
        let expected = r#"{"events":[{"event":{"message":"m"}},{"event":{"message":"m"},"public_key":"\"k\"","signature":"c2ln"}],"verbose":false}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn requests_are_cut_by_count_and_by_size() {
        let counts = |columns: &EventColumns| -> Vec<usize> {
            log_requests(columns)
                .iter()
                .map(|request| request.events)
                .collect()
        };
        assert_eq!(counts(&columns(2_001, "m")), [1_000, 1_000, 1]);
        assert_eq!(counts(&columns(70, &"m".repeat(32_000))), [33, 33, 4]);
        for request in log_requests(&columns(2_001, "m")) {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["events"].as_array().unwrap().len(), request.events);
        }
    }

    #[test]
    fn search_request_is_exact() {
        let body = search_request(&samples::query()).unwrap();
        assert_eq!(
            body,
            "{\"query\":\"actor:boiler\",\"start\":\"7d\",\"order\":\"desc\",\"order_by\":\"received_at\",\
             \"limit\":20,\"max_results\":100,\"search_restriction\":{\"status\":[\"SUCCESS\"]},\"verbose\":true}"
        );
        assert_eq!(
            results_request("pas_\"", 20, 10).unwrap(),
            r#"{"id":"pas_\"","offset":20,"limit":10}"#
        );
    }

    #[test]
    fn a_written_request_needs_one_result_per_event() {
        let body = wrapped("Success", &json!({ "results": [{ "hash": "00" }, {}] }));
        assert_eq!(read_log_answer(200, &body, 2), Ok(()));
        assert!(matches!(
            read_log_answer(200, &body, 3),
            Err(Error::Unavailable(_))
        ));
        assert_eq!(written(2).indices, [None, None]);
    }

    #[test]
    fn a_page_is_mapped() {
        let hash = "ab".repeat(32);
        let result = json!({
            "id": "pas_1", "expires_at": "2026-01-02T03:04:05.000006Z", "count": 2,
            "events": [
                { "envelope": { "received_at": "t", "event": { "message": "m" } }, "hash": hash,
                  "leaf_index": 3, "membership_proof": "l:00", "published": true },
                { "envelope": { "event": {} } },
            ],
            "root": { "tree_name": "tree", "size": 9, "root_hash": hash, "url": "u" },
            "unpublished_root": null,
        });
        let page = read_page(200, &wrapped("Success", &result), None).unwrap();
        assert_eq!(
            (page.id.as_str(), page.count, page.expires_at),
            (
                "pas_1",
                2,
                Some(WallTime::from_micros(1_767_323_045_000_006))
            )
        );
        assert_eq!(
            page.entries[0].envelope,
            r#"{"event":{"message":"m"},"received_at":"t"}"#
        );
        assert_eq!(page.entries[0].envelope_hash, STANDARD.encode([0xab; 32]));
        assert_eq!((page.entries[0].index, page.entries[1].index), (3, 9));
        assert_eq!(
            (page.checkpoint.origin.as_str(), page.checkpoint.tree_size),
            ("tree", 9)
        );

        let later = wrapped("Success", &json!({ "count": 2, "events": [] }));
        assert_eq!(read_page(200, &later, Some("pas_1")).unwrap().id, "pas_1");
    }

    #[test]
    fn the_root_is_mapped() {
        let result = json!({ "data": { "tree_name": "tree", "size": 9, "root_hash": "00ff" } });
        assert_eq!(
            read_root(200, &wrapped("Success", &result))
                .unwrap()
                .root_hash,
            "AP8="
        );
        let result = json!({ "data": { "tree_name": "tree", "size": 9, "root_hash": "xyz" } });
        assert!(matches!(
            read_root(200, &wrapped("Success", &result)),
            Err(Error::Unavailable(_))
        ));
    }

    #[test]
    fn refusals_and_failures_are_told_apart() {
        let fault = |http_status, status: &str| {
            read_root(http_status, &wrapped(status, &Value::Null)).unwrap_err()
        };
        assert!(matches!(fault(400, "ValidationError"), Error::Invalid(_)));
        assert!(
            matches!(fault(401, "Unauthorized"), Error::Unavailable(text) if text.contains("token"))
        );
        assert!(matches!(fault(404, "NotFound"), Error::NotFound(_)));
        assert!(matches!(
            fault(400, "SearchResultsExpired"),
            Error::Expired(_)
        ));
        assert!(matches!(
            fault(429, "TooManyRequests"),
            Error::Unavailable(_)
        ));
        assert!(matches!(fault(202, "Accepted"), Error::Unavailable(_)));
        assert!(
            matches!(fault(503, "Down"), Error::Unavailable(text) if text.contains("in short"))
        );
        assert!(matches!(
            read_root(404, b"nginx"),
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(
            read_root(200, b"<html>"),
            Err(Error::Unavailable(_))
        ));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_answer_is_answered(http_status in any::<u16>(), body in any::<Vec<u8>>()) {
            let _ = read_root(http_status, &body);
            prop_assert!(read_log_answer(http_status, &body, 1).is_err());
            prop_assert!(read_page(http_status, &body, None).is_err());
        }
    }
}
