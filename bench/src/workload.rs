//! Readings as the sensor reader logs them: what every store in the comparison is given.

use fieldledger_ledger::EventColumns;

/// Sensors in all.
const SENSORS: u64 = 10_000;

/// Writes like one of several callers, who share the sensors.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    caller: u64,
    sensors: u64,
    next: u64,
}

impl Workload {
    /// Readings of caller number `caller` of `callers`. `from` is how many it has written before.
    pub(crate) fn new(caller: u64, callers: u64, from: u64) -> Self {
        Self {
            caller,
            sensors: (SENSORS / callers).max(1),
            next: from,
        }
    }

    /// The next `count` readings, each sensor in turn.
    pub(crate) fn readings(&mut self, count: u64) -> EventColumns {
        let mut events = EventColumns::default();
        for number in self.next..self.next + count {
            self.push(number, &mut events);
        }
        self.next += count;
        events
    }

    fn push(&self, number: u64, events: &mut EventColumns) {
        let of_sensor = number % self.sensors;
        let sensor = format!("6ba7b810-9dad-11d1-80b4-{:04}{of_sensor:08}", self.caller);
        let polled_at = 1_767_323_045_000_000 + number * 100;
        let received_at = polled_at + 950;
        let counted = number / self.sensors;
        let value = format!("{}.{:03}", 15 + number % 17, number % 997);
        events.message.push(format!(
            r#"{{"boot":"7c0d8f2e","poll":"7c0d8f2e5b1a4c39/{number}","polled_at":{polled_at},"quality":"Good","raw":"{value}","received_at":{received_at},"seq":{counted},"unit":"Cel","value":"{value}"}}"#
        ));
        events.producer.push(format!("reading/{sensor}/7c0d8f2e"));
        events.sequence.push(counted);
        events.actor.push(format!("TempSensor{of_sensor:05}"));
        events.action.push("SENSOR_READING".to_owned());
        events.new.push(value);
        events.source.push(sensor);
        events.status.push("SUCCESS".to_owned());
        events.target.push(format!("Hall {}", number % 7));
        events.timestamp.push(format!(
            "2026-01-02T03:04:{:02}.{:06}Z",
            number / 10_000 % 60,
            number % 10_000 * 100
        ));
    }
}
