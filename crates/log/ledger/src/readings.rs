//! Readings found in events, and the newest of each sensor.

use std::collections::HashMap;

use fieldledger_audit::EventRow;
use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::Reading;
use fieldledger_reading::Recorded;
use fieldledger_reading::record::ACTION;
use foldhash::quality::RandomState;

/// The reading that an event tells of, if it does.
pub(crate) fn reading_of(event: &EventRow<'_>, index: u64, received_at: u64) -> Option<Reading> {
    reading_and_told(event, index, received_at).map(|(reading, _)| reading)
}

/// The same with all that its message tells.
pub(crate) fn reading_and_told<'a>(
    event: &EventRow<'a>,
    index: u64,
    received_at: u64,
) -> Option<(Reading, Recorded<'a>)> {
    if event.action != ACTION || event.source.is_empty() {
        return None;
    }
    let recorded = Recorded::parse(event.message).ok()?;
    let reading = Reading {
        index,
        sensor: event.source.to_owned(),
        status: event.status.to_owned(),
        quality: recorded.quality.name().to_owned(),
        value: recorded.value.as_deref().map(str::to_owned),
        unit: recorded.unit.as_deref().unwrap_or_default().to_owned(),
        polled_at: WallTime::from_micros(recorded.polled_at),
        device_at: recorded.device_at.map(WallTime::from_micros),
        received_at: WallTime::from_micros(received_at),
    };
    Some((reading, recorded))
}

/// The newest reading of each sensor: the one that came last, whatever times its device gives it. A
/// device whose clock is ahead would otherwise hide what is measured now.
#[derive(Debug, Default)]
pub(crate) struct Latest(HashMap<String, Reading, RandomState>);

impl Latest {
    /// Takes a reading into account.
    pub(crate) fn update(&mut self, reading: Reading) {
        let Some(known) = self.0.get_mut(&reading.sensor) else {
            self.0.insert(reading.sensor.clone(), reading);
            return;
        };
        if reading.index >= known.index {
            *known = reading;
        }
    }

    /// Forgets the sensor's newest reading, if it is entry `index`; true if it was.
    pub(crate) fn remove(&mut self, sensor: &str, index: u64) -> bool {
        let is_newest = self.0.get(sensor).is_some_and(|known| known.index == index);
        if is_newest {
            self.0.remove(sensor);
        }
        is_newest
    }

    /// Forgets the newest readings that are entries before `below`.
    pub(crate) fn forget_below(&mut self, below: u64) {
        self.0.retain(|_, reading| reading.index >= below);
    }

    /// The newest reading of these sensors, as far as they have one.
    pub(crate) fn of(&self, sensors: &[String]) -> Vec<Reading> {
        let found = sensors.iter().filter_map(|sensor| self.0.get(sensor));
        found.cloned().collect()
    }

    /// The newest reading of every sensor, by id, at most `limit`.
    pub(crate) fn all(&self, limit: usize) -> Vec<Reading> {
        let mut readings: Vec<&Reading> = self.0.values().collect();
        readings.sort_by(|one, other| one.sensor.cmp(&other.sensor));
        readings.into_iter().take(limit).cloned().collect()
    }

    /// Where in the log the readings are.
    pub(crate) fn indices(&self) -> Vec<u64> {
        let mut indices: Vec<u64> = self.0.values().map(|reading| reading.index).collect();
        indices.sort_unstable();
        indices
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reading(index: u64, polled_at: u64) -> Reading {
        let message = format!(
            r#"{{"poll":"e/1","polled_at":{polled_at},"quality":"Good","raw":"21.50","received_at":8,"unit":"Cel","value":"21.50"}}"#
        );
        let event = EventRow {
            action: "SENSOR_READING",
            message: &message,
            source: "s",
            status: "SUCCESS",
            ..EventRow::default()
        };
        reading_of(&event, index, 9).unwrap()
    }

    #[test]
    fn a_reading_is_found_in_its_event() {
        let expected = Reading {
            index: 3,
            sensor: "s".to_owned(),
            status: "SUCCESS".to_owned(),
            quality: "Good".to_owned(),
            value: Some("21.50".to_owned()),
            unit: "Cel".to_owned(),
            polled_at: WallTime::from_micros(7),
            device_at: None,
            received_at: WallTime::from_micros(9),
        };
        assert_eq!(reading(3, 7), expected);
    }

    #[test]
    fn other_events_are_no_readings() {
        for (action, source, message) in [
            ("LOGIN", "s", "{}"),
            ("SENSOR_READING", "", "{}"),
            ("SENSOR_READING", "s", "not json"),
        ] {
            let event = EventRow {
                action,
                source,
                message,
                ..EventRow::default()
            };
            assert_eq!(reading_of(&event, 0, 0), None);
        }
    }

    #[test]
    fn the_reading_that_came_last_is_the_newest() {
        let mut latest = Latest::default();
        for (index, polled_at) in [(0, 10), (3, 20), (1, 30), (2, u64::MAX)] {
            latest.update(reading(index, polled_at));
        }
        assert_eq!(
            latest.of(&["x".to_owned(), "s".to_owned()]),
            [reading(3, 20)]
        );
        assert_eq!(latest.all(10).len(), 1);
        assert_eq!(latest.indices(), [3]);
    }
}
