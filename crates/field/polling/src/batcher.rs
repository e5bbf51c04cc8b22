//! Results gathered into batches, bounded by count, bytes and age.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fieldledger_wire::batch::{PollBatch, SensorProfile};
use uuid::Uuid;

use crate::moment::micros;
use crate::poll_result::PollResult;
use crate::receipt::Receipt;

/// A result in JSON without its texts: 16 values and separators, four of them times of 16 digits,
/// two numbers of at most 20, a word of at most 12.
const RESULT_BYTES: usize = 200;

/// A profile in JSON without its texts: member names, id and five numbers of at most 24 characters.
const PROFILE_BYTES: usize = 336;

/// A batch in JSON without its contents: member names, id and epoch.
const BATCH_BYTES: usize = 400;

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most results.
    pub count: usize,
    /// Most bytes as JSON, unless a single result needs more.
    pub bytes: usize,
    /// Longest wait of a result.
    pub age: Duration,
}

/// A batch, and what is to be said once it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// What is to be stored.
    pub batch: PollBatch,
    /// What devices wait to hear of it.
    pub receipts: Vec<Receipt>,
}

/// Gathers results. The order of results is kept, within a batch and from batch to batch.
#[derive(Debug)]
pub struct Batcher {
    limits: BatchLimits,
    epoch: String,
    name: String,
    next_number: u64,
    open: Open,
    ready: Vec<Sealed>,
}

/// The batch that is being filled.
#[derive(Debug, Default)]
struct Open {
    batch: PollBatch,
    receipts: Vec<Receipt>,
    /// Index of each sensor in the batch, with the profile it stands for.
    sensors: HashMap<Uuid, (u32, Arc<SensorProfile>)>,
    bytes: usize,
    /// When the first result came, steady clock.
    since: u64,
}

impl Batcher {
    /// Batches of the run `epoch` get the ids `<epoch>-<name>-<number>`.
    #[must_use]
    pub fn new(limits: BatchLimits, epoch: &str, name: &str) -> Self {
        Self {
            limits,
            epoch: epoch.to_owned(),
            name: name.to_owned(),
            next_number: 1,
            open: Open::default(),
            ready: Vec::new(),
        }
    }

    /// Adds a result.
    pub fn add(&mut self, result: PollResult, steady_now: u64) {
        let known = self.open.sensors.get(&result.sensor);
        // A batch describes each sensor once, so a new description begins a new batch.
        let described_anew =
            known.is_some_and(|(_, profile)| !Arc::ptr_eq(profile, &result.profile));
        let more_bytes = bytes_of(&result) + known.map_or_else(|| profile_bytes(&result), |_| 0);
        let too_long = self.open.bytes + more_bytes > self.limits.bytes;
        if described_anew || too_long {
            self.close();
        }
        if self.open.batch.sensor.is_empty() {
            self.open.since = steady_now;
            self.open.bytes = BATCH_BYTES;
        }
        self.open.add(result);
        if self.open.batch.sensor.len() >= self.limits.count {
            self.close();
        }
    }

    /// Takes the batches that are full or, by now, old enough.
    pub fn take_ready(&mut self, steady_now: u64) -> Vec<Sealed> {
        if self.next_wake().is_some_and(|at| at <= steady_now) {
            self.close();
        }
        std::mem::take(&mut self.ready)
    }

    /// Takes everything.
    pub fn take_all(&mut self) -> Vec<Sealed> {
        self.close();
        std::mem::take(&mut self.ready)
    }

    /// When the open batch is old enough, on the steady clock.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let has_results = !self.open.batch.sensor.is_empty();
        has_results.then(|| self.open.since + micros(self.limits.age))
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if open.batch.sensor.is_empty() {
            return;
        }
        let id = format!("{}-{}-{}", self.epoch, self.name, self.next_number);
        self.next_number += 1;
        self.ready.push(Sealed {
            batch: PollBatch {
                id,
                epoch: self.epoch.clone(),
                ..open.batch
            },
            receipts: open.receipts,
        });
    }
}

impl Open {
    fn add(&mut self, result: PollResult) {
        self.bytes += bytes_of(&result);
        let index = match self.sensors.get(&result.sensor) {
            Some((index, _)) => *index,
            None => {
                self.bytes += profile_bytes(&result);
                let index = u32::try_from(self.batch.sensors.len()).unwrap_or(u32::MAX);
                self.batch
                    .sensors
                    .push(SensorProfile::clone(&result.profile));
                self.sensors
                    .insert(result.sensor, (index, Arc::clone(&result.profile)));
                index
            }
        };
        let batch = &mut self.batch;
        batch.sensor.push(index);
        batch.poll.push(result.poll);
        batch.polled_at.push(result.polled_at);
        batch.received_at.push(result.received_at);
        batch.outcome.push(result.outcome);
        batch.text.push(result.text);
        batch.boot.push(result.boot);
        batch.sequence.push(result.sequence);
        batch.device_at.push(result.device_at);
        batch.unit.push(result.unit);
        batch.sequence_reused.push(result.sequence_reused);
        batch.device_up.push(result.device_up);
        batch.attestation.push(result.attestation);
        batch.evidence.push(result.evidence);
        batch.remark.push(result.remark);
        batch.flaw.push(result.flaw);
        self.receipts.extend(result.receipt.map(|receipt| *receipt));
    }
}

fn bytes_of(result: &PollResult) -> usize {
    let PollResult {
        text,
        boot,
        unit,
        evidence,
        remark,
        flaw,
        ..
    } = result;
    let texts = [text, boot, unit, evidence, remark, flaw];
    RESULT_BYTES
        + texts
            .into_iter()
            .map(|text| json_bytes(text))
            .sum::<usize>()
}

fn profile_bytes(result: &PollResult) -> usize {
    let profile = &result.profile;
    PROFILE_BYTES
        + json_bytes(&profile.alias)
        + json_bytes(&profile.location)
        + json_bytes(&profile.unit)
        + json_bytes(&profile.unit_sent)
}

/// At most this long in JSON, quotation marks left out: an escape takes up to six bytes.
fn json_bytes(text: &str) -> usize {
    let escaped = |c: char| c.is_control() || matches!(c, '"' | '\\');
    text.chars()
        .map(|c| if escaped(c) { 6 } else { c.len_utf8() })
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use fieldledger_wire::batch::{Attestation, Outcome, Range};
    use fieldledger_wire::bulk::HistoryAck;
    use fieldledger_wire::topic::{Subject, TopicRules};
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        count: 10,
        bytes: 4_000,
        age: Duration::from_millis(200),
    };

    fn opened(sealed: Vec<Sealed>) -> Vec<PollBatch> {
        sealed.into_iter().map(|sealed| sealed.batch).collect()
    }

    fn profile(sensor: u8, alias: &str) -> Arc<SensorProfile> {
        Arc::new(SensorProfile {
            id: Uuid::from_u128(sensor.into()).to_string(),
            alias: alias.to_owned(),
            location: "Boiler Room".to_owned(),
            unit: "Cel".to_owned(),
            range: Some(Range {
                low: -f64::MAX,
                high: f64::MAX,
            }),
            calibration: None,
            unit_sent: "°C".to_owned(),
        })
    }

    fn result(poll: u64, sensor: u8, profile: &Arc<SensorProfile>, text: &str) -> PollResult {
        PollResult {
            sensor: Uuid::from_u128(sensor.into()),
            profile: Arc::clone(profile),
            poll,
            polled_at: 1_767_323_045_000_006,
            received_at: 1_767_323_045_000_006,
            outcome: Outcome::Value,
            text: text.to_owned(),
            boot: String::new(),
            sequence: Some((1 << 53) - 1),
            device_at: Some((1 << 53) - 1),
            unit: String::new(),
            sequence_reused: false,
            device_up: Some((1 << 53) - 1),
            attestation: Attestation::Unapproved,
            evidence: format!(r#"{{"sig":"{text}"}}"#),
            remark: text.to_owned(),
            flaw: text.to_owned(),
            receipt: None,
        }
    }

    #[test]
    fn a_receipt_goes_with_the_batch_of_its_result() {
        let mut batcher = Batcher::new(LIMITS, "e", "0");
        let profile = profile(1, "a");
        let receipt = |seq| Receipt::History {
            subject: Subject::from_topic(
                &format!("sim.read.{}", Uuid::from_u128(1)),
                Uuid::from_u128(1),
                &TopicRules::new(&["sim".to_owned()], "default").unwrap(),
            )
            .unwrap(),
            ack: HistoryAck {
                boot: "b".into(),
                seq,
            },
        };
        let number = |receipt: &Receipt| match receipt {
            Receipt::History { ack, .. } => Some(ack.seq),
            Receipt::Answer(_) => None,
        };
        for poll in 0..25 {
            let receipt = (poll % 8 == 7).then(|| Box::new(receipt(poll)));
            let result = PollResult {
                receipt,
                ..result(poll, 1, &profile, "1")
            };
            batcher.add(result, 0);
        }
        let mut sealed = batcher.take_ready(0);
        sealed.extend(batcher.take_all());
        let acknowledged: Vec<Vec<u64>> = sealed
            .iter()
            .map(|sealed| sealed.receipts.iter().filter_map(number).collect())
            .collect();
        assert_eq!(acknowledged, [vec![7], vec![15], vec![23]]);
    }

    #[test]
    fn a_batch_ends_with_its_count() {
        let mut batcher = Batcher::new(LIMITS, "e", "0");
        let profile = profile(1, "a");
        for poll in 0..25 {
            batcher.add(result(poll, 1, &profile, "1"), 0);
        }
        let batches = opened(batcher.take_ready(0));
        assert_eq!(batches.len(), 2);
        assert!(
            batches
                .iter()
                .all(|batch| batch.poll.len() == 10 && batch.sensors.len() == 1)
        );
        assert_eq!(opened(batcher.take_all())[0].poll, [20, 21, 22, 23, 24]);
    }

    #[test]
    fn a_batch_ends_with_its_age() {
        let mut batcher = Batcher::new(LIMITS, "e", "0");
        batcher.add(result(1, 1, &profile(1, "a"), "1"), 1_000);
        assert_eq!(batcher.next_wake(), Some(201_000));
        assert!(opened(batcher.take_ready(200_999)).is_empty());
        assert_eq!(opened(batcher.take_ready(201_000)).len(), 1);
        assert_eq!(batcher.next_wake(), None);
    }

    #[test]
    fn a_sensor_described_anew_begins_a_batch() {
        let mut batcher = Batcher::new(LIMITS, "e", "0");
        batcher.add(result(1, 1, &profile(1, "before"), "1"), 0);
        batcher.add(result(2, 1, &profile(1, "after"), "1"), 0);
        let batches = opened(batcher.take_all());
        assert_eq!(batches[0].sensors[0].alias, "before");
        assert_eq!(batches[1].sensors[0].alias, "after");
        assert_ne!(batches[0].id, batches[1].id);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn nothing_is_lost_or_reordered_and_bytes_stay_below_the_limit(
            rows in proptest::collection::vec((0..4_u8, "\\PC{0,64}|[\\x00-\\x1f\"\\\\]{0,64}"), 0..100)
        ) {
            let profiles: Vec<_> = (0..4).map(|sensor| profile(sensor, "\"\u{1}ö\"")).collect();
            let mut batcher = Batcher::new(LIMITS, "e", "0");
            let mut batches = Vec::new();
            for (poll, (sensor, text)) in (0..).zip(&rows) {
                batcher.add(result(poll, *sensor, &profiles[usize::from(*sensor)], text), 0);
                batches.extend(opened(batcher.take_ready(0)));
            }
            batches.extend(opened(batcher.take_all()));
            let polls: Vec<u64> = batches.iter().flat_map(|batch| batch.poll.clone()).collect();
            prop_assert_eq!(polls, (0..rows.len() as u64).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(serde_json::to_vec(batch).unwrap().len() <= LIMITS.bytes);
                for (sensor, poll) in batch.sensor.iter().zip(&batch.poll) {
                    let row = &rows[usize::try_from(*poll).unwrap()];
                    let id = Uuid::from_u128(row.0.into()).to_string();
                    prop_assert_eq!(&batch.sensors[usize::try_from(*sensor).unwrap()].id, &id);
                }
            }
        }
    }
}
