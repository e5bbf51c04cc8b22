//! `GET /api/entries`: the log as it is, range by range.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::audit::EntryRange;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{QueryString, parse_whole, whole_number};
use crate::logs::{DEFAULT_PAGE, LARGEST_PAGE, LogEvent, Root, log_event};
use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem, excerpt};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntriesQuery {
    /// First entry; 0 unless given.
    #[param(value_type = Option<u64>, minimum = 0, default = 0)]
    from: Option<String>,
    /// Entries in the answer at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// With an audit path for each entry: `true` or `false`.
    #[param(value_type = Option<bool>, default = false)]
    proofs: Option<String>,
}

/// Entries that follow each other. Hashes are in base64.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EntriesResponse {
    /// The entries; fewer than asked for where they are large or the log ends, none beyond its end.
    pub entries: Vec<LogEvent>,
    /// The newest signed tree; it covers the entries.
    pub root: Root,
}

/// Gives entries that follow each other, in the order of the log.
#[utoipa::path(
    get,
    path = "/api/entries",
    params(EntriesQuery),
    responses(
        (status = 200, description = "The entries", body = EntriesResponse),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_entries(
    State(parts): State<Shared>,
    QueryString(query): QueryString<EntriesQuery>,
) -> Result<Json<EntriesResponse>, Problem> {
    let mut problems = Vec::new();
    let from = query.from.as_deref().unwrap_or("0");
    let first = parse_whole(from).unwrap_or_else(|| {
        let problem = format!(
            "{:?} will not do; give a position in the log, from 0",
            excerpt(from)
        );
        problems.push(FieldProblem::new("from", problem));
        0
    });
    let limit = whole_number(
        "limit",
        query.limit.as_deref(),
        DEFAULT_PAGE,
        1..=LARGEST_PAGE,
        &mut problems,
    );
    let proofs = query.proofs.as_deref().unwrap_or("false");
    let with_proofs = proofs.parse().unwrap_or_else(|_| {
        let problem = format!("{:?} will not do; give true or false", excerpt(proofs));
        problems.push(FieldProblem::new("proofs", problem));
        false
    });
    if !problems.is_empty() {
        return Err(Problem::bad_parameters(problems));
    }
    let EntryRange {
        entries,
        checkpoint,
    } = parts.log.entries(first, limit, with_proofs)?;
    let entries: Result<Vec<LogEvent>, Problem> = entries
        .into_iter()
        .map(|entry| log_event(entry, true, with_proofs))
        .collect();
    Ok(Json(EntriesResponse {
        entries: entries?,
        root: checkpoint.into(),
    }))
}
