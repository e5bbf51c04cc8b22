//! One device, or the whole open field, sends as much as it can: those beside it lose nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Field, SECOND, heartbeat, id, settings};
use fieldledger_polling::{Rejection, Settings};
use fieldledger_wire::batch::Outcome;
use fieldledger_wire::topic::TopicRules;
use serde_json::{Value, json};

/// A field where devices with users have their place beside the open one.
fn two_fields() -> Settings {
    let mut settings = settings();
    let prefixes = ["sim".to_owned(), "field".to_owned()];
    settings.limits.topics = TopicRules::new(&prefixes, "default").unwrap();
    settings.confined = vec!["field".to_owned()];
    settings
}

fn confined(n: u32) -> Value {
    let mut confined = heartbeat(n, 1_000);
    for name in ["poll", "read", "disconnect"] {
        confined[format!("{name}_topic")] = json!(format!("field.{}.{name}", id(n)));
    }
    confined
}

fn announce(field: &mut Field, n: u32) -> Result<(), Rejection> {
    let subject = format!("field.{}.heartbeat", id(n));
    let payload = confined(n).to_string();
    let accepted = field
        .engine
        .heartbeat(&subject, payload.as_bytes(), field.now);
    field.perform();
    accepted
}

#[test]
fn heartbeats_of_a_flood_are_not_those_of_others() {
    let mut settings = two_fields();
    settings.heartbeats_per_s = 10;
    settings.sensors_max = 20;
    let mut field = Field::new(settings);
    // One with a user of its own, who may name itself only; what it sends need not be a heartbeat.
    let mut refused = 0;
    for _ in 0..1_000 {
        let subject = format!("field.{}.heartbeat", id(1));
        let answer = field.engine.heartbeat(&subject, b"x", field.now);
        refused +=
            u32::from(matches!(answer, Err(Rejection::TooOften { sensor }) if sensor == id(1)));
    }
    assert_eq!(refused, 990);
    // The open field, which is one for this.
    for _ in 0..1_000 {
        let _ = field.engine.heartbeat("sim.heartbeat", b"x", field.now);
    }
    let answer = field.announce(&heartbeat(2, 1_000));
    assert!(matches!(
        answer,
        Err(Rejection::TooManyHeartbeats { limit: 10 })
    ));
    announce(&mut field, 3).unwrap();
}

#[test]
fn a_device_with_a_user_finds_room_among_thousands_that_nobody_vouches_for() {
    let mut settings = two_fields();
    settings.sensors_max = 10;
    settings.patterns_max = 6;
    let mut field = Field::new(settings);
    field.hello(50, 1_000);
    for n in 1..=20 {
        let mut odd = heartbeat(n, 1_000);
        odd["read_topic"] = json!(format!("sim.odd{n}.{}", id(n)));
        let _ = field.announce(&odd);
    }
    // Twenty heartbeats pass at once.
    field.pass(SECOND);
    for n in 21..=30 {
        let _ = field.announce(&heartbeat(n, 1_000));
    }
    let full = field.announce(&heartbeat(41, 1_000));
    assert!(
        matches!(full, Err(Rejection::TooManySensors { .. })),
        "{full:?}"
    );
    for n in 101..=110 {
        announce(&mut field, n).unwrap();
    }
    assert_eq!(field.engine.liveness().ok, 10);
    let full = announce(&mut field, 111);
    assert!(
        matches!(full, Err(Rejection::TooManySensors { .. })),
        "nobody is left to go"
    );
}

#[test]
fn who_has_answered_makes_room_for_nobody() {
    let mut settings = two_fields();
    settings.sensors_max = 2;
    let mut field = Field::new(settings);
    field.hello(1, 1_000);
    let poll = field.until_poll();
    field.reply(poll.number, "\"1.5\"");
    field.hello(2, 1_000);
    announce(&mut field, 101).unwrap();
    assert!(field.engine.sensor(id(1)).is_some());
    assert!(field.engine.sensor(id(2)).is_none());
    assert!(announce(&mut field, 102).is_err());
}

/// A hundred that are announced and do not exist, ten times a second each, where ten polls can be under
/// way; and one that answers.
#[test]
fn those_that_never_answer_leave_room_for_one_that_does() {
    let mut settings = settings();
    settings.outstanding_max = 10;
    let mut field = Field::new(settings);
    field.hello(1, 1_000);
    for n in 2..=101 {
        field.hello(n, 100);
    }
    let mut answered = 0;
    let mut seen = 0;
    for step in 0..600 {
        field.pass(SECOND / 10);
        if step % 20 == 0 {
            // A heartbeat makes a silent one worth polling again.
            for n in 2..=101 {
                let _ = field.announce(&heartbeat(n, 100));
            }
        }
        let new: Vec<_> = field.polls[seen..].to_vec();
        seen = field.polls.len();
        for poll in new.iter().filter(|poll| poll.sensor == id(1)) {
            field.reply(poll.number, "\"1.5\"");
            answered += 1;
        }
    }
    let good = field
        .results
        .iter()
        .filter(|result| result.sensor == id(1) && result.outcome == Outcome::Value);
    assert_eq!(good.count(), answered);
    // A minute at a reading a second, less the quiet at the start and the first polls of all.
    assert!(answered >= 50, "{answered} readings in a minute");
}
