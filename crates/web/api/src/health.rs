//! `GET /healthz`: whether the system does its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fieldledger_contract::field::PollingStatus;
use fieldledger_contract::ledger::LedgerStatus;
use fieldledger_contract::{Error, WallTime};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem};
use crate::sites::{self, Answers, SiteAway};

/// Deliveries that fail for longer are worth a look: a restart of the ledger takes a few seconds.
const FAILING_MICROS: u64 = 15_000_000;

/// Every part answers, and readings reach the log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`; or `degraded` where a person should look, as `warnings` say. That a part does not answer is a
    /// problem body.
    #[schema(example = "ok")]
    pub status: String,
    /// What a person should look at; absent if there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What could not be recorded and was put aside, at all sites that answer.
    #[serde(default)]
    pub dead_letters: u64,
    /// When the oldest of that was put aside; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_dead_letter: Option<WallTime>,
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
        (status = 200, description = "Every part answers; `warnings` name what a person should look at", body = Health),
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
        let warnings = warnings(&ledger, &polling, parts.environment.now());
        let status = match warnings.is_empty() {
            true => "ok",
            false => "degraded",
        };
        return Ok(Json(Health {
            status: status.to_owned(),
            warnings,
            dead_letters: sum.dead_letters,
            oldest_dead_letter: sum.oldest_dead_letter,
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

/// What a person should look at, although every part answers.
fn warnings(ledger: &LedgerStatus, polling: &Answers<PollingStatus>, now: WallTime) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(clock) = &ledger.clock {
        warnings.push(clock.to_string());
    }
    for (site, status) in &polling.of {
        if status.dead_letters > 0 {
            let oldest = status
                .oldest_dead_letter
                .map_or_else(|| "an unknown time".to_owned(), |time| time.to_string());
            warnings.push(format!(
                "site {site}: {} dead letters, the oldest of {oldest}: readings that are not in the log; \
                 see fieldledger dead-letters",
                status.dead_letters
            ));
        }
        let since = status.delivery_failing_since;
        if let Some(since) =
            since.filter(|since| now.micros.saturating_sub(since.micros) > FAILING_MICROS)
        {
            warnings.push(format!(
                "site {site}: readings wait since {since} and do not reach the log: {}",
                status.last_delivery_error
            ));
        }
    }
    warnings
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
