//! `GET /healthz`: whether the system does its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldledger_contract::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem};
use crate::sites::{self, SiteAway};

/// Every part does its work.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`: anything else is a problem body.
    #[schema(example = "ok")]
    pub status: String,
    /// Entries in the log.
    pub tree_size: u64,
    /// Sensors that live.
    pub sensors_ok: u32,
    /// Sensors that missed heartbeats.
    pub sensors_stale: u32,
    /// Sensors that do not answer.
    pub sensors_down: u32,
    /// Sites whose polling does not answer; absent if there is none. They poll on, and what they store
    /// is delivered later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites_away: Vec<SiteAway>,
    /// How the log's checkpoints are witnessed, in a sentence.
    #[schema(example = "no witnesses are configured")]
    pub witnesses: String,
}

/// 200 where the ledger and the polling of a site answer, and batches are delivered; else 503 that names
/// what is wrong. Deliveries pause where the log takes no more events.
///
/// A part that is gone shows within milliseconds. One that takes a call and never answers holds this
/// answer back until the host's limit on execution, so give a probe a timeout of its own.
#[utoipa::path(
    get,
    path = "/healthz",
    responses(
        (status = 200, description = "Every part does its work", body = Health),
        (status = 503, description = "`errors` names the parts that do not, and why", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn check_health(State(parts): State<Shared>) -> Result<Json<Health>, Problem> {
    let mut silent = Vec::new();
    let mut paused = Vec::new();
    let ledger = note_failure("ledger", parts.tree.ledger_status(), &mut silent);
    let polling = note_failure("polling", sites::polling(parts.plant.as_ref()), &mut silent);
    // Shown, and no reason to be ill: a log without its witnesses still does its work.
    let witnesses = match parts.witnesses.witnessing() {
        Ok(witnessing) => witnessing.own.map_or_else(
            || "no witnesses are configured".to_owned(),
            |own| own.summary(),
        ),
        Err(_) => "not known: the ledger does not answer".to_owned(),
    };
    for (site, status) in polling.iter().flat_map(|polling| &polling.of) {
        if !status.delivery_ended.is_empty() {
            let reason = format!("site {site}: {}", status.delivery_ended);
            paused.push(FieldProblem::new("delivery", reason));
        }
    }
    if let (Some(ledger), Some(polling), []) = (ledger, polling, &paused[..]) {
        let sum = polling.sum();
        return Ok(Json(Health {
            status: "ok".to_owned(),
            tree_size: ledger.tree_size,
            sensors_ok: sum.sensors_ok,
            sensors_stale: sum.sensors_stale,
            sensors_down: sum.sensors_down,
            sites_away: polling.away,
            witnesses,
        }));
    }
    let parts: Vec<&str> = silent.iter().map(|part| part.field.as_str()).collect();
    let mut details = Vec::new();
    if !parts.is_empty() {
        details.push(format!("no answer from {}", parts.join(" and ")));
    }
    if !paused.is_empty() {
        details.push("deliveries are paused: the log takes no more events".to_owned());
    }
    let detail = details.join("; ");
    silent.extend(paused);
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_errors(silent))
}

fn note_failure<T>(
    part: &str,
    answer: Result<T, Error>,
    silent: &mut Vec<FieldProblem>,
) -> Option<T> {
    match answer {
        Ok(status) => Some(status),
        Err(error) => {
            silent.push(FieldProblem::new(part, Problem::from(error).detail));
            None
        }
    }
}
