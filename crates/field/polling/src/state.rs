//! What can be asked of an engine.

use std::sync::Arc;

use fieldledger_attest::identity::Fingerprint;
use fieldledger_contract::field::{Liveness, Standing};
use fieldledger_wire::batch::SensorProfile;
use fieldledger_wire::heartbeat::MacAddr;

/// One sensor. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorState {
    /// What its heartbeat declared.
    pub profile: Arc<SensorProfile>,
    /// How well it is heard.
    pub liveness: Liveness,
    /// How far its enrolment is.
    pub standing: Standing,
    /// Of the key that was approved.
    pub key: Option<Fingerprint>,
    /// Of the key that it shows and that waits for approval.
    pub offered_key: Option<Fingerprint>,
    /// Milliseconds between polls.
    pub poll_interval_ms: u64,
    /// IP address it gave.
    pub ip_addr: String,
    /// MAC address it gave.
    pub mac_addr: MacAddr,
    /// When its first heartbeat arrived.
    pub first_seen: u64,
    /// When its last heartbeat arrived.
    pub last_heartbeat: u64,
    /// When it was last polled, in this run.
    pub last_poll: Option<u64>,
    /// When it last answered, in this run.
    pub last_reply: Option<u64>,
    /// Unanswered polls since the last answer.
    pub consecutive_failures: u32,
    /// What became of its polls, in this run.
    pub counters: PollCounters,
    /// What is odd about how it counts, and since when.
    pub condition: Option<(String, u64)>,
    /// How long a poll waits for its answer, milliseconds.
    pub answer_timeout_ms: u64,
    /// What of its newest heartbeat and answer was left out, or is shown otherwise than it was sent.
    pub remarks: Vec<String>,
}

/// What became of polls: `polls` is the sum of `replies`, `unparsable`, `timeouts` and those still
/// under way; `late` counts again what `timeouts` has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PollCounters {
    /// Polls sent.
    pub polls: u64,
    /// Answered in time with a number.
    pub replies: u64,
    /// Answered in time with something else.
    pub unparsable: u64,
    /// Given up.
    pub timeouts: u64,
    /// Given up, and answered later.
    pub late: u64,
}

/// What the engine has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Heartbeats accepted.
    pub heartbeats: u64,
    /// Heartbeats refused.
    pub heartbeats_rejected: u64,
    /// Why the last heartbeat was refused, or empty.
    pub last_rejection: String,
    /// What became of polls, over all sensors.
    pub polls: PollCounters,
    /// Answers that belong to no poll.
    pub unsolicited: u64,
    /// What became of messages of history.
    pub history: HistoryCounters,
}

/// What became of what devices had kept and sent later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryCounters {
    /// Readings taken.
    pub readings: u64,
    /// Messages refused: unreadable, or not signed by the sensor.
    pub refused: u64,
    /// Messages that came too fast, or while polling paused; devices send them again.
    pub deferred: u64,
    /// Why the last one was refused, or empty.
    pub last_refusal: String,
}

/// Sensors by liveness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LivenessCounts {
    /// Heard well.
    pub ok: u32,
    /// Heartbeats missed.
    pub stale: u32,
    /// Not answering.
    pub down: u32,
}
