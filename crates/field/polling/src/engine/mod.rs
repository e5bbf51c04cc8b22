//! The state machine: heartbeats, disconnects, answers and the passing of time go in; polls,
//! subscriptions, records and results come out.

mod history;
mod points;
mod polls;
mod registration;

use std::collections::HashMap;
use std::time::Duration;

use fieldledger_attest::tables::KnownKeys;
use fieldledger_contract::field::Liveness;
use fieldledger_wire::heartbeat::{HeartbeatError, Limits};
use fieldledger_wire::poll::Poll;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thiserror::Error;
use uuid::Uuid;

use crate::agenda::{Agenda, Task};
use crate::enrolment::{EnrolError, Enrolment, Impostor, Keys};
use crate::heartbeat_rates::HeartbeatRates;
use crate::history_turns::HistoryTurns;
use crate::moment::{Moment, micros};
use crate::origin::OriginError;
use crate::poll_book::PollBook;
use crate::poll_queue::PollQueue;
use crate::poll_result::PollResult;
use crate::receipt::StoredAnswer;
use crate::refusals::{Refusal, Refusals};
use crate::routes::{Change, Route, Routes};
use crate::sensor::Sensor;
use crate::state::{Counters, LivenessCounts, SensorState};

/// What the tables of keys that were seen may take at most: those of 4,096 keys. Nothing is taken where no
/// device has a key.
const KNOWN_KEYS_BYTES: usize = 30 << 20;

/// How an engine behaves. [`crate::Config`] makes one from a link's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What a heartbeat may ask for.
    pub limits: Limits,
    /// Prefixes below which only a sensor itself announces itself; see [`OriginError`].
    pub confined: Vec<String>,
    /// How long a poll waits for its answer, unless the sensor has shown or says that it needs longer.
    pub poll_timeout: Duration,
    /// How long after that an answer is still recognised.
    pub late_window: Duration,
    /// A sensor without heartbeats for this long is stale.
    pub stale_after: Duration,
    /// A sensor is down after this many unanswered polls in a row.
    pub down_after: u32,
    /// A sensor that is down is polled at least this often, or at its own longer interval.
    pub retry_max: Duration,
    /// A sensor without heartbeats for this long is forgotten.
    pub forget_after: Duration,
    /// How many sensors are registered at most.
    pub sensors_max: usize,
    /// How many polls are under way at most; the others wait their turn.
    pub outstanding_max: usize,
    /// How many subscriptions the sensors' topics may need at most.
    pub patterns_max: usize,
    /// How many heartbeats are looked at per second, of confined sensors and as many of all others;
    /// bursts of twice `sensors_max` pass.
    pub heartbeats_per_s: u32,
    /// How many readings that devices had kept are taken per second, from all of them together.
    pub history_per_s: u32,
    /// Whether a sensor that shows no key may register.
    pub unsigned_allowed: bool,
}

/// Something to do, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Subscribe to the sensors' subjects of one kind.
    Subscribe {
        /// A subject with a wildcard in place of the sensor's id.
        pattern: String,
    },
    /// End such a subscription.
    Unsubscribe {
        /// As it was subscribed to.
        pattern: String,
    },
    /// Send a poll.
    Poll {
        /// Where to.
        subject: String,
        /// What it says. Its answer comes back with its number.
        poll: Poll,
    },
    /// Store what a restart needs to know of a sensor.
    Save {
        /// Whose record.
        sensor: Uuid,
        /// What [`Engine::restore`] takes.
        record: Vec<u8>,
    },
    /// Delete the sensor's record.
    Delete {
        /// Whose record.
        sensor: Uuid,
    },
    /// A poll has ended, or was answered late.
    Result(PollResult),
    /// A sensor answers although somebody said farewell in its name. It stays; people may want to know.
    FarewellRefuted {
        /// Which sensor.
        sensor: Uuid,
    },
}

/// What outlives an engine.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// What was decided about keys.
    pub keys: Vec<(Uuid, Keys)>,
    /// Records of the sensors that are registered.
    pub sensors: Vec<(Uuid, Vec<u8>)>,
}

/// Why a heartbeat did not count.
#[derive(Debug, Error)]
pub enum Rejection {
    /// Too many heartbeats from all sensors together that are confined, or that are not.
    #[error("more than {limit} heartbeats per second arrive; this one was not looked at")]
    TooManyHeartbeats {
        /// Heartbeats per second.
        limit: u32,
    },
    /// Too many heartbeats of one sensor.
    #[error("sensor {sensor} sends heartbeats more than once a second")]
    TooOften {
        /// Which sensor.
        sensor: Uuid,
    },
    /// The heartbeat itself is wrong.
    #[error("heartbeat{} is not acceptable", of_sensor(.sensor))]
    Heartbeat {
        /// Which sensor it names, as far as that can be told.
        sensor: Option<Uuid>,
        /// What is wrong with it.
        #[source]
        source: HeartbeatError,
    },
    /// It came on a subject on which somebody else may speak.
    #[error("heartbeat came where sensor {sensor} does not announce itself")]
    Origin {
        /// Which sensor it names.
        sensor: Uuid,
        /// What is wrong with the subject.
        #[source]
        source: OriginError,
    },
    /// The registry is full.
    #[error("sensor {sensor} is one too many; at most {limit} are registered (SENSORS_MAX)")]
    TooManySensors {
        /// Which sensor.
        sensor: Uuid,
        /// How many fit.
        limit: usize,
    },
    /// The sensor's topics are built unlike all others, once too often.
    #[error(
        "topics of sensor {sensor} need one subscription too many; at most {limit} are made (PATTERNS_MAX)"
    )]
    TooManyPatterns {
        /// Which sensor.
        sensor: Uuid,
        /// How many subscriptions there may be.
        limit: usize,
    },
    /// Somebody else's heartbeat.
    #[error("heartbeat is not that of sensor {sensor}")]
    Impostor {
        /// Which sensor it names.
        sensor: Uuid,
        /// Why it is not the sensor's.
        #[source]
        source: Impostor,
    },
    /// A sensor without a key, where all have to have one.
    #[error("sensor {sensor} shows no key, and none is registered without one here (UNSIGNED)")]
    NoKey {
        /// Which sensor.
        sensor: Uuid,
    },
    /// Other topics than those on which the sensor answers, and no approved key says so.
    #[error(
        "sensor {sensor} answers on other topics; it has moved once it no longer does, or where its \
         approved key signs that"
    )]
    Moved {
        /// Which sensor.
        sensor: Uuid,
    },
    /// Another sensor uses the same read, disconnect or history topic.
    #[error("sensor {sensor} names a topic that sensor {owner} already uses")]
    TopicTaken {
        /// Which sensor.
        sensor: Uuid,
        /// Who uses it.
        owner: Uuid,
    },
}

impl Rejection {
    /// The sensor that the heartbeat names, where that is known.
    #[must_use]
    pub fn sensor(&self) -> Option<Uuid> {
        match self {
            Self::TooManyHeartbeats { .. } => None,
            Self::Heartbeat { sensor, .. } => *sensor,
            Self::TooOften { sensor }
            | Self::Origin { sensor, .. }
            | Self::TooManySensors { sensor, .. }
            | Self::TooManyPatterns { sensor, .. }
            | Self::Impostor { sensor, .. }
            | Self::NoKey { sensor }
            | Self::Moved { sensor }
            | Self::TopicTaken { sensor, .. } => Some(*sensor),
        }
    }
}

fn of_sensor(sensor: &Option<Uuid>) -> String {
    sensor.map_or_else(String::new, |sensor| format!(" of sensor {sensor}"))
}

/// Why a stored sensor is not registered again.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The record is damaged or of another version.
    #[error("stored sensor is no record: {0}")]
    NotARecord(serde_json::Error),
    /// Its heartbeat lies too far back.
    #[error("stored sensor was last heard of {days} days ago and would have been forgotten")]
    Forgotten {
        /// Whole days since its last heartbeat.
        days: u64,
    },
    /// The heartbeat in it is refused now.
    #[error("heartbeat of the stored sensor is refused")]
    Rejected(#[source] Rejection),
}

/// The state machine. See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    random: StdRng,
    sensors: HashMap<Uuid, Sensor>,
    /// Keys of sensors, those that are not registered now among them.
    keys: HashMap<Uuid, Keys>,
    routes: Routes,
    agenda: Agenda,
    polls: PollBook,
    /// Sensors whose poll is due but not yet sent.
    waiting: PollQueue,
    heartbeat_rates: HeartbeatRates,
    history_turns: HistoryTurns,
    refusals: Refusals,
    known_keys: KnownKeys,
    paused: bool,
    draining: bool,
    counters: Counters,
    actions: Vec<Action>,
}

impl Engine {
    /// An engine that knows no sensors. `seed` decides its jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64, now: Moment) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            sensors: HashMap::new(),
            keys: HashMap::new(),
            routes: Routes::default(),
            agenda: Agenda::default(),
            polls: PollBook::new(micros(settings.late_window)),
            waiting: PollQueue::new(settings.outstanding_max),
            heartbeat_rates: HeartbeatRates::new(
                settings.heartbeats_per_s,
                settings.sensors_max,
                now.steady,
            ),
            history_turns: HistoryTurns::new(settings.history_per_s, now.steady),
            refusals: Refusals::default(),
            known_keys: KnownKeys::with_room(KNOWN_KEYS_BYTES),
            paused: false,
            draining: false,
            counters: Counters::default(),
            actions: Vec::new(),
            settings,
        }
    }

    /// What there is to do since the last call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When [`Engine::tick`] wants to be called next, on the steady clock.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        self.agenda
            .next_at()
            .into_iter()
            .chain(self.polls.next_at())
            .min()
    }

    /// Lets time pass: gives up polls, sends those that are due, looks after absent heartbeats.
    pub fn tick(&mut self, now: Moment) {
        while let Some(flight) = self.polls.give_up(now.steady) {
            self.poll_given_up(flight, now);
        }
        while let Some(flight) = self.polls.close_window(now.steady) {
            self.late_window_closed(flight, now);
        }
        while let Some((at, task, sensor)) = self.agenda.pop_due(now.steady) {
            match task {
                Task::Poll => self.poll_due(sensor, at),
                Task::Watch => self.watch_due(sensor, at, now),
            }
        }
        self.send_waiting(now);
    }

    /// A message that arrived through one of the subscriptions asked for.
    pub fn message(&mut self, subject: &str, payload: &[u8], now: Moment) {
        match self.routes.find(subject) {
            Some(Route::Read(sensor)) => self.answer_on_read_topic(sensor, payload, now),
            Some(Route::Disconnect(sensor)) => self.farewell(sensor, now),
            Some(Route::History(sensor)) => self.history(sensor, payload, now),
            None => self.counters.unsolicited += 1,
        }
    }

    /// An answer is stored for good: its sensor hears of it with the next poll.
    pub fn answer_stored(&mut self, answer: StoredAnswer) {
        let StoredAnswer {
            sensor,
            boot,
            sequence,
        } = answer;
        if let Some(sensor) = self.sensors.get_mut(&sensor) {
            sensor.unheard.add(boot, sequence);
        }
    }

    /// Holds polls back (they wait their turn), or lets them go again.
    pub fn set_paused(&mut self, paused: bool, now: Moment) {
        self.paused = paused;
        self.send_waiting(now);
    }

    /// Sends no more polls; those under way end in their own time. See [`Engine::outstanding`].
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Ends all polls under way as unanswered, because no one will listen any longer.
    pub fn abandon(&mut self, now: Moment) {
        self.draining = true;
        while let Some(flight) = self.polls.give_up_any(now.steady) {
            self.poll_given_up(flight, now);
        }
    }

    /// Polls under way.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.polls.outstanding()
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sensors by liveness.
    #[must_use]
    pub fn liveness(&self) -> LivenessCounts {
        let mut counts = LivenessCounts::default();
        for sensor in self.sensors.values() {
            match sensor.liveness() {
                Liveness::Ok => counts.ok += 1,
                Liveness::Stale => counts.stale += 1,
                Liveness::Down => counts.down += 1,
            }
        }
        counts
    }

    /// One sensor.
    #[must_use]
    pub fn sensor(&self, id: Uuid) -> Option<SensorState> {
        let timeout = micros(self.settings.poll_timeout);
        self.sensors.get(&id).map(|sensor| sensor.state(timeout))
    }

    /// Sensors in order of alias, then id: `limit` of them from `offset` on.
    #[must_use]
    pub fn sensors(&self, offset: usize, limit: usize) -> Vec<SensorState> {
        let timeout = micros(self.settings.poll_timeout);
        let mut sensors: Vec<&Sensor> = self.sensors.values().collect();
        sensors.sort_unstable_by(|a, b| {
            let order = a.profile.alias.cmp(&b.profile.alias);
            order.then_with(|| a.profile.id.cmp(&b.profile.id))
        });
        sensors
            .into_iter()
            .skip(offset)
            .take(limit)
            .map(|sensor| sensor.state(timeout))
            .collect()
    }

    /// What was refused lately, the newest first: `limit` of one sensor, or of all for none.
    #[must_use]
    pub fn refusals(&self, sensor: Option<Uuid>, limit: usize) -> Vec<Refusal> {
        self.refusals.list(sensor, limit)
    }

    /// What a start at another server must know: decisions about keys, and records of sensors, as
    /// [`Engine::restore_keys`] and [`Engine::restore`] take them.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let records = self.sensors.iter();
        Memory {
            keys: self.keys.clone().into_iter().collect(),
            sensors: records.map(|(id, sensor)| (*id, sensor.record())).collect(),
        }
    }

    /// Goes on counting where an earlier run has ended.
    pub fn count_on_from(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Keys that were approved or retired in earlier runs. To be given before [`Engine::restore`].
    pub fn restore_keys(&mut self, sensor: Uuid, keys: Keys) {
        self.keys.insert(sensor, keys);
    }

    /// The sensor's keys once the key of this fingerprint is approved; [`Engine::decide`] makes it so,
    /// after they are stored.
    ///
    /// # Errors
    ///
    /// Says why the key cannot be approved.
    pub fn approve(&self, sensor: Uuid, fingerprint: &str) -> Result<Keys, EnrolError> {
        self.known(sensor)?.enrolment.approve(sensor, fingerprint)
    }

    /// The sensor's keys once its key is retired; [`Engine::decide`] makes it so.
    ///
    /// # Errors
    ///
    /// Says why there is none to retire.
    pub fn retire(&self, sensor: Uuid) -> Result<Keys, EnrolError> {
        match self.sensors.get(&sensor) {
            Some(known) => known.enrolment.retire(sensor),
            // One that is gone may come back.
            None => {
                let keys = self.keys.get(&sensor).cloned();
                let keys = keys.ok_or(EnrolError::Unknown { sensor })?;
                Enrolment::of(keys).retire(sensor)
            }
        }
    }

    /// Takes over what was decided about a sensor's keys.
    pub fn decide(&mut self, sensor: Uuid, keys: Keys) {
        if let Some(known) = self.sensors.get_mut(&sensor) {
            known.enrolment.decide(keys.clone());
        }
        self.keys.insert(sensor, keys);
    }

    fn known(&self, sensor: Uuid) -> Result<&Sensor, EnrolError> {
        let known = self.sensors.get(&sensor);
        known.ok_or(EnrolError::Unknown { sensor })
    }

    fn subscriptions_changed(&mut self, change: Change) {
        let subscribe = change
            .subscribe
            .into_iter()
            .map(|pattern| Action::Subscribe { pattern });
        let unsubscribe = change
            .unsubscribe
            .into_iter()
            .map(|pattern| Action::Unsubscribe { pattern });
        self.actions.extend(subscribe.chain(unsubscribe));
    }

    /// A random delay below `span` microseconds.
    fn jitter(&mut self, span: u64) -> u64 {
        self.random.random_range(0..span.max(1))
    }
}
