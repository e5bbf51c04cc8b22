//! What devices send in bulk after an outage.
#![allow(clippy::unwrap_used)]

mod common;

use common::signed::{BOOT, approve, bulk, bulk_of, key, signed_heartbeat};
use common::{Field, SECOND, heartbeat, id, settings};
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_polling::{PollResult, Receipt, Rejection};
use fieldledger_wire::batch::{Attestation, Outcome};
use serde_json::{Value, json};

fn send(field: &mut Field, n: u32, message: &Value) -> Vec<PollResult> {
    let before = field.results.len();
    field.message(&format!("sim.history.{}", id(n)), &message.to_string());
    field.results[before..].to_vec()
}

/// A field with a sensor whose key is approved.
fn approved() -> Field {
    let mut field = Field::new(settings());
    field.announce(&signed_heartbeat(1, 1, &key(1))).unwrap();
    approve(&mut field, 1, &key(1));
    field
}

#[test]
fn each_reading_is_a_result_and_the_last_one_is_acknowledged() {
    let mut field = approved();
    let at = field.now.wall - 600 * SECOND;
    let readings: Vec<_> = (0..64).map(|n| (n, Clock::Utc(at + n * SECOND))).collect();
    let results = send(&mut field, 1, &bulk(1, &key(1), &readings));
    assert_eq!(results.len(), 64);
    for (result, (seq, _)) in results.iter().zip(&readings) {
        assert_eq!(result.outcome, Outcome::Historical);
        assert_eq!(result.attestation, Attestation::Valid);
        assert_eq!(result.sequence, Some(*seq));
        assert_eq!(result.polled_at, at + seq * SECOND);
        assert!(result.evidence.contains("\"size\":64"));
        assert!(!result.sequence_reused);
        assert_eq!(result.receipt.is_some(), *seq == 63);
    }
    let mut numbers: Vec<u64> = results.iter().map(|result| result.poll).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 64, "each has a number of its own");
    let receipt = results.last().unwrap().receipt.as_deref().unwrap();
    let Receipt::History { subject, ack } = receipt else {
        panic!("{receipt:?}")
    };
    assert_eq!(subject.as_str(), format!("sim.history_ack.{}", id(1)));
    assert_eq!((&*ack.boot, ack.seq), (BOOT, 63));
    assert_eq!(field.engine.counters().history.readings, 64);
}

#[test]
fn times_that_cannot_be_do_not_date_what_was_kept() {
    let mut field = approved();
    let now = field.now.wall;
    let readings = [
        (1, Clock::Utc(5)),
        (2, Clock::Utc(now - 900 * SECOND)),
        (3, Clock::Utc(now + 290 * SECOND)),
        (4, Clock::Utc(now - 400 * SECOND)),
        (5, Clock::Utc(now + 400 * SECOND)),
    ];
    let results = send(&mut field, 1, &bulk(1, &key(1), &readings));
    let dated: Vec<u64> = results.iter().map(|result| result.polled_at).collect();
    let before = now - 900 * SECOND;
    assert_eq!(dated, [now, before, now, now - 400 * SECOND, now]);
    let sent: Vec<_> = results.iter().map(|result| result.device_at).collect();
    assert_eq!((sent[0], sent[4]), (Some(5), Some(now + 400 * SECOND)));
    // Only the fourth contradicts the one before it.
    let odd: Vec<bool> = results
        .iter()
        .map(|result| !result.remark.is_empty())
        .collect();
    assert_eq!(odd, [false, false, false, true, false]);
    assert!(
        results[3].remark.contains("690 s before"),
        "{}",
        results[3].remark
    );
}

#[test]
fn numbers_of_history_do_not_make_live_ones_repeated() {
    let mut field = approved();
    let poll = field.until_poll();
    let live = |seq: u64, field: &mut Field| {
        let reading = Reading::new(seq, Clock::Uptime(seq), "1", "").unwrap();
        let statement = Statement::of_one(*id(1).as_bytes(), BootId::new(BOOT).unwrap(), &reading);
        let sig = statement.sign(&key(1)).to_string();
        json!({"value": "1", "seq": seq, "up": seq, "boot": BOOT, "sig": sig,
            "poll": field.polls.last().unwrap().number})
        .to_string()
    };
    assert!(poll.number > 0);
    let answer = live(10, &mut field);
    field.read(1, &answer);
    let old = bulk(1, &key(1), &[(3, Clock::Uptime(3)), (4, Clock::Uptime(4))]);
    assert_eq!(send(&mut field, 1, &old).len(), 2);
    // Sent again, because the acknowledgement was lost: the log knows the numbers it has.
    let again = send(&mut field, 1, &old);
    assert!(again[1].receipt.is_some() && !again[1].sequence_reused);
    field.until_poll();
    let answer = live(11, &mut field);
    field.read(1, &answer);
    let last = field.results.last().unwrap();
    assert_eq!((last.sequence, last.sequence_reused), (Some(11), false));
}

#[test]
fn a_forged_message_is_never_acknowledged_and_leaves_one_trace() {
    let mut field = approved();
    let readings: Vec<_> = (0..100).map(|n| (n, Clock::Uptime(n))).collect();
    let mut changed = bulk(1, &key(1), &readings);
    changed["readings"][7]["value"] = "99".into();
    for forged in [bulk(1, &key(2), &readings), changed] {
        let results = send(&mut field, 1, &forged);
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].attestation, Attestation::Invalid);
        assert_eq!(results[0].receipt, None);
        assert_eq!(results[0].polled_at, field.now.wall);
    }
    // Another sensor's readings, signed by that sensor.
    let elsewhere = bulk(2, &key(1), &readings);
    assert_eq!(
        send(&mut field, 1, &elsewhere)[0].attestation,
        Attestation::Invalid
    );
    let keys = field.engine.retire(id(1)).unwrap();
    field.engine.decide(id(1), keys);
    let results = send(&mut field, 1, &bulk(1, &key(1), &readings));
    assert_eq!(results[0].attestation, Attestation::Retired);
    assert!(results.len() == 1 && results[0].receipt.is_none());
    let history = &field.engine.counters().history;
    assert_eq!((history.refused, history.readings), (4, 0));
    assert!(history.last_refusal.contains("retired"), "{history:?}");
}

#[test]
fn what_is_no_message_is_counted_with_its_reason() {
    let mut field = approved();
    let mut backwards = bulk(1, &key(1), &[(1, Clock::Uptime(1)), (2, Clock::Uptime(2))]);
    backwards["readings"][1]["seq"] = 1.into();
    for message in [json!({}), json!([]), backwards] {
        assert_eq!(send(&mut field, 1, &message), []);
    }
    let history = &field.engine.counters().history;
    assert_eq!(history.refused, 3);
    assert!(history.last_refusal.contains("not above"), "{history:?}");
}

#[test]
fn a_sensor_that_shows_no_key_has_no_history() {
    let mut field = Field::new(settings());
    field.hello(1, 60_000);
    let message = bulk(1, &key(1), &[(1, Clock::Uptime(1))]);
    assert_eq!(send(&mut field, 1, &message), []);
    assert_eq!(field.subscriptions, ["sim.read.*", "sim.disconnect.*"]);
    field.announce(&signed_heartbeat(1, 1, &key(1))).unwrap();
    assert!(field.subscriptions.contains(&"sim.history.*".to_owned()));
    let results = send(&mut field, 1, &message);
    assert_eq!(results[0].attestation, Attestation::Unapproved);
    assert!(results[0].receipt.is_some());
}

#[test]
fn the_time_of_a_measurement_is_told_as_well_as_it_is_known() {
    let mut field = approved();
    let now = field.now.wall;
    let far_ahead = now + 3_600 * SECOND;
    let unknown = bulk(
        1,
        &key(1),
        &[(1, Clock::Uptime(5)), (2, Clock::Utc(far_ahead))],
    );
    let results = send(&mut field, 1, &unknown);
    assert_eq!((results[0].polled_at, results[1].polled_at), (now, now));
    assert_eq!(results[1].device_at, Some(far_ahead), "kept as it was said");

    // Once the boot is known from an answer to a poll, times since it are.
    let poll = field.until_poll();
    let up = 100 * SECOND;
    let reading = Reading::new(9, Clock::Uptime(up), "1", "").unwrap();
    let statement = Statement::of_one(*id(1).as_bytes(), BootId::new(BOOT).unwrap(), &reading);
    let sig = statement.sign(&key(1)).to_string();
    let answer = json!({"value": "1", "seq": 9, "up": up, "boot": BOOT, "sig": sig,
        "poll": poll.number});
    field.read(1, &answer.to_string());
    let booted = field.now.wall - up;
    let old = bulk(1, &key(1), &[(3, Clock::Uptime(30 * SECOND))]);
    let results = send(&mut field, 1, &old);
    assert_eq!(results[0].polled_at, booted + 30 * SECOND);
}

#[test]
fn what_an_earlier_boot_left_is_taken_and_its_time_is_known_while_the_boot_is() {
    let mut field = approved();
    // It reboots again and again, each time after an answer.
    let mut booted = Vec::new();
    for boot in 0..6_u64 {
        let poll = field.until_poll();
        let name = format!("boot-{boot}");
        let reading = Reading::new(0, Clock::Uptime(SECOND), "1", "").unwrap();
        let sig = Statement::of_one(*id(1).as_bytes(), BootId::new(&name).unwrap(), &reading)
            .sign(&key(1))
            .to_string();
        let answer = json!({"value": "1", "seq": 0, "up": SECOND, "boot": name, "sig": sig,
            "poll": poll.number});
        field.read(1, &answer.to_string());
        let last = field.results.last().unwrap();
        assert_eq!(
            (last.attestation, last.sequence_reused),
            (Attestation::Valid, false)
        );
        booted.push(field.now.wall - SECOND);
        field.pass(40 * SECOND);
    }
    // The last four boots are remembered, of which `BOOT` is none and the one after it is the oldest.
    let now = field.now.wall;
    let kept = [
        (1, Clock::Uptime(30 * SECOND)),
        (2, Clock::Utc(now - SECOND)),
    ];
    for (boot, measured) in [
        (1, now),
        (2, booted[2] + 30 * SECOND),
        (5, booted[5] + 30 * SECOND),
    ] {
        let name = format!("boot-{boot}");
        let results = send(&mut field, 1, &bulk_of(1, &key(1), &name, &kept));
        let times: Vec<_> = results.iter().map(|result| result.polled_at).collect();
        assert_eq!(times, [measured, now - SECOND], "{name}");
        for (result, (number, _)) in results.iter().zip(kept) {
            assert_eq!(result.attestation, Attestation::Valid);
            assert_eq!((&result.boot, result.sequence), (&name, Some(number)));
            assert!(!result.sequence_reused);
        }
        let receipt = results[1].receipt.as_deref().unwrap();
        let Receipt::History { ack, .. } = receipt else {
            panic!("{receipt:?}")
        };
        assert_eq!((&ack.boot, ack.seq), (&name, 2));
    }
}

#[test]
fn history_is_bounded_and_waits_while_polling_pauses() {
    let mut field = approved();
    let message = bulk(1, &key(1), &[(1, Clock::Uptime(1))]);
    let taken = (0..100)
        .filter(|_| !send(&mut field, 1, &message).is_empty())
        .count();
    assert_eq!(taken, 8, "a burst of one sensor");
    field.pass(10 * SECOND);
    field.engine.set_paused(true, field.now);
    assert_eq!(send(&mut field, 1, &message), []);
    field.engine.set_paused(false, field.now);
    assert_eq!(send(&mut field, 1, &message).len(), 1);

    // All sensors together.
    let mut all = Field::new(settings());
    let readings: Vec<_> = (0..1_000).map(|n| (n, Clock::Uptime(n))).collect();
    let mut taken = 0;
    for n in 1..=10 {
        all.announce(&signed_heartbeat(n, 1, &key(1))).unwrap();
        taken += send(&mut all, n, &bulk(n, &key(1), &readings)).len();
    }
    assert_eq!(taken, 1_000, "of the 1,024 that pass at once");
    all.pass(SECOND);
    assert_eq!(send(&mut all, 2, &bulk(2, &key(1), &readings)).len(), 1_000);
}

#[test]
fn a_site_may_take_none_but_sensors_with_a_key() {
    let mut strict = settings();
    strict.unsigned_allowed = false;
    let mut field = Field::new(strict);
    let refused = field.announce(&heartbeat(1, 1_000));
    assert!(matches!(refused, Err(Rejection::NoKey { .. })));
    field.announce(&signed_heartbeat(1, 1, &key(1))).unwrap();
}
