//! Polls: when they are sent, how they are answered or given up.

use fieldledger_attest::tables::KnownKeys;
use fieldledger_contract::field::RefusalKind;
use fieldledger_wire::batch::Outcome;
use fieldledger_wire::points::Answer;
use fieldledger_wire::poll::Poll;
use fieldledger_wire::reply::{Reply, Unparsable};
use fieldledger_wire::unit::understood;
use uuid::Uuid;

use super::points::point_results;
use super::{Action, Engine};
use crate::agenda::Task;
use crate::error_chain::chain;
use crate::moment::{Moment, micros};
use crate::poll_book::Flight;
use crate::poll_result::{PollResult, empty_result, evidence_text};
use crate::receipt::{Receipt, StoredAnswer};
use crate::refusals::{Refusal, Room};
use crate::sensor::{Phase, Sensor};

/// First polls are spread over one interval, but over no more than this: five seconds keep 20,000
/// sensors that return together at 4,000 polls a second, and a newcomer's first reading soon.
const FIRST_POLL_WITHIN: u64 = 5_000_000;

/// Each poll is delayed by up to this part of the interval, so that sensors do not march in step.
const JITTER_PART: u64 = 20;

/// Farewells have a sensor polled no more often than this, in microseconds, or than its interval says.
const FAREWELL_CHECK_EVERY: u64 = 10_000_000;

/// The subject of an answer that came back on that of its poll, as people are shown it.
const REPLY_SUBJECT: &str = "the poll's reply subject";

/// The doubling of a silent sensor's interval stops here at the latest; `retry_max` is sooner.
const DOUBLINGS_MAX: u32 = 20;

impl Engine {
    /// An answer on the reply subject of poll `number`.
    pub fn reply(&mut self, number: u64, payload: &[u8], now: Moment) {
        let Some(id) = self.polls.sensor_of(number) else {
            self.counters.unsolicited += 1;
            return;
        };
        if let Some(sensor) = self.sensors.get_mut(&id) {
            sensor.answers_directly = true;
        }
        let answer = Answer::parse(payload);
        self.note_refused(id, &answer, REPLY_SUBJECT, payload, now);
        self.answer(number, answer, now);
    }

    /// Notes an answer that holds no number.
    fn note_refused(
        &mut self,
        id: Uuid,
        answer: &Answer,
        subject: &str,
        payload: &[u8],
        now: Moment,
    ) {
        if let Answer::One(Err(Unparsable { reason, .. })) = answer {
            let reason = chain(reason);
            let kind = RefusalKind::Answer;
            let refusal = Refusal::new(Some(id), kind, subject, &reason, payload, now.wall);
            self.refusals.note(Room::Sensor(id), refusal);
        }
    }

    pub(super) fn answer_on_read_topic(&mut self, id: Uuid, payload: &[u8], now: Moment) {
        let answer = Answer::parse(payload);
        let poll = match (answer.poll(), self.sensors.get(&id)) {
            (Some(number), _) => Some(number).filter(|n| self.polls.sensor_of(*n) == Some(id)),
            (None, Some(sensor)) => unnamed_poll(sensor),
            (None, None) => None,
        };
        match poll {
            Some(number) => {
                let read = self
                    .sensors
                    .get(&id)
                    .map(|sensor| sensor.device.read.clone());
                let subject = read.as_ref().map_or("", |read| read.as_str());
                self.note_refused(id, &answer, subject, payload, now);
                self.answer(number, answer, now);
            }
            None => self.counters.unsolicited += 1,
        }
    }

    fn answer(&mut self, number: u64, answer: Answer, now: Moment) {
        self.waiting.ended(number);
        if let Some(flight) = self.polls.finish(number) {
            self.answered_in_time(flight, answer, now);
            self.send_waiting(now);
            return;
        }
        match (self.polls.take_late(number), answer) {
            // Late and no number: the poll is already recorded, and there is nothing to add.
            (Some(flight), Answer::One(Err(_))) => {
                self.refute_farewell(flight, now);
                self.late_window_closed(flight, now);
                self.counters.unsolicited += 1;
            }
            (Some(flight), answer) => self.answered_late(flight, answer, now),
            (None, Answer::One(Ok(reply))) => self.answered_again(number, reply, now),
            (None, _) => self.counters.unsolicited += 1,
        }
    }

    /// A poll that has its answer got another one. A copy says nothing new; one that differs comes from a
    /// second device with the sensor's id, and is recorded: once for each poll.
    fn answered_again(&mut self, number: u64, reply: Reply, now: Moment) {
        self.counters.unsolicited += 1;
        let Some(flight) = self.polls.take_differing(number, &reply) else {
            return;
        };
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        let known = &mut self.known_keys;
        let (attestation, _) = sensor.enrolment.judge(flight.sensor, &reply, known);
        if self.draining || !attestation.is_credible() {
            return;
        }
        let flight = Flight {
            number: self.polls.number_without_poll(),
            ..flight
        };
        let mut result = with_reply(
            sensor,
            &mut self.known_keys,
            flight,
            reply,
            Outcome::Value,
            None,
            now,
        );
        result.remark = sensor.sources.answered_twice(now);
        self.actions.push(Action::Result(result));
    }

    fn answered_in_time(&mut self, flight: Flight, answer: Answer, now: Moment) {
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        sensor.heard(now);
        // There is one poll under way at a time, so this one said all that was named.
        sensor.unheard.heard();
        sensor
            .patience
            .answered_after(now.steady.saturating_sub(flight.sent_at));
        self.refute_farewell(flight, now);
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        let (known, outcome) = (&mut self.known_keys, Outcome::Value);
        match answer {
            Answer::One(Ok(reply)) => {
                sensor.counters.replies += 1;
                self.counters.polls.replies += 1;
                self.polls.keep_answer(flight, &reply, now.steady);
                let result = with_reply(sensor, known, flight, reply, outcome, None, now);
                self.actions.push(Action::Result(result));
            }
            Answer::Many(points) => {
                sensor.counters.replies += 1;
                self.counters.polls.replies += 1;
                let results = point_results(sensor, known, flight, points, outcome, now);
                self.actions.extend(results.into_iter().map(Action::Result));
            }
            Answer::One(Err(unparsable)) => {
                sensor.counters.unparsable += 1;
                self.counters.polls.unparsable += 1;
                let flaw = format!("the answer is no number: {}", chain(&unparsable.reason));
                sensor.answer_remarks = vec![flaw.clone()];
                self.actions.push(Action::Result(PollResult {
                    text: unparsable.text,
                    flaw,
                    ..empty_result(sensor, flight, Outcome::Unparsable, now)
                }));
            }
        }
        self.schedule_next_poll(flight.sensor, now);
        self.check_farewell(flight.sensor, now);
    }

    /// The sensor has answered a poll that was sent after somebody said farewell in its name. It may have
    /// answered an earlier one before it left.
    fn refute_farewell(&mut self, flight: Flight, now: Moment) {
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        let farewell = sensor
            .farewell_after
            .take_if(|after| flight.number > *after);
        if farewell.is_some() {
            sensor.farewell_check_at = now.steady + FAREWELL_CHECK_EVERY.min(sensor.interval());
            let sensor = flight.sensor;
            self.actions.push(Action::FarewellRefuted { sensor });
        }
    }

    fn answered_late(&mut self, flight: Flight, answer: Answer, now: Moment) {
        self.refute_farewell(flight, now);
        let setting = micros(self.settings.poll_timeout);
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            self.counters.unsolicited += 1;
            return;
        };
        let was_down = sensor.down;
        sensor.heard(now);
        sensor.given_up = None;
        sensor.counters.late += 1;
        self.counters.polls.late += 1;
        let timeout = sensor.timeout(setting);
        sensor
            .patience
            .answered_after(now.steady.saturating_sub(flight.sent_at));
        let has_learned = sensor.timeout(setting) > timeout;
        let (known, outcome) = (&mut self.known_keys, Outcome::Late);
        match answer {
            Answer::One(Ok(reply)) => {
                let result = with_reply(sensor, known, flight, reply, outcome, None, now);
                self.actions.push(Action::Result(result));
            }
            Answer::Many(points) => {
                let results = point_results(sensor, known, flight, points, outcome, now);
                self.actions.extend(results.into_iter().map(Action::Result));
            }
            Answer::One(Err(_)) => {}
        }
        if has_learned {
            // The next run is to know it as well.
            self.save(flight.sensor, now);
        }
        if was_down {
            self.schedule_first_poll(flight.sensor, now);
        }
    }

    /// Ends a poll without an answer.
    pub(super) fn poll_given_up(&mut self, flight: Flight, now: Moment) {
        self.waiting.ended(flight.number);
        let late_window = micros(self.settings.late_window);
        let down_after = self.settings.down_after;
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        sensor.failures = sensor.failures.saturating_add(1);
        sensor.quiet_until = now.steady + late_window;
        // A sensor that answers reply subjects may have several polls in their late windows. Should
        // it turn to its read topic now, an answer without a number could belong to any of them.
        sensor.given_up = Some(flight.number).filter(|_| !sensor.answers_directly);
        if sensor.failures - sensor.excused >= down_after {
            sensor.down = true;
            sensor.answers_directly = false;
        }
        sensor.counters.timeouts += 1;
        self.counters.polls.timeouts += 1;
        // Where this poll was to show whether the sensor has left, its late window decides.
        let was_asked = sensor
            .farewell_after
            .is_some_and(|after| flight.number > after);
        let result = empty_result(sensor, flight, Outcome::NoReply, now);
        self.actions.push(Action::Result(result));
        self.schedule_next_poll(flight.sensor, now);
        if !was_asked {
            self.check_farewell(flight.sensor, now);
        }
    }

    /// Polls a sensor that said farewell as soon as that may be, unless it is being polled.
    pub(super) fn check_farewell(&mut self, id: Uuid, now: Moment) {
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        let (Phase::Scheduled(due), Some(_)) = (sensor.phase, sensor.farewell_after) else {
            return;
        };
        let at = earliest_poll(sensor, now.steady.max(sensor.farewell_check_at));
        if at < due {
            self.schedule_poll(id, sensor.nominal, at);
        }
    }

    /// Nothing that comes now is an answer to this poll. Where it was to show whether a sensor has left, it
    /// has.
    pub(super) fn late_window_closed(&mut self, flight: Flight, now: Moment) {
        let Some(sensor) = self.sensors.get_mut(&flight.sensor) else {
            return;
        };
        if sensor.given_up == Some(flight.number) {
            sensor.given_up = None;
        }
        let was_asked = |after| flight.number > after;
        if sensor.farewell_after.is_some_and(was_asked) && !self.draining {
            self.remove(flight.sensor, now);
        }
    }

    /// Schedules a poll soon, unless one is under way or already waits.
    pub(super) fn schedule_first_poll(&mut self, id: Uuid, now: Moment) {
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        if !matches!(sensor.phase, Phase::Scheduled(_)) {
            return;
        }
        let spread = sensor.interval().min(FIRST_POLL_WITHIN);
        let earliest = earliest_poll(sensor, now.steady);
        let at = earliest + self.jitter(spread);
        self.schedule_poll(id, at, at);
    }

    fn schedule_next_poll(&mut self, id: Uuid, now: Moment) {
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        let interval = sensor.interval();
        if sensor.down {
            let silent = sensor
                .failures
                .saturating_sub(sensor.excused + self.settings.down_after);
            let doubled = interval << (silent + 1).min(DOUBLINGS_MAX);
            let delay = doubled.min(micros(self.settings.retry_max).max(interval));
            let at = earliest_poll(sensor, now.steady + delay) + self.jitter(delay / 10);
            self.schedule_poll(id, at, at);
            return;
        }
        // Nominal times stay on a grid, so that delays and jitter do not add up; those that have
        // passed meanwhile are left out.
        let behind = now.steady.saturating_sub(sensor.nominal);
        let nominal = match sensor.nominal > now.steady {
            // The poll was an extra one, because of a farewell.
            true => sensor.nominal,
            false => sensor.nominal + interval * (behind / interval + 1),
        };
        let earliest = earliest_poll(sensor, nominal);
        let at = earliest + self.jitter(interval / JITTER_PART);
        self.schedule_poll(id, nominal, at);
    }

    fn schedule_poll(&mut self, id: Uuid, nominal: u64, at: u64) {
        if let Some(sensor) = self.sensors.get_mut(&id) {
            sensor.nominal = nominal;
            sensor.phase = Phase::Scheduled(at);
            self.agenda.add(at, Task::Poll, id);
        }
    }

    pub(super) fn poll_due(&mut self, id: Uuid, at: u64) {
        if let Some(sensor) = self.sensors.get_mut(&id)
            && sensor.phase == Phase::Scheduled(at)
        {
            sensor.phase = Phase::Waiting;
            // One that is waited for longer takes the room of the silent.
            let setting = micros(self.settings.poll_timeout);
            let is_slow = sensor.timeout(setting) > setting;
            self.waiting.add(id, sensor.is_silent() || is_slow);
        }
    }

    /// Sends polls that are due, as far as the bound on outstanding polls allows.
    pub(super) fn send_waiting(&mut self, now: Moment) {
        while !self.paused
            && !self.draining
            && self.polls.outstanding() < self.settings.outstanding_max
        {
            let Some((id, is_silent)) = self.waiting.next() else {
                return;
            };
            if let Some(sensor) = self.sensors.get_mut(&id)
                && sensor.phase == Phase::Waiting
            {
                let timeout = sensor.timeout(micros(self.settings.poll_timeout));
                let number = self.polls.start(id, timeout, now);
                self.waiting.sent(number, is_silent);
                sensor.phase = Phase::Polled(number);
                sensor.last_poll = Some(now.wall);
                sensor.counters.polls += 1;
                self.counters.polls.polls += 1;
                let subject = sensor.device.poll.to_string();
                let stored = sensor.stored_for_poll();
                let poll = Poll {
                    poll: number,
                    stored,
                };
                self.actions.push(Action::Poll { subject, poll });
            }
        }
    }
}

/// The poll that an answer without a number belongs to: the one under way, or else the one lately
/// given up. None where the sensor answers reply subjects, for then this is a copy.
fn unnamed_poll(sensor: &Sensor) -> Option<u64> {
    if sensor.answers_directly {
        return None;
    }
    match sensor.phase {
        Phase::Polled(number) => Some(number),
        Phase::Scheduled(_) | Phase::Waiting => sensor.given_up,
    }
}

/// `at`, or the end of the sensor's quiet time where that is later and matters.
fn earliest_poll(sensor: &Sensor, at: u64) -> u64 {
    if sensor.answers_directly {
        at
    } else {
        at.max(sensor.quiet_until)
    }
}

/// `counted` is the remark on how the device counts, where another point of the same answer has it already.
pub(super) fn with_reply(
    sensor: &mut Sensor,
    known: &mut KnownKeys,
    flight: Flight,
    reply: Reply,
    outcome: Outcome,
    counted: Option<String>,
    now: Moment,
) -> PollResult {
    let (attestation, evidence) = sensor.enrolment.judge(flight.sensor, &reply, known);
    let flaw = reply.flaw();
    sensor.answer_remarks = answer_remarks(&reply);
    if let (true, Some(up)) = (attestation.is_credible(), reply.up) {
        sensor.note_uptime(&reply.boot, up, now);
    }
    // What somebody else says is not to count.
    let is_own = attestation.is_credible();
    let counts = is_own && (!reply.boot.is_empty() || reply.seq.is_some());
    let remark = match (counted, counts && outcome == Outcome::Value) {
        (Some(remark), _) => remark,
        (None, true) => sensor.sources.answered(&reply.boot, reply.seq, now),
        (None, false) => String::new(),
    };
    // The log takes each such answer, whether it has its number or not.
    let is_numbered = is_own && !reply.boot.is_empty();
    let number = reply.seq.filter(|_| is_numbered && sensor.holds_answers());
    let receipt = number.map(|sequence| {
        Box::new(Receipt::Answer(StoredAnswer {
            sensor: flight.sensor,
            boot: reply.boot.clone(),
            sequence,
        }))
    });
    PollResult {
        text: reply.value,
        boot: reply.boot,
        sequence: reply.seq,
        device_at: reply.at,
        device_up: reply.up,
        unit: reply.unit,
        attestation,
        remark,
        evidence: evidence.as_ref().map_or_else(String::new, evidence_text),
        flaw,
        receipt,
        ..empty_result(sensor, flight, outcome, now)
    }
}

/// What a person should know of how an answer was read.
fn answer_remarks(reply: &Reply) -> Vec<String> {
    let flaws = reply.flaws.iter().map(ToString::to_string);
    let notes = reply.notes.iter().cloned();
    let unit = understood(&reply.unit);
    let unknown = format!(
        "field unit is {:?}, which is not known; expected a UCUM code",
        reply.unit
    );
    let unit = (!unit.is_known).then_some(unknown);
    let remarks = flaws.chain(notes).chain(unit);
    remarks.map(|remark| format!("answer: {remark}")).collect()
}
