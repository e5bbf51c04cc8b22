//! The sensors that a polling provider knows, and how it does.

use fieldledger_contract_derive::Wire;

use super::SensorProfile;
use crate::base::WallTime;

/// Whether a sensor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Liveness {
    /// Heartbeats arrive and polls are answered.
    Ok,
    /// Heartbeats were missed.
    Stale,
    /// Several polls in a row went unanswered.
    Down,
}

/// Whose word a sensor's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Standing {
    /// It shows no key.
    Unsigned,
    /// It shows a key that nobody has approved.
    Discovered,
    /// Its key was approved.
    Approved,
    /// Its key was approved, and somebody who claims to be it shows another one.
    KeyOffered,
    /// Its key was retired, and none approved since.
    Retired,
}

impl Standing {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Discovered => "discovered",
            Self::Approved => "approved",
            Self::KeyOffered => "key_offered",
            Self::Retired => "retired",
        }
    }
}

/// A sensor as the polling provider knows it.
#[derive(Debug, Clone, PartialEq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SensorState {
    /// What its heartbeat declared of it.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub profile: SensorProfile,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Whose word its key is.
    pub standing: Standing,
    /// Fingerprint of the approved key, `SHA256:<base64>`, or empty.
    pub key: String,
    /// Fingerprint of the key that it shows and that waits for approval, or empty.
    pub offered_key: String,
    /// Milliseconds from poll to poll.
    pub poll_interval_ms: u64,
    /// IP address as its heartbeat gave it.
    pub ip_address: String,
    /// MAC address as its heartbeat gave it.
    pub mac_address: String,
    /// First heartbeat.
    pub first_seen: WallTime,
    /// Newest heartbeat.
    pub last_heartbeat: WallTime,
    /// Newest poll.
    pub last_poll: Option<WallTime>,
    /// Newest answer.
    pub last_reply: Option<WallTime>,
    /// Failed polls since the last answer.
    pub consecutive_failures: u32,
    /// Polls sent.
    pub polls: u64,
    /// Polls answered in time with a number.
    pub replies: u64,
    /// Polls not answered in time.
    pub timeouts: u64,
    /// Answers that were no number.
    pub unparsable: u64,
    /// Answers that came too late.
    pub late: u64,
    /// What is odd about how it counts, such as that two devices seem to use its id, as a sentence;
    /// empty if nothing is.
    #[cfg_attr(feature = "serde", serde(default))]
    pub condition: String,
    /// Since when.
    #[cfg_attr(feature = "serde", serde(default))]
    pub condition_since: Option<WallTime>,
    /// How long a poll waits for the sensor's answer, milliseconds: learned from its late answers, or
    /// named by its heartbeat.
    pub answer_timeout_ms: u64,
    /// What of its newest heartbeat and answer was left out, or is shown otherwise than it was sent.
    pub remarks: Vec<String>,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RefusalKind {
    /// A heartbeat.
    Heartbeat,
    /// An answer to a poll.
    Answer,
    /// A message of history.
    History,
}

impl RefusalKind {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Answer => "answer",
            Self::History => "history",
        }
    }
}

/// Something that was refused, once or several times for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// The sensor that it is of, or says that it is of; empty where it names none.
    pub sensor: String,
    /// What it was.
    pub kind: RefusalKind,
    /// The subject that it came on.
    pub subject: String,
    /// Why it was refused, and what would be right.
    pub reason: String,
    /// Its beginning, the last time.
    pub excerpt: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: WallTime,
    /// The last time.
    pub last_at: WallTime,
}

/// What could not be recorded in any form, and was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// Names it at its site.
    #[cfg_attr(feature = "schema", schema(example = "sensor_reader.7"))]
    pub id: String,
    /// When it was put aside.
    pub stored_at: WallTime,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How many results it holds; 0 where it is no batch.
    pub results: u32,
    /// Ids of their sensors.
    pub sensors: Vec<String>,
    /// Bytes that it holds.
    pub bytes: u64,
    /// What it holds, at most 32,766 characters of it; absent in a list.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub content: String,
}

/// Counters of the polling provider since it started; sensors and waiting work are as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
pub struct PollingStatus {
    /// Id of the polling run.
    pub epoch: String,
    /// Start of the run.
    pub started_at: WallTime,
    /// Sensors that live.
    pub sensors_ok: u32,
    /// Sensors that missed heartbeats.
    pub sensors_stale: u32,
    /// Sensors that do not answer.
    pub sensors_down: u32,
    /// Heartbeats accepted.
    pub heartbeats: u64,
    /// Heartbeats refused.
    pub heartbeats_rejected: u64,
    /// Why the last one was refused, or empty.
    pub last_rejection: String,
    /// Polls sent.
    pub polls: u64,
    /// Polls answered in time with a number.
    pub replies: u64,
    /// Polls not answered in time.
    pub timeouts: u64,
    /// Answers that were no number.
    pub unparsable: u64,
    /// Answers that came too late.
    pub late: u64,
    /// Answers that belong to no poll.
    pub unsolicited: u64,
    /// Readings that devices had held and sent later.
    pub history_readings: u64,
    /// Messages of such readings that were refused.
    pub history_refused: u64,
    /// Such messages that came too fast, or while polling paused.
    pub history_deferred: u64,
    /// Why the last one was refused, or empty.
    pub last_history_refusal: String,
    /// Batches put into the stream.
    pub batches_stored: u64,
    /// Batches that the ledger holds.
    pub batches_delivered: u64,
    /// Deliveries that failed and were tried again.
    pub batches_retried: u64,
    /// Batches given up.
    pub batches_dead_lettered: u64,
    /// Results of which the log has only what could be kept.
    pub results_cut: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// When the oldest of them was put aside.
    pub oldest_dead_letter: Option<WallTime>,
    /// Why the last delivery failed, or empty.
    pub last_delivery_error: String,
    /// Since when a lane has delivered nothing, because each attempt fails; none while all deliver.
    pub delivery_failing_since: Option<WallTime>,
    /// Why the log takes no more events, so that delivery pauses; empty while it does not say so.
    pub delivery_ended: String,
    /// Bytes of the batches in the stream.
    pub stored_bytes: u64,
    /// At how many of them polling stops.
    pub stored_bytes_max: u64,
    /// Results not yet in the stream.
    pub results_buffered: u64,
    /// Batches in the stream not yet delivered.
    pub batches_pending: u64,
    /// Median time from poll to durable, microseconds.
    pub latency_p50: u64,
    /// 99th percentile of the same.
    pub latency_p99: u64,
}

impl PollingStatus {
    /// Adds the status of another run: counts are summed, times are those of the first started and
    /// of the slowest, the stream is the fuller one, texts are the first that say anything.
    pub fn add(&mut self, other: &Self) {
        // Taken apart by name, so that a new member is not forgotten here.
        let Self {
            epoch,
            started_at,
            sensors_ok,
            sensors_stale,
            sensors_down,
            heartbeats,
            heartbeats_rejected,
            last_rejection,
            polls,
            replies,
            timeouts,
            unparsable,
            late,
            unsolicited,
            history_readings,
            history_refused,
            history_deferred,
            last_history_refusal,
            batches_stored,
            batches_delivered,
            batches_retried,
            batches_dead_lettered,
            results_cut,
            dead_letters,
            oldest_dead_letter,
            last_delivery_error,
            delivery_failing_since,
            delivery_ended,
            stored_bytes,
            stored_bytes_max,
            results_buffered,
            batches_pending,
            latency_p50,
            latency_p99,
        } = other;
        self.started_at = self.started_at.min(*started_at);
        self.latency_p50 = self.latency_p50.max(*latency_p50);
        self.latency_p99 = self.latency_p99.max(*latency_p99);
        // Two runs may share a stream, so the bytes are not summed.
        let used = |bytes: u64, of: u64| u128::from(bytes) * u128::from(of);
        if used(self.stored_bytes, *stored_bytes_max) < used(*stored_bytes, self.stored_bytes_max) {
            (self.stored_bytes, self.stored_bytes_max) = (*stored_bytes, *stored_bytes_max);
        }
        for (first, one) in [
            (&mut self.oldest_dead_letter, oldest_dead_letter),
            (&mut self.delivery_failing_since, delivery_failing_since),
        ] {
            *first = (*first).into_iter().chain(*one).min();
        }
        for (sum, one) in [
            (&mut self.sensors_ok, sensors_ok),
            (&mut self.sensors_stale, sensors_stale),
            (&mut self.sensors_down, sensors_down),
        ] {
            *sum = sum.saturating_add(*one);
        }
        for (sum, one) in [
            (&mut self.heartbeats, heartbeats),
            (&mut self.heartbeats_rejected, heartbeats_rejected),
            (&mut self.polls, polls),
            (&mut self.replies, replies),
            (&mut self.timeouts, timeouts),
            (&mut self.unparsable, unparsable),
            (&mut self.late, late),
            (&mut self.unsolicited, unsolicited),
            (&mut self.history_readings, history_readings),
            (&mut self.history_refused, history_refused),
            (&mut self.history_deferred, history_deferred),
            (&mut self.batches_stored, batches_stored),
            (&mut self.batches_delivered, batches_delivered),
            (&mut self.batches_retried, batches_retried),
            (&mut self.batches_dead_lettered, batches_dead_lettered),
            (&mut self.results_cut, results_cut),
            (&mut self.dead_letters, dead_letters),
            (&mut self.results_buffered, results_buffered),
            (&mut self.batches_pending, batches_pending),
        ] {
            *sum = sum.saturating_add(*one);
        }
        for (first, one) in [
            (&mut self.epoch, epoch),
            (&mut self.last_rejection, last_rejection),
            (&mut self.last_history_refusal, last_history_refusal),
            (&mut self.last_delivery_error, last_delivery_error),
            (&mut self.delivery_ended, delivery_ended),
        ] {
            if first.is_empty() {
                first.clone_from(one);
            }
        }
    }
}
