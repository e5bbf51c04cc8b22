//! `POST /api/devices/approve` and `/retire`: which key is a sensor's own, for tokens with the scope
//! `admin`.
//!
//! What an operator decides is in the log before it counts: an entry says that it was asked for, and
//! another how it ended. A crash in between leaves the first alone.

use axum::Json;
use axum::extract::State;
use fieldledger_contract::Error;
use fieldledger_contract::audit::EventColumns;
use fieldledger_contract::calls::Log;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::extract::JsonBody;
use crate::life::Admin;
use crate::parts::Shared;
use crate::problem::Problem;
use crate::sites;

/// `action` of the entries about an approval.
const APPROVE: &str = "DEVICE_KEY_APPROVE";

/// `action` of the entries about a retirement.
const RETIRE: &str = "DEVICE_KEY_RETIRE";

/// Which key of which sensor, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveParams {
    /// UUID of the sensor.
    #[schema(value_type = String, format = "uuid")]
    sensor: Uuid,
    /// Fingerprint of the key, as the device shows it: `SHA256:` and base64.
    #[schema(example = "SHA256:AbCdEf0123456789AbCdEf0123456789AbCdEf01234")]
    fingerprint: String,
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Which sensor's key, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetireParams {
    /// UUID of the sensor.
    #[schema(value_type = String, format = "uuid")]
    sensor: Uuid,
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// What was decided.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DecidedKey {
    /// UUID of the sensor.
    pub sensor: String,
    /// The key, `ed25519:<base64>`.
    pub key: String,
    /// The entry of the log that says so; null where that is not known.
    pub entry: Option<u64>,
}

/// Makes a key that a sensor shows the sensor's own. From then on only what is signed with it is taken
/// for the sensor's; a key approved before is retired.
#[utoipa::path(
    post,
    path = "/api/devices/approve",
    request_body = ApproveParams,
    responses(
        (status = 200, description = "The key is the sensor's", body = DecidedKey),
        (status = 404, description = "No such sensor is known", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The sensor does not show that key", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended, and cannot record it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn approve_key(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<ApproveParams>,
) -> Result<Json<DecidedKey>, Problem> {
    let sensor = params.sensor.hyphenated().to_string();
    let deed = Deed {
        action: APPROVE,
        sensor: &sensor,
        fingerprint: &params.fingerprint,
        reason: &params.reason,
        actor: &actor,
    };
    let decided = deed.carry_out(parts.log.as_ref(), || {
        sites::decide(parts.plant.as_ref(), &sensor, |site| {
            parts.plant.approve_key(site, &sensor, &params.fingerprint)
        })
    })?;
    Ok(Json(decided))
}

/// Retires a sensor's key. What is signed with it from then on is recorded as such, and not taken for
/// the sensor's.
#[utoipa::path(
    post,
    path = "/api/devices/retire",
    request_body = RetireParams,
    responses(
        (status = 200, description = "The key is retired", body = DecidedKey),
        (status = 404, description = "No such sensor is known", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The sensor has no approved key", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended, and cannot record it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retire_key(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    JsonBody(params): JsonBody<RetireParams>,
) -> Result<Json<DecidedKey>, Problem> {
    let sensor = params.sensor.hyphenated().to_string();
    let deed = Deed {
        action: RETIRE,
        sensor: &sensor,
        fingerprint: "",
        reason: &params.reason,
        actor: &actor,
    };
    let decided = deed.carry_out(parts.log.as_ref(), || {
        sites::decide(parts.plant.as_ref(), &sensor, |site| {
            parts.plant.retire_key_of(site, &sensor)
        })
    })?;
    Ok(Json(decided))
}

/// What somebody wants to be done.
struct Deed<'a> {
    action: &'static str,
    sensor: &'a str,
    fingerprint: &'a str,
    reason: &'a str,
    actor: &'a str,
}

impl Deed<'_> {
    fn carry_out(
        &self,
        log: &dyn Log,
        decide: impl FnOnce() -> Result<String, Error>,
    ) -> Result<DecidedKey, Problem> {
        self.log(log, "REQUESTED", self.fingerprint, self.reason)?;
        match decide() {
            Ok(key) => {
                let entry = self.log(log, "SUCCESS", &key, self.reason)?;
                Ok(DecidedKey {
                    sensor: self.sensor.to_owned(),
                    key,
                    entry,
                })
            }
            Err(error) => {
                let why = Problem::from(error);
                self.log(log, "FAILURE", self.fingerprint, &why.detail)?;
                Err(why)
            }
        }
    }

    /// Returns the entry once it is durable, as far as that is known.
    fn log(
        &self,
        log: &dyn Log,
        status: &str,
        key: &str,
        message: &str,
    ) -> Result<Option<u64>, Error> {
        let written = log.write(EventColumns {
            message: vec![message.to_owned()],
            actor: vec![self.actor.to_owned()],
            action: vec![self.action.to_owned()],
            new: vec![key.to_owned()],
            source: vec![self.sensor.to_owned()],
            status: vec![status.to_owned()],
            ..EventColumns::default()
        })?;
        Ok(written.indices.first().copied().flatten())
    }
}
