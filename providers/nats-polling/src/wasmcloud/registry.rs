//! The registry interface, over all links.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use fieldledger_contract::Error;
use fieldledger_contract::field::{DeadLetter, PollingStatus, Refusal, SensorState};
use wasmcloud_provider_sdk::Context;

use super::bindings::exports::fieldledger::field::registry::Handler;
use super::provider::PollingProvider;
use super::shown;
use crate::instance::{Instance, LetterError};
use crate::questions::Decision;

/// The most dead letters in one answer: each is read to be shown.
const LETTERS_MAX: usize = 100;

/// The most sensors in one answer.
const LIMIT_MAX: usize = 10_000;

/// The most refusals in one answer.
const REFUSALS_MAX: usize = 1_000;

impl Handler<Option<Context>> for PollingProvider {
    async fn list_sensors(
        &self,
        _context: Option<Context>,
        offset: u32,
        limit: u32,
    ) -> anyhow::Result<Result<Vec<SensorState>, Error>> {
        let limit = (limit as usize).min(LIMIT_MAX);
        let offset = offset as usize;
        let instances = self.instances().await;
        // The usual case needs no merging.
        if let [instance] = instances.values().collect::<Vec<_>>()[..] {
            let sensors = instance.sensors(offset, limit).await;
            return Ok(sensors
                .map(|sensors| sensors.iter().map(shown::sensor).collect())
                .map_err(|error| Error::Unavailable(error.to_string())));
        }
        let mut all = Vec::new();
        for instance in instances.values() {
            match instance.sensors(0, offset + limit).await {
                Ok(sensors) => all.extend(sensors),
                Err(error) => return Ok(Err(Error::Unavailable(error.to_string()))),
            }
        }
        all.sort_by(|a, b| {
            let order = a.profile.alias.cmp(&b.profile.alias);
            order.then_with(|| a.profile.id.cmp(&b.profile.id))
        });
        Ok(Ok(all
            .iter()
            .skip(offset)
            .take(limit)
            .map(shown::sensor)
            .collect()))
    }

    async fn get_sensor(
        &self,
        _context: Option<Context>,
        id: String,
    ) -> anyhow::Result<Result<Option<SensorState>, Error>> {
        let Ok(id) = id.parse() else {
            let problem = format!("{:?} is not a UUID", shortened(&id));
            return Ok(Err(Error::invalid("id", problem)));
        };
        for instance in self.instances().await.values() {
            match instance.sensor(id).await {
                Ok(None) => {}
                Ok(Some(sensor)) => return Ok(Ok(Some(shown::sensor(&sensor)))),
                Err(error) => return Ok(Err(Error::Unavailable(error.to_string()))),
            }
        }
        Ok(Ok(None))
    }

    async fn list_refusals(
        &self,
        _context: Option<Context>,
        sensor: Option<String>,
        limit: u32,
    ) -> anyhow::Result<Result<Vec<Refusal>, Error>> {
        let sensor = match sensor.as_deref().map(str::parse).transpose() {
            Ok(sensor) => sensor,
            Err(_) => {
                let text = sensor.unwrap_or_default();
                let problem = format!("{:?} is not a UUID", shortened(&text));
                return Ok(Err(Error::invalid("sensor", problem)));
            }
        };
        let limit = (limit as usize).min(REFUSALS_MAX);
        let mut all = Vec::new();
        for instance in self.instances().await.values() {
            match instance.refusals(sensor, limit).await {
                Ok(refusals) => all.extend(refusals),
                Err(error) => return Ok(Err(Error::Unavailable(error.to_string()))),
            }
        }
        all.sort_by_key(|refusal| Reverse(refusal.last_at));
        all.truncate(limit);
        Ok(Ok(all.into_iter().map(shown::refusal).collect()))
    }

    async fn approve(
        &self,
        _context: Option<Context>,
        id: String,
        fingerprint: String,
    ) -> anyhow::Result<Result<String, Error>> {
        let decision = Decision::Approve(fingerprint);
        Ok(self.decide(&id, decision).await)
    }

    async fn retire(
        &self,
        _context: Option<Context>,
        id: String,
    ) -> anyhow::Result<Result<String, Error>> {
        Ok(self.decide(&id, Decision::Retire).await)
    }

    async fn list_dead_letters(
        &self,
        _context: Option<Context>,
        offset: u32,
        limit: u32,
    ) -> anyhow::Result<Result<Vec<DeadLetter>, Error>> {
        let limit = (limit as usize).min(LETTERS_MAX);
        let offset = offset as usize;
        let mut all = Vec::new();
        for instance in self.instances().await.values() {
            match instance.dead_letters(0, offset + limit).await {
                Ok(letters) => all.extend(letters),
                Err(error) => return Ok(Err(shown::letter_error(&error))),
            }
        }
        all.sort_by_key(|letter| letter.stored_at);
        Ok(Ok(all.into_iter().skip(offset).take(limit).collect()))
    }

    async fn get_dead_letter(
        &self,
        _context: Option<Context>,
        id: String,
    ) -> anyhow::Result<Result<DeadLetter, Error>> {
        let instances = self.instances().await;
        let answer = match of_letter(&instances, &id) {
            Ok(instance) => instance.dead_letter(&id).await,
            Err(unknown) => Err(unknown),
        };
        Ok(answer.map_err(|error| shown::letter_error(&error)))
    }

    async fn retry_dead_letter(
        &self,
        _context: Option<Context>,
        id: String,
    ) -> anyhow::Result<Result<(), Error>> {
        let instances = self.instances().await;
        let answer = match of_letter(&instances, &id) {
            Ok(instance) => instance.retry_dead_letter(&id).await,
            Err(unknown) => Err(unknown),
        };
        Ok(answer.map_err(|error| shown::letter_error(&error)))
    }

    async fn drop_dead_letter(
        &self,
        _context: Option<Context>,
        id: String,
    ) -> anyhow::Result<Result<(), Error>> {
        let instances = self.instances().await;
        let answer = match of_letter(&instances, &id) {
            Ok(instance) => instance.drop_dead_letter(&id).await,
            Err(unknown) => Err(unknown),
        };
        Ok(answer.map_err(|error| shown::letter_error(&error)))
    }

    async fn get_status(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<PollingStatus, Error>> {
        let mut sum: Option<PollingStatus> = None;
        for instance in self.instances().await.values() {
            let status = shown::status(instance.status().await);
            match &mut sum {
                Some(sum) => sum.add(&status),
                None => sum = Some(status),
            }
        }
        Ok(sum.ok_or_else(|| {
            Error::Unavailable("no component is linked, so nothing is polled".to_owned())
        }))
    }
}

impl PollingProvider {
    /// Has the link that knows the sensor decide about its key; the key.
    async fn decide(&self, id: &str, decision: Decision) -> Result<String, Error> {
        let Ok(sensor) = id.parse() else {
            let id = shortened(id);
            return Err(Error::NotFound(format!(
                "{id:?} is not a sensor id; expected a UUID"
            )));
        };
        let mut unknown = Error::NotFound("no component is linked".to_owned());
        for instance in self.instances().await.values() {
            let decided = instance.decide(sensor, decision.clone()).await;
            match decided.map_err(|error| shown::enrol_error(&error)) {
                Ok(key) => return Ok(key.to_string()),
                Err(error @ Error::NotFound(_)) => unknown = error,
                Err(error) => return Err(error),
            }
        }
        Err(unknown)
    }
}

/// The link whose dead letter this is.
fn of_letter<'a>(
    instances: &'a BTreeMap<(String, String), Instance>,
    id: &str,
) -> Result<&'a Instance, LetterError> {
    let mut all = instances.values();
    all.find(|instance| instance.names_letter(id))
        .ok_or_else(|| LetterError::Unknown(shortened(id)))
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
