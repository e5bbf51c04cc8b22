//! `GET /audit/download/{name}`: the events of an export or a search as one file. The name is the
//! right to have it, as it is with the addresses that Pangea hands out.

use std::collections::BTreeMap;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use fieldledger_audit::event::FIELDS;
use fieldledger_contract::Error;
use fieldledger_contract::ledger::PangeaEvent;
use futures::stream;
use serde_json::Value;

use super::searching::LARGEST_PAGE;
use super::shapes::EventShape;
use super::tickets::{self, Format, Source, Ticket};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::spreadsheet::{self, BYTE_ORDER_MARK};

/// Streams the events.
pub(super) async fn download(
    State(parts): State<Shared>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let content = parts.pangea.kept(&name)?;
    let Ok(Ticket::Download { source, format }) = tickets::read(&content) else {
        let detail = format!("there is no download {name}");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let mut pages = Pages {
        parts,
        source,
        format,
        next: 0,
        first: true,
        ended: false,
    };
    // The first page decides whether there is an answer at all.
    let begin = pages.page()?;
    let rest = std::iter::from_fn(move || pages.following());
    let chunks = std::iter::once(Ok(begin)).chain(rest);
    let (content_type, extension) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Json => ("application/json", "json"),
    };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"audit-log.{extension}\""),
        ),
    ];
    Ok((headers, Body::from_stream(stream::iter(chunks))).into_response())
}

/// Reads a download page by page.
struct Pages {
    parts: Shared,
    source: Source,
    format: Format,
    /// Events read so far.
    next: u64,
    first: bool,
    ended: bool,
}

impl Pages {
    fn following(&mut self) -> Option<Result<Bytes, io::Error>> {
        if self.ended {
            return None;
        }
        let page = self.page();
        // A client sees that the file is cut off, because the answer is.
        Some(page.map_err(|problem| {
            self.ended = true;
            io::Error::other(problem.detail)
        }))
    }

    fn page(&mut self) -> Result<Bytes, Problem> {
        let events = self.events()?;
        let mut text = String::new();
        if self.first {
            match self.format {
                Format::Csv => text.push_str(&csv_head()),
                Format::Json => text.push('['),
            }
        }
        for event in &events {
            match self.format {
                Format::Csv => csv_row(event, &mut text),
                Format::Json => {
                    if !self.first {
                        text.push(',');
                    }
                    text.push('\n');
                    text.push_str(&json(event)?);
                }
            }
            self.first = false;
        }
        self.first = false;
        self.next += events.len() as u64;
        self.ended = events.len() < LARGEST_PAGE as usize;
        if self.ended && self.format == Format::Json {
            text.push_str("\n]\n");
        }
        Ok(text.into())
    }

    fn events(&self) -> Result<Vec<PangeaEvent>, Error> {
        match &self.source {
            Source::Search { id } => {
                let offset = u32::try_from(self.next).unwrap_or(u32::MAX);
                let page = self
                    .parts
                    .pangea
                    .pangea_page(id, offset, LARGEST_PAGE, None)?;
                Ok(page.events)
            }
            Source::Span {
                start,
                end,
                descending,
                verbose,
                published,
            } => {
                let width = u64::from(LARGEST_PAGE);
                let (from, to) = if *descending {
                    let to = end.saturating_sub(self.next).max(*start);
                    (to.saturating_sub(width).max(*start), to)
                } else {
                    let from = start.saturating_add(self.next).min(*end);
                    (from, from.saturating_add(width).min(*end))
                };
                let page = self
                    .parts
                    .pangea
                    .pangea_entries(from, to, *published, *verbose)?;
                let mut events = page.events;
                if *descending {
                    events.reverse();
                }
                Ok(events)
            }
        }
    }
}

fn json(event: &PangeaEvent) -> Result<String, Problem> {
    let unreadable = |reason: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, reason);
    let shape = EventShape::new(event).map_err(|failure| unreadable(failure.summary))?;
    serde_json::to_string(&shape).map_err(|error| unreadable(error.to_string()))
}

fn csv_head() -> String {
    let mut names = vec!["received_at"];
    names.extend(FIELDS.iter().map(|field| field.name));
    names.extend([
        "signature",
        "public_key",
        "hash",
        "leaf_index",
        "membership_proof",
    ]);
    format!("{BYTE_ORDER_MARK}{}\r\n", names.join(","))
}

/// A row of RFC 4180 that a spreadsheet opens right.
fn csv_row(event: &PangeaEvent, text: &mut String) {
    let envelope: BTreeMap<String, Value> =
        serde_json::from_str(&event.envelope).unwrap_or_default();
    let of_envelope = |name: &str| {
        let value = envelope.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let of_event = |name: &str| {
        let event = envelope.get("event");
        let value = event.and_then(|event| event.get(name)?.as_str());
        value.unwrap_or_default().to_owned()
    };
    let mut cells = vec![of_envelope("received_at")];
    cells.extend(FIELDS.iter().map(|field| of_event(field.name)));
    cells.extend([of_envelope("signature"), of_envelope("public_key")]);
    cells.push(event.hash.clone());
    let leaf_index = event.leaf_index.map(|leaf| leaf.to_string());
    cells.push(leaf_index.unwrap_or_default());
    cells.push(event.membership_proof.clone().unwrap_or_default());
    let quoted: Vec<String> = cells.iter().map(|cell| spreadsheet::cell(cell)).collect();
    text.push_str(&quoted.join(","));
    text.push_str("\r\n");
}
