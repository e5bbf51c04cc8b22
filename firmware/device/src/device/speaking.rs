//! What a device says, and when: subscriptions, answers, heartbeats, history.

use fieldledger_attest::statement::BootId;
use fieldledger_attest::tree::MAX_LEAVES;

use super::{CommandAck, Device};
use crate::clock::Now;
use crate::messages::{self, Source, Speaker};
use crate::ring::{Second, Waiting};
use crate::sensor::Sensor;
use crate::topics::{Purpose, Topic};

/// What a sensor listens to.
const SENSOR_TOPICS: [Purpose; 2] = [Purpose::Poll, Purpose::HistoryAck];

/// What the device listens to.
const DEVICE_TOPICS: [Purpose; 2] = [Purpose::Command, Purpose::Brokers];

impl<S: Sensor, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Device<S, SENSORS, RING, MESSAGE>
{
    pub(super) fn subscription(&self) -> Option<Topic> {
        let topics = self.config.topics();
        let of_sensors = self.units.iter().flat_map(|unit| {
            let id = unit.profile.id;
            SENSOR_TOPICS.map(|purpose| (id, purpose))
        });
        let of_device = DEVICE_TOPICS.map(|purpose| (self.config.id, purpose));
        let (id, purpose) = of_sensors.chain(of_device).nth(self.subscribed)?;
        Some(topics.of(id, purpose))
    }

    /// Answers a poll; the topic to send it to.
    pub(super) fn answer(&mut self, now: Now) -> Option<Topic> {
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
        if let (Ok(waiting), true) = (read, poll.names_stored) {
            unit.ring.push(Waiting {
                answered: Some(Second::of(now.up)),
                ..waiting
            });
        }
        Some(topic)
    }

    pub(super) fn command_answer(&mut self) -> Option<Topic> {
        let ack = self.command_acks.pop_front()?;
        let topics = self.config.topics();
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

    pub(super) fn heartbeat(&mut self, now: Now) -> Option<Topic> {
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
    pub(super) fn send_history(&mut self, now: Now) -> Option<Topic> {
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
}
