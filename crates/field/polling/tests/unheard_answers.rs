//! What polls say of answers that are stored, and what becomes of a reading that arrives twice.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;

use common::signed::{BOOT, answer, approve, bulk, declared, key, proven};
use common::{Field, SECOND, Sent, heartbeat, id, settings};
use fieldledger_attest::reading::Clock;
use fieldledger_polling::{PollResult, Receipt, StoredAnswer};
use fieldledger_wire::batch::{Attestation, Outcome};
use fieldledger_wire::poll::{MAX_STORED, StoredAnswers};
use serde_json::{Value, json};

/// A field with a sensor that has a key.
fn field() -> Field {
    let mut field = Field::new(settings());
    let mut heartbeat = declared(1, 1, &key(1));
    heartbeat["poll_interval"] = 1_000.into();
    field.announce(&proven(&heartbeat, &key(1))).unwrap();
    field
}

/// Waits for a poll; what it says of stored answers.
fn next_poll(field: &mut Field) -> (Sent, Option<StoredAnswers>) {
    let sent = field.until_poll();
    (sent, field.named.last().unwrap().clone())
}

/// Answers this poll; the receipt of the answer.
fn reply(field: &mut Field, poll: Sent, answer: &Value) -> Option<Receipt> {
    field.reply(poll.number, &answer.to_string());
    let result = field.results.last().unwrap();
    result.receipt.as_deref().cloned()
}

/// Stores what this receipt is of.
fn store(field: &mut Field, receipt: Option<Receipt>) {
    match receipt {
        Some(Receipt::Answer(answer)) => field.engine.answer_stored(answer),
        other => panic!("{other:?}"),
    }
}

fn stored(boot: &str, stored: &[u64]) -> Option<StoredAnswers> {
    Some(StoredAnswers {
        boot: boot.to_owned(),
        stored: stored.to_vec(),
    })
}

#[test]
fn a_poll_says_what_was_stored_since_the_one_that_was_answered() {
    let mut field = field();
    let (first, named) = next_poll(&mut field);
    assert_eq!(named, stored("", &[]));
    let receipt = reply(&mut field, first, &answer(1, &key(1), 0));
    // Not stored yet.
    let (second, named) = next_poll(&mut field);
    assert_eq!(named, stored("", &[]));
    store(&mut field, receipt);
    let receipt = reply(&mut field, second, &answer(1, &key(1), 1));
    store(&mut field, receipt);
    let (unanswered, named) = next_poll(&mut field);
    assert_eq!(named, stored(BOOT, &[0, 1]));
    // It may never have arrived.
    let (third, named) = next_poll(&mut field);
    assert!(third.number > unanswered.number);
    assert_eq!(named, stored(BOOT, &[0, 1]));
    reply(&mut field, third, &answer(1, &key(1), 2)).unwrap();
    let (_, named) = next_poll(&mut field);
    assert_eq!(named, stored(BOOT, &[]));
}

#[test]
fn a_late_answer_is_named_as_well() {
    let mut field = field();
    let (poll, _) = next_poll(&mut field);
    field.pass(600_000);
    let receipt = reply(&mut field, poll, &answer(1, &key(1), 0));
    assert_eq!(field.results.last().unwrap().outcome, Outcome::Late);
    store(&mut field, receipt);
    assert_eq!(next_poll(&mut field).1, stored(BOOT, &[0]));
}

#[test]
fn only_the_newest_are_named_and_of_another_boot_none() {
    let mut field = field();
    let answered = |sequence, boot: &str| StoredAnswer {
        sensor: id(1),
        boot: boot.to_owned(),
        sequence,
    };
    for sequence in 0..100 {
        field.engine.answer_stored(answered(sequence, BOOT));
    }
    let newest: Vec<u64> = (100 - MAX_STORED as u64..100).collect();
    assert_eq!(next_poll(&mut field).1, stored(BOOT, &newest));
    field.engine.answer_stored(answered(3, "boot-2"));
    assert_eq!(next_poll(&mut field).1, stored("boot-2", &[3]));
    // Of a sensor that is gone.
    let gone = StoredAnswer {
        sensor: id(2),
        ..answered(1, BOOT)
    };
    field.engine.answer_stored(gone);
}

#[test]
fn sensors_whose_history_would_be_refused_hear_nothing_of_it() {
    let mut plain = Field::new(settings());
    plain.announce(&heartbeat(1, 1_000)).unwrap();
    let (poll, named) = next_poll(&mut plain);
    assert_eq!(named, None);
    let counted = json!({"value": 1, "seq": 0, "boot": BOOT});
    assert_eq!(reply(&mut plain, poll, &counted), None);

    let mut field = field();
    approve(&mut field, 1, &key(1));
    assert_eq!(next_poll(&mut field).1, stored("", &[]));
    let keys = field.engine.retire(id(1)).unwrap();
    field.engine.decide(id(1), keys);
    assert_eq!(next_poll(&mut field).1, None);
}

#[test]
fn what_is_not_the_sensors_own_is_not_named() {
    let mut field = field();
    approve(&mut field, 1, &key(1));
    let (poll, _) = next_poll(&mut field);
    assert!(reply(&mut field, poll, &answer(1, &key(1), 5)).is_some());
    // The log has this one too, flagged.
    let (poll, _) = next_poll(&mut field);
    assert!(reply(&mut field, poll, &answer(1, &key(1), 5)).is_some());
    let forged = answer(1, &key(2), 6);
    let unsigned = json!({"value": 1, "seq": 7, "boot": BOOT});
    for not_its_own in [forged, unsigned, json!("no number")] {
        let (poll, _) = next_poll(&mut field);
        assert_eq!(reply(&mut field, poll, &not_its_own), None, "{not_its_own}");
    }
    let (poll, _) = next_poll(&mut field);
    assert!(reply(&mut field, poll, &answer(1, &key(1), 6)).is_some());
}

/// Under which number the log has a result, if under one of the device's.
fn number(result: &PollResult) -> Option<(String, u64)> {
    let is_own = result.attestation.is_credible() && !result.sequence_reused;
    let sequence = result.sequence.filter(|_| is_own)?;
    Some((result.boot.clone(), sequence))
}

/// The ledger has each pair of producer and sequence once, so a reading that arrives as an answer and as
/// history is in the log once if both ways lead to the same pair. They do in either order, and in another
/// run of the provider, which remembers nothing of the first.
#[test]
fn an_answer_and_its_copy_in_history_are_one_reading_in_any_order_and_run() {
    for (is_answer_first, restarts) in [(true, false), (true, true), (false, false), (false, true)]
    {
        let mut field = field();
        approve(&mut field, 1, &key(1));
        let (poll, _) = next_poll(&mut field);
        let copy = bulk(1, &key(1), &[(4, Clock::Uptime(4))]).to_string();
        let history = format!("sim.history.{}", id(1));
        let mut results = Vec::new();
        match is_answer_first {
            true => field.reply(poll.number, &answer(1, &key(1), 4).to_string()),
            false => field.message(&history, &copy),
        }
        results.append(&mut field.results);
        let mut again = match restarts {
            true => self::field(),
            false => field,
        };
        if restarts {
            approve(&mut again, 1, &key(1));
        }
        match is_answer_first {
            true => again.message(&history, &copy),
            false if restarts => {
                let (poll, _) = next_poll(&mut again);
                again.reply(poll.number, &answer(1, &key(1), 4).to_string());
            }
            false => again.reply(poll.number, &answer(1, &key(1), 4).to_string()),
        }
        results.append(&mut again.results);
        assert_eq!(results.len(), 2);
        let numbers: HashSet<_> = results
            .iter()
            .map(|result| number(result).unwrap())
            .collect();
        assert_eq!(numbers, HashSet::from([(BOOT.to_owned(), 4)]));
        assert!(
            results
                .iter()
                .all(|result| result.attestation == Attestation::Valid)
        );
        assert!(results.iter().all(|result| result.receipt.is_some()));
        // The readings that follow are the sensor's own in either case.
        again.pass(SECOND / 10);
        let (poll, _) = next_poll(&mut again);
        assert!(reply(&mut again, poll, &answer(1, &key(1), 5)).is_some());
    }
}
