//! What a device does without a connection: it samples, sets outputs, and says what to keep where a reboot does
//! not reach it.

use super::Device;
use crate::action::Action;
use crate::clock::Now;
use crate::command::Value;
use crate::kept::Kept;
use crate::sensor::Sensor;

/// What needs no connection, by the places of what it is about.
pub(super) enum Alone {
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

impl<S: Sensor, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Device<S, SENSORS, RING, MESSAGE>
{
    /// The next of what needs no connection: for a program that waits for one, or for a message to
    /// leave, and must close a valve in time all the same.
    pub fn next_alone(&mut self, now: Now) -> Option<Action<'_>> {
        let alone = self.alone(now)?;
        self.action(&alone)
    }

    /// Reads what is due; then the output that is to be set, or what is to be kept or forgotten.
    pub(super) fn alone(&mut self, now: Now) -> Option<Alone> {
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

    pub(super) fn action(&self, alone: &Alone) -> Option<Action<'_>> {
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
}
