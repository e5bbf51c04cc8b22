//! One sensor's state.

use std::collections::VecDeque;
use std::sync::Arc;

use fieldledger_contract::field::{Liveness, Standing};
use fieldledger_wire::batch::SensorProfile;
use fieldledger_wire::heartbeat::Device;
use fieldledger_wire::poll::StoredAnswers;

use crate::enrolment::Enrolment;
use crate::moment::Moment;
use crate::patience::Patience;
use crate::points::PointProfiles;
use crate::record::Record;
use crate::sources::Sources;
use crate::state::{PollCounters, SensorState};
use crate::token_bucket::TokenBucket;
use crate::unheard::Unheard;

/// Heartbeats of one sensor: those of a Pico W or the simulator come every 30 or 60 s, a restarting one sends a few.
pub(crate) const HEARTBEATS_PER_SECOND: u32 = 1;
pub(crate) const HEARTBEAT_BURST: u32 = 10;

/// Messages of history of one sensor: a device waits a second between two, and others arrive again
/// when an acknowledgement was lost.
const HISTORIES_PER_SECOND: u32 = 4;
const HISTORY_BURST: u32 = 8;

/// A sensor is taken for living this long after an answer, in microseconds, or for so many intervals:
/// three answers in a row are seldom lost.
const LIVING_FOR: u64 = 10_000_000;
const LIVING_INTERVALS: u64 = 3;

/// Boots of a device whose time is remembered: a device without a clock dates what it kept through a reboot
/// by the boot that took it, and may have rebooted more than once.
const REMEMBERED_BOOTS: usize = 4;

/// Where a sensor is in its round of polls. There is at most one poll of it under way, so an answer
/// on its read topic can belong to no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The next poll is due at this time of the steady clock.
    Scheduled(u64),
    /// The next poll is due and waits for one of the others to end.
    Waiting,
    /// This poll is under way.
    Polled(u64),
}

#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) device: Device,
    /// The device's profile, shared with its results.
    pub(crate) profile: Arc<SensorProfile>,
    pub(crate) phase: Phase,
    /// When the next poll would be due without jitter, steady clock.
    pub(crate) nominal: u64,
    /// No poll before this, unless the sensor answers reply subjects: an answer to an earlier poll
    /// may still arrive and would be taken for the next one's. Steady clock.
    pub(crate) quiet_until: u64,
    /// The poll last given up, until it is answered late or its window ends.
    pub(crate) given_up: Option<u64>,
    /// When it last answered a poll, steady clock.
    pub(crate) answered_at: Option<u64>,
    /// Where it said farewell while it answered: the last poll before that. Answers to later ones count.
    pub(crate) farewell_after: Option<u64>,
    /// No poll before this because of a farewell, steady clock.
    pub(crate) farewell_check_at: u64,
    /// True once it has answered a reply subject; false again when it goes down.
    pub(crate) answers_directly: bool,
    pub(crate) stale: bool,
    pub(crate) down: bool,
    /// Unanswered polls since the last answer.
    pub(crate) failures: u32,
    /// Those of `failures` that a heartbeat has excused.
    pub(crate) excused: u32,
    /// When the heartbeat's absence is looked at next, steady clock.
    pub(crate) watch_at: u64,
    /// Staleness counts from here, steady clock.
    pub(crate) heard_at: u64,
    /// Forgetting counts from here, steady clock.
    pub(crate) remembered_from: u64,
    pub(crate) saved_at: u64,
    pub(crate) first_seen: u64,
    pub(crate) last_heartbeat: u64,
    pub(crate) last_poll: Option<u64>,
    pub(crate) last_reply: Option<u64>,
    pub(crate) counters: PollCounters,
    pub(crate) enrolment: Enrolment,
    pub(crate) patience: Patience,
    /// Where it answers with points: those that it named.
    pub(crate) points: PointProfiles,
    /// What its newest answer was read with.
    pub(crate) answer_remarks: Vec<String>,
    heartbeat_bucket: TokenBucket,
    history_bucket: TokenBucket,
    /// The device's latest boots, and when those were: wall clock. The present one is the last.
    booted: VecDeque<(String, u64)>,
    /// How it counts.
    pub(crate) sources: Sources,
    /// Of which it is to hear.
    pub(crate) unheard: Unheard,
}

impl Sensor {
    pub(crate) fn new(device: Device, now: Moment) -> Self {
        Self {
            profile: Arc::new(device.profile.clone()),
            device,
            // Until the engine schedules the first poll.
            phase: Phase::Scheduled(u64::MAX),
            nominal: now.steady,
            quiet_until: now.steady,
            given_up: None,
            answered_at: None,
            farewell_after: None,
            farewell_check_at: now.steady,
            answers_directly: false,
            stale: false,
            down: false,
            failures: 0,
            excused: 0,
            watch_at: now.steady,
            heard_at: now.steady,
            remembered_from: now.steady,
            saved_at: now.steady,
            first_seen: now.wall,
            last_heartbeat: now.wall,
            last_poll: None,
            last_reply: None,
            counters: PollCounters::default(),
            enrolment: Enrolment::default(),
            patience: Patience::default(),
            points: PointProfiles::default(),
            answer_remarks: Vec::new(),
            heartbeat_bucket: TokenBucket::full(HEARTBEATS_PER_SECOND, HEARTBEAT_BURST, now.steady),
            history_bucket: TokenBucket::full(HISTORIES_PER_SECOND, HISTORY_BURST, now.steady),
            booted: VecDeque::new(),
            sources: Sources::default(),
            unheard: Unheard::default(),
        }
    }

    /// Whether polls are to say which answers are stored. A device without a key has no history that it
    /// could send instead, and that of a retired key is refused.
    pub(crate) fn holds_answers(&self) -> bool {
        let is_refused = matches!(
            self.enrolment.standing(),
            Standing::Unsigned | Standing::Retired
        );
        self.device.identity.is_some() && !is_refused
    }

    /// What a poll that is sent now says of stored answers.
    pub(crate) fn stored_for_poll(&mut self) -> Option<StoredAnswers> {
        self.holds_answers().then(|| self.unheard.for_poll())
    }

    pub(crate) fn may_send_heartbeat(&mut self, steady_now: u64) -> bool {
        self.heartbeat_bucket.take(steady_now)
    }

    pub(crate) fn may_send_history(&mut self, steady_now: u64) -> bool {
        self.history_bucket.take(steady_now)
    }

    /// Notes how long ago, in microseconds, the device says it booted.
    pub(crate) fn note_uptime(&mut self, boot: &str, up: u64, now: Moment) {
        let booted_at = now.wall.saturating_sub(up);
        let mut boots = self.booted.iter_mut();
        if let Some((_, at)) = boots.find(|(known, _)| known == boot) {
            // What travelled fastest is nearest to the truth.
            *at = booted_at.min(*at);
            return;
        }
        if self.booted.len() == REMEMBERED_BOOTS {
            self.booted.pop_front();
        }
        self.booted.push_back((boot.to_owned(), booted_at));
    }

    /// When this boot was, wall clock, as well as that is known.
    pub(crate) fn booted_at(&self, boot: &str) -> Option<u64> {
        let mut boots = self.booted.iter();
        let (_, at) = boots.find(|(known, _)| known == boot)?;
        Some(*at)
    }

    /// Whether it did not answer its last poll.
    pub(crate) fn is_silent(&self) -> bool {
        self.failures > 0
    }

    pub(crate) fn interval(&self) -> u64 {
        self.device.poll_interval_ms * 1_000
    }

    /// How long a poll waits for its answer, in microseconds; `setting` at least.
    pub(crate) fn timeout(&self, setting: u64) -> u64 {
        let named = self.device.answer_within_ms;
        let named = named.map(|milliseconds| milliseconds * 1_000);
        self.patience.timeout(setting, named, self.interval())
    }

    /// Notes an answer of any kind.
    pub(crate) fn heard(&mut self, now: Moment) {
        self.last_reply = Some(now.wall);
        self.answered_at = Some(now.steady);
        self.failures = 0;
        self.excused = 0;
        self.down = false;
    }

    /// Whether it has answered lately, so that it is where it says and has not left.
    pub(crate) fn is_living(&self, steady_now: u64) -> bool {
        let long_enough = LIVING_FOR.max(LIVING_INTERVALS * self.interval());
        let is_recent = |at: u64| steady_now.saturating_sub(at) < long_enough;
        self.answered_at.is_some_and(is_recent)
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        let heartbeat = self.device.to_heartbeat();
        let record = Record {
            heartbeat: &heartbeat,
            first_seen: self.first_seen,
            last_heartbeat: self.last_heartbeat,
            slowest_answer: self.patience.slowest,
        };
        record.to_bytes()
    }

    pub(crate) fn liveness(&self) -> Liveness {
        match (self.down, self.stale) {
            (true, _) => Liveness::Down,
            (false, true) => Liveness::Stale,
            (false, false) => Liveness::Ok,
        }
    }

    /// As it is shown; `timeout` is the setting, in microseconds.
    pub(crate) fn state(&self, timeout: u64) -> SensorState {
        let remarks = self.device.remarks.iter().chain(&self.answer_remarks);
        SensorState {
            profile: Arc::clone(&self.profile),
            liveness: self.liveness(),
            standing: self.enrolment.standing(),
            key: self.enrolment.keys.approved.map(|key| key.fingerprint()),
            offered_key: self.enrolment.offered().map(|key| key.fingerprint()),
            poll_interval_ms: self.device.poll_interval_ms,
            ip_addr: self.device.ip_addr.clone(),
            mac_addr: self.device.mac_addr.clone(),
            first_seen: self.first_seen,
            last_heartbeat: self.last_heartbeat,
            last_poll: self.last_poll,
            last_reply: self.last_reply,
            consecutive_failures: self.failures,
            counters: self.counters,
            condition: self.sources.condition(),
            answer_timeout_ms: self.timeout(timeout) / 1_000,
            remarks: remarks.cloned().collect(),
        }
    }
}
