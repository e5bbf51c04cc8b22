//! `GET /api/gaps`: which readings are missing; `POST /api/gaps/{id}/close`: that nobody waits for them.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{Gap, GapQuery, GapState, GapTotals};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{JsonBody, PathParameter, QueryString, parse_whole, whole_number};
use crate::life::Admin;
use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem, excerpt};
use crate::sensors::parse_sensor_id;
use crate::time_input::{TimeInput, resolve_span};

const DEFAULT_GAPS: u32 = 100;
const MOST_GAPS: u32 = 1_000;

/// Which gaps. Every parameter may be left out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GapsQuery {
    /// UUID of a sensor.
    sensor: Option<String>,
    /// Gaps that reach beyond this time: RFC 3339 (UTC where it names no zone), a date, a span before
    /// now such as `1d`, `now`, or milliseconds since 1970.
    from: Option<String>,
    /// Gaps that begin before this time, written like `from`.
    to: Option<String>,
    /// Gaps in this state only.
    #[param(value_type = Option<GapState>)]
    state: Option<String>,
    /// Gaps in the answer at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `next` of the answer before.
    #[param(value_type = Option<u64>)]
    cursor: Option<String>,
}

/// Some gaps, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GapsResponse {
    /// The gaps.
    pub gaps: Vec<Gap>,
    /// `cursor` for more of them; none at the end.
    pub next: Option<u64>,
    /// Of all sensors and times.
    pub totals: GapTotals,
}

/// Lists readings that are missing, or may be. A poll without an answer is not a gap but an entry of
/// the log; a gap is where a device's own numbers lack some, or where it began to count anew.
#[utoipa::path(
    get,
    path = "/api/gaps",
    params(GapsQuery),
    responses(
        (status = 200, description = "The gaps, the newest first", body = GapsResponse),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_gaps(
    State(parts): State<Shared>,
    QueryString(query): QueryString<GapsQuery>,
) -> Result<Json<GapsResponse>, Problem> {
    let page = parts
        .readings
        .gaps(&query.check(parts.environment.now())?)?;
    Ok(Json(GapsResponse {
        gaps: page.gaps,
        next: page.next,
        totals: page.totals,
    }))
}

/// Why a gap is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseGapParams {
    /// Why nobody waits for what is missing any longer; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Closes a gap: nobody waits for what is missing any longer, and it is no longer counted. An entry of the
/// log says who closed it, and why.
#[utoipa::path(
    post,
    path = "/api/gaps/{id}/close",
    params(("id" = u64, Path, description = "`id` of the gap")),
    request_body = CloseGapParams,
    responses(
        (status = 200, description = "The gap as it is now", body = Gap),
        (status = 404, description = "No such gap is known", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is closed already", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn close_gap(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    PathParameter(id): PathParameter,
    JsonBody(params): JsonBody<CloseGapParams>,
) -> Result<Json<Gap>, Problem> {
    let id = parse_whole(&id).ok_or_else(|| {
        let problem = format!("{:?} is not the id of a gap, a whole number", excerpt(&id));
        Problem::bad_parameter("id", problem)
    })?;
    Ok(Json(parts.control.close_gap(id, &params.reason, &actor)?))
}

impl GapsQuery {
    fn check(&self, now: WallTime) -> Result<GapQuery, Problem> {
        let mut problems = Vec::new();
        let sensor = self.sensor.as_deref().and_then(|text| {
            let id = parse_sensor_id(text);
            id.map_err(|problem| problems.push(FieldProblem::new("sensor", problem)))
                .ok()
        });
        let state = self.state.as_deref().and_then(|text| match text {
            "open" => Some(GapState::Open),
            "closed" => Some(GapState::Closed),
            "unknown" => Some(GapState::Unknown),
            _ => {
                let problem = format!("{:?} is not open, closed or unknown", excerpt(text));
                problems.push(FieldProblem::new("state", problem));
                None
            }
        });
        let cursor = self.cursor.as_deref().and_then(|text| {
            let cursor = parse_whole(text);
            if cursor.is_none() {
                let problem = format!("{:?} is not the next of an answer", excerpt(text));
                problems.push(FieldProblem::new("cursor", problem));
            }
            cursor
        });
        let limit = whole_number(
            "limit",
            self.limit.as_deref(),
            DEFAULT_GAPS,
            1..=MOST_GAPS,
            &mut problems,
        );
        let (from, to) = (self.from.as_deref(), self.to.as_deref());
        let (from, to) = (from.map(TimeInput::from_text), to.map(TimeInput::from_text));
        let (start, end) = resolve_span(
            ("from", from.as_ref()),
            ("to", to.as_ref()),
            now,
            &mut problems,
        );
        if !problems.is_empty() {
            return Err(Problem::bad_parameters(problems));
        }
        Ok(GapQuery {
            sensor,
            start,
            end,
            state,
            limit,
            cursor,
        })
    }
}
