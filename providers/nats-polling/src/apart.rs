//! A batch that the reader does not take whole, in parts.
//!
//! One bad result must not cost another. So a batch that fails while others pass is handed on in halves, and
//! those that fail in halves again, in the order of its results. What is left in the end are the results that
//! cannot be recorded as they are. Of each of them what can be kept is recorded, with the reason. Only where
//! that fails too does one result go to the dead letters.
//!
//! The batch stays in its stream until all of this is done. After a crash it begins again, and the log
//! appends nothing twice: each result has its number, whatever batch or part it comes in.

use std::ops::Range;

use fieldledger_wire::batch::PollBatch;
use tracing::{info, warn};

use crate::progress::Progress;
use crate::recording::{Patience, Recorder, Verdict};

/// What has become of a batch that went in parts.
#[derive(Debug)]
pub(crate) enum Apart {
    /// All but these results are in the log, at least with what can be kept of them.
    Recorded { lost: Vec<Lost> },
    /// It cannot be taken apart.
    Whole,
    /// We are asked to stop before all of it was tried.
    Stopped,
}

/// Rows that are yet to be recorded, and how often they were tried in vain, and why.
type Part = (Range<usize>, Option<(u32, String)>);

/// A result that cannot be recorded in any form.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) part: PollBatch,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
}

/// Records a batch in parts that failed as a whole, after so many attempts, for this reason.
pub(crate) async fn record(
    recorder: &Recorder,
    progress: &Progress,
    batch: &PollBatch,
    (attempts, reason): (u32, &str),
) -> Apart {
    let rows = batch.sensor.len();
    // What is no batch at all is none in parts either.
    if rows == 0 || batch.epoch.is_empty() || batch.part(0..rows).is_none() {
        return Apart::Whole;
    }
    info!(
        lane = recorder.lane,
        batch = batch.id,
        results = rows,
        reason,
        "batch is not taken as a whole; it goes in parts"
    );
    let mut lost = Vec::new();
    let mut waiting: Vec<Part> = Vec::new();
    match rows {
        1 => waiting.push((0..1, Some((attempts, reason.to_owned())))),
        _ => split(0..rows, &mut waiting),
    }
    while let Some((range, failed)) = waiting.pop() {
        let Some(part) = batch.part(range.clone()) else {
            return Apart::Whole;
        };
        let patience = match range.len() {
            1 => Patience::ONE,
            _ => Patience::PART,
        };
        let verdict = match failed {
            Some((attempts, reason)) => Verdict::Hopeless { attempts, reason },
            None => recorder.record(&part, patience).await,
        };
        match verdict {
            Verdict::Recorded(_) => progress.part_delivered(&part),
            Verdict::Stopped => return Apart::Stopped,
            Verdict::Hopeless { .. } if range.len() > 1 => split(range, &mut waiting),
            Verdict::Hopeless { attempts, reason } => {
                let kept = part.what_can_be_kept(&reason);
                match recorder.record(&kept, Patience::ONE).await {
                    Verdict::Recorded(_) => {
                        warn!(
                            lane = recorder.lane,
                            batch = batch.id,
                            sensor = sensor_of(&part),
                            poll = part.poll.first(),
                            reason,
                            "a result cannot be recorded as it is; an entry says so, with what can be kept"
                        );
                        progress.result_cut();
                        progress.part_delivered(&kept);
                    }
                    Verdict::Stopped => return Apart::Stopped,
                    Verdict::Hopeless { .. } => lost.push(Lost {
                        part,
                        attempts,
                        reason,
                    }),
                }
            }
        }
    }
    Apart::Recorded { lost }
}

/// Puts both halves of these rows where the first is taken next.
fn split(rows: Range<usize>, waiting: &mut Vec<Part>) {
    let middle = rows.start + rows.len() / 2;
    waiting.push((middle..rows.end, None));
    waiting.push((rows.start..middle, None));
}

fn sensor_of(part: &PollBatch) -> &str {
    let index = part.sensor.first().map(|index| *index as usize);
    let sensor = index.and_then(|index| part.sensors.get(index));
    sensor.map_or("unknown", |sensor| sensor.id.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use fieldledger_wire::batch::{Attestation, Outcome, SensorProfile};
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use parking_lot::Mutex;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::reader::{IngestError, Ingested, Reader};

    /// Refuses each batch with one of these texts in a way of its own, and remembers the others.
    struct Picky {
        bad: &'static [&'static str],
        error: IngestError,
        /// Whether it takes what is kept of them.
        takes_rests: bool,
        recorded: Mutex<Vec<String>>,
    }

    impl Reader for Picky {
        fn ingest<'a>(
            &'a self,
            batch: &'a PollBatch,
        ) -> BoxFuture<'a, Result<Ingested, IngestError>> {
            let is_bad = batch
                .text
                .iter()
                .any(|text| self.bad.contains(&text.as_str()));
            let is_rest = !batch.refusal.is_empty();
            if is_bad && !(is_rest && self.takes_rests) {
                return std::future::ready(Err(self.error.clone())).boxed();
            }
            let mark = if is_rest { "!" } else { "" };
            let texts = batch.text.iter().map(|text| format!("{text}{mark}"));
            self.recorded.lock().extend(texts);
            std::future::ready(Ok(Ingested::default())).boxed()
        }
    }

    fn batch(rows: usize) -> PollBatch {
        let numbers: Vec<u64> = (0..rows as u64).collect();
        PollBatch {
            id: "batch".to_owned(),
            epoch: "epoch".to_owned(),
            sensors: vec![SensorProfile {
                id: "sensor".to_owned(),
                alias: "boiler".to_owned(),
                location: "hall".to_owned(),
                unit: String::new(),
                range: None,
                calibration: None,
                unit_sent: String::new(),
            }],
            sensor: vec![0; rows],
            polled_at: numbers.clone(),
            received_at: numbers.clone(),
            outcome: vec![Outcome::Value; rows],
            text: numbers.iter().map(u64::to_string).collect(),
            boot: vec![String::new(); rows],
            sequence: vec![None; rows],
            device_at: vec![None; rows],
            unit: vec![String::new(); rows],
            sequence_reused: vec![false; rows],
            device_up: vec![None; rows],
            attestation: vec![Attestation::Unsigned; rows],
            evidence: vec![String::new(); rows],
            refusal: String::new(),
            remark: vec![String::new(); rows],
            flaw: vec![String::new(); rows],
            poll: numbers,
        }
    }

    async fn recorded(reader: Picky, rows: usize) -> (Vec<String>, Apart, u64) {
        let reader = Arc::new(reader);
        let progress = Arc::new(Progress::default());
        let recorder = Recorder {
            lane: 0,
            reader: Arc::<Picky>::clone(&reader),
            call_timeout: Duration::from_secs(20),
            progress: Arc::clone(&progress),
            stop: CancellationToken::new(),
        };
        let apart = record(&recorder, &progress, &batch(rows), (1, "refused")).await;
        let texts = reader.recorded.lock().clone();
        (texts, apart, progress.status().results_cut)
    }

    fn errors() -> [IngestError; 2] {
        [
            IngestError::Malformed("row 3".to_owned()),
            IngestError::Failed("wasm trap".to_owned()),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn bad_results_are_kept_in_part_and_all_others_whole_and_in_order() {
        for error in errors() {
            let reader = Picky {
                bad: &["0", "3", "6", "99"],
                error,
                takes_rests: true,
                recorded: Mutex::default(),
            };
            let (texts, apart, cut) = recorded(reader, 100).await;
            let expected: Vec<String> = (0..100)
                .map(|number| match number {
                    0 | 3 | 6 | 99 => format!("{number}!"),
                    _ => number.to_string(),
                })
                .collect();
            assert_eq!(texts, expected);
            assert_eq!(cut, 4);
            assert!(matches!(apart, Apart::Recorded { lost } if lost.is_empty()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_recorded_in_any_form_is_given_up_alone() {
        for error in errors() {
            let reader = Picky {
                bad: &["5"],
                error,
                takes_rests: false,
                recorded: Mutex::default(),
            };
            let (texts, apart, cut) = recorded(reader, 7).await;
            assert_eq!(texts, ["0", "1", "2", "3", "4", "6"]);
            assert_eq!(cut, 0);
            let Apart::Recorded { lost } = apart else {
                panic!("{apart:?}");
            };
            assert_eq!(lost.len(), 1);
            assert_eq!(lost[0].part.text, ["5"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_told_apart_stays_whole() {
        let progress = Arc::new(Progress::default());
        let recorder = Recorder {
            lane: 0,
            reader: Arc::new(Picky {
                bad: &[],
                error: IngestError::Failed(String::new()),
                takes_rests: true,
                recorded: Mutex::default(),
            }),
            call_timeout: Duration::from_secs(20),
            progress: Arc::clone(&progress),
            stop: CancellationToken::new(),
        };
        let mut uneven = batch(3);
        uneven.unit.clear();
        let mut nameless = batch(3);
        nameless.epoch.clear();
        for batch in [uneven, nameless, batch(0)] {
            let apart = record(&recorder, &progress, &batch, (1, "refused")).await;
            assert!(matches!(apart, Apart::Whole), "{apart:?}");
        }
    }
}
