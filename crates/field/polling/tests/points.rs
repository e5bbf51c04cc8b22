//! Devices that answer one poll with many points.
#![allow(clippy::unwrap_used)]

mod common;

use common::signed::{approve, key, signed_heartbeat};
use common::{Field, SECOND, id, settings};
use fieldledger_wire::batch::{Attestation, Outcome};
use fieldledger_wire::points::MAX_POINTS;
use serde_json::{Value, json};
use uuid::Uuid;

fn point(name: &str) -> Uuid {
    Uuid::new_v5(&id(1), name.as_bytes())
}

fn answer(sequence: u64, points: &Value) -> String {
    json!({"seq": sequence, "boot": "b1", "points": points}).to_string()
}

/// Two points of one answer.
fn pair() -> Value {
    json!([{"name": "inlet", "value": 21.5, "unit": "Cel"}, {"name": "rpm", "value": "1480"}])
}

#[test]
fn each_point_is_a_result_of_its_own_sensor() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    for sequence in 1..=70 {
        let poll = field.until_poll();
        field.reply(poll.number, &answer(sequence, &pair()));
        let [inlet, rpm] = &field.results[..] else {
            panic!("{:?}", field.results)
        };
        assert_eq!((inlet.sensor, rpm.sensor), (point("inlet"), point("rpm")));
        assert_eq!(inlet.profile.id, point("inlet").to_string());
        assert!(inlet.profile.alias.ends_with("/inlet"));
        assert_eq!(
            (&*inlet.text, &*inlet.unit, &*rpm.text),
            ("21.5", "Cel", "1480")
        );
        for result in [inlet, rpm] {
            assert_eq!(
                (result.poll, result.sequence),
                (poll.number, Some(sequence))
            );
            assert_eq!((result.outcome, &*result.boot), (Outcome::Value, "b1"));
            // Two points with one number are no device that counts again.
            assert_eq!(result.remark, "");
        }
        field.results.clear();
    }
    let state = field.engine.sensor(id(1)).unwrap();
    assert_eq!((state.counters.replies, state.condition), (70, None));
    assert_eq!(field.engine.counters().polls.replies, 70);
}

#[test]
fn a_bad_point_costs_no_other_and_a_silent_device_is_silent_itself() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let poll = field.until_poll();
    let points = json!([{"name": "a", "value": "ERR"}, 7, {"name": "b", "value": 2}]);
    field.reply(poll.number, &answer(1, &points));
    let seen = field
        .results
        .iter()
        .map(|result| (result.sensor, result.outcome));
    let seen: Vec<_> = seen.collect();
    assert_eq!(
        seen,
        [
            (point("a"), Outcome::Unparsable),
            (point("b"), Outcome::Value)
        ]
    );
    assert!(field.results[0].flaw.contains("ERR"));
    assert!(!field.engine.sensor(id(1)).unwrap().remarks.is_empty());
    field.results.clear();
    field.until_poll();
    field.pass(SECOND);
    assert_eq!(field.results[0].sensor, id(1));
    assert_eq!(field.results[0].outcome, Outcome::NoReply);
}

#[test]
fn points_come_late_and_not_twice() {
    let mut field = Field::new(settings());
    field.hello(1, 10_000);
    let poll = field.until_poll();
    field.pass(SECOND);
    let text = answer(1, &pair());
    field.reply(poll.number, &text);
    let outcomes: Vec<_> = field.results.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [Outcome::NoReply, Outcome::Late, Outcome::Late]);
    field.reply(poll.number, &text);
    assert_eq!(field.results.len(), 3);
    let poll = field.until_poll();
    field.reply(poll.number, &text);
    field.reply(poll.number, &text);
    assert_eq!(field.results.len(), 5);
}

#[test]
fn a_device_names_no_more_than_so_many_points() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    for round in 0..3 {
        let point = |n: usize| json!({"name": format!("{round}/{n}"), "value": n});
        let points: Value = (0..MAX_POINTS).map(point).collect();
        let poll = field.until_poll();
        field.reply(poll.number, &answer(round, &points));
    }
    assert_eq!(field.results.len(), MAX_POINTS);
    let remarks = field.engine.sensor(id(1)).unwrap().remarks;
    assert!(
        remarks.iter().any(|remark| remark.contains("left out")),
        "{remarks:?}"
    );
}

#[test]
fn points_of_a_device_with_a_key_are_not_signed() {
    let mut field = Field::new(settings());
    let device = key(1);
    field.announce(&signed_heartbeat(1, 1, &device)).unwrap();
    approve(&mut field, 1, &device);
    let poll = field.until_poll();
    field.reply(poll.number, &answer(1, &pair()));
    assert_eq!(field.results.len(), 2);
    for result in &field.results {
        assert_eq!(result.attestation, Attestation::Missing);
        // It must not forget what it holds.
        assert_eq!(result.receipt, None);
    }
}
