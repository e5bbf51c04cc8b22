//! An operator sends the provider other servers: it goes there with all it knows, nothing is lost or
//! doubled, and the next start finds it there. What cannot be taken is answered with the reason.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber, jetstream};
use common::{Server, TestReader, config_of, eventually, free_port, heartbeat, id, start};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SUBJECT: &str = "fieldledger.brokers.test";

/// A refusal for want of a rest takes ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A sensor at several servers at once, which counts upwards over all of them.
struct Everywhere {
    said: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Everywhere {
    async fn start(servers: &[&Server]) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for server in servers {
            let client = server.client().await;
            let polls = client.subscribe(format!("sim.poll.{}", id(1))).await;
            let mut polls = polls.unwrap();
            client.flush().await.unwrap();
            let (count, said) = (Arc::clone(&count), Arc::clone(&said));
            tasks.spawn(async move {
                while let Some(poll) = polls.next().await {
                    let value = count.fetch_add(1, Ordering::Relaxed) + 1;
                    said.lock().unwrap().push(value.to_string());
                    let answer = format!("\"{value}\"").into();
                    client.publish(poll.reply.unwrap(), answer).await.unwrap();
                }
            });
        }
        Self {
            said,
            _tasks: tasks,
        }
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

async fn announce(server: &Server) {
    let client = server.client().await;
    let announced = heartbeat(1).to_string();
    let sent = client.publish("sim.heartbeat", announced.into()).await;
    sent.unwrap();
    client.flush().await.unwrap();
}

/// The provider's answer.
async fn send(client: &Client, message: &str) -> Value {
    let request = async_nats::Request::new()
        .payload(message.to_owned().into())
        .timeout(Some(ANSWER_WITHIN));
    let answer = client.send_request(SUBJECT, request).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

fn list(version: u64, servers: &[&Server]) -> String {
    let brokers: Vec<String> = servers.iter().map(|server| server.uri()).collect();
    json!({"version": version, "brokers": brokers, "by": "eva", "reason": "a new hall"}).to_string()
}

async fn is_read_at(server: &Server, reader: &TestReader, what: &str) {
    let stored = async || {
        let stream = jetstream::new(server.client().await)
            .get_stream("FIELDLEDGER_POLLS")
            .await
            .ok()?;
        Some(stream.cached_info().state.last_sequence)
    };
    let before = eventually("a stream", stored).await;
    let taken = reader.texts(1).len();
    eventually(what, async || {
        (stored().await? > before + 3 && reader.texts(1).len() > taken + 5).then_some(())
    })
    .await;
}

async fn event(events: &mut Subscriber) -> Value {
    let message: Message = tokio::time::timeout(ANSWER_WITHIN, events.next())
        .await
        .unwrap()
        .unwrap();
    serde_json::from_slice(&message.payload).unwrap()
}

#[tokio::test]
async fn a_list_moves_polling_with_all_it_knows_and_loses_nothing() {
    let first = Server::start().await;
    let second = Server::start().await;
    let client = first.client().await;
    let mut events = client.subscribe("events.audit").await.unwrap();
    client.flush().await.unwrap();
    let reader = TestReader::willing();
    let config = || config_of(&first.uri(), &[]);
    let instance = start(config(), &reader).await;
    // A key that nobody shows now, and that was approved all the same.
    let key = json!({"approved": null, "retired": null}).to_string();
    let approved = format!("$KV.FIELDLEDGER_KEYS.test.{}", id(7));
    let context = jetstream::new(client.clone());
    let stored = context.publish(approved.clone(), key.into()).await.unwrap();
    stored.await.unwrap();
    instance.stop().await;
    let instance = start(config(), &reader).await;
    let device = Everywhere::start(&[&first, &second]).await;
    announce(&first).await;
    is_read_at(&first, &reader, "readings at the first").await;
    let epoch = instance.status().await.epoch;
    let polls = instance.status().await.counters.polls.polls;

    let answer = send(&client, &list(1, &[&second])).await;
    assert_eq!(answer["taken"], true, "{answer}");
    assert_eq!(answer["server"], second.uri(), "{answer}");
    // Nobody announces the sensor there: it is known.
    is_read_at(&second, &reader, "readings at the second").await;
    for status in ["REQUESTED", "SUCCESS"] {
        let event = event(&mut events).await;
        assert_eq!(event["action"], "BROKERS_CHANGE");
        assert_eq!(
            (&event["actor"], &event["status"]),
            (&json!("eva"), &json!(status))
        );
        assert_eq!(
            (&event["old"], &event["new"]),
            (&json!(first.uri()), &json!(second.uri()))
        );
    }
    let status = instance.status().await;
    assert_ne!(status.epoch, epoch, "poll numbers begin anew");
    assert!(status.counters.polls.polls > polls, "it counts on");
    let there = jetstream::new(second.client().await);
    let keys = there.get_stream("KV_FIELDLEDGER_KEYS").await.unwrap();
    keys.get_last_raw_message_by_subject(&approved)
        .await
        .unwrap();

    // Its settings name the first still, and the list counts.
    instance.stop().await;
    let instance = start(config(), &reader).await;
    is_read_at(&second, &reader, "readings after a restart").await;
    // The same again is taken for what it is, an older one is not.
    let client = second.client().await;
    let before = instance.status().await.epoch;
    assert_eq!(send(&client, &list(1, &[&second])).await["taken"], true);
    let answer = send(&client, &list(1, &[&first])).await;
    assert!(
        answer["reason"].as_str().unwrap().contains("not higher"),
        "{answer}"
    );
    assert_eq!(instance.status().await.epoch, before, "nothing has changed");

    // Undone: back to what the settings say, also after a restart.
    let answer = send(&client, &list(2, &[])).await;
    assert_eq!(answer["server"], first.uri(), "{answer}");
    is_read_at(&first, &reader, "readings at the first again").await;
    instance.stop().await;
    let instance = start(config(), &reader).await;
    is_read_at(&first, &reader, "readings at the first for good").await;
    instance.stop().await;

    // Panics where a poll came twice. Each answer is there, once, in its order.
    reader.polls();
    assert_eq!(reader.texts(1), device.said());
    for server in [&first, &second] {
        let context = jetstream::new(server.client().await);
        let stream = context.get_stream("FIELDLEDGER_POLLS").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, 0);
    }
}

#[tokio::test]
async fn settings_that_were_changed_are_newer_than_a_list() {
    let first = Server::start().await;
    let second = Server::start().await;
    let reader = TestReader::willing();
    let _device = Everywhere::start(&[&first, &second]).await;
    let instance = start(config_of(&first.uri(), &[]), &reader).await;
    announce(&first).await;
    is_read_at(&first, &reader, "readings at the first").await;
    let answer = send(&first.client().await, &list(1, &[&second])).await;
    assert_eq!(answer["taken"], true, "{answer}");
    is_read_at(&second, &reader, "readings at the second").await;
    instance.stop().await;

    let uri = format!("{},{}", first.uri(), second.uri());
    let instance = start(config_of(&uri, &[]), &reader).await;
    is_read_at(&first, &reader, "readings where the settings say").await;
    instance.stop().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_taken_changes_nothing_and_its_sender_hears_why() {
    let first = Server::start().await;
    let second = Server::start().await;
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let without_streams = Server::start_small("jetstream: disabled").await;
    let small = Server::start_small("max_payload: 4096").await;
    let is_willing = Arc::new(AtomicBool::new(true));
    let reader = TestReader::willing_while(&is_willing);
    let instance = start(config_of(&first.uri(), &[]), &reader).await;
    let device = Everywhere::start(&[&first, &second]).await;
    announce(&first).await;
    is_read_at(&first, &reader, "readings").await;
    let epoch = instance.status().await.epoch;
    let client = first.client().await;
    let names = |server: &str| json!({"version": 1, "brokers": [server]}).to_string();
    for (message, reason) in [
        ("nonsense".to_owned(), "not JSON"),
        (names("nats://eva:SECRET@127.0.0.1:4222"), "holds a user"),
        (names(&nobody), "can be reached"),
        (names(&without_streams.uri()), "not fit"),
        (names(&small.uri()), "at most 4096 bytes"),
    ] {
        let answer = send(&client, &message).await;
        assert_eq!(answer["taken"], false, "{answer}");
        let said = answer["reason"].as_str().unwrap();
        assert!(said.contains(reason) && !said.contains("SECRET"), "{said}");
    }

    // What is stored here and not delivered would stay behind.
    is_willing.store(false, Ordering::Relaxed);
    eventually("batches that wait", async || {
        (instance.status().await.batches_pending > 2).then_some(())
    })
    .await;
    let answer = send(&client, &list(1, &[&second])).await;
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .contains("wait to be delivered"),
        "{answer}"
    );
    is_willing.store(true, Ordering::Relaxed);
    is_read_at(&first, &reader, "readings, as before").await;
    assert_eq!(instance.status().await.epoch, epoch);

    // One that is not there now is passed over.
    let brokers = json!([nobody, second.uri(), without_streams.uri()]);
    let message = json!({"version": 1, "brokers": brokers}).to_string();
    let answer = send(&client, &message).await;
    assert_eq!(answer["server"], second.uri(), "{answer}");
    is_read_at(&second, &reader, "readings at the second").await;
    instance.stop().await;
    reader.polls();
    assert_eq!(reader.texts(1), device.said());
}
