//! The account: what the field sent against what the log holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, Entry};

/// One answer, as the simulator recorded it when it sent it.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// The sensor.
    pub id: String,
    /// The sensor's boot id.
    pub boot: String,
    /// The answer's sequence number.
    pub seq: u64,
    /// The value as it was written.
    pub value: String,
    /// When it was sent, microseconds since the Unix epoch.
    pub sent_at: u64,
    /// What was wrong with it.
    pub fault: Option<serde_json::Value>,
}

/// An answer that was on its way when the process that held it died was acknowledged by nobody:
/// it had not reached JetStream. A batch waits 200 ms and its publication is quick; the rest is
/// for a busy machine.
const UNACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Microseconds since the Unix epoch, as answers have it.
///
/// # Errors
/// Where the clock is before that.
pub fn now() -> Result<u64> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(elapsed.as_micros())?)
}

/// Checks that every missing answer was under way when something died.
///
/// # Errors
/// Names the first that was not.
pub fn only_unacknowledged(missing: &[Answer], kills: &[u64]) -> Result<()> {
    let window = u64::try_from(UNACKNOWLEDGED.as_micros())?;
    for answer in missing {
        let near = kills
            .iter()
            .any(|kill| answer.sent_at.abs_diff(*kill) < window);
        ensure!(
            near,
            "{answer:?} is lost, and nothing had died when it was sent (kills: {kills:?})"
        );
    }
    Ok(())
}

/// Reads what a simulator recorded.
///
/// # Errors
/// Where the file cannot be read or a line is none of its lines.
pub fn answers(record: &Path) -> Result<Vec<Answer>> {
    let text =
        fs::read_to_string(record).with_context(|| format!("cannot read {}", record.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// The log's readings of each sensor that `answers` names, in the log's order.
///
/// # Errors
/// Where a proof does not hold, or the API fails.
pub async fn readings(api: &Api, answers: &[Answer]) -> Result<BTreeMap<String, Vec<Entry>>> {
    let sensors: BTreeSet<&str> = answers.iter().map(|answer| answer.id.as_str()).collect();
    let mut readings = BTreeMap::new();
    for sensor in sensors {
        let found = api
            .entries(json!({"source": [sensor], "action": ["SENSOR_READING"]}))
            .await?;
        readings.insert(sensor.to_owned(), found);
    }
    Ok(readings)
}

/// Checks that the log holds every answer once, with its value, each sensor's in the order sent,
/// and no answer that was not sent. Returns the answers that are missing.
///
/// # Errors
/// Names the first entry that is doubled, out of order, or was never sent.
pub fn settle(answers: &[Answer], readings: &BTreeMap<String, Vec<Entry>>) -> Result<Vec<Answer>> {
    let mut open: BTreeMap<(String, String, u64), &Answer> = answers
        .iter()
        .map(|answer| ((answer.id.clone(), answer.boot.clone(), answer.seq), answer))
        .collect();
    ensure!(
        open.len() == answers.len(),
        "the simulator recorded an answer twice"
    );
    for (sensor, entries) in readings {
        let mut last = None;
        for entry in entries {
            let reading = entry.reading()?;
            let (Some(boot), Some(seq)) = (reading["boot"].as_str(), reading["seq"].as_u64())
            else {
                ensure!(
                    entry.field("status") != "SUCCESS",
                    "entry {} has no sequence",
                    entry.index
                );
                continue;
            };
            let answer = open.remove(&(sensor.clone(), boot.to_owned(), seq));
            let answer = answer.with_context(|| {
                format!(
                    "entry {}: {sensor} {boot} {seq} is there twice, or was never sent",
                    entry.index
                )
            })?;
            let raw = reading["raw"].as_str().unwrap_or_default();
            ensure!(
                raw == answer.value,
                "entry {}: {raw:?} where {:?} was sent",
                entry.index,
                answer.value
            );
            ensure!(
                last < Some(seq),
                "entry {}: {sensor} sent {seq} before {last:?}",
                entry.index
            );
            last = Some(seq);
        }
    }
    let mut missing: Vec<Answer> = open.into_values().cloned().collect();
    missing.sort_by_key(|answer| answer.sent_at);
    Ok(missing)
}
