//! Sensors that need longer for an answer than the setting says.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Field, SECOND, heartbeat, id, settings};
use fieldledger_wire::batch::Outcome;
use serde_json::json;

const MS: u64 = 1_000;

/// Answers one poll after so long, on the reply subject or the read topic.
fn answer_after(field: &mut Field, taken: u64, directly: bool) {
    let poll = field.until_poll();
    field.pass(taken);
    match directly {
        true => field.reply(poll.number, "20.5"),
        false => field.read(1, "20.5"),
    }
}

#[test]
fn a_slow_sensor_is_learned_after_one_late_answer() {
    for directly in [true, false] {
        let mut field = Field::new(settings());
        field.hello(1, 10_000);
        assert_eq!(field.engine.sensor(id(1)).unwrap().answer_timeout_ms, 500);
        for _ in 0..20 {
            answer_after(&mut field, 760 * MS, directly);
        }
        let outcomes: Vec<Outcome> = field.results.iter().map(|result| result.outcome).collect();
        let mut expected = vec![Outcome::NoReply, Outcome::Late];
        expected.extend([Outcome::Value; 19]);
        assert_eq!(outcomes, expected, "directly: {directly}");
        assert_eq!(field.engine.sensor(id(1)).unwrap().answer_timeout_ms, 1_140);
    }
}

#[test]
fn what_was_learned_outlives_a_restart() {
    let mut field = Field::new(settings());
    field.hello(1, 10_000);
    answer_after(&mut field, 760 * MS, false);
    let record = field.records[&id(1)].clone();
    let mut next = Field::new(settings());
    next.engine.restore(&record, next.now).unwrap();
    next.perform();
    answer_after(&mut next, 760 * MS, false);
    assert_eq!(next.results.len(), 1);
    assert_eq!(next.results[0].outcome, Outcome::Value);
}

#[test]
fn a_heartbeat_may_say_how_long_it_takes() {
    let mut field = Field::new(settings());
    let mut heartbeat = heartbeat(1, 10_000);
    heartbeat["answer_within"] = json!(800);
    field.announce(&heartbeat).unwrap();
    answer_after(&mut field, 760 * MS, false);
    assert_eq!(field.results[0].outcome, Outcome::Value);
    // Silence is still noticed, after as long.
    let poll = field.until_poll();
    field.pass(1_200 * MS);
    assert_eq!(field.results[1].outcome, Outcome::NoReply);
    assert_eq!(field.results[1].poll, poll.number);
}

#[test]
fn the_slow_leave_room_for_the_others() {
    let mut settings = settings();
    settings.outstanding_max = 10;
    let mut field = Field::new(settings);
    for n in 1..=10 {
        let mut slow = heartbeat(n, 20_000);
        slow["answer_within"] = json!(10_000);
        field.announce(&slow).unwrap();
    }
    for n in 11..=15 {
        field.hello(n, 1_000);
    }
    for _ in 0..200 {
        field.pass(SECOND / 10);
        let quick: Vec<u64> = field
            .polls
            .iter()
            .filter(|poll| poll.sensor >= id(11) && poll.at + SECOND / 10 > field.now.steady)
            .map(|poll| poll.number)
            .collect();
        for number in quick {
            field.reply(number, "1");
        }
    }
    let quick = field.polls.iter().filter(|poll| poll.sensor >= id(11));
    assert!(quick.count() >= 5 * 15, "the others go on being polled");
}
