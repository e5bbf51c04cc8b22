//! What is said in the name of a sensor that answers: that it has moved, or that it has left.
#![allow(clippy::unwrap_used)]

mod common;

use common::signed::{approve, declared, key, proven, signed_heartbeat};
use common::{Field, SECOND, Sent, heartbeat, id, settings};
use fieldledger_polling::Rejection;
use serde_json::{Value, json};

/// A field with a sensor that was polled and answered.
fn living(interval_ms: u64) -> Field {
    let mut field = Field::new(settings());
    field.hello(1, interval_ms);
    answer_next(&mut field);
    field
}

fn answer_next(field: &mut Field) -> Sent {
    let poll = field.until_poll();
    field.reply(poll.number, "1");
    poll
}

fn farewell(field: &mut Field) {
    field.message(&format!("sim.disconnect.{}", id(1)), "bye");
}

/// The sensor's heartbeat with one of its topics elsewhere.
fn moved(mut heartbeat: Value, topic: &str) -> Value {
    heartbeat[topic] = json!(format!("sim.elsewhere.{}", id(1)));
    heartbeat
}

#[test]
fn a_sensor_that_answers_has_not_moved() {
    let mut field = living(1_000);
    for topic in ["poll_topic", "read_topic", "disconnect_topic"] {
        let forged = moved(heartbeat(1, 1_000), topic);
        let refused = field.announce(&forged);
        assert!(matches!(refused, Err(Rejection::Moved { .. })), "{topic}");
    }
    assert_eq!(field.engine.counters().heartbeats_rejected, 3);
    assert_eq!(field.subscriptions, ["sim.read.*", "sim.disconnect.*"]);
    // What else it says of itself may change.
    field.hello(1, 2_000);
    answer_next(&mut field);
}

#[test]
fn a_sensor_that_answers_no_more_may_have_moved() {
    let mut field = living(1_000);
    let elsewhere = moved(heartbeat(1, 1_000), "read_topic");
    field.pass(9 * SECOND);
    assert!(field.announce(&elsewhere).is_err());
    field.pass(2 * SECOND);
    field.announce(&elsewhere).unwrap();
    assert!(field.subscriptions.contains(&"sim.elsewhere.*".to_owned()));

    // At long intervals it takes longer.
    let mut field = living(60_000);
    field.pass(170 * SECOND);
    assert!(field.announce(&elsewhere).is_err());
    field.pass(11 * SECOND);
    field.announce(&elsewhere).unwrap();
}

#[test]
fn an_approved_key_says_where_its_sensor_is() {
    let mut field = Field::new(settings());
    field.announce(&signed_heartbeat(1, 1, &key(1))).unwrap();
    answer_next(&mut field);
    let elsewhere = |beat| moved(declared(1, beat, &key(1)), "read_topic");
    let proven = |heartbeat: &Value| proven(heartbeat, &key(1));
    let refused = field.announce(&proven(&elsewhere(2)));
    assert!(matches!(refused, Err(Rejection::Moved { .. })));
    approve(&mut field, 1, &key(1));
    // Somebody on the way who changes what the device says.
    let changed = signed_heartbeat(1, 3, &key(1)).replace("sim.read.", "sim.elsewhere.");
    let refused = field.announce(&changed);
    assert!(matches!(refused, Err(Rejection::Heartbeat { .. })));
    field.announce(&proven(&elsewhere(3))).unwrap();
    assert!(field.subscriptions.contains(&"sim.elsewhere.*".to_owned()));
}

#[test]
fn a_sensor_that_answers_has_not_left() {
    let mut field = living(60_000);
    let regular = field.polls[0].at;
    field.pass(5 * SECOND);
    farewell(&mut field);
    let asked = field.now.steady;
    let extra = answer_next(&mut field);
    assert_eq!(extra.at, asked, "it is polled at once");
    assert_eq!(field.refuted, [id(1)]);
    assert!(field.engine.sensor(id(1)).is_some());
    // The regular poll comes when it would have come.
    let next = answer_next(&mut field).at - regular;
    assert!((59 * SECOND..=64 * SECOND).contains(&next), "{next}");
}

#[test]
fn a_sensor_that_leaves_is_polled_once_more_and_forgotten() {
    let mut field = living(60_000);
    field.pass(5 * SECOND);
    farewell(&mut field);
    field.pass(SECOND);
    // A late answer would still show that it has not.
    assert!(field.engine.sensor(id(1)).is_some());
    field.pass(2 * SECOND);
    assert!(field.engine.sensor(id(1)).is_none());
    assert_eq!((field.polls.len(), field.results.len()), (2, 2));
    assert!(field.records.is_empty() && field.subscriptions.is_empty());
    assert!(field.refuted.is_empty());
}

#[test]
fn an_answer_to_an_earlier_poll_says_nothing_of_a_farewell() {
    let mut field = living(1_000);
    let before = field.until_poll();
    farewell(&mut field);
    field.reply(before.number, "2");
    assert!(field.refuted.is_empty());
    field.pass(3 * SECOND);
    assert!(field.engine.sensor(id(1)).is_none());
    // Nor does one that is given up: the next one is asked.
    let mut field = living(1_000);
    field.until_poll();
    farewell(&mut field);
    let asked = field.until_poll();
    assert!(field.engine.sensor(id(1)).is_some());
    field.reply(asked.number, "2");
    assert_eq!(field.refuted, [id(1)]);
    let mut field = living(1_000);
    field.until_poll();
    farewell(&mut field);
    field.pass(4 * SECOND);
    assert!(field.engine.sensor(id(1)).is_none());
}

#[test]
fn a_heartbeat_takes_a_farewell_back() {
    let mut field = living(60_000);
    field.pass(5 * SECOND);
    farewell(&mut field);
    field.hello(1, 60_000);
    field.pass(10 * SECOND);
    assert!(field.engine.sensor(id(1)).is_some());
}

#[test]
fn a_flood_of_farewells_makes_few_polls() {
    let mut field = living(60_000);
    for _ in 0..1_000 {
        field.pass(SECOND / 20);
        farewell(&mut field);
        field.pass(1);
        if field.engine.outstanding() > 0 {
            let number = field.polls.last().unwrap().number;
            field.reply(number, "1");
        }
    }
    // In 50 s, one every ten.
    let polls = field.polls.len() - 1;
    assert!((5..=7).contains(&polls), "{polls}");
    assert!(field.engine.sensor(id(1)).is_some());
}

#[test]
fn a_farewell_that_comes_after_the_reconnect_is_checked_by_a_poll() {
    // One that has just announced itself, and one that was silent for long before.
    for silence in [0, 300] {
        let mut field = Field::new(settings());
        field.hello(1, 1_000);
        if silence > 0 {
            let poll = field.until_poll();
            field.read(1, &poll.number.to_string());
            field.pass(silence * SECOND);
            field.hello(1, 1_000);
        }
        field.pass(SECOND);
        farewell(&mut field);
        assert!(field.engine.sensor(id(1)).is_some());
        field.until_poll();
        field.read(1, "20.5");
        assert_eq!(field.refuted, [id(1)], "after {silence} s");
        field.pass(10 * SECOND);
        assert!(field.engine.sensor(id(1)).is_some());
    }
}

#[test]
fn a_slow_sensor_that_answers_late_has_not_left() {
    for payload in ["20.5", "no number"] {
        let mut field = living(60_000);
        field.pass(5 * SECOND);
        farewell(&mut field);
        let poll = field.until_poll();
        field.pass(SECOND * 76 / 100);
        field.reply(poll.number, payload);
        assert_eq!(field.refuted, [id(1)]);
        field.pass(10 * SECOND);
        assert!(field.engine.sensor(id(1)).is_some());
    }
}

#[test]
fn a_farewell_of_one_that_is_down_needs_no_poll() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.pass(60 * SECOND);
    let polls = field.polls.len();
    farewell(&mut field);
    assert!(field.engine.sensor(id(1)).is_none());
    assert_eq!(field.polls.len(), polls);
}
