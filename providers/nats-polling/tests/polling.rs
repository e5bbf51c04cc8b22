//! Polling over a real nats-server: sensors come and go, and some of them are hostile.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Answers, Device, Server, TestReader, config, eventually, heartbeat, id, start};
use fieldledger_polling::Liveness;
use fieldledger_provider_nats_polling::instance::Instance;
use futures::StreamExt;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_all_kinds_of_devices_arrive_once_and_in_order() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[("LANES", "3")]), &reader).await;
    let mut devices = Vec::new();
    for n in 1..=20 {
        let answers = if n % 2 == 0 {
            Answers::ReadTopic
        } else {
            Answers::Directly
        };
        devices.push(Device::start(&server, n, answers).await);
    }
    eventually("300 readings", || async {
        (reader.results() >= 300).then_some(())
    })
    .await;
    instance.stop().await;
    for (n, device) in (1..).zip(&devices) {
        let said: Vec<String> = device
            .said
            .lock()
            .unwrap()
            .iter()
            .map(u64::to_string)
            .collect();
        assert_eq!(reader.texts(n), said, "sensor {n}");
        assert!(!said.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_happened() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[("DOWN_AFTER", "2")]), &reader).await;
    let _talker = Device::start(&server, 1, Answers::ReadTopic).await;
    let _mute = Device::start(&server, 2, Answers::Never).await;
    let status = eventually("both kinds of results", || async {
        let status = instance.status().await;
        let complete = status.liveness.down == 1
            && status.counters.polls.replies > 5
            && status.delivery.latency_p99 > 0
            && status.batches_pending == 0;
        complete.then_some(status)
    })
    .await;
    assert_eq!((status.counters.heartbeats, status.liveness.ok), (2, 1));
    assert!(status.delivery.batches_stored >= status.delivery.batches_delivered);
    assert!(status.delivery.latency_p50 <= status.delivery.latency_p99);
    assert_eq!(status.delivery.last_error, "");
    let sensors = instance.sensors(0, 10).await.unwrap();
    assert_eq!(sensors[1].liveness, Liveness::Down);
    assert_eq!(instance.sensor(id(3)).await.unwrap(), None);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_heartbeats_and_answers_do_no_harm() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[]), &reader).await;
    let client = server.client().await;
    let mut everything = client.subscribe(">").await.unwrap();

    let mut hostile: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"{\"id\":".to_vec(),
        vec![b'['; 4_096],
        vec![b'x'; 500_000],
    ];
    let victim = id(99);
    for (field, value) in [
        (
            "poll_topic",
            json!("$JS.API.STREAM.DELETE.FIELDLEDGER_POLLS"),
        ),
        (
            "poll_topic",
            json!(format!("wasmbus.ctl.v1.default.{}", id(7))),
        ),
        ("poll_topic", json!(format!("sim.poll.{victim}"))),
        ("poll_topic", json!(format!("sim.read.{}", id(7)))),
        ("read_topic", json!("sim.>")),
        ("read_topic", json!(format!("sim.*.{}", id(7)))),
        (
            "disconnect_topic",
            json!(format!("sim.disconnect.{victim}")),
        ),
        ("poll_interval", json!(0)),
        ("poll_interval", json!(u64::MAX)),
        ("poll_interval", json!("x".repeat(2_000))),
        ("calibration", json!("a\r\nb")),
        ("id", json!("../../etc/passwd")),
    ] {
        let mut json = heartbeat(7);
        json[field] = value;
        hostile.push(json.to_string().into_bytes());
    }
    let sent = hostile.len() as u64;
    for payload in hostile {
        client
            .publish("sim.heartbeat", payload.into())
            .await
            .unwrap();
    }
    let device = Device::start(&server, 1, Answers::ReadTopic).await;
    for payload in ["", "\u{0}", "\"NaN\"", "{\"value\":1,\"seq\":-1}"] {
        client
            .publish(format!("sim.read.{}", id(1)), payload.into())
            .await
            .unwrap();
    }
    eventually("readings of the honest sensor", || async {
        (device.said.lock().unwrap().len() >= 5).then_some(())
    })
    .await;
    let status = instance.status().await;
    assert_eq!(status.counters.heartbeats_rejected, sent);
    assert_eq!(status.counters.heartbeats, 1);
    assert!(
        status.counters.last_rejection.contains("id"),
        "{}",
        status.counters.last_rejection
    );
    assert_eq!(status.liveness.ok, 1);
    instance.stop().await;

    // Nothing was sent where a hostile heartbeat pointed.
    client.publish("the.end", "".into()).await.unwrap();
    while let Some(message) = everything.next().await {
        let subject = message.subject.as_str();
        if subject == "the.end" {
            break;
        }
        let hostile = subject.starts_with("wasmbus") || subject.contains("STREAM.DELETE");
        assert!(
            !hostile && !subject.contains(&victim.to_string()),
            "{subject}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farewell_and_a_removed_link_end_polling() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let instance = start(config(&server, &[]), &reader).await;
    let client = server.client().await;
    let leaver = Device::start(&server, 1, Answers::ReadTopic).await;
    let stayer = Device::start(&server, 2, Answers::ReadTopic).await;
    let polled = |device: &Device, times: usize| {
        let said = device.said.clone();
        async move {
            let said = &said;
            eventually("polls", || async {
                (said.lock().unwrap().len() >= times).then_some(())
            })
            .await;
        }
    };
    polled(&leaver, 2).await;
    // As long as it answers, a farewell does not count.
    let said = leaver.said.clone();
    drop(leaver);
    client
        .publish(format!("sim.disconnect.{}", id(1)), "".into())
        .await
        .unwrap();
    eventually("the farewell", || async {
        instance
            .sensor(id(1))
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    let last_words = said.lock().unwrap().len();
    let others = stayer.said.lock().unwrap().len();
    polled(&stayer, others + 5).await;
    assert_eq!(said.lock().unwrap().len(), last_words);

    let mut polls = client.subscribe("sim.poll.*").await.unwrap();
    instance.stop().await;
    client.flush().await.unwrap();
    // Whatever was sent before the end of `stop` has arrived by now; what follows was sent after.
    while futures::FutureExt::now_or_never(polls.next()).is_some() {}
    let later = tokio::time::timeout(std::time::Duration::from_secs(1), polls.next()).await;
    assert!(later.is_err(), "a poll after the end");
    let said: Vec<String> = stayer
        .said
        .lock()
        .unwrap()
        .iter()
        .map(u64::to_string)
        .collect();
    assert_eq!(reader.texts(2), said, "drained: every answer was handed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_the_sensors_and_hears_no_one_it_forgot() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let first = start(config(&server, &[]), &reader).await;
    for n in 1..=3 {
        Device::start(&server, n, Answers::ReadTopic).await;
    }
    let client = server.client().await;
    eventually("three sensors", || async {
        (first.sensors(0, 10).await.unwrap().len() == 3).then_some(())
    })
    .await;
    client
        .publish(format!("sim.disconnect.{}", id(3)), "".into())
        .await
        .unwrap();
    eventually("two sensors", || async {
        (first.sensors(0, 10).await.unwrap().len() == 2).then_some(())
    })
    .await;
    let before = first.sensors(0, 10).await.unwrap();
    first.stop().await;

    // No heartbeat is sent from here on.
    let device = Device::start_silently(&server, 1, Answers::ReadTopic).await;
    let second = start(config(&server, &[]), &reader).await;
    let after = second.sensors(0, 10).await.unwrap();
    assert_eq!(after.len(), 2);
    assert_eq!(after[0].profile, before[0].profile);
    assert_eq!(after[0].first_seen, before[0].first_seen);
    eventually("a reading", || async {
        (!device.said.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    second.stop().await;

    let narrower = config(&server, &[("PREFIX", "plant")]);
    let third = start(narrower, &reader).await;
    assert_eq!(
        third.sensors(0, 10).await.unwrap(),
        [],
        "the rules changed meanwhile"
    );
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let mut server = Server::start().await;
    server.kill();
    let reader = TestReader::willing();
    let instance = Instance::start(config(&server, &[]), reader);
    let obstacle = eventually("the obstacle", || async {
        let error = instance.sensors(0, 1).await.unwrap_err().to_string();
        error.contains("cannot connect").then_some(error)
    })
    .await;
    assert!(obstacle.contains(&server.uri()), "{obstacle}");
    let impatient = Instance::start(config(&server, &[]), TestReader::willing());
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(1), impatient.stop()).await;
    assert!(stopped.is_ok(), "stops without a server as well");
    server.start_again().await;
    eventually("the start", || async { instance.sensors(0, 1).await.ok() }).await;
    instance.stop().await;
}
