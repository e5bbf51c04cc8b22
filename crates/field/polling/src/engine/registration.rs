//! How sensors come, change, fall silent and go.

use std::sync::Arc;

use fieldledger_contract::field::RefusalKind;
use fieldledger_wire::heartbeat::{Device, Heartbeat, sensor_named};
use uuid::Uuid;

use super::{Action, Engine, Rejection, RestoreError};
use crate::agenda::Task;
use crate::enrolment::Enrolment;
use crate::error_chain::chain;
use crate::heartbeat_rates::Flood;
use crate::moment::{Moment, micros};
use crate::origin;
use crate::patience::Patience;
use crate::record::StoredRecord;
use crate::refusals::{Refusal, Room};
use crate::routes::{Change, routes_of};
use crate::sensor::{Phase, Sensor};

/// A record is written again when this part of the time to forget has passed since the last time.
/// At the default of a day that is every three hours: one write a second for 10,000 sensors.
const SAVES_UNTIL_FORGOTTEN: u64 = 8;

const MICROSECONDS_PER_DAY: u64 = 86_400_000_000;

/// Whether polls or answers would go another way.
fn has_moved(known: &Device, device: &Device) -> bool {
    known.poll != device.poll || known.read != device.read || known.disconnect != device.disconnect
}

impl Engine {
    /// A message on a heartbeat subject.
    ///
    /// # Errors
    ///
    /// Says why the heartbeat does not count; it is counted as refused.
    pub fn heartbeat(
        &mut self,
        subject: &str,
        payload: &[u8],
        now: Moment,
    ) -> Result<(), Rejection> {
        let accepted = self.accept_heartbeat(subject, payload, now);
        match &accepted {
            Ok(()) => self.counters.heartbeats += 1,
            Err(rejection) => {
                self.counters.heartbeats_rejected += 1;
                let reason = chain(rejection);
                let sensor = rejection.sensor();
                let room = match sensor.filter(|id| self.sensors.contains_key(id)) {
                    Some(id) => Room::Sensor(id),
                    None if origin::prefix_of(subject, &self.settings.confined).is_some() => {
                        Room::Confined
                    }
                    None => Room::Open,
                };
                let kind = RefusalKind::Heartbeat;
                let refusal = Refusal::new(sensor, kind, subject, &reason, payload, now.wall);
                self.refusals.note(room, refusal);
                self.counters.last_rejection = reason;
            }
        }
        accepted
    }

    fn accept_heartbeat(
        &mut self,
        subject: &str,
        payload: &[u8],
        now: Moment,
    ) -> Result<(), Rejection> {
        let confined = &self.settings.confined;
        let taken = self.heartbeat_rates.take(subject, confined, now.steady);
        taken.map_err(|flood| match flood {
            Flood::All => Rejection::TooManyHeartbeats {
                limit: self.settings.heartbeats_per_s,
            },
            Flood::Of(sensor) => Rejection::TooOften { sensor },
        })?;
        let device = Heartbeat::parse(payload, &self.settings.limits);
        let device = device.map_err(|source| Rejection::Heartbeat {
            sensor: sensor_named(payload),
            source,
        })?;
        self.check_origin(subject, &device)?;
        let id = device.id;
        self.check_key(&device)?;
        let impostor = |source| Rejection::Impostor { sensor: id, source };
        let shown = device.identity.clone();
        let Some(known) = self.sensors.get_mut(&id) else {
            let mut sensor = Sensor::new(device, now);
            sensor.enrolment = self.enrolment(id);
            sensor.enrolment.meet(shown.as_ref()).map_err(impostor)?;
            self.register(sensor, now)?;
            self.save(id, now);
            return Ok(());
        };
        if !known.may_send_heartbeat(now.steady) {
            return Err(Rejection::TooOften { sensor: id });
        }
        // Where a key was approved, nobody but its owner gets past what follows.
        let is_proven = known.enrolment.keys.approved.is_some();
        if !is_proven && known.is_living(now.steady) && has_moved(&known.device, &device) {
            return Err(Rejection::Moved { sensor: id });
        }
        known.enrolment.meet(shown.as_ref()).map_err(impostor)?;
        self.refresh(device, now)
    }

    fn check_origin(&self, subject: &str, device: &Device) -> Result<(), Rejection> {
        let known = self.sensors.get(&device.id).map(|sensor| &sensor.device);
        let checked = origin::check(subject, device, known, &self.settings.confined);
        checked.map_err(|source| Rejection::Origin {
            sensor: device.id,
            source,
        })
    }

    /// Registers a sensor from its stored record.
    ///
    /// # Errors
    ///
    /// Says why the record is of no use any more; it can be deleted.
    pub fn restore(&mut self, record: &[u8], now: Moment) -> Result<Uuid, RestoreError> {
        let record: StoredRecord =
            serde_json::from_slice(record).map_err(RestoreError::NotARecord)?;
        let heartbeat = record.heartbeat.to_string();
        let device = Heartbeat::restore(heartbeat.as_bytes(), &self.settings.limits)
            .map_err(|source| Rejection::Heartbeat {
                sensor: sensor_named(heartbeat.as_bytes()),
                source,
            })
            .map_err(RestoreError::Rejected)?;
        let silence = now.wall.saturating_sub(record.last_heartbeat);
        if silence >= self.forget_after() {
            let days = silence / MICROSECONDS_PER_DAY;
            return Err(RestoreError::Forgotten { days });
        }
        let id = device.id;
        self.check_key(&device).map_err(RestoreError::Rejected)?;
        let shown = device.identity.clone();
        let mut sensor = Sensor::new(device, now);
        sensor.enrolment = self.enrolment(id);
        // The record was the sensor's when it was written; a key may have been approved since.
        let _ = sensor.enrolment.meet(shown.as_ref());
        sensor.first_seen = record.first_seen;
        sensor.last_heartbeat = record.last_heartbeat;
        sensor.patience = Patience {
            slowest: record.slowest_answer,
        };
        // Heartbeats that came while nobody listened were not missed, but a sensor that died long
        // before the restart must still be forgotten one day.
        sensor.remembered_from = now.steady.saturating_sub(silence);
        self.register(sensor, now).map_err(RestoreError::Rejected)?;
        Ok(id)
    }

    /// What is known of the sensor's keys.
    fn enrolment(&self, id: Uuid) -> Enrolment {
        Enrolment::of(self.keys.get(&id).cloned().unwrap_or_default())
    }

    fn register(&mut self, mut sensor: Sensor, now: Moment) -> Result<(), Rejection> {
        let id = sensor.device.id;
        self.check_topics(&sensor.device)?;
        if self.sensors.len() >= self.settings.sensors_max && !self.make_room(&sensor, now) {
            let limit = self.settings.sensors_max;
            return Err(Rejection::TooManySensors { sensor: id, limit });
        }
        let mut change = Change::default();
        self.routes.add(&sensor.device, &mut change);
        self.subscriptions_changed(change);
        // An answer to a poll of an earlier run, or from before a farewell, may be on its way.
        let timeout = sensor.timeout(micros(self.settings.poll_timeout));
        let recognisable = timeout + micros(self.settings.late_window);
        sensor.quiet_until = now.steady + recognisable;
        self.sensors.insert(id, sensor);
        self.schedule_first_poll(id, now);
        self.schedule_watch(id, now.steady + micros(self.settings.stale_after));
        Ok(())
    }

    /// Forgets one that nobody vouches for and that has not answered, for one with a place of its own.
    fn make_room(&mut self, sensor: &Sensor, now: Moment) -> bool {
        if !self.is_confined(&sensor.device) {
            return false;
        }
        let mut others = self.sensors.values();
        let dispensable =
            others.find(|other| other.last_reply.is_none() && !self.is_confined(&other.device));
        let dispensable = dispensable.map(|other| other.device.id);
        if let Some(id) = dispensable {
            self.remove(id, now);
        }
        dispensable.is_some()
    }

    /// Whether it lives where the server says who speaks.
    fn is_confined(&self, device: &Device) -> bool {
        origin::prefix_of(device.poll.as_str(), &self.settings.confined).is_some()
    }

    /// A heartbeat of a sensor that is known.
    fn refresh(&mut self, device: Device, now: Moment) -> Result<(), Rejection> {
        let id = device.id;
        let known = self.sensors.get(&id).map(|sensor| &sensor.device);
        let differs = known.is_some_and(|known| *known != device);
        // Each heartbeat of a device that signs has a count of its own: that is not worth a write.
        let changed = known.is_some_and(|known| !known.declares_the_same(&device));
        if differs {
            self.check_topics(&device)?;
            self.replace_device(device, now);
        }
        let save_after = self.forget_after() / SAVES_UNTIL_FORGOTTEN;
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return Ok(());
        };
        sensor.last_heartbeat = now.wall;
        sensor.heard_at = now.steady;
        sensor.remembered_from = now.steady;
        sensor.farewell_after = None;
        sensor.excused = sensor.failures;
        let was_down = std::mem::take(&mut sensor.down);
        let was_stale = std::mem::take(&mut sensor.stale);
        let due_for_saving = now.steady.saturating_sub(sensor.saved_at) >= save_after;
        if changed || due_for_saving {
            self.save(id, now);
        }
        if was_down {
            self.schedule_first_poll(id, now);
        }
        if was_stale {
            self.schedule_watch(id, now.steady + micros(self.settings.stale_after));
        }
        Ok(())
    }

    fn check_key(&self, device: &Device) -> Result<(), Rejection> {
        if device.identity.is_none() && !self.settings.unsigned_allowed {
            return Err(Rejection::NoKey { sensor: device.id });
        }
        Ok(())
    }

    fn check_topics(&self, device: &Device) -> Result<(), Rejection> {
        let sensor = device.id;
        if let Some(owner) = self.routes.taken_by(device) {
            return Err(Rejection::TopicTaken { sensor, owner });
        }
        let limit = self.settings.patterns_max;
        // The open field cannot use up what the other needs.
        let is_confined = self.is_confined(device);
        let confined = &self.settings.confined;
        let same = |pattern: &str| origin::prefix_of(pattern, confined).is_some() == is_confined;
        if self.routes.patterns_with(device, same) > limit {
            return Err(Rejection::TooManyPatterns { sensor, limit });
        }
        Ok(())
    }

    fn replace_device(&mut self, device: Device, now: Moment) {
        let id = device.id;
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        let mut change = Change::default();
        if routes_of(&sensor.device) != routes_of(&device) {
            self.routes.remove(&sensor.device, &mut change);
            self.routes.add(&device, &mut change);
            // A pattern that is left by one topic and taken by another stays.
            change.cancel_out();
        }
        let new_interval = sensor.device.poll_interval_ms != device.poll_interval_ms;
        if *sensor.profile != device.profile {
            sensor.profile = Arc::new(device.profile.clone());
        }
        sensor.device = device;
        self.subscriptions_changed(change);
        if new_interval {
            self.schedule_first_poll(id, now);
        }
    }

    pub(super) fn save(&mut self, id: Uuid, now: Moment) {
        if let Some(sensor) = self.sensors.get_mut(&id) {
            sensor.saved_at = now.steady;
            let record = sensor.record();
            self.actions.push(Action::Save { sensor: id, record });
        }
    }

    /// A sensor says that it leaves, or somebody does in its name, or a broker does long after: the last
    /// will of a connection that was lost comes when a new one has been made. So it is polled once more: if
    /// it answers, in time or late, it has not left. One that is down needs no poll.
    pub(super) fn farewell(&mut self, id: Uuid, now: Moment) {
        let last_poll = self.polls.last_number();
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        if sensor.down {
            return self.remove(id, now);
        }
        // A farewell after each poll must not put off the end of the first.
        sensor.farewell_after.get_or_insert(last_poll);
        self.check_farewell(id, now);
    }

    /// Forgets a sensor; a poll of it that is under way ends without an answer.
    pub(super) fn remove(&mut self, id: Uuid, now: Moment) {
        if let Some(Phase::Polled(number)) = self.sensors.get(&id).map(|sensor| sensor.phase)
            && let Some(flight) = self.polls.finish(number)
        {
            self.poll_given_up(flight, now);
        }
        let Some(sensor) = self.sensors.remove(&id) else {
            return;
        };
        let mut change = Change::default();
        self.routes.remove(&sensor.device, &mut change);
        self.subscriptions_changed(change);
        self.refusals.forget(id);
        self.actions.push(Action::Delete { sensor: id });
        self.send_waiting(now);
    }

    fn schedule_watch(&mut self, id: Uuid, at: u64) {
        if let Some(sensor) = self.sensors.get_mut(&id) {
            sensor.watch_at = at;
            self.agenda.add(at, Task::Watch, id);
        }
    }

    /// Looks whether a sensor's heartbeats are missing.
    pub(super) fn watch_due(&mut self, id: Uuid, at: u64, now: Moment) {
        let stale_after = micros(self.settings.stale_after);
        let forget_after = self.forget_after();
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        if sensor.watch_at != at {
            return;
        }
        let stale_at = sensor.heard_at + stale_after;
        let forget_at = sensor.remembered_from + forget_after;
        if now.steady >= forget_at {
            return self.remove(id, now);
        }
        sensor.stale = now.steady >= stale_at;
        let next = if sensor.stale {
            forget_at
        } else {
            stale_at.min(forget_at)
        };
        self.schedule_watch(id, next);
    }

    fn forget_after(&self) -> u64 {
        micros(self.settings.forget_after)
    }
}
