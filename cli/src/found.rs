//! Entries that a search finds.

use std::collections::BTreeMap;

use fieldledger_api::answers::{LogResponse, LogResult};
use serde::Serialize;

use crate::client::{Client, ClientError};
use crate::entries::PAGE;

/// Entries in the result of one search at most; the server's bound.
pub(crate) const LARGEST_RESULT: u32 = 10_000;

/// What to look for: the body of `POST /api/logs`.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Query {
    /// Terms, `"phrases"`, `column:value`, `prefix*` and `~anycase`.
    pub(crate) query: String,
    /// Earliest time of receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<String>,
    /// End of the time of receipt, itself not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<String>,
    /// `asc` or `desc`.
    pub(crate) order: &'static str,
    /// A column of the event; none for the order of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) order_by: Option<String>,
    /// Exact values that a column may have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) search_restriction: BTreeMap<String, Vec<String>>,
    /// Entries in the whole result.
    pub(crate) max_results: u32,
    /// With leaf and audit path.
    pub(crate) verbose: bool,
}

#[derive(Debug, Serialize)]
struct FirstPage<'a> {
    #[serde(flatten)]
    query: &'a Query,
    limit: u32,
}

#[derive(Debug, Serialize)]
struct NextPage<'a> {
    id: &'a str,
    offset: u32,
    limit: u32,
}

/// Hands each page of the result to `take`, from the first.
///
/// # Errors
///
/// [`ClientError`] where the server does not answer so, and whatever `take` fails with.
pub(crate) fn pages(
    client: &Client,
    query: &Query,
    mut take: impl FnMut(LogResult) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let limit = PAGE.min(query.max_results);
    let answer: LogResponse = client.post("/api/logs", &FirstPage { query, limit })?;
    let first = answer.result;
    let (id, count) = (first.id.clone(), first.count.min(query.max_results.into()));
    let mut offset = first.events.len();
    take(first)?;
    while (offset as u64) < count {
        let request = NextPage {
            id: &id,
            offset: u32::try_from(offset)?,
            limit,
        };
        let answer: LogResponse = client.post("/api/results", &request)?;
        let page = answer.result;
        anyhow::ensure!(
            !page.events.is_empty(),
            ClientError::cut_short(client.url(), count, offset as u64)
        );
        offset += page.events.len();
        take(page)?;
    }
    Ok(())
}
