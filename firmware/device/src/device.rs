//! The device.

use core::net::IpAddr;

use fieldledger_attest::SensorId;
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_attest::statement::BootId;
use fieldledger_attest::tree::MAX_LEAVES;
use heapless::{Deque, String, Vec};
use thiserror::Error;

use crate::actuator::{Actuator, Channel, MAX_CHANNEL_BYTES, Value, Verdict};
use crate::brokers::{Address, Brokers, MAX_BROKERS};
use crate::clock::{Now, SECOND};
use crate::config::Config;
use crate::incoming::{self, IncomingError};
use crate::kept::{Earlier, Kept, Offer, Progress};
use crate::messages::{self, MIN_MESSAGE_BYTES, Source, Speaker};
use crate::ring::{Ring, Second, Waiting};
use crate::sensor::{Fault, Profile, Sensor, Text};
use crate::topics::{Purpose, Topic, Topics};

/// Most outputs of a device.
pub const MAX_ACTUATORS: usize = 8;

/// The longest boot id that a device gives itself, in bytes.
pub const MAX_BOOT_BYTES: usize = 32;

/// Polls of one sensor that wait for their answers; of more the oldest goes unanswered.
const MAX_POLLS: usize = 4;

/// Commands that wait for their answers.
const MAX_COMMAND_ACKS: usize = 8;

/// How long an answer takes to be stored at most, with its batch and a server that is slow: a poll later
/// than that would name it.
const STORED_WITHIN: u64 = 5 * SECOND;

/// After so many intervals and [`STORED_WITHIN`] nobody will say any more that an answer is stored.
const HOPEFUL_INTERVALS: u64 = 2;

/// What a sensor listens to.
const SENSOR_TOPICS: [Purpose; 2] = [Purpose::Poll, Purpose::HistoryAck];

/// What the device listens to.
const DEVICE_TOPICS: [Purpose; 2] = [Purpose::Command, Purpose::Brokers];

/// Something for the program to do, at once and in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Leave the broker there is, connect to this one, and say [`Device::connected`] or
    /// [`Device::disconnected`].
    Connect {
        /// Its address, as it was configured.
        address: &'a str,
    },
    /// Listen to a topic.
    Subscribe {
        /// The topic.
        topic: &'a str,
    },
    /// Send a message, QoS 0, not retained.
    Publish {
        /// Where.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
    },
    /// Set an output.
    Set {
        /// Its name.
        channel: &'a str,
        /// To what.
        value: Value,
    },
    /// Keep a reading where a reboot does not reach it. A board without such a place does nothing.
    Keep(Kept<'a>),
    /// Forget what was kept of this sensor and boot, up to and with number `through`: the server has it.
    Forget {
        /// Of which sensor.
        sensor: SensorId,
        /// Of which boot.
        boot: &'a str,
        /// The last one.
        through: u64,
    },
    /// Keep this list of brokers in place of any other, for [`Device::remember_brokers`] after a reboot; at
    /// most [`MAX_KEPT_BYTES`](crate::brokers::MAX_KEPT_BYTES).
    KeepBrokers(&'a [u8]),
}

/// What needs no connection, by the places of what it is about.
enum Alone {
    Set(usize, Value),
    Keep {
        unit: usize,
        reading: usize,
    },
    Forget {
        unit: usize,
        through: u64,
    },
    ForgetEarlier {
        through: u64,
    },
    /// It is in the payload.
    KeepBrokers,
}

/// Why a device cannot be made of these parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// No boot id, or one that cannot be signed.
    #[error("boot id is not 1 to {MAX_BOOT_BYTES} printable ASCII characters without spaces")]
    Boot,
    /// A prefix that cannot begin a topic.
    #[error("topic prefix is not made of letters, digits, - and _")]
    Prefix,
    /// More sensors or outputs than there is room for, or two with the same name.
    #[error("there is no room for another {what}, or there is one of that name already")]
    NoRoom {
        /// Of what.
        what: &'static str,
    },
    /// A field of a sensor's profile that no server accepts.
    #[error("field {field} of a sensor's profile is not acceptable")]
    Profile {
        /// The field.
        field: &'static str,
    },
}

/// A sensor and what is to be done about it.
struct Unit<S, const RING: usize> {
    profile: Profile,
    sensor: S,
    next_sequence: u64,
    ring: Ring<RING>,
    progress: Progress,
    /// The highest number in any message of history, so that no acknowledgement goes beyond it.
    sent_through: Option<u64>,
    polls: Deque<Poll, MAX_POLLS>,
    polled_at: u64,
    /// When a poll last said which answers are stored.
    told_at: u64,
    read_at: u64,
    beat_at: u64,
}

/// A poll that waits for its answer.
struct Poll {
    number: Option<u64>,
    reply: Option<Topic>,
    /// Whether the poller says which answers are stored, so that this one is kept until then.
    is_telling: bool,
}

/// A command that waits for its answer.
struct CommandAck {
    channel: String<MAX_CHANNEL_BYTES>,
    epoch: u64,
    seq: u64,
    verdict: Verdict,
}

/// When history goes out, of all sensors in turn: one message at a time.
struct HistoryPace {
    next_at: u64,
    patience: u64,
    turn: usize,
}

impl<S: Sensor, const RING: usize> Unit<S, RING> {
    fn interval(&self) -> u64 {
        self.profile.poll_interval_ms.saturating_mul(1_000)
    }

    /// Reads the sensor now, under the next number.
    fn read(&mut self, now: Now) -> Result<Waiting, Fault> {
        self.read_at = now.up;
        let value = self.sensor.read()?;
        if !is_decimal(&value) {
            return Err(Fault("no decimal number"));
        }
        let waiting = Waiting {
            sequence: self.next_sequence,
            clock: now.clock(),
            value,
            answered: None,
        };
        if messages::reading(&waiting, &self.profile.unit).is_err() {
            return Err(Fault("reading cannot be signed"));
        }
        self.next_sequence += 1;
        Ok(waiting)
    }

    /// From when on the first of its readings is to be sent as history.
    fn history_at(&self) -> Option<u64> {
        let first = self.ring.iter().next()?;
        let has_unsent = self.ring.iter().any(|waiting| waiting.answered.is_none());
        Some(match has_unsent {
            true => 0,
            false => self.history_of_at(first),
        })
    }

    /// From when on this one is: at once where it was never sent, and as an answer where it should have
    /// been named as stored by then.
    fn history_of_at(&self, waiting: &Waiting) -> u64 {
        let Some(answered) = waiting.answered else {
            return 0;
        };
        let stored_by = answered.end().saturating_add(STORED_WITHIN);
        if self.told_at >= stored_by {
            return 0;
        }
        let hope = self.interval().saturating_mul(HOPEFUL_INTERVALS);
        stored_by.saturating_add(hope)
    }

    /// How many of its readings, from the oldest on, are to be sent as history now. An acknowledgement is
    /// for all up to a number, so none of those before the last is left out.
    fn history_due(&self, up: u64) -> usize {
        let last = self
            .ring
            .iter()
            .rposition(|waiting| self.history_of_at(waiting) <= up);
        last.map_or(0, |place| place + 1)
    }

    /// The next of its readings to be kept, and from when on. An answer is kept where it is overdue, and
    /// where a later reading is: they are kept in the order of their numbers.
    fn keep_at(&self) -> Option<(usize, u64)> {
        let is_kept = |waiting: &&Waiting| self.progress.is_kept(waiting.sequence);
        let first = self.ring.iter().take_while(is_kept).count();
        let others = self.ring.iter().skip(first);
        let due = others.map(|waiting| self.history_of_at(waiting)).min()?;
        Some((first, due))
    }

    /// When it samples by itself, unless it is polled before.
    fn sample_at(&self, is_connected: bool, silent_intervals: u32) -> u64 {
        let interval = self.interval();
        let due = self.read_at.saturating_add(interval);
        if !is_connected {
            return due;
        }
        let silence = interval.saturating_mul(u64::from(silent_intervals));
        due.max(self.polled_at.saturating_add(silence))
    }
}

/// What servers take for a number.
pub(crate) fn is_decimal(text: &Text) -> bool {
    let characters = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: Option<f64> = text.parse().ok();
    text.bytes().all(characters) && number.is_some_and(f64::is_finite)
}

/// Whether it can stand in a message as it is.
pub(crate) fn is_quotable(text: &str) -> bool {
    !text.contains(['"', '\\'])
}

/// A device with at most `SENSORS` sensors, each with a ring of `RING` readings, and messages of at
/// most `MESSAGE` bytes: 1,536 at least, and more for larger messages of history.
pub struct Device<S, const SENSORS: usize, const RING: usize, const MESSAGE: usize> {
    config: Config,
    key: DeviceKey,
    public: PublicKey,
    boot: String<MAX_BOOT_BYTES>,
    units: Vec<Unit<S, RING>, SENSORS>,
    actuators: Vec<Actuator, MAX_ACTUATORS>,
    command_acks: Deque<CommandAck, MAX_COMMAND_ACKS>,
    brokers: Brokers,
    /// Whether a list is to be kept.
    has_new_brokers: bool,
    is_connected: bool,
    /// Whether it is about to be switched off, so that answers are kept that may be lost.
    is_leaving: bool,
    subscribed: usize,
    beats: u64,
    history: HistoryPace,
    earlier: Earlier,
    address: Address,
    topic: Topic,
    payload: Vec<u8, MESSAGE>,
}

impl<S: Sensor, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Device<S, SENSORS, RING, MESSAGE>
{
    /// A device that was just switched on. `boot` is drawn at random each time, 64 bits or more: two
    /// boots of one id would number two readings alike.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Boot`], [`DeviceError::Prefix`].
    pub fn new(
        config: Config,
        key: DeviceKey,
        boot: &str,
        brokers: Vec<Address, MAX_BROKERS>,
    ) -> Result<Self, DeviceError> {
        const { assert!(MESSAGE >= MIN_MESSAGE_BYTES, "no heartbeat fits") };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if config.prefix.is_empty() || !config.prefix.bytes().all(plain) {
            return Err(DeviceError::Prefix);
        }
        // A quotation mark or backslash would need an escape in every message.
        let is_good = is_quotable(boot) && BootId::new(boot).is_ok();
        let boot = String::try_from(boot).ok().filter(|_| is_good);
        let brokers = Brokers::new(brokers, config.return_after);
        let history = HistoryPace {
            next_at: 0,
            patience: config.history_patience,
            turn: 0,
        };
        Ok(Self {
            public: key.public(),
            key,
            boot: boot.ok_or(DeviceError::Boot)?,
            units: Vec::new(),
            actuators: Vec::new(),
            command_acks: Deque::new(),
            brokers,
            has_new_brokers: false,
            is_connected: false,
            is_leaving: false,
            subscribed: 0,
            beats: 0,
            history,
            earlier: Earlier::default(),
            address: Address::new(),
            topic: Topic::new(),
            payload: Vec::new(),
            config,
        })
    }

    /// Adds a sensor.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoRoom`], or [`DeviceError::Profile`] for what no server accepts.
    pub fn add_sensor(&mut self, profile: Profile, sensor: S) -> Result<(), DeviceError> {
        let is_name = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        let is_range = |(low, high): (f64, f64)| low.is_finite() && high.is_finite() && low <= high;
        let checks = [
            ("alias", is_name(&profile.alias)),
            ("location", is_name(&profile.location)),
            (
                "unit",
                profile.unit.bytes().all(|byte| byte.is_ascii_graphic()),
            ),
            ("range", profile.range.is_none_or(is_range)),
            (
                "poll_interval",
                (100..=86_400_000).contains(&profile.poll_interval_ms),
            ),
        ];
        if let Some((field, _)) = checks.into_iter().find(|(_, is_good)| !is_good) {
            return Err(DeviceError::Profile { field });
        }
        let no_room = DeviceError::NoRoom { what: "sensor" };
        if self.units.iter().any(|unit| unit.profile.id == profile.id) {
            return Err(no_room);
        }
        let unit = Unit {
            profile,
            sensor,
            next_sequence: 0,
            ring: Ring::default(),
            progress: Progress::default(),
            sent_through: None,
            polls: Deque::new(),
            polled_at: 0,
            told_at: 0,
            read_at: 0,
            beat_at: 0,
        };
        self.units.push(unit).map_err(|_full| no_room)
    }

    /// Adds an output, which is made neutral first of all.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoRoom`].
    pub fn add_actuator(&mut self, channel: Channel) -> Result<(), DeviceError> {
        let no_room = DeviceError::NoRoom { what: "output" };
        let mut names = self
            .actuators
            .iter()
            .map(|actuator| &actuator.channel().name);
        if names.any(|name| *name == channel.name) {
            return Err(no_room);
        }
        self.actuators
            .push(Actuator::new(channel))
            .map_err(|_full| no_room)
    }

    /// The program reached the broker that it was told to connect to.
    pub fn connected(&mut self, now: Now) {
        self.is_connected = true;
        self.brokers.connected(now.up);
        self.subscribed = 0;
        for unit in &mut self.units {
            unit.beat_at = now.up;
        }
        self.history.next_at = now.up.saturating_add(self.config.history_pace);
        self.history.patience = self.config.history_patience;
    }

    /// The broker was lost, or could not be reached.
    pub fn disconnected(&mut self, now: Now) {
        self.forget_connection();
        self.brokers.failed(now.up);
    }

    fn forget_connection(&mut self) {
        self.is_connected = false;
        for unit in &mut self.units {
            unit.polls.clear();
        }
        self.command_acks.clear();
    }

    /// A message arrived, over NATS perhaps with a reply subject. What it brings about is in
    /// [`Device::next`]. A topic that the device does not know is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the message, for a log; the device goes on.
    pub fn message(
        &mut self,
        now: Now,
        topic: &str,
        reply: Option<&str>,
        payload: &[u8],
    ) -> Result<(), IncomingError> {
        // What is left of a connection that is gone; its answers would be too.
        if !self.is_connected {
            return Ok(());
        }
        let topics = Topics {
            prefix: &self.config.prefix,
            style: self.config.style,
        };
        if topics.is(topic, self.config.id, Purpose::Command) {
            return self.command(now, payload);
        }
        if topics.is(topic, self.config.id, Purpose::Brokers) {
            let (version, list) = incoming::brokers(payload)?;
            self.has_new_brokers |= self.brokers.replace(&list, version, now.up);
            return Ok(());
        }
        for unit in &mut self.units {
            if topics.is(topic, unit.profile.id, Purpose::Poll) {
                unit.polled_at = now.up;
                let incoming::Poll { number, stored } = incoming::poll(payload);
                if let Some(stored) = &stored {
                    unit.told_at = now.up;
                    if stored.boot == self.boot {
                        unit.ring.drop_answers(&stored.sequences);
                        let mut readings = unit.ring.iter();
                        let oldest = readings.next().map(|waiting| waiting.sequence);
                        if !oldest.is_some_and(|oldest| unit.progress.is_kept(oldest)) {
                            unit.progress.all_stored();
                        }
                    }
                }
                let poll = Poll {
                    number,
                    // An inbox longer than any topic is none that a server makes.
                    reply: reply.and_then(|reply| Topic::try_from(reply).ok()),
                    is_telling: stored.is_some(),
                };
                if unit.polls.is_full() {
                    unit.polls.pop_front();
                }
                let has_room = unit.polls.push_back(poll);
                debug_assert!(has_room.is_ok());
                return Ok(());
            }
            if topics.is(topic, unit.profile.id, Purpose::HistoryAck) {
                let (boot, sequence) = incoming::history_ack(payload)?;
                let was_sent = unit.sent_through.is_some_and(|sent| sequence <= sent);
                let is_present = boot == self.boot && was_sent;
                if is_present {
                    unit.ring.drop_through(sequence);
                    unit.progress.stored_through(sequence);
                }
                if is_present || self.earlier.stored(unit.profile.id, boot, sequence) {
                    self.history.next_at = now.up.saturating_add(self.config.history_pace);
                    self.history.patience = self.config.history_patience;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn command(&mut self, now: Now, payload: &[u8]) -> Result<(), IncomingError> {
        let command = incoming::command(payload)?;
        let channel = String::try_from(command.channel).map_err(|_long| IncomingError::Command)?;
        let mut actuators = self.actuators.iter_mut();
        let actuator = actuators.find(|actuator| actuator.channel().name == channel);
        let verdict = match actuator {
            _ if command.boot != self.boot => Verdict::OtherBoot,
            Some(actuator) => actuator.command(&command, now),
            None => Verdict::NoChannel,
        };
        if self.command_acks.is_full() {
            self.command_acks.pop_front();
        }
        let ack = CommandAck {
            channel,
            epoch: command.epoch,
            seq: command.seq,
            verdict,
        };
        let has_room = self.command_acks.push_back(ack);
        debug_assert!(has_room.is_ok());
        Ok(())
    }

    /// The next thing to do, until there is none. Outputs come first, then the connection, then what
    /// is live, then history.
    pub fn next(&mut self, now: Now) -> Option<Action<'_>> {
        if let Some(alone) = self.alone(now) {
            return self.action(&alone);
        }
        if let Some(address) = self.brokers.next(now.up) {
            self.forget_connection();
            self.address = address;
            let address = &self.address;
            return Some(Action::Connect { address });
        }
        if !self.is_connected {
            return None;
        }
        if let Some(topic) = self.subscription() {
            self.subscribed += 1;
            self.topic = topic;
            let topic = &self.topic;
            return Some(Action::Subscribe { topic });
        }
        self.payload.clear();
        let topic = self.answer(now);
        let topic = topic.or_else(|| self.command_answer());
        let topic = topic.or_else(|| self.heartbeat(now));
        self.topic = topic.or_else(|| self.send_history(now))?;
        let (topic, payload) = (&self.topic, &self.payload);
        Some(Action::Publish { topic, payload })
    }

    /// The next of what needs no connection: for a program that waits for one, or for a message to
    /// leave, and must close a valve in time all the same.
    pub fn next_alone(&mut self, now: Now) -> Option<Action<'_>> {
        let alone = self.alone(now)?;
        self.action(&alone)
    }

    /// Reads what is due; then the output that is to be set, or what is to be kept or forgotten.
    fn alone(&mut self, now: Now) -> Option<Alone> {
        self.sample(now);
        let mut places = self.actuators.iter_mut().enumerate();
        let output =
            places.find_map(|(place, actuator)| Some(Alone::Set(place, actuator.next(now.up)?)));
        output
            .or_else(|| self.new_brokers())
            .or_else(|| self.next_to_keep(now))
            .or_else(|| self.next_to_forget())
    }

    fn new_brokers(&mut self) -> Option<Alone> {
        if !core::mem::take(&mut self.has_new_brokers) {
            return None;
        }
        self.payload.clear();
        let written = self.brokers.write_kept(&mut self.payload);
        debug_assert!(written.is_ok(), "MIN_MESSAGE_BYTES holds any list");
        Some(Alone::KeepBrokers)
    }

    fn next_to_keep(&mut self, now: Now) -> Option<Alone> {
        for (place, unit) in self.units.iter_mut().enumerate() {
            if let Some((reading, due)) = unit.keep_at()
                && (due <= now.up || self.is_leaving)
            {
                let sequence = unit.ring.iter().nth(reading)?.sequence;
                unit.progress.keep(sequence);
                let unit = place;
                return Some(Alone::Keep { unit, reading });
            }
        }
        None
    }

    fn next_to_forget(&mut self) -> Option<Alone> {
        if let Some(through) = self.earlier.forget() {
            return Some(Alone::ForgetEarlier { through });
        }
        let mut places = self.units.iter_mut().enumerate();
        places.find_map(|(unit, one)| {
            let through = one.progress.forget()?;
            Some(Alone::Forget { unit, through })
        })
    }

    fn action(&self, alone: &Alone) -> Option<Action<'_>> {
        Some(match *alone {
            Alone::Set(place, value) => {
                let channel = &self.actuators.get(place)?.channel().name;
                Action::Set { channel, value }
            }
            Alone::Keep { unit, reading } => {
                let unit = self.units.get(unit)?;
                let waiting = unit.ring.iter().nth(reading)?;
                Action::Keep(Kept {
                    sensor: unit.profile.id,
                    boot: &self.boot,
                    sequence: waiting.sequence,
                    clock: waiting.clock,
                    value: &waiting.value,
                    unit: &unit.profile.unit,
                })
            }
            Alone::Forget { unit, through } => Action::Forget {
                sensor: self.units.get(unit)?.profile.id,
                boot: &self.boot,
                through,
            },
            Alone::KeepBrokers => Action::KeepBrokers(&self.payload),
            Alone::ForgetEarlier { through } => Action::Forget {
                sensor: self.earlier.sensor,
                boot: &self.earlier.boot,
                through,
            },
        })
    }

    /// Takes the list of brokers that an earlier boot kept, before the first connection. True where it
    /// counts: it is one, and the device was configured with the same brokers then as now.
    pub fn remember_brokers(&mut self, kept: &[u8]) -> bool {
        let Ok(kept) = incoming::kept_brokers(kept) else {
            return false;
        };
        kept.configured == self.brokers.fingerprint()
            && self.brokers.replace(&kept.brokers, kept.version, 0)
    }

    /// The program is about to end: from now on every answer is kept until it is known to be stored. What
    /// there is to keep is in [`Device::next_alone`].
    pub fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Whether it can take readings of earlier boots; see [`Device::take_earlier`].
    #[must_use]
    pub fn wants_earlier(&self) -> bool {
        self.earlier.is_done()
    }

    /// Takes a reading that an earlier boot kept. A board gives all that it has, oldest first, until there
    /// is no room, whenever [`Device::wants_earlier`] says so. What is of this boot, of a sensor that the
    /// device has no more, or no reading, is passed over.
    pub fn take_earlier(&mut self, kept: &Kept<'_>) -> Offer {
        let is_mine = self.sensors().any(|sensor| sensor == kept.sensor);
        if kept.boot == self.boot || !is_mine {
            return Offer::PassedOver;
        }
        self.earlier.take(kept)
    }

    /// Reads every sensor that nobody asks.
    fn sample(&mut self, now: Now) {
        let silent_intervals = self.config.silent_intervals;
        for unit in &mut self.units {
            let is_due = unit.sample_at(self.is_connected, silent_intervals) <= now.up;
            if is_due && unit.polls.is_empty() {
                // A sensor that fails has nothing to keep; the gap in its times says so.
                if let Ok(waiting) = unit.read(now) {
                    unit.ring.push(waiting);
                }
            }
        }
    }

    fn subscription(&self) -> Option<Topic> {
        let topics = Topics {
            prefix: &self.config.prefix,
            style: self.config.style,
        };
        let of_sensors = self.units.iter().flat_map(|unit| {
            let id = unit.profile.id;
            SENSOR_TOPICS.map(|purpose| (id, purpose))
        });
        let of_device = DEVICE_TOPICS.map(|purpose| (self.config.id, purpose));
        let (id, purpose) = of_sensors.chain(of_device).nth(self.subscribed)?;
        Some(topics.of(id, purpose))
    }

    /// Answers a poll; the topic to send it to.
    fn answer(&mut self, now: Now) -> Option<Topic> {
        let unit = self.units.iter_mut().find(|unit| !unit.polls.is_empty())?;
        let poll = unit.polls.pop_front()?;
        let read = unit.read(now);
        let speaker = Speaker {
            config: &self.config,
            key: &self.key,
            public: &self.public,
            boot: BootId::new(&self.boot).ok()?,
        };
        let written = match &read {
            Ok(waiting) => speaker.answer(
                Source::of(&unit.profile),
                waiting,
                poll.number,
                &mut self.payload,
            ),
            Err(fault) => messages::fault(*fault, poll.number, &mut self.payload),
        };
        debug_assert!(written.is_ok(), "MIN_MESSAGE_BYTES holds any answer");
        let read_topic = || speaker.topics().of(unit.profile.id, Purpose::Read);
        let topic = poll.reply.unwrap_or_else(read_topic);
        if let (Ok(waiting), true) = (read, poll.is_telling) {
            unit.ring.push(Waiting {
                answered: Some(Second::of(now.up)),
                ..waiting
            });
        }
        Some(topic)
    }

    fn command_answer(&mut self) -> Option<Topic> {
        let ack = self.command_acks.pop_front()?;
        let topics = Topics {
            prefix: &self.config.prefix,
            style: self.config.style,
        };
        let boot = BootId::new(&self.boot).ok()?;
        let CommandAck {
            channel,
            epoch,
            seq,
            verdict,
        } = ack;
        let written = messages::command_ack(boot, &channel, epoch, seq, verdict, &mut self.payload);
        debug_assert!(written.is_ok(), "MIN_MESSAGE_BYTES holds any answer");
        Some(topics.of(self.config.id, Purpose::CommandAck))
    }

    fn heartbeat(&mut self, now: Now) -> Option<Topic> {
        let unit = self.units.iter_mut().find(|unit| unit.beat_at <= now.up)?;
        unit.beat_at = now.up.saturating_add(self.config.heartbeat_interval);
        let speaker = Speaker {
            config: &self.config,
            key: &self.key,
            public: &self.public,
            boot: BootId::new(&self.boot).ok()?,
        };
        let lost = unit.ring.lost();
        let written = speaker.heartbeat(&unit.profile, self.beats, lost, &mut self.payload);
        debug_assert!(written.is_ok(), "MIN_MESSAGE_BYTES holds any heartbeat");
        self.beats += 1;
        Some(match self.config.is_confined {
            true => speaker.topics().of(unit.profile.id, Purpose::Heartbeat),
            false => speaker.topics().heartbeat(),
        })
    }

    /// Sends the oldest readings of the sensor whose turn it is.
    fn send_history(&mut self, now: Now) -> Option<Topic> {
        if now.up < self.history.next_at {
            return None;
        }
        // Behind the last sensor it is the turn of earlier boots.
        let count = self.units.len() + 1;
        let mut places = (0..count).map(|step| (self.history.turn + step) % count);
        let is_due = |place: &usize| match self.units.get(*place) {
            Some(unit) => unit.history_due(now.up) > 0,
            None => self.earlier.len() > 0,
        };
        let place = places.find(is_due)?;
        self.history.turn = (place + 1) % count;
        self.history.next_at = now.up.saturating_add(self.history.patience);
        let longest = self.config.history_patience_limit;
        self.history.patience = self.history.patience.saturating_mul(2).min(longest);
        let most = self.config.history_batch.clamp(1, MAX_LEAVES as usize);
        let is_earlier = place == self.units.len();
        let boot = match is_earlier {
            true => &self.earlier.boot,
            false => &self.boot,
        };
        let speaker = Speaker {
            config: &self.config,
            key: &self.key,
            public: &self.public,
            boot: BootId::new(boot).ok()?,
        };
        let (sensor, written) = if let Some(unit) = self.units.get_mut(place) {
            let source = Source::of(&unit.profile);
            let readings = unit.ring.iter().take(unit.history_due(now.up));
            let written = speaker.history(source, readings, most, &mut self.payload);
            unit.sent_through = unit.sent_through.max(written.ok());
            (unit.profile.id, written)
        } else {
            let sensor = self.earlier.sensor;
            let unit = &self.earlier.unit;
            let source = Source { sensor, unit };
            let written = speaker.history(source, self.earlier.iter(), most, &mut self.payload);
            (sensor, written)
        };
        debug_assert!(written.is_ok(), "MIN_MESSAGE_BYTES holds a reading");
        let topic = speaker.topics().of(sensor, Purpose::History);
        let last = written.ok()?;
        if is_earlier {
            self.earlier.sent_through(last);
        }
        Some(topic)
    }

    /// When [`Device::next`] has something to do, in time since boot, unless something arrives
    /// before.
    #[must_use]
    pub fn wake_at(&self) -> u64 {
        let actuators = self.actuators.iter().filter_map(Actuator::wake_at);
        let sample_at =
            |unit: &Unit<S, RING>| unit.sample_at(self.is_connected, self.config.silent_intervals);
        let samples = self.units.iter().map(sample_at);
        let units = self.units.iter();
        let keeps = units.filter_map(|unit| match (unit.keep_at()?, self.is_leaving) {
            (_, true) => Some(0),
            ((_, due), false) => Some(due),
        });
        let earliest = actuators.chain(samples).chain(keeps);
        let earliest = earliest.chain(self.brokers.wake_at()).min();
        let mut units = self.units.iter();
        let has_forgettable = self.earlier.has_forgettable();
        if self.has_new_brokers
            || has_forgettable
            || units.any(|unit| unit.progress.has_forgettable())
        {
            return 0;
        }
        let earliest = earliest.unwrap_or(u64::MAX);
        if !self.is_connected {
            return earliest;
        }
        let has_live = self.subscription().is_some()
            || !self.command_acks.is_empty()
            || self.units.iter().any(|unit| !unit.polls.is_empty());
        if has_live {
            return 0;
        }
        let beats = self.units.iter().map(|unit| unit.beat_at);
        let earlier = (self.earlier.len() > 0).then_some(0);
        let units = self.units.iter().filter_map(Unit::history_at);
        let due = units.chain(earlier).min();
        let history = due.map(|due| due.max(self.history.next_at));
        beats.chain(history).min().unwrap_or(u64::MAX).min(earliest)
    }

    /// Takes the address that it has by now, for the next heartbeat.
    pub fn set_ip_addr(&mut self, address: IpAddr) {
        self.config.ip_addr = address;
    }

    /// Whether the device believes itself connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.public
    }

    /// The ids of its sensors, in the order in which they were added.
    pub fn sensors(&self) -> impl Iterator<Item = SensorId> {
        self.units.iter().map(|unit| unit.profile.id)
    }

    /// Readings of which nobody said that they are stored, answers among them, and readings that found no
    /// room before they were sent, of all sensors.
    #[must_use]
    pub fn waiting_and_lost(&self) -> (usize, u64) {
        let add = |(waiting, lost), unit: &Unit<S, RING>| {
            (waiting + unit.ring.len(), lost + unit.ring.lost())
        };
        self.units.iter().fold((0, 0), add)
    }

    /// Answers that gave way before anyone said that they are stored, of all sensors; most of them are.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.units.iter().map(|unit| unit.ring.unconfirmed()).sum()
    }

    /// Readings of earlier boots that it has in memory and that nobody has acknowledged.
    #[must_use]
    pub fn earlier(&self) -> usize {
        self.earlier.len()
    }

    /// Readings of a sensor that wait for an acknowledgement, oldest first.
    pub fn waiting_of(&self, sensor: SensorId) -> impl Iterator<Item = &Waiting> {
        let unit = self.units.iter().find(|unit| unit.profile.id == sensor);
        unit.into_iter().flat_map(|unit| unit.ring.iter())
    }

    /// Where to say that a sensor leaves, for a program that ends.
    #[must_use]
    pub fn disconnect_topic(&self, sensor: SensorId) -> Topic {
        let topics = Topics {
            prefix: &self.config.prefix,
            style: self.config.style,
        };
        topics.of(sensor, Purpose::Disconnect)
    }
}
