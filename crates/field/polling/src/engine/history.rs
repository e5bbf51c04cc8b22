//! What a sensor read while it could not deliver it, sent in bulk afterwards.
//!
//! A message of history is one signature over up to 1,024 readings, so it is worth what the signature
//! is worth. One that holds becomes a result for each of its readings, and is acknowledged once the
//! last of them is stored; the device keeps them until then, and the log knows those it has. One that
//! does not hold is never acknowledged: whoever forged it could make the sensor drop what it has not
//! delivered. It leaves one result, with the last of its readings, so that a flood of forgeries costs
//! the log one entry a message.
//!
//! Among the readings are answers to polls of which the device does not know that they are stored. Both
//! ways lead to the same producer and sequence of the log's, which keeps whichever came first; nothing
//! here has to remember what went the other way, so a restart in between changes nothing.
//!
//! History waits behind what is live: it has rates of its own, and none of it is taken while polling
//! pauses. What is not taken is not acknowledged, and the device sends it again, and is taken before all
//! who come later.

use fieldledger_attest::reading::Clock;
use fieldledger_contract::field::RefusalKind;
use fieldledger_wire::batch::{CLOCK_TOLERANCE, EARLIEST_TIME, Outcome};
use fieldledger_wire::bulk::{Bulk, BulkReading};
use uuid::Uuid;

use super::{Action, Engine};
use crate::error_chain::chain;
use crate::moment::Moment;
use crate::poll_book::Flight;
use crate::poll_result::{PollResult, empty_result, evidence_text};
use crate::receipt::Receipt;
use crate::refusals::{Refusal, Room};
use crate::sensor::Sensor;

impl Engine {
    /// A message on a sensor's history topic.
    pub(super) fn history(&mut self, id: Uuid, payload: &[u8], now: Moment) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            self.counters.unsolicited += 1;
            return;
        };
        if self.paused || self.draining || !sensor.may_send_history(now.steady) {
            self.counters.history.deferred += 1;
            return;
        }
        let bulk = match Bulk::parse(payload) {
            Ok(bulk) => bulk,
            Err(error) => {
                self.counters.history.refused += 1;
                let reason = chain(&error);
                self.counters.history.last_refusal = format!("sensor {id}: {reason}");
                let subject = sensor.device.read.history();
                let kind = RefusalKind::History;
                let refusal =
                    Refusal::new(Some(id), kind, subject.as_str(), &reason, payload, now.wall);
                self.refusals.note(Room::Sensor(id), refusal);
                return;
            }
        };
        let readings = u32::try_from(bulk.readings.len()).unwrap_or(u32::MAX);
        if !self.history_turns.take(id, readings, now.steady) {
            self.counters.history.deferred += 1;
            return;
        }
        let (attestation, evidence) = sensor.enrolment.judge_history(id, &bulk);
        if !attestation.is_credible() {
            self.counters.history.refused += 1;
            let reason = format!("the signature of its history is {}", attestation.name());
            self.counters.history.last_refusal = format!("sensor {id}: {reason}");
            let subject = sensor.device.read.history();
            let kind = RefusalKind::History;
            let refusal =
                Refusal::new(Some(id), kind, subject.as_str(), &reason, payload, now.wall);
            self.refusals.note(Room::Sensor(id), refusal);
            // Parsed messages have a reading.
            if let Some(reading) = bulk.readings.last() {
                let number = self.polls.number_without_poll();
                let mut trace = historical(sensor, number, &bulk.boot, reading, now);
                trace.attestation = attestation;
                // A forger's idea of the time is worth nothing.
                trace.polled_at = now.wall;
                self.actions.push(Action::Result(trace));
            }
            return;
        }
        sensor.last_reply = Some(now.wall);
        self.counters.history.readings += u64::from(readings);
        let mut receipt = Some(Box::new(Receipt::History {
            subject: sensor.device.read.history_ack(),
            ack: bulk.ack(),
        }));
        let last = bulk.readings.len().saturating_sub(1);
        let mut newest = None;
        for (index, (reading, evidence)) in bulk.readings.iter().zip(&evidence).enumerate() {
            let number = self.polls.number_without_poll();
            self.actions.push(Action::Result(PollResult {
                remark: contradiction(&mut newest, reading.clock),
                attestation,
                evidence: evidence_text(evidence),
                receipt: receipt.take_if(|_| index == last),
                ..historical(sensor, number, &bulk.boot, reading, now)
            }));
        }
    }
}

/// What speaks against the time of a reading: `newest` is that of the readings before it, whose numbers are
/// lower. A clock that was set right in between goes back once, so it is compared with the one before.
fn contradiction(newest: &mut Option<Clock>, clock: Clock) -> String {
    let before = newest.replace(clock);
    let back = match (before, clock) {
        (Some(Clock::Utc(before)), Clock::Utc(at)) => before.saturating_sub(at),
        (Some(Clock::Uptime(before)), Clock::Uptime(up)) => before.saturating_sub(up),
        _ => 0,
    };
    if back <= CLOCK_TOLERANCE {
        return String::new();
    }
    let seconds = back / 1_000_000;
    format!("the device's time lies {seconds} s before that of the reading numbered before it")
}

/// A reading that no poll asked for, nothing said yet of who signed it.
fn historical(
    sensor: &Sensor,
    number: u64,
    boot: &str,
    reading: &BulkReading,
    now: Moment,
) -> PollResult {
    let (device_at, device_up) = match reading.clock {
        Clock::Utc(at) => (Some(at), None),
        Clock::Uptime(up) => (None, Some(up)),
    };
    let started = sensor.booted_at(boot);
    // A device's time is taken for that of its measurement unless it cannot be. What was kept was measured
    // before it came, so a clock that is a little ahead is not believed that far.
    let measured = device_at
        .filter(|at| (EARLIEST_TIME..=now.wall + CLOCK_TOLERANCE).contains(at))
        .map(|at| at.min(now.wall))
        .or_else(|| Some(started?.saturating_add(device_up?).min(now.wall)));
    let flight = Flight {
        number,
        sensor: sensor.device.id,
        polled_at: measured.unwrap_or(now.wall),
        sent_at: now.steady,
    };
    PollResult {
        text: reading.value.clone(),
        boot: boot.to_owned(),
        sequence: Some(reading.seq),
        device_at,
        unit: reading.unit.clone(),
        device_up,
        ..empty_result(sensor, flight, Outcome::Historical, now)
    }
}
