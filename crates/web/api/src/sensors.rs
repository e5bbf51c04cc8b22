//! `GET /api/sensors` and `GET /api/sensors/{id}`: each sensor with its newest reading.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldledger_contract::field::SensorState;
use fieldledger_contract::ledger::Reading;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::conditions::Conditions;
use crate::extract::{INT32, NoQuery, PathParameter, QueryString, whole_number};
use crate::parts::Shared;
use crate::problem::{Problem, excerpt};
use crate::sites::{self, SiteAway};

const DEFAULT_SENSORS: u32 = 1_000;
const MOST_SENSORS: u32 = 10_000;

/// Which sensors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SensorsQuery {
    /// Sensors to skip.
    #[param(value_type = Option<u32>, default = 0)]
    offset: Option<String>,
    /// Sensors at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10000, default = 1000)]
    limit: Option<String>,
}

/// Sensors in order of alias, then id.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SensorList {
    /// The sensors.
    pub sensors: Vec<Sensor>,
    /// The `offset` that continues the list; absent where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u32>,
    /// Sites that do not answer, whose sensors are not in the list; absent if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites_away: Vec<SiteAway>,
}

/// A sensor's state and its newest reading in the log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Sensor {
    /// The site that polls it.
    #[schema(example = "main")]
    pub site: String,
    /// What the polling provider knows.
    #[serde(flatten)]
    pub state: SensorState,
    /// The newest reading in the log, or null where there is none yet.
    pub latest: Option<Reading>,
}

/// Lists the sensors.
#[utoipa::path(
    get,
    path = "/api/sensors",
    params(SensorsQuery),
    responses(
        (status = 200, description = "Sensors, each with its newest reading", body = SensorList),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_sensors(
    State(parts): State<Shared>,
    QueryString(query): QueryString<SensorsQuery>,
) -> Result<Json<SensorList>, Problem> {
    let mut problems = Vec::new();
    let offset = whole_number(
        "offset",
        query.offset.as_deref(),
        0,
        0..=INT32,
        &mut problems,
    );
    let limit = whole_number(
        "limit",
        query.limit.as_deref(),
        DEFAULT_SENSORS,
        1..=MOST_SENSORS,
        &mut problems,
    );
    if !problems.is_empty() {
        return Err(Problem::bad_parameters(problems));
    }

    let (states, sites_away) = sites::sensors(parts.plant.as_ref(), offset, limit)?;
    // An empty list would ask the ledger for every sensor it ever saw.
    let readings = if states.is_empty() {
        Vec::new()
    } else {
        let ids: Vec<String> = states
            .iter()
            .map(|(_, state)| state.profile.id.clone())
            .collect();
        parts.readings.latest(&ids)?
    };
    let mut latest: HashMap<String, Reading> = readings
        .into_iter()
        .map(|reading| (reading.sensor.clone(), reading))
        .collect();
    let mut conditions = match states.is_empty() {
        true => Conditions::default(),
        false => Conditions::ask(&parts, None)?,
    };
    let full = states.len() >= limit as usize;
    let sensors = states
        .into_iter()
        .map(|(site, state)| Sensor {
            site,
            latest: latest.remove(&state.profile.id),
            state: conditions.complete(state),
        })
        .collect();
    Ok(Json(SensorList {
        sensors,
        next_offset: full.then(|| offset.saturating_add(limit)),
        sites_away,
    }))
}

/// Shows one sensor.
#[utoipa::path(
    get,
    path = "/api/sensors/{id}",
    params(("id" = String, Path, description = "UUID of the sensor")),
    responses(
        (status = 200, description = "The sensor with its newest reading", body = Sensor),
        (status = 404, description = "No such sensor", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_sensor(
    State(parts): State<Shared>,
    PathParameter(id): PathParameter,
    QueryString(NoQuery {}): QueryString<NoQuery>,
) -> Result<Json<Sensor>, Problem> {
    let id = parse_sensor_id(&id).map_err(|problem| Problem::bad_parameter("id", problem))?;
    let Some((site, state)) = sites::sensor(parts.plant.as_ref(), &id)? else {
        let detail = format!("no sensor {id} has sent a heartbeat, or it was forgotten since");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let state = Conditions::ask(&parts, Some(id.clone()))?.complete(state);
    let latest = parts.readings.latest(&[id])?.into_iter().next();
    Ok(Json(Sensor {
        site,
        state,
        latest,
    }))
}

/// The id as the system writes it: lower case, with hyphens.
pub(crate) fn parse_sensor_id(text: &str) -> Result<String, String> {
    Uuid::try_parse(text)
        .map(|id| id.hyphenated().to_string())
        .map_err(|_| {
            let given = excerpt(text);
            format!("{given:?} is not a UUID such as 123e4567-e89b-12d3-a456-426614174000")
        })
}
