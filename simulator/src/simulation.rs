//! The simulated sensors and their state, without any network.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::broker::{Broker, NatsBroker};
use crate::counters::{Counters, Counts, count};
use crate::faults::{Fault, Faults, FaultsError};
use crate::hundredths::Hundredths;
use crate::messages;
use crate::record::{Line, RecordError, Recorder};
use crate::sensor::Sensor;
use crate::topics::{PrefixError, Style, Topics};

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many sensors.
    pub sensors: u32,
    /// Sensors, values and faults follow from it.
    pub seed: u64,
    /// The boot id that modern answers carry; each start of a device has its own.
    pub boot: String,
    /// The poll interval that the sensors ask for.
    pub poll_interval: Duration,
    /// How often a sensor sends a heartbeat.
    pub heartbeat_interval: Duration,
    /// Where the sensors' messages go.
    pub broker: Broker,
    /// Connections to the broker that the sensors share; none is as many as their number asks for.
    pub connections: Option<u32>,
    /// How long to look for the broker at the start.
    pub connect_timeout: Duration,
    /// Whether the sensors send their disconnect message at the end.
    pub say_goodbye: bool,
    /// How the sensors put their messages.
    pub style: Style,
    /// What topics begin with; none is the original simulator's prefix.
    pub prefix: Option<String>,
    /// What goes wrong.
    pub faults: Faults,
    /// How many polls each sensor hears before it falls silent; none is no limit.
    pub polls: Option<u64>,
}

impl Default for Settings {
    /// The forty sensors of the original simulator over NATS, polled every second, under a new boot id.
    fn default() -> Self {
        Self {
            sensors: 40,
            seed: 0,
            boot: Uuid::new_v4().simple().to_string(),
            poll_interval: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(60),
            broker: Broker::Nats(NatsBroker::default()),
            connections: None,
            connect_timeout: Duration::from_secs(10),
            say_goodbye: false,
            style: Style::Modern,
            prefix: None,
            faults: Faults::default(),
            polls: None,
        }
    }
}

/// Why something cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There must be a sensor, and an alias has five digits.
    #[error("{0} sensors cannot be simulated, it must be from 1 to 99999")]
    Sensors(u32),
    /// A boot id goes into every answer as it is.
    #[error("the boot id {0:?} is not one: it must be 1 to 64 letters, digits, '-', '_' or '.'")]
    Boot(String),
    /// An interval is zero.
    #[error("the {0} interval is 0, it must be at least 1 ms")]
    Interval(&'static str),
    /// The sensors cannot share so many connections.
    #[error("{connections} connections for {sensors} sensors, it must be from 1 to {sensors}")]
    Connections {
        /// What was asked for.
        connections: u32,
        /// How many sensors there are.
        sensors: u32,
    },
    /// The faults are not possible.
    #[error(transparent)]
    Faults(#[from] FaultsError),
    /// The prefix is not possible.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
}

/// Longest boot id.
const LONGEST_BOOT_ID: usize = 64;

/// Most sensors of one simulation.
const MOST_SENSORS: u32 = 99_999;

/// The simulated sensors, their state, and what was counted. Shared by all connections.
#[derive(Debug)]
pub struct Simulation {
    settings: Settings,
    topics: Topics,
    sensors: Vec<Sensor>,
    by_id: HashMap<Uuid, u32>,
    /// Per sensor: the polls it has heard, which is also the last sequence number it used.
    heard: Vec<AtomicU64>,
    progress: Notify,
    pub(crate) counters: Counters,
    recorder: Option<Recorder>,
    started: Instant,
}

/// An answer that a sensor is about to give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Index of the sensor.
    pub sensor: u32,
    /// Its number among the polls that the sensor heard, from 1.
    pub sequence: u64,
    /// The number that the poll carried.
    pub poll: Option<u64>,
    /// When it was measured, microseconds since the Unix epoch.
    pub measured_at: u64,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl Simulation {
    /// Sets up the sensors.
    ///
    /// # Errors
    /// The settings are not possible; the error names the one and what would be.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.sensors == 0 || settings.sensors > MOST_SENSORS {
            return Err(SettingsError::Sensors(settings.sensors));
        }
        if !is_boot_id(&settings.boot) {
            return Err(SettingsError::Boot(settings.boot));
        }
        for (interval, name) in [
            (settings.poll_interval, "poll"),
            (settings.heartbeat_interval, "heartbeat"),
        ] {
            if interval < Duration::from_millis(1) {
                return Err(SettingsError::Interval(name));
            }
        }
        if let Some(connections) = settings.connections
            && !(1..=settings.sensors).contains(&connections)
        {
            return Err(SettingsError::Connections {
                connections,
                sensors: settings.sensors,
            });
        }
        settings.faults.check()?;
        let topics = Topics::new(
            settings.broker.protocol(),
            settings.style,
            settings.prefix.as_deref(),
        )?;
        let sensors = Sensor::fleet(settings.seed, settings.sensors);
        Ok(Self {
            topics,
            by_id: sensors.iter().map(|s| (s.id(), s.index())).collect(),
            heard: sensors.iter().map(|_| AtomicU64::new(0)).collect(),
            sensors,
            settings,
            progress: Notify::new(),
            counters: Counters::default(),
            recorder: None,
            started: Instant::now(),
        })
    }

    /// Writes every answer to a file, one JSON object per line.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn record_to(&mut self, path: &Path) -> Result<(), RecordError> {
        self.recorder = Some(Recorder::create(path)?);
        Ok(())
    }

    /// What is simulated.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The subjects or topics in use.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The sensors in order of their index.
    #[must_use]
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// When the simulation was set up; flapping counts from it.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Returns once every sensor has heard as many polls as the settings say, and has answered
    /// those that it does not drop; without such a limit, never.
    pub async fn finished(&self) {
        loop {
            let progress = self.progress.notified();
            if self.is_finished() {
                return;
            }
            progress.await;
        }
    }

    fn is_finished(&self) -> bool {
        let Some(polls) = self.settings.polls else {
            return false;
        };
        let counts = self.counts();
        counts.answers + counts.dropped == polls.saturating_mul(self.settings.sensors.into())
    }

    /// Wakes [`Self::finished`], where the simulation has an end.
    fn tell_progress(&self) {
        if self.settings.polls.is_some() {
            self.progress.notify_waiters();
        }
    }

    /// Hands the record to the operating system.
    ///
    /// # Errors
    /// The record could not be written, now or since the last call.
    pub fn flush_record(&self) -> Result<(), RecordError> {
        self.recorder.as_ref().map_or(Ok(()), Recorder::flush)
    }

    /// The index of the sensor that a poll's topic names.
    pub(crate) fn sensor_at(&self, topic: &str) -> Option<u32> {
        let id = self.topics.polled_sensor(topic)?;
        self.by_id.get(&id).copied()
    }

    /// A sensor hears a poll: its answer, or none where it stays silent.
    pub(crate) fn hear(&self, sensor: u32, payload: &[u8]) -> Option<Answer> {
        if self.is_off(sensor) {
            count(&self.counters.off);
            return None;
        }
        let Some(sequence) = self.next_sequence(sensor) else {
            count(&self.counters.beyond_limit);
            return None;
        };
        count(&self.counters.polls);
        let fault = self.fault(sensor, sequence);
        if fault == Some(Fault::Drop) {
            count(&self.counters.dropped);
            self.tell_progress();
            return None;
        }
        Some(Answer {
            sensor,
            sequence,
            poll: messages::poll_number(payload),
            measured_at: now_micros(),
            fault,
        })
    }

    /// What befalls a sensor's answer number `sequence`.
    #[must_use]
    pub fn fault(&self, sensor: u32, sequence: u64) -> Option<Fault> {
        let faulty = self.sensors[sensor as usize].is_faulty();
        let faults = &self.settings.faults;
        faults.of_answer(self.settings.seed, sensor, faulty, sequence)
    }

    /// The value of an answer, or none where it is garbage.
    #[must_use]
    pub fn value(&self, answer: &Answer) -> Option<Hundredths> {
        let sensor = &self.sensors[answer.sensor as usize];
        match answer.fault {
            Some(Fault::Garbage) => None,
            Some(Fault::OutOfRange) => Some(sensor.out_of_range_value(answer.sequence)),
            Some(Fault::Late | Fault::Drop) | None => Some(sensor.value(answer.sequence)),
        }
    }

    /// An answer as it goes over the wire. `scratch` is used again and again.
    pub(crate) fn encode(&self, answer: &Answer, scratch: &mut BytesMut) -> Bytes {
        let sensor = &self.sensors[answer.sensor as usize];
        match (self.value(answer), self.settings.style) {
            (None, _) => Bytes::from_static(messages::garbage(answer.sequence)),
            (Some(value), Style::Original) => messages::plain_answer(value, scratch),
            (Some(value), Style::Modern) => {
                let boot = &self.settings.boot;
                messages::object_answer(value, sensor.kind().unit, boot, answer, scratch)
            }
        }
    }

    /// Counts and records an answer that was handed to a connection.
    pub(crate) fn sent(&self, answer: &Answer) {
        self.counters.count_answer(answer.fault);
        self.tell_progress();
        let Some(recorder) = &self.recorder else {
            return;
        };
        let value = match self.value(answer) {
            Some(value) => value.to_string(),
            None => String::from_utf8_lossy(messages::garbage(answer.sequence)).into_owned(),
        };
        let id = self.sensors[answer.sensor as usize].id();
        recorder.add(&Line {
            id: id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
            boot: &self.settings.boot,
            seq: answer.sequence,
            value: &value,
            poll: answer.poll,
            at: answer.measured_at,
            sent_at: now_micros(),
            fault: answer.fault,
        });
    }

    /// A sensor's heartbeat.
    pub(crate) fn heartbeat(&self, sensor: u32) -> Bytes {
        let sensor = &self.sensors[sensor as usize];
        let settings = &self.settings;
        messages::heartbeat(sensor, &self.topics, settings.style, settings.poll_interval)
    }

    /// Whether a sensor is off now.
    pub(crate) fn is_off(&self, sensor: u32) -> bool {
        self.was_off(sensor, self.started.elapsed())
    }

    /// Whether a sensor was off at a time since the start.
    pub(crate) fn was_off(&self, sensor: u32, elapsed: Duration) -> bool {
        let faults = &self.settings.faults;
        faults.is_off(self.settings.seed, sensor, elapsed)
    }

    /// The next sequence number of a sensor, or none where it has used up all.
    fn next_sequence(&self, sensor: u32) -> Option<u64> {
        let heard = &self.heard[sensor as usize];
        let Some(limit) = self.settings.polls else {
            return Some(heard.fetch_add(1, Ordering::Relaxed) + 1);
        };
        let one_more = |heard| (heard < limit).then_some(heard + 1);
        let previous = heard.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        previous.ok().map(|previous| previous + 1)
    }
}

fn is_boot_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=LONGEST_BOOT_ID).contains(&text.len()) && text.chars().all(is_plain)
}

/// Microseconds since the Unix epoch.
fn now_micros() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_micros() as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn simulation(change: impl FnOnce(&mut Settings)) -> Simulation {
        let mut settings = Settings::default();
        change(&mut settings);
        Simulation::new(settings).unwrap()
    }

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        Simulation::new(settings).unwrap_err().to_string()
    }

    #[test]
    fn a_sensor_numbers_the_polls_it_hears() {
        let simulation = simulation(|_| {});
        for sequence in 1..=3 {
            let answer = simulation.hear(0, b"{\"poll\":9}").unwrap();
            assert_eq!((answer.sequence, answer.poll), (sequence, Some(9)));
            assert_eq!(
                simulation.value(&answer),
                Some(simulation.sensors()[0].value(sequence))
            );
        }
        assert_eq!(simulation.hear(2, b"").unwrap().sequence, 1);
    }

    #[test]
    fn a_dropped_poll_uses_up_its_number() {
        let simulation = simulation(|_| {});
        let answered: Vec<u64> = (1..=1000)
            .filter_map(|_| simulation.hear(1, b""))
            .map(|answer| answer.sequence)
            .collect();
        let expected: Vec<u64> = (1..=1000)
            .filter(|&sequence| simulation.fault(1, sequence) != Some(Fault::Drop))
            .collect();
        assert_eq!(answered, expected);
        let counts = simulation.counts();
        assert_eq!(counts.polls, 1000);
        assert_eq!(counts.dropped, 1000 - answered.len() as u64);
        assert!((50..200).contains(&counts.dropped));
    }

    #[test]
    fn an_original_answer_is_the_value_as_a_string() {
        let simulation = simulation(|settings| settings.style = Style::Original);
        let answer = simulation.hear(0, b"").unwrap();
        let text = simulation.encode(&answer, &mut BytesMut::new());
        let value = simulation.sensors()[0].value(1);
        assert_eq!(text, format!("\"{value}\""));
    }

    #[test]
    fn garbage_is_sent_as_it_is_and_counted() {
        let simulation = simulation(|settings| settings.faults.garbage = 1.0);
        let answer = simulation.hear(0, b"").unwrap();
        let text = simulation.encode(&answer, &mut BytesMut::new());
        assert_eq!(text, messages::GARBAGE[1]);
        simulation.sent(&answer);
        assert_eq!(simulation.counts().garbage, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_finished_once_every_poll_is_answered() {
        let simulation = simulation(|settings| {
            settings.sensors = 2;
            settings.polls = Some(2);
            settings.faults.faulty_sensor = false;
        });
        let patience = Duration::from_secs(1);
        for sensor in [0, 0, 0, 1, 1] {
            let waited = tokio::time::timeout(patience, simulation.finished()).await;
            assert!(waited.is_err());
            if let Some(answer) = simulation.hear(sensor, b"") {
                simulation.sent(&answer);
            }
        }
        simulation.finished().await;
        assert!(simulation.hear(1, b"").is_none());
        assert_eq!(simulation.counts().beyond_limit, 2);
    }

    #[test]
    fn a_sensor_that_is_off_hears_nothing() {
        let simulation = simulation(|settings| {
            settings.faults.flapping = Some(crate::Flapping {
                probability: 1.0,
                period: Duration::from_secs(1),
            });
        });
        assert_eq!(simulation.hear(0, b""), None);
        let counts = simulation.counts();
        assert_eq!((counts.off, counts.polls), (1, 0));
    }

    #[test]
    fn impossible_settings_are_refused_with_the_reason() {
        assert!(refused(|s| s.sensors = 0).starts_with("0 sensors cannot be simulated"));
        assert!(refused(|s| s.sensors = 100_000).contains("from 1 to 99999"));
        assert!(refused(|s| s.poll_interval = Duration::ZERO).contains("poll interval"));
        assert!(refused(|s| s.boot = "a\"b".into()).contains("boot id"));
        assert!(refused(|s| s.connections = Some(41)).contains("from 1 to 40"));
        assert!(refused(|s| s.prefix = Some("*".into())).contains("prefix"));
        assert!(refused(|s| s.faults.drop = -1.0).contains("drop"));
    }
}
