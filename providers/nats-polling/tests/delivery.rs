//! From poll to reader over a real nats-server, while parts of the way fail.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::Message;
use async_nats::jetstream::{self, consumer::pull};
use common::{Answers, Device, Server, TestReader, config, eventually, id, start};
use fieldledger_contract::field::DeadLetter;
use fieldledger_provider_nats_polling::instance::{Instance, LetterError, Letters, Status};
use fieldledger_provider_nats_polling::reader::IngestError;
use fieldledger_wire::batch::{Attestation, Outcome, PollBatch, SensorProfile};
use futures::StreamExt;
use rand::Rng as _;

/// What is said when no batch is left in the stream.
async fn all_delivered(instance: &Instance) -> Status {
    eventually("delivery", || async {
        let status = instance.status().await;
        (status.batches_pending == 0).then_some(status)
    })
    .await
}

/// The first dead letter.
async fn dead_letter(server: &Server) -> Message {
    let context = jetstream::new(server.client().await);
    let stream = context
        .get_stream("FIELDLEDGER_DEAD_LETTERS")
        .await
        .unwrap();
    let consumer = stream
        .create_consumer(pull::OrderedConfig::default())
        .await
        .unwrap();
    let mut messages = consumer.messages().await.unwrap();
    messages.next().await.unwrap().unwrap().message.clone()
}

fn reason(letter: &Message) -> String {
    letter
        .headers
        .as_ref()
        .unwrap()
        .get("Fieldledger-Reason")
        .unwrap()
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_log_is_waited_for_and_nothing_is_lost() {
    let server = Server::start().await;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let reader = TestReader::new(move |_, _| {
        let unavailable = || IngestError::Unavailable("the disk is full".to_owned());
        gate.load(SeqCst).then_some(()).ok_or_else(unavailable)
    });
    let instance = start(config(&server, &[("LANES", "1")]), &reader).await;
    let device = Device::start(&server, 1, Answers::ReadTopic).await;
    let status = eventually("eight failures", || async {
        let status = instance.status().await;
        (status.delivery.batches_retried >= 8 && status.batches_pending >= 8).then_some(status)
    })
    .await;
    assert!(status.delivery.last_error.contains("the disk is full"));
    assert_eq!(
        (status.delivery.batches_dead_lettered, reader.results()),
        (0, 0)
    );
    open.store(true, SeqCst);
    all_delivered(&instance).await;
    instance.stop().await;
    eventually("the rest", || async {
        (reader.texts(1).len() == device.said.lock().unwrap().len()).then_some(())
    })
    .await;
    assert_eq!(reader.texts(1), said(&device));
}

/// What a device said, as the reader has it.
fn said(device: &Device) -> Vec<String> {
    let said = device.said.lock().unwrap();
    said.iter().map(u64::to_string).collect()
}

/// A log that takes no more entries until this is true.
fn ended_until(is_open: &Arc<AtomicBool>) -> Arc<TestReader> {
    let is_open = Arc::clone(is_open);
    TestReader::new(move |_, _| {
        let ended = || IngestError::Ended("frozen by an operator".to_owned());
        is_open.load(SeqCst).then_some(()).ok_or_else(ended)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_ended_is_left_alone_until_the_next_start_and_nothing_is_lost() {
    let server = Server::start().await;
    let is_open = Arc::new(AtomicBool::new(false));
    let reader = ended_until(&is_open);
    let settings = [("LANES", "2")];
    let instance = start(config(&server, &settings), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=4 {
        devices.push(Device::start(&server, n, Answers::ReadTopic).await);
    }
    let status = eventually("batches of both lanes that wait", || async {
        let status = instance.status().await;
        (status.batches_pending >= 20).then_some(status)
    })
    .await;
    assert_eq!(status.delivery.ended, "frozen by an operator");
    assert!(status.delivery.last_error.contains("frozen by an operator"));
    assert_eq!(
        (
            status.delivery.batches_retried,
            status.delivery.batches_dead_lettered
        ),
        (0, 0)
    );
    // At most once in each lane: a log that has ended is asked again after a minute.
    assert!(reader.calls() <= 2, "{} calls", reader.calls());
    instance.stop().await;
    let said_before: Vec<Vec<String>> = devices.iter().map(said).collect();
    for said in &said_before {
        assert!(said.len() > 2, "polling goes on meanwhile");
    }

    // What a new start, or other settings, bring: another question at once.
    is_open.store(true, SeqCst);
    let started = std::time::Instant::now();
    let instance = start(config(&server, &settings), &reader).await;
    eventually("all that was said", || async {
        let is_read = |(n, said): (u32, &Vec<String>)| reader.texts(n).starts_with(said);
        (1..).zip(&said_before).all(is_read).then_some(())
    })
    .await;
    assert!(
        started.elapsed() < Duration::from_secs(45),
        "not after a minute"
    );
    assert_eq!(instance.status().await.delivery.ended, "");
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_bound_of_the_stream_polling_stops_and_all_that_was_polled_is_stored() {
    let server = Server::start().await;
    let is_open = Arc::new(AtomicBool::new(false));
    let reader = ended_until(&is_open);
    let settings = [("STORED_BYTES_MAX", "1000000"), ("LATE_WINDOW_MS", "0")];
    let instance = start(config(&server, &settings), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=100 {
        devices.push(Device::start(&server, n, Answers::Directly).await);
    }
    eventually("a bound that is shown before it is reached", || async {
        let delivery = instance.status().await.delivery;
        let is_shown = delivery.stored_bytes_max == 1_000_000;
        (is_shown && (1..1_000_000).contains(&delivery.stored_bytes)).then_some(())
    })
    .await;
    let full = eventually("a stream at its bound, and nothing in memory", || async {
        let status = instance.status().await;
        let is_full = status.delivery.stored_bytes >= 1_000_000;
        (is_full && status.delivery.results_buffered == 0).then_some(status)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let later = instance.status().await;
    assert!(
        later.counters.polls.polls < full.counters.polls.polls + 200,
        "polling has stopped"
    );
    assert_eq!(later.delivery.ended, "frozen by an operator");
    instance.stop().await;

    is_open.store(true, SeqCst);
    let instance = start(config(&server, &settings), &reader).await;
    eventually("polling again", || async {
        (instance.status().await.counters.polls.polls > 500).then_some(())
    })
    .await;
    instance.stop().await;
    for (n, device) in (1..).zip(&devices) {
        let (read, said) = (reader.texts(n), said(device));
        // The last may still be in the stream: the next start delivers them.
        assert_eq!(read[..], said[..read.len()], "sensor {n}");
    }
    let stored = usize::try_from(full.counters.polls.polls).unwrap();
    assert!(reader.results() > stored, "with all from before the bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_result_costs_no_other_and_is_recorded_in_part() {
    let server = Server::start().await;
    // As a log that refuses one sensor's readings, until they are cut.
    let reader = TestReader::new(|batch, _| {
        let is_bad = |sensor: &u32| batch.sensors[*sensor as usize].id == id(2).to_string();
        match batch.refusal.is_empty() && batch.sensor.iter().any(is_bad) {
            true => Err(IngestError::Malformed("actor is too long".to_owned())),
            false => Ok(()),
        }
    });
    let settings = [
        ("LANES", "1"),
        ("BATCH_COUNT", "50"),
        ("BATCH_AGE_MS", "500"),
    ];
    let instance = start(config(&server, &settings), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=5 {
        devices.push(Device::start(&server, n, Answers::ReadTopic).await);
    }
    eventually("readings of all", || async {
        (1..=5).all(|n| reader.texts(n).len() >= 5).then_some(())
    })
    .await;
    let status = instance.status().await;
    assert_eq!(status.delivery.batches_dead_lettered, 0);
    assert!(status.delivery.results_cut >= 5, "{:?}", status.delivery);
    instance.stop().await;
    for (n, device) in (1..).zip(&devices) {
        let (read, said) = (reader.texts(n), said(device));
        assert_eq!(
            read[..],
            said[..read.len()],
            "sensor {n}: each once, in order"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_recorded_in_any_form_goes_to_the_dead_letters_alone() {
    let server = Server::start().await;
    // As a component that traps on one reading, whatever is left of it.
    let reader = TestReader::new(|batch, _| {
        if batch.text.iter().any(|text| text == "3") {
            return Err(IngestError::Failed("wasm trap: unreachable".to_owned()));
        }
        Ok(())
    });
    let settings = [
        ("LANES", "1"),
        ("BATCH_COUNT", "10"),
        ("BATCH_AGE_MS", "1000"),
    ];
    let instance = start(config(&server, &settings), &reader).await;
    let _device = Device::start(&server, 1, Answers::ReadTopic).await;
    eventually("readings after the bad one", || async {
        reader.texts(1).contains(&"12".to_owned()).then_some(())
    })
    .await;
    let status = instance.status().await;
    assert_eq!(status.delivery.batches_dead_lettered, 1);
    let letter = dead_letter(&server).await;
    assert!(reason(&letter).contains("wasm trap"), "{}", reason(&letter));
    let batch: PollBatch = serde_json::from_slice(&letter.payload).unwrap();
    assert_eq!(batch.text, ["3"]);
    let texts = reader.texts(1);
    let expected = (1..)
        .filter(|number| *number != 3)
        .map(|number: u64| number.to_string());
    assert_eq!(texts, expected.take(texts.len()).collect::<Vec<_>>());
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_not_there_makes_no_dead_letters() {
    let server = Server::start().await;
    let linked = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&linked);
    let reader = TestReader::new(move |_, _| {
        let absent = || IngestError::Failed("no responders".to_owned());
        gate.load(SeqCst).then_some(()).ok_or_else(absent)
    });
    let instance = start(config(&server, &[("LANES", "1")]), &reader).await;
    let _device = Device::start(&server, 1, Answers::ReadTopic).await;
    eventually("more failures than patience", || async {
        (instance.status().await.delivery.batches_retried >= 8).then_some(())
    })
    .await;
    linked.store(true, SeqCst);
    eventually("delivery", || async {
        (reader.texts(1).first()? == "1").then_some(())
    })
    .await;
    assert_eq!(instance.status().await.delivery.batches_dead_lettered, 0);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_goes_to_the_dead_letters() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[]), &reader).await;
    let context = jetstream::new(server.client().await);
    let published = context
        .publish("fieldledger.polls.test.0", "garbage".into())
        .await
        .unwrap();
    published.await.unwrap();
    eventually("the dead letter", || async {
        (instance.status().await.delivery.batches_dead_lettered == 1).then_some(())
    })
    .await;
    let letter = dead_letter(&server).await;
    assert_eq!(letter.payload, "garbage");
    assert!(reason(&letter).contains("no batch"));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_delivery_was_cut_off_is_delivered_again_at_once() {
    let server = Server::start().await;
    let stuck = TestReader::new(|_, _| Err(IngestError::Unavailable("stuck".to_owned())));
    let first = start(config(&server, &[("LANES", "1")]), &stuck).await;
    let _device = Device::start(&server, 1, Answers::ReadTopic).await;
    eventually("an attempt", || async { (stuck.calls() > 0).then_some(()) }).await;
    // As a crash: no task comes to an end in order.
    drop(first);
    let started = std::time::Instant::now();
    let reader = TestReader::willing();
    let second = start(config(&server, &[("LANES", "1")]), &reader).await;
    eventually("the first reading", || async {
        (reader.texts(1).first()? == "1").then_some(())
    })
    .await;
    assert!(
        started.elapsed().as_secs() < 8,
        "not after the server's 10 seconds"
    );
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_lanes_than_before_leave_nothing_behind() {
    let server = Server::start().await;
    let stuck = TestReader::new(|_, _| Err(IngestError::Unavailable("stuck".to_owned())));
    let first = start(config(&server, &[("LANES", "4")]), &stuck).await;
    let mut devices = Vec::new();
    for n in 1..=8 {
        devices.push(Device::start(&server, n, Answers::ReadTopic).await);
    }
    eventually("a batch in each lane", || async {
        (first.status().await.batches_pending >= 8).then_some(())
    })
    .await;
    first.stop().await;
    drop(devices);
    let reader = TestReader::willing();
    let second = start(config(&server, &[("LANES", "1")]), &reader).await;
    eventually("all batches", || async {
        (1..=8)
            .all(|n| reader.texts(n).contains(&"1".to_owned()))
            .then_some(())
    })
    .await;
    second.stop().await;
}

/// A batch of a run that was cut off a minute ago: two results of sensor 1.
fn old_batch(number: u64) -> PollBatch {
    let minute_ago = (SystemTime::now() - Duration::from_secs(60))
        .duration_since(UNIX_EPOCH)
        .unwrap();
    let at = vec![u64::try_from(minute_ago.as_micros()).unwrap(); 2];
    let polls = [2 * number + 1, 2 * number + 2];
    PollBatch {
        id: format!("old-{number}"),
        epoch: "old".to_owned(),
        sensors: vec![SensorProfile {
            id: id(1).to_string(),
            alias: "sensor 1".to_owned(),
            location: "hall".to_owned(),
            unit: String::new(),
            range: None,
            calibration: None,
            unit_sent: String::new(),
        }],
        sensor: vec![0, 0],
        poll: polls.to_vec(),
        polled_at: at.clone(),
        received_at: at,
        outcome: vec![Outcome::Value; 2],
        text: polls.map(|poll| poll.to_string()).to_vec(),
        boot: vec![String::new(); 2],
        sequence: vec![None; 2],
        device_at: vec![None; 2],
        unit: vec![String::new(); 2],
        sequence_reused: vec![false; 2],
        remark: vec![String::new(); 2],
        device_up: vec![None; 2],
        attestation: vec![Attestation::Unsigned; 2],
        evidence: vec![String::new(); 2],
        refusal: String::new(),
        flaw: vec![String::new(); 2],
    }
}

/// Fills the only lane of an instance that is stopped then.
async fn with_backlog(server: &Server, settings: &[(&str, &str)], batches: u64) {
    let instance = start(config(server, settings), &TestReader::willing()).await;
    instance.stop().await;
    let context = jetstream::new(server.client().await);
    for number in 0..batches {
        let payload = serde_json::to_vec(&old_batch(number)).unwrap();
        let stored = context
            .publish("fieldledger.polls.test.0", payload.into())
            .await
            .unwrap();
        stored.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_many_batches_at_a_time() {
    let server = Server::start().await;
    let settings = [("LANES", "1"), ("BATCH_COUNT", "100")];
    with_backlog(&server, &settings, 200).await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &settings), &reader).await;
    let status = all_delivered(&instance).await;
    instance.stop().await;
    // 400 results, a hundred in a call.
    assert_eq!(reader.calls(), 4);
    assert_eq!(status.delivery.batches_delivered, 200);
    let expected: Vec<String> = (1..=400).map(|poll| poll.to_string()).collect();
    assert_eq!(reader.texts(1), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_batch_in_a_backlog_keeps_nothing_else_from_the_log() {
    let server = Server::start().await;
    let settings = [("LANES", "1"), ("BATCH_COUNT", "100")];
    with_backlog(&server, &settings, 200).await;
    let reader = TestReader::new(|batch, _| {
        let malformed = || IngestError::Malformed("poll 251 is odd".to_owned());
        (!batch.poll.contains(&251))
            .then_some(())
            .ok_or_else(malformed)
    });
    let instance = start(config(&server, &settings), &reader).await;
    let status = all_delivered(&instance).await;
    instance.stop().await;
    assert_eq!(status.delivery.batches_dead_lettered, 1);
    assert_eq!(status.delivery.batches_delivered, 200);
    // Two calls with fifty batches, one that fails, fifty with one, one with the rest; and of the bad one
    // its first result, what can be kept of that, and its second.
    assert_eq!(reader.calls(), 2 + 1 + 50 + 1 + 3);
    let polls = (1..=400).filter(|poll| *poll != 251);
    let expected: Vec<String> = polls.map(|poll: u32| poll.to_string()).collect();
    assert_eq!(reader.texts(1), expected);
    let letter: PollBatch = serde_json::from_slice(&dead_letter(&server).await.payload).unwrap();
    assert_eq!(
        (letter.id.as_str(), letter.poll),
        ("old-125.0-1", vec![251])
    );
}

/// An instance with one dead letter, of a result that the reader refuses until this is true.
async fn with_a_dead_letter(
    server: &Server,
) -> (Instance, Arc<TestReader>, Arc<AtomicBool>, DeadLetter) {
    let is_mended = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_mended);
    let reader = TestReader::new(move |batch, _| {
        let is_bad = batch.poll.contains(&3) && !gate.load(SeqCst);
        match is_bad {
            true => Err(IngestError::Malformed("poll 3 is odd".to_owned())),
            false => Ok(()),
        }
    });
    let settings = [("LANES", "1"), ("BATCH_COUNT", "100")];
    with_backlog(server, &settings, 5).await;
    let instance = start(config(server, &settings), &reader).await;
    let status = all_delivered(&instance).await;
    assert_eq!(status.letters.count, 1);
    let letters = instance.dead_letters(0, 100).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(status.letters.oldest, Some(letters[0].stored_at.micros));
    let letter = letters[0].clone();
    (instance, reader, is_mended, letter)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_shown_and_delivered_once_when_it_is_retried() {
    let server = Server::start().await;
    let (instance, reader, is_mended, letter) = with_a_dead_letter(&server).await;
    assert!(letter.reason.contains("poll 3 is odd"), "{letter:?}");
    assert_eq!((letter.results, letter.content.as_str()), (1, ""));
    assert_eq!(letter.sensors, [id(1).to_string()]);
    let shown = instance.dead_letter(&letter.id).await.unwrap();
    assert!(shown.content.contains("\"poll\":[3]"), "{}", shown.content);
    for unknown in ["test.99", "test.x", "other.1", "", "."] {
        let error = instance.dead_letter(unknown).await.unwrap_err();
        assert!(
            matches!(error, LetterError::Unknown(_)),
            "{unknown}: {error}"
        );
    }

    // Retried too early it comes back, however soon, and is not lost.
    instance.retry_dead_letter(&letter.id).await.unwrap();
    let again = eventually("the letter again", || async {
        let letters = instance.dead_letters(0, 100).await.unwrap();
        letters
            .first()
            .filter(|found| found.id != letter.id)
            .cloned()
    })
    .await;
    assert_eq!(instance.status().await.letters.count, 1);
    assert!(!reader.texts(1).contains(&"3".to_owned()));

    is_mended.store(true, SeqCst);
    instance.retry_dead_letter(&again.id).await.unwrap();
    eventually("the reading", || async {
        reader.texts(1).contains(&"3".to_owned()).then_some(())
    })
    .await;
    all_delivered(&instance).await;
    let status = instance.status().await;
    assert_eq!(status.letters, Letters::default());
    let texts = reader.texts(1);
    assert_eq!(texts.iter().filter(|text| *text == "3").count(), 1);
    assert_eq!(texts.len(), 10);
    let error = instance.retry_dead_letter(&again.id).await.unwrap_err();
    assert!(matches!(error, LetterError::Unknown(_)), "{error}");
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_dropped_is_gone() {
    let server = Server::start().await;
    let (instance, reader, _, letter) = with_a_dead_letter(&server).await;
    instance.drop_dead_letter(&letter.id).await.unwrap();
    assert_eq!(instance.status().await.letters, Letters::default());
    assert!(instance.dead_letters(0, 100).await.unwrap().is_empty());
    assert!(!reader.texts(1).contains(&"3".to_owned()));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_stops_polling_until_there_is_room_and_loses_nothing() {
    // Room for a few hundred results.
    let server = Server::start_with("max_file_store: 200KB").await;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let reader = TestReader::new(move |_, _| {
        let unavailable = || IngestError::Unavailable("closed".to_owned());
        gate.load(SeqCst).then_some(()).ok_or_else(unavailable)
    });
    let settings = [("BUFFER_MAX", "1000"), ("LATE_WINDOW_MS", "0")];
    let instance = start(config(&server, &settings), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=100 {
        devices.push(Device::start(&server, n, Answers::Directly).await);
    }
    let full = eventually("a full buffer", || async {
        let status = instance.status().await;
        (status.delivery.results_buffered >= 1_000).then_some(status)
    })
    .await;
    assert!(full.delivery.results_buffered < 1_200, "{full:?}");
    let polls_when_full = full.counters.polls.polls;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let later = instance.status().await;
    assert!(
        later.counters.polls.polls < polls_when_full + 200,
        "polling has stopped"
    );
    open.store(true, SeqCst);
    eventually("polling again", || async {
        (instance.status().await.counters.polls.polls > polls_when_full + 500).then_some(())
    })
    .await;
    instance.stop().await;
    for (n, device) in (1..).zip(&devices) {
        let (read, said) = (reader.texts(n), said(device));
        // The last may still be in the stream: the next start delivers them.
        assert_eq!(read[..], said[..read.len()], "sensor {n}");
    }
    let polls = reader.polls();
    assert!(polls.len() > 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nats_server_loses_no_result() {
    let mut server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[]), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=10 {
        devices.push(Device::start(&server, n, Answers::ReadTopic).await);
    }
    let mut moments = fieldledger_chance::numbers();
    for _ in 0..2 {
        let enough = reader.results() + moments.random_range(10..90);
        eventually("some results", || async {
            (reader.results() > enough).then_some(())
        })
        .await;
        server.kill();
        server.start_again().await;
    }
    let before = reader.results();
    eventually("more results", || async {
        (reader.results() > before + 50).then_some(())
    })
    .await;
    let polls_sent = instance.status().await.counters.polls.polls;
    instance.stop().await;
    // A stop stores what was under way; the next start delivers what was stored.
    let next = start(config(&server, &[]), &reader).await;
    let epoch = reader.epoch();
    // Every poll of the run has its result, exactly once; polls are numbered from 1.
    eventually("the results of all polls", || async {
        let polls = reader.polls();
        let mut numbers = 1..=polls_sent;
        numbers
            .all(|number| polls.contains(&(epoch.clone(), number)))
            .then_some(())
    })
    .await;
    next.stop().await;
}
