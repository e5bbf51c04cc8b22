//! `GET /api/readings`: one sensor's readings over time.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_audit::times;
use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{Bucket, Reading, Series};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{QueryString, whole_number};
use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem};
use crate::sensors::parse_sensor_id;
use crate::time_input::{TimeInput, resolve_span};

const DEFAULT_SPAN_MICROS: u64 = 3_600_000_000;
const DEFAULT_READINGS: u32 = 500;
const MOST_READINGS: u32 = 10_000;

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadingsQuery {
    /// UUID of the sensor.
    #[param(value_type = String, required = true)]
    sensor: Option<String>,
    /// First time of polling: RFC 3339 (UTC where it names no zone), a date, a span before now such
    /// as `15m`, `now`, or milliseconds since 1970. An hour before `to` unless given.
    from: Option<String>,
    /// End of the time of polling, itself not included, written like `from`; now unless given.
    to: Option<String>,
    /// Items in the answer at most; more readings than that come summed up.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10000, default = 500)]
    limit: Option<String>,
}

/// Readings of one sensor: `readings` where all of them fit the limit, else `buckets`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadingsResponse {
    /// UUID of the sensor.
    sensor: String,
    /// Start of the time asked for, itself included.
    from: WallTime,
    /// End of the time asked for, itself not included.
    to: WallTime,
    /// Every reading, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<Vec<Reading>>,
    /// Readings summed up in equally long spans, oldest first; spans without readings are absent.
    /// Spans begin at multiples of their length since 1970 and are whole, so the first may begin
    /// before `from` and the last end after `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<Vec<Bucket>>,
}

/// Gives one sensor's readings.
#[utoipa::path(
    get,
    path = "/api/readings",
    params(ReadingsQuery),
    responses(
        (status = 200, description = "The readings, oldest first", body = ReadingsResponse),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_readings(
    State(parts): State<Shared>,
    QueryString(query): QueryString<ReadingsQuery>,
) -> Result<Json<ReadingsResponse>, Problem> {
    let Wanted {
        sensor,
        from,
        to,
        limit,
    } = query.check(parts.environment.now())?;
    let (readings, buckets) = match parts.readings.series(&sensor, from, to, limit)? {
        Series::Raw(readings) => (Some(readings), None),
        Series::Buckets(buckets) => (None, Some(buckets)),
    };
    Ok(Json(ReadingsResponse {
        sensor,
        from,
        to,
        readings,
        buckets,
    }))
}

struct Wanted {
    sensor: String,
    from: WallTime,
    to: WallTime,
    limit: u32,
}

impl ReadingsQuery {
    fn check(&self, now: WallTime) -> Result<Wanted, Problem> {
        let mut problems = Vec::new();
        let sensor = match self.sensor.as_deref().map(parse_sensor_id) {
            Some(Ok(id)) => id,
            Some(Err(problem)) => {
                problems.push(FieldProblem::new("sensor", problem));
                String::new()
            }
            None => {
                problems.push(FieldProblem::new(
                    "sensor",
                    "required: the UUID of a sensor",
                ));
                String::new()
            }
        };
        let limit = whole_number(
            "limit",
            self.limit.as_deref(),
            DEFAULT_READINGS,
            1..=MOST_READINGS,
            &mut problems,
        );
        let (from, to) = (self.from.as_deref(), self.to.as_deref());
        let (from, to) = (from.map(TimeInput::from_text), to.map(TimeInput::from_text));
        let now_as_end = TimeInput::from_text("now");
        let (from, to) = resolve_span(
            ("from", from.as_ref()),
            ("to", to.as_ref().or(Some(&now_as_end))),
            now,
            &mut problems,
        );
        let to = to.unwrap_or(now);
        let hour_before = to.micros.saturating_sub(DEFAULT_SPAN_MICROS);
        let from = from.unwrap_or(WallTime::from_micros(hour_before));
        if problems.is_empty()
            && let Err(fault) = times::check_span(Some(from), Some(to))
        {
            problems.push(FieldProblem::new("from", fault.to_string()));
        }
        if !problems.is_empty() {
            return Err(Problem::bad_parameters(problems));
        }
        Ok(Wanted {
            sensor,
            from,
            to,
            limit,
        })
    }
}
