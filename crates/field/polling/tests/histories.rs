//! The engine on chosen histories.
#![allow(clippy::unwrap_used)]

mod common;

use common::signed::{declared, key, proven, signed_heartbeat};
use common::{Field, SECOND, heartbeat, id, settings};
use fieldledger_polling::{Action, Engine, Liveness, Moment, Rejection, RestoreError, chain};
use fieldledger_wire::batch::Outcome;
use serde_json::json;

#[test]
fn a_sensor_is_polled_at_its_interval_and_answers_on_its_read_topic() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    for _ in 0..20 {
        let poll = field.until_poll();
        field.pass(10_000);
        field.read(1, "\"21.37\"");
        let result = field.results.last().unwrap();
        assert_eq!((result.poll, result.outcome), (poll.number, Outcome::Value));
        assert_eq!(result.text, "21.37");
        assert_eq!(result.received_at - result.polled_at, 10_000);
    }
    let state = field.engine.sensor(id(1)).unwrap();
    assert_eq!((state.counters.polls, state.counters.replies), (20, 20));
    // Twenty polls at one a second, each delayed by at most 50 ms.
    let first = field.results[0].polled_at;
    let last = field.results[19].polled_at;
    assert!(
        (last - first).abs_diff(19 * SECOND) <= 50_000,
        "{}",
        last - first
    );
}

#[test]
fn one_subscription_serves_all_sensors_of_a_kind() {
    let mut field = Field::new(settings());
    for n in 1..=100 {
        field.hello(n, 1_000);
    }
    assert_eq!(field.subscriptions, ["sim.read.*", "sim.disconnect.*"]);
    for n in 1..=100 {
        field.message(&format!("sim.disconnect.{}", id(n)), "");
    }
    field.pass(20 * SECOND);
    assert!(field.subscriptions.is_empty());
    assert!(field.records.is_empty());
}

#[test]
fn a_late_answer_is_recorded_as_late_and_never_answers_the_next_poll() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let first = field.until_poll();
    field.pass(600_000);
    field.read(1, "1");
    let outcomes: Vec<_> = field.results.iter().map(|r| (r.poll, r.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (first.number, Outcome::NoReply),
            (first.number, Outcome::Late)
        ]
    );
    let second = field.until_poll();
    assert!(
        second.at - first.at >= 2_500_000,
        "not polled before the late window has passed"
    );
    field.read(1, "2");
    let last = field.results.last().unwrap();
    assert_eq!(
        (last.poll, last.outcome, last.text.as_str()),
        (second.number, Outcome::Value, "2")
    );
}

#[test]
fn a_device_that_answers_requests_keeps_its_pace_after_a_timeout() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let first = field.until_poll();
    field.reply(first.number, "1");
    let second = field.until_poll();
    let third = field.until_poll();
    assert!(third.at - second.at < 1_100_000);
    // The answer to the second arrives while the third is under way, by its own subject.
    field.reply(second.number, "2");
    field.reply(third.number, "3");
    let outcomes: Vec<_> = field.results.iter().map(|r| (r.poll, r.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (first.number, Outcome::Value),
            (second.number, Outcome::NoReply),
            (second.number, Outcome::Late),
            (third.number, Outcome::Value),
        ]
    );
    // A copy on the read topic is nobody's answer.
    let fourth = field.until_poll();
    field.read(1, "4");
    assert_eq!(field.engine.counters().unsolicited, 1);
    field.reply(fourth.number, "4");
    assert_eq!(field.results.last().unwrap().outcome, Outcome::Value);
}

#[test]
fn an_answer_that_names_its_poll_is_matched_by_that_name() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.hello(2, 1_000);
    let one = field.until_poll();
    let two = field.until_poll();
    let (of_one, of_two) = if one.sensor == id(1) {
        (one, two)
    } else {
        (two, one)
    };
    field.read(1, &json!({"value": 1, "poll": of_two.number}).to_string());
    assert_eq!(
        field.engine.counters().unsolicited,
        1,
        "another sensor's poll"
    );
    field.read(1, &json!({"value": 1, "poll": of_one.number}).to_string());
    assert_eq!(field.results.last().unwrap().sensor, id(1));
}

#[test]
fn garbage_is_an_unparsable_answer() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.until_poll();
    field.read(1, "\"ERR 7\"");
    let result = field.results.last().unwrap();
    assert_eq!(
        (result.outcome, result.text.as_str()),
        (Outcome::Unparsable, "\"ERR 7\"")
    );
}

#[test]
fn a_device_that_counts_again_keeps_its_numbers_and_gets_a_condition() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let mut conditions = Vec::new();
    for (boot, seq) in [("a", 1), ("a", 2), ("a", 2), ("a", 1), ("a", 3), ("b", 1)] {
        field.until_poll();
        field.read(
            1,
            &json!({"value": 1, "boot": boot, "seq": seq}).to_string(),
        );
        let result = field.results.last().unwrap();
        // Whether the log has the number is for the log to say.
        assert_eq!(
            (result.sequence, result.sequence_reused),
            (Some(seq), false)
        );
        let condition = field.engine.sensor(id(1)).unwrap().condition;
        conditions.push(condition.map_or_else(String::new, |(text, _)| text));
    }
    let again = "it counts again under boot a: number 1 came after 2";
    assert_eq!(
        conditions,
        [
            "",
            "",
            "it sends number 2 of boot a again",
            again,
            again,
            ""
        ]
    );
}

#[test]
fn two_devices_with_one_id_are_seen() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    for seq in 1..6 {
        for boot in ["a", "b"] {
            field.until_poll();
            let answer = json!({"value": 1, "boot": boot, "seq": seq});
            field.read(1, &answer.to_string());
        }
    }
    let remark = &field.results.last().unwrap().remark;
    assert!(remark.contains("two devices"), "{remark}");
    let (condition, since) = field.engine.sensor(id(1)).unwrap().condition.unwrap();
    assert!(condition.contains("boots a and b") || condition.contains("boots b and a"));
    assert!(since > 0);
}

#[test]
fn a_second_answer_to_a_poll_is_recorded_where_it_differs() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let poll = field.until_poll();
    let number = poll.number;
    let before = field.results.len();
    field.reply(number, r#"{"value":1,"boot":"a","seq":1}"#);
    field.reply(number, r#"{"value":1,"boot":"a","seq":1}"#);
    assert_eq!(field.results.len(), before + 1, "a copy says nothing new");
    field.reply(number, r#"{"value":2,"boot":"b","seq":9}"#);
    field.reply(number, r#"{"value":3,"boot":"b","seq":10}"#);
    assert_eq!(field.results.len(), before + 2, "one for each poll");
    let second = field.results.last().unwrap();
    assert_eq!(
        (second.text.as_str(), second.outcome),
        ("2", Outcome::Value)
    );
    assert_ne!(second.poll, number);
    assert!(second.remark.contains("two answers"), "{}", second.remark);
    let condition = field.engine.sensor(id(1)).unwrap().condition;
    assert!(condition.unwrap().0.contains("two devices"));
}

#[test]
fn liveness_goes_down_and_stale_and_comes_back() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    for _ in 0..5 {
        field.until_poll();
    }
    field.pass(600_000);
    assert_eq!(field.liveness(1), Liveness::Down);
    // Down: the pauses grow to RETRY_MAX_MS and no further.
    let pauses: Vec<u64> = (0..10).map(|_| field.until_poll().at).collect();
    let last_pause = pauses[9] - pauses[8];
    assert!(
        (10 * SECOND..=12 * SECOND).contains(&last_pause),
        "{last_pause}"
    );
    assert_eq!(field.liveness(1), Liveness::Down);
    field.read(1, "1");
    assert_eq!(field.liveness(1), Liveness::Ok);

    while field.liveness(1) != Liveness::Stale {
        field.until_poll();
        field.read(1, "1");
    }
    let state = field.engine.sensor(id(1)).unwrap();
    assert!(field.now.wall - state.last_heartbeat >= 180 * SECOND);
    field.hello(1, 1_000);
    assert_eq!(field.liveness(1), Liveness::Ok);
    // Staleness is noticed a second time as well.
    field.pass(181 * SECOND);
    assert_ne!(field.liveness(1), Liveness::Ok);
}

#[test]
fn a_heartbeat_brings_a_silent_sensor_back() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.pass(60 * SECOND);
    assert_eq!(field.liveness(1), Liveness::Down);
    field.hello(1, 1_000);
    assert_eq!(field.liveness(1), Liveness::Ok);
    let before = field.now.steady;
    assert!(
        field.until_poll().at - before < 4 * SECOND,
        "polled soon, not at the end of its pause"
    );
}

#[test]
fn a_silent_sensor_is_forgotten() {
    let mut field = Field::new(settings());
    field.hello(1, 60_000);
    field.pass(3_599 * SECOND);
    assert!(field.engine.sensor(id(1)).is_some());
    field.pass(2 * SECOND);
    assert!(field.engine.sensor(id(1)).is_none());
    assert!(field.records.is_empty());
    assert!(field.subscriptions.is_empty());
}

#[test]
fn a_farewell_leaves_the_poll_under_way_its_time() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let poll = field.until_poll();
    field.message(&format!("sim.disconnect.{}", id(1)), "bye");
    assert_eq!(field.engine.outstanding(), 1);
    // The one after it shows that the sensor has left.
    field.pass(10 * SECOND);
    assert!(field.engine.sensor(id(1)).is_none());
    let outcomes: Vec<Outcome> = field.results.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [Outcome::NoReply; 2]);
    assert_eq!(field.results[0].poll, poll.number);
    field.read(1, "1");
    assert_eq!(field.results.len(), 2);
}

#[test]
fn a_signed_heartbeat_is_stored_where_it_says_something_new() {
    let mut field = Field::new(settings());
    let signed = |boot: &str, beat: u64| {
        let mut heartbeat = declared(1, beat, &key(1));
        heartbeat["boot"] = json!(boot);
        proven(&heartbeat, &key(1))
    };
    let mut is_stored = |boot: &str, beat: u64| {
        field.records.clear();
        field.announce(&signed(boot, beat)).unwrap();
        field.pass(30 * SECOND);
        !field.records.is_empty()
    };
    assert!(is_stored("a", 0));
    assert!(!is_stored("a", 1));
    assert!(!is_stored("a", 2));
    assert!(is_stored("b", 0));
}

#[test]
fn a_restart_knows_the_sensors_again() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.hello(2, 1_000);
    field.announce(&signed_heartbeat(3, 1, &key(1))).unwrap();
    let records: Vec<_> = field.records.values().cloned().collect();
    let first_seen = field.engine.sensor(id(1)).unwrap().first_seen;

    let mut again = Field::new(settings());
    again.now = field.now;
    again.pass(60 * SECOND);
    for record in &records {
        again.engine.restore(record, again.now).unwrap();
    }
    again.perform();
    assert_eq!(again.engine.sensor(id(1)).unwrap().first_seen, first_seen);
    again.until_poll();

    let much_later = Moment {
        steady: 1,
        wall: field.now.wall + 3_601 * SECOND,
    };
    let mut engine = Engine::new(settings(), 0, much_later);
    assert!(matches!(
        engine.restore(&records[0], much_later),
        Err(RestoreError::Forgotten { .. })
    ));
    assert!(matches!(
        engine.restore(b"{\"heartbeat\":{}}", much_later),
        Err(RestoreError::NotARecord(_))
    ));
    let tampered = String::from_utf8(records[0].clone())
        .unwrap()
        .replace("sim.poll", "wadm.api");
    assert!(matches!(
        engine.restore(tampered.as_bytes(), field.now),
        Err(RestoreError::Rejected(_))
    ));
}

#[test]
fn a_changed_profile_is_taken_over_and_saved() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let before = field.records[&id(1)].clone();
    let mut json = heartbeat(1, 5_000);
    json["unit"] = json!("Cel");
    field.announce(&json).unwrap();
    let state = field.engine.sensor(id(1)).unwrap();
    assert_eq!(
        (state.profile.unit.as_str(), state.poll_interval_ms),
        ("Cel", 5_000)
    );
    assert_ne!(field.records[&id(1)], before);

    // New topics of an acceptable kind are followed, others leave everything as it was.
    json["read_topic"] = json!(format!("sim.out.{}", id(1)));
    field.announce(&json).unwrap();
    assert_eq!(field.subscriptions, ["sim.disconnect.*", "sim.out.*"]);
    json["read_topic"] = json!(format!("wasmbus.rpc.{}", id(1)));
    let rejection = chain(&field.announce(&json).unwrap_err());
    assert!(
        rejection.contains("read_topic") && rejection.contains("wasmbus"),
        "{rejection}"
    );
    assert_eq!(field.engine.counters().last_rejection, rejection);
    assert_eq!(field.subscriptions, ["sim.disconnect.*", "sim.out.*"]);
}

#[test]
fn heartbeats_are_limited_in_rate_and_number() {
    let mut settings = settings();
    settings.sensors_max = 5;
    settings.heartbeats_per_s = 20;
    let mut field = Field::new(settings);
    for n in 1..=5 {
        field.hello(n, 1_000);
    }
    assert!(matches!(
        field.announce(&heartbeat(6, 1_000)),
        Err(Rejection::TooManySensors { limit: 5, .. })
    ));
    field.announce(&heartbeat(1, 1_000)).unwrap();
    // The burst is twice the number of sensors: three are left.
    let seen = (0..10)
        .filter(|_| field.announce(&heartbeat(1, 1_000)).is_ok())
        .count();
    assert_eq!(seen, 3);
    assert!(matches!(
        field.announce(&heartbeat(1, 1_000)),
        Err(Rejection::TooManyHeartbeats { limit: 20 })
    ));
    for _ in 0..20 {
        field.pass(100_000);
        let _ = field.announce(&heartbeat(1, 1_000));
    }
    assert!(matches!(
        field.announce(&heartbeat(1, 1_000)),
        Err(Rejection::TooOften { .. })
    ));
}

#[test]
fn topics_that_need_many_subscriptions_or_belong_to_others_are_refused() {
    let mut settings = settings();
    settings.patterns_max = 4;
    let mut field = Field::new(settings);
    field.hello(1, 1_000);
    for (n, accepted) in [(2, true), (3, true), (4, false)] {
        let mut json = heartbeat(n, 1_000);
        json["read_topic"] = json!(format!("sim.kind{n}.{}", id(n)));
        assert_eq!(field.announce(&json).is_ok(), accepted, "sensor {n}");
    }
    let mut json = heartbeat(5, 1_000);
    json["read_topic"] = json!(format!("sim.{}.{}", id(5), id(6)));
    let mut settings = common::settings();
    settings.patterns_max = 100;
    let mut field = Field::new(settings);
    field.announce(&json).unwrap();
    let mut thief = heartbeat(6, 1_000);
    thief["disconnect_topic"] = json!(format!("sim.{}.{}", id(5), id(6)));
    assert!(matches!(
        field.announce(&thief),
        Err(Rejection::TopicTaken { .. })
    ));
}

#[test]
fn ten_thousand_sensors_keep_within_the_bound_on_outstanding_polls() {
    let mut settings = settings();
    settings.outstanding_max = 500;
    settings.sensors_max = 20_000;
    let mut field = Field::new(settings);
    for n in 1..=10_000 {
        field.hello(n, 1_000);
    }
    let mut most = 0;
    // Nobody answers: every poll lasts its whole timeout.
    for _ in 0..1_000 {
        field.pass(10_000);
        most = most.max(field.engine.outstanding());
    }
    assert_eq!(most, 500);
    let polls = field.engine.counters().polls.polls;
    // Six seconds of polling (the rest is the quiet time at the start), 500 each 500 ms.
    assert!((6_000..=10_000).contains(&polls), "{polls}");
}

#[test]
fn paused_polls_wait_and_drained_ones_are_not_sent() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.engine.set_paused(true, field.now);
    field.pass(20 * SECOND);
    assert_eq!(field.engine.counters().polls.polls, 0);
    field.engine.set_paused(false, field.now);
    field.perform();
    assert_eq!(
        field.engine.outstanding(),
        1,
        "one poll, not the twenty that were missed"
    );
    field.engine.drain();
    field.pass(20 * SECOND);
    assert_eq!((field.engine.outstanding(), field.results.len()), (0, 1));
}

#[test]
fn abandoned_polls_end_without_an_answer() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    let poll = field.until_poll();
    field.engine.abandon(field.now);
    field.perform();
    assert_eq!(field.engine.outstanding(), 0);
    let result = field.results.last().unwrap();
    assert_eq!(
        (result.poll, result.outcome),
        (poll.number, Outcome::NoReply)
    );
}

#[test]
fn sensors_are_listed_by_alias() {
    let mut field = Field::new(settings());
    for n in [3, 1, 2] {
        field.hello(n, 1_000);
    }
    let aliases: Vec<String> = field
        .engine
        .sensors(1, 10)
        .iter()
        .map(|s| s.profile.alias.clone())
        .collect();
    assert_eq!(aliases, ["sensor-0002", "sensor-0003"]);
    assert_eq!(field.engine.take_actions(), Vec::<Action>::new());
}
