//! One batch to the reader, however often it takes.
//!
//! Three kinds of failure are told apart. The log is *unavailable*, or the reader is: that is no batch's
//! fault, and passes. The log has *ended*: that is no batch's fault either, and does not pass soon, so the
//! lane pauses ([`crate::log_end`]). The batch *itself* fails while others pass: it is hopeless as a whole,
//! and goes in parts ([`crate::apart`]).

use std::sync::Arc;
use std::time::Duration;

use fieldledger_polling::chain;
use fieldledger_wire::batch::PollBatch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::pauses;
use crate::progress::Progress;
use crate::reader::{IngestError, Ingested, Reader};

/// How much it takes to show that the fault is the batch's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// It may fail this often before it is asked whether others pass.
    failures: u32,
    /// More failures than this, with others passing in between.
    passed_by: u32,
}

impl Patience {
    /// With a batch as it was stored.
    pub(crate) const WHOLE: Self = Self {
        failures: 5,
        passed_by: 2,
    };
    /// With several results of a batch that is known to fail: nothing is lost by going on with fewer.
    pub(crate) const PART: Self = Self {
        failures: 0,
        passed_by: 0,
    };
    /// With one result of such a batch.
    pub(crate) const ONE: Self = Self {
        failures: 2,
        passed_by: 1,
    };
}

/// Hands the batches of one lane to the reader.
pub(crate) struct Recorder {
    pub(crate) lane: u32,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) call_timeout: Duration,
    pub(crate) progress: Arc<Progress>,
    /// Once cancelled, a batch that is not recorded at once is left.
    pub(crate) stop: CancellationToken,
}

/// What is to become of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Recorded(Ingested),
    /// It can never be recorded.
    Hopeless {
        /// How often that was tried.
        attempts: u32,
        reason: String,
    },
    /// Not recorded, and we are asked to stop.
    Stopped,
}

impl Recorder {
    /// Tries until there is a verdict.
    pub(crate) async fn record(&self, batch: &PollBatch, patience: Patience) -> Verdict {
        let mut pauses = pauses();
        let mut attempts = 0;
        let mut failures = 0;
        let mut passed_by = 0;
        let mut passed_before = self.progress.passed();
        loop {
            let turn = tokio::select! {
                turn = self.progress.log_end.turn() => turn,
                () = self.stop.cancelled() => return Verdict::Stopped,
            };
            attempts += 1;
            let answer = self.call(batch).await;
            drop(turn);
            let error = match answer {
                Ok(ingested) => {
                    self.progress.lane_goes_on(self.lane);
                    return Verdict::Recorded(ingested);
                }
                Err(IngestError::Malformed(reason)) => {
                    return Verdict::Hopeless { attempts, reason };
                }
                Err(IngestError::Ended(_)) => continue,
                Err(error) => error,
            };
            let text = chain(&error);
            if !error.is_of_every_batch() {
                failures += 1;
                let is_patient = failures <= patience.failures;
                // A full batch takes longer than one result. In parts it may be in time.
                let is_too_long =
                    matches!(error, IngestError::TimedOut(_)) && batch.sensor.len() > 1;
                if is_too_long && !is_patient {
                    let reason = format!("{failures} failures: {text}");
                    return Verdict::Hopeless { attempts, reason };
                }
                if !is_patient && self.others_pass(&error, passed_before).await {
                    passed_by += 1;
                }
                // Once is no proof: the log may have come back between this batch and the others.
                if passed_by > patience.passed_by {
                    let reason = format!("{failures} failures while others pass: {text}");
                    return Verdict::Hopeless { attempts, reason };
                }
                passed_before = self.progress.passed();
            }
            self.progress.delivery_failed(self.lane, &text);
            let pause = pauses.pause();
            warn!(
                lane = self.lane,
                batch = batch.id,
                attempts,
                retry_ms = pause.as_millis(),
                error = text,
                "batch not recorded; it stays in the stream and is tried again"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Verdict::Stopped,
            }
        }
    }

    /// Calls the reader once, and notes what its answer says of the log.
    pub(crate) async fn call(&self, batch: &PollBatch) -> Result<Ingested, IngestError> {
        let milliseconds = u64::try_from(self.call_timeout.as_millis()).unwrap_or(u64::MAX);
        let answer = tokio::time::timeout(self.call_timeout, self.reader.ingest(batch))
            .await
            .unwrap_or(Err(IngestError::TimedOut(milliseconds)));
        self.note_state_of_log(&answer);
        answer
    }

    fn note_state_of_log(&self, answer: &Result<Ingested, IngestError>) {
        let log_end = &self.progress.log_end;
        match answer {
            Err(error @ IngestError::Ended(reason)) => {
                self.progress.set_last_error(&chain(error));
                if log_end.note_ended(reason) {
                    warn!(
                        reason,
                        "the log takes no more entries; delivery pauses, and batches stay in the stream"
                    );
                }
            }
            // The reader can refuse a batch without asking the log.
            Err(IngestError::Malformed(_)) => {}
            Ok(_) | Err(_) => {
                if log_end.clear() {
                    info!("the log no longer says that it has ended; delivery goes on");
                }
            }
        }
    }

    /// Whether the fault lies with one batch: others were recorded since its last failure, or an
    /// empty one is now.
    ///
    /// A timeout is no proof that a batch is bad, since an empty one needs no disk; then only other
    /// results count.
    async fn others_pass(&self, error: &IngestError, passed_before: u64) -> bool {
        if self.progress.passed() > passed_before {
            return true;
        }
        if matches!(error, IngestError::TimedOut(_)) {
            return false;
        }
        let probe = PollBatch {
            id: "probe".to_owned(),
            epoch: "probe".to_owned(),
            ..PollBatch::default()
        };
        matches!(
            self.call(&probe).await,
            Ok(_) | Err(IngestError::Malformed(_))
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    use super::*;
    use crate::log_end::ASK_AGAIN_EVERY;

    const TAKEN: Ingested = Ingested {
        appended: 1,
        duplicates: 0,
        tree_size: 1,
    };

    /// Answers as it is told, and remembers when it was called.
    struct Scripted {
        started: Instant,
        calls: Mutex<Vec<Duration>>,
        answer: Box<dyn Fn(usize) -> Result<Ingested, IngestError> + Send + Sync>,
    }

    impl Scripted {
        /// `answer`: to the call of this number, from 1 on.
        fn new(
            answer: impl Fn(usize) -> Result<Ingested, IngestError> + Send + Sync + 'static,
        ) -> Arc<Self> {
            Arc::new(Self {
                started: Instant::now(),
                calls: Mutex::default(),
                answer: Box::new(answer),
            })
        }
    }

    impl Reader for Scripted {
        fn ingest<'a>(
            &'a self,
            _batch: &'a PollBatch,
        ) -> BoxFuture<'a, Result<Ingested, IngestError>> {
            let number = {
                let mut calls = self.calls.lock();
                calls.push(self.started.elapsed());
                calls.len()
            };
            std::future::ready((self.answer)(number)).boxed()
        }
    }

    fn recorder(reader: &Arc<Scripted>, progress: &Arc<Progress>) -> Recorder {
        Recorder {
            lane: 0,
            reader: Arc::<Scripted>::clone(reader),
            call_timeout: Duration::from_secs(20),
            progress: Arc::clone(progress),
            stop: CancellationToken::new(),
        }
    }

    fn ended() -> Result<Ingested, IngestError> {
        Err(IngestError::Ended("frozen by an operator".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_has_ended_is_asked_once_a_minute_until_it_is_back() {
        let reader = Scripted::new(|call| match call {
            1..=60 => ended(),
            _ => Ok(TAKEN),
        });
        let progress = Arc::new(Progress::default());
        let recorder = recorder(&reader, &progress);
        let status_meanwhile = async {
            tokio::time::sleep(ASK_AGAIN_EVERY / 2).await;
            progress.status()
        };
        let batch = PollBatch::default();
        let (verdict, meanwhile) =
            tokio::join!(recorder.record(&batch, Patience::WHOLE), status_meanwhile);
        assert_eq!(verdict, Verdict::Recorded(TAKEN));
        let expected: Vec<Duration> = (0..=60).map(|minute| minute * ASK_AGAIN_EVERY).collect();
        assert_eq!(*reader.calls.lock(), expected);
        assert_eq!(meanwhile.ended, "frozen by an operator");
        assert!(meanwhile.last_error.contains("frozen by an operator"));
        let afterwards = progress.status();
        assert_eq!(
            (afterwards.ended.as_str(), afterwards.batches_retried),
            ("", 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_that_wait_for_a_log_that_has_ended_ask_it_no_more_often_than_one() {
        let reader = Scripted::new(|call| match call {
            1..=12 => ended(),
            _ => Ok(TAKEN),
        });
        let progress = Arc::new(Progress::default());
        let lanes = [recorder(&reader, &progress), recorder(&reader, &progress)];
        let batch = PollBatch::default();
        let (one, other) = tokio::join!(
            lanes[0].record(&batch, Patience::WHOLE),
            lanes[1].record(&batch, Patience::WHOLE)
        );
        let recorded = Verdict::Recorded(TAKEN);
        assert_eq!((&one, &other), (&recorded, &recorded));
        let calls = reader.calls.lock();
        let minutes: Vec<u64> = calls.iter().map(|at| at.as_secs() / 60).collect();
        // The first lane's question counts for the second, and so does the answer that ends it.
        let expected: Vec<u64> = (0..=12).chain([12]).collect();
        assert_eq!(minutes, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_a_log_that_has_ended() {
        let reader = Scripted::new(|_| ended());
        let progress = Arc::new(Progress::default());
        let recorder = recorder(&reader, &progress);
        let stop = recorder.stop.clone();
        let batch = PollBatch::default();
        let (verdict, ()) = tokio::join!(recorder.record(&batch, Patience::WHOLE), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.cancel();
        });
        assert_eq!(verdict, Verdict::Stopped);
        assert_eq!(reader.started.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_of_the_log_counts_against_no_batch() {
        // A batch that fails now and then, while others pass: not often enough to be hopeless.
        let reader = Scripted::new(|call| match call {
            1..=5 => Err(IngestError::Failed("trap".to_owned())),
            6..=30 => ended(),
            _ => Ok(TAKEN),
        });
        let progress = Arc::new(Progress::default());
        let verdict = recorder(&reader, &progress)
            .record(&PollBatch::default(), Patience::WHOLE)
            .await;
        assert_eq!(verdict, Verdict::Recorded(TAKEN));
    }

    #[tokio::test(start_paused = true)]
    async fn another_failure_is_tried_again_as_usual() {
        // As where the log's host is started again while the log is frozen.
        let reader = Scripted::new(|call| match call {
            1 | 4 => ended(),
            2 | 3 => Err(IngestError::Unavailable("starting".to_owned())),
            _ => Ok(TAKEN),
        });
        let progress = Arc::new(Progress::default());
        let verdict = recorder(&reader, &progress)
            .record(&PollBatch::default(), Patience::WHOLE)
            .await;
        assert_eq!(verdict, Verdict::Recorded(TAKEN));
        // Timers are as exact as a millisecond.
        let hundredths = |at: &Duration| at.as_millis() / 10;
        let calls: Vec<u128> = reader.calls.lock().iter().map(hundredths).collect();
        assert_eq!(calls, [0, 6_000, 6_010, 6_030, 12_030]);
        assert_eq!(progress.status().batches_retried, 2);
    }
}
