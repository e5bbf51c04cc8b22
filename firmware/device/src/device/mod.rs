//! The device: what it is made of, its connection, and when it is to be woken.
//!
//! | module | holds |
//! |---|---|
//! | `unit` | one sensor, and what is to be done about it |
//! | `hearing` | what arrives |
//! | `alone` | what needs no connection |
//! | `speaking` | what is sent |

mod alone;
mod hearing;
mod speaking;
mod unit;

use core::net::IpAddr;

use fieldledger_attest::SensorId;
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_attest::statement::BootId;
use heapless::{Deque, String, Vec};
use thiserror::Error;

pub use crate::action::Action;
use crate::actuator::{Actuator, Channel, MAX_CHANNEL_BYTES, Verdict};
use crate::brokers::{Address, Brokers, MAX_BROKERS};
use crate::clock::Now;
use crate::config::Config;
pub use crate::config::MAX_BOOT_BYTES;
use crate::incoming;
use crate::json::is_quotable;
use crate::kept::{Earlier, Kept, Offer};
use crate::messages::MIN_MESSAGE_BYTES;
use crate::ring::Waiting;
use crate::sensor::{Profile, Sensor};
use crate::topics::{Purpose, Topic};
use unit::Unit;

/// Most outputs of a device.
pub const MAX_ACTUATORS: usize = 8;

/// Commands that wait for their answers.
const MAX_COMMAND_ACKS: usize = 8;

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
        let unit = Unit::new(profile, sensor);
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

    /// The program reached the broker that it was to connect to.
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

    /// Whether the device has a connection, as far as it knows.
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
        self.config.topics().of(sensor, Purpose::Disconnect)
    }
}
