//! `GET /api/refusals`: what devices sent and was not taken, and why.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::field::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{QueryString, whole_number};
use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem};
use crate::sensors::parse_sensor_id;
use crate::sites::{self, SiteAway};

const DEFAULT_REFUSALS: u32 = 100;
const MOST_REFUSALS: u32 = 1_000;

/// Which refusals. Every parameter may be left out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RefusalsQuery {
    /// UUID of a sensor.
    sensor: Option<String>,
    /// Refusals in the answer at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
}

/// What was refused, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RefusalList {
    /// The refusals.
    pub refusals: Vec<SiteRefusal>,
    /// Sites that do not answer, whose refusals are not in the list; absent if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites_away: Vec<SiteAway>,
}

/// A refusal, and the site where it happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SiteRefusal {
    /// The site.
    #[schema(example = "main")]
    pub site: String,
    /// What was refused, and why.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// Lists what was refused lately: heartbeats, answers without a number, and messages of history. The few
/// newest reasons of each sensor are kept until polling starts anew, and some of senders that are not
/// registered.
#[utoipa::path(
    get,
    path = "/api/refusals",
    params(RefusalsQuery),
    responses(
        (status = 200, description = "What was refused, the newest first", body = RefusalList),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_refusals(
    State(parts): State<Shared>,
    QueryString(query): QueryString<RefusalsQuery>,
) -> Result<Json<RefusalList>, Problem> {
    let mut problems = Vec::new();
    let sensor = query.sensor.as_deref().and_then(|text| {
        let id = parse_sensor_id(text);
        id.map_err(|problem| problems.push(FieldProblem::new("sensor", problem)))
            .ok()
    });
    let limit = whole_number(
        "limit",
        query.limit.as_deref(),
        DEFAULT_REFUSALS,
        1..=MOST_REFUSALS,
        &mut problems,
    );
    if !problems.is_empty() {
        return Err(Problem::bad_parameters(problems));
    }
    let (refusals, sites_away) = sites::refusals(parts.plant.as_ref(), sensor.as_deref(), limit)?;
    let refusals = refusals
        .into_iter()
        .map(|(site, refusal)| SiteRefusal { site, refusal })
        .collect();
    Ok(Json(RefusalList {
        refusals,
        sites_away,
    }))
}
