//! MQTT topics against the MQTT gateway of a real nats-server.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Server, TestReader, config, eventually, free_port, heartbeat, id, start};
use fieldledger_wire::mqtt;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Enough for every combination of separators that can stand side by side.
const TOPICS: usize = 400;

const PATIENCE: Duration = Duration::from_secs(30);

async fn mqtt_server() -> (Server, u16) {
    let port = free_port();
    let gateway = format!("mqtt {{ listen: \"127.0.0.1:{port}\" }}");
    let server = Server::start_as("topics", "", &gateway);
    server.client().await;
    (server, port)
}

/// An MQTT client that listens on a filter, and what it hears.
async fn mqtt_client(port: u16, filter: &str) -> (AsyncClient, mpsc::UnboundedReceiver<Publish>) {
    let options = MqttOptions::new(format!("topics-{port}"), "127.0.0.1", port);
    let (client, mut events) = AsyncClient::new(options, 1_000);
    client.subscribe(filter, QoS::AtMostOnce).await.unwrap();
    wait_for_suback(&mut events).await;
    let (heard, messages) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            if let Event::Incoming(Packet::Publish(message)) = event
                && heard.send(message).is_err()
            {
                return;
            }
        }
    });
    (client, messages)
}

async fn wait_for_suback(events: &mut EventLoop) {
    let waiting = async {
        loop {
            // The server may not be there yet.
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(_))) => return,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

/// Odd topics that are acceptable to us, each with its number.
fn odd_topics() -> BTreeMap<String, String> {
    let mut random = StdRng::seed_from_u64(7);
    let mut topics: Vec<String> = [
        "a",
        "/",
        "//",
        "///",
        "a/",
        "/a",
        "a//b",
        "a///b",
        "a/b/",
        "a/b//",
        "a.b",
        ".",
        "..",
        "a/.",
        "./a",
        "a/./b",
        "a/../b",
        "/.",
        "./",
        "a.",
        ".a",
        "a/.b/c",
        "a/b./c",
        "a/$b/c",
        "picow/x/v1.2/poll",
        "/picow/x/poll",
        "é/ü.1/x",
        "a/.//b",
        "a//./b",
    ]
    .map(str::to_owned)
    .into();
    while topics.len() < TOPICS {
        let length = random.random_range(1..10);
        let mut character = || ['a', 'b', '.', '/', '/', '-', '$'][random.random_range(0..7)];
        let topic: String = (0..length).map(|_| character()).collect();
        // A client that listens to all is told nothing of these.
        if !topic.starts_with('$') {
            topics.push(topic);
        }
    }
    topics
        .into_iter()
        .filter(|topic| mqtt::subject(topic).is_ok())
        .enumerate()
        .map(|(number, topic)| (number.to_string(), topic))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_what_the_server_makes_of_them_in_both_directions() {
    let (server, port) = mqtt_server().await;
    let nats = server.client().await;
    let mut subjects = nats.subscribe(">").await.unwrap();
    nats.flush().await.unwrap();
    let (device, mut heard) = mqtt_client(port, "#").await;
    let topics = odd_topics();
    assert!(topics.len() > TOPICS / 2);

    // From MQTT to NATS; the client hears itself under the same name.
    let mut found = BTreeMap::new();
    for (number, topic) in &topics {
        let payload = number.clone();
        device
            .publish(topic, QoS::AtMostOnce, false, payload)
            .await
            .unwrap();
    }
    while found.len() < topics.len() {
        let message = timeout(PATIENCE, subjects.next()).await.unwrap().unwrap();
        let number = String::from_utf8_lossy(&message.payload).into_owned();
        if topics.contains_key(&number) && !message.subject.starts_with('$') {
            found.insert(number, message.subject.to_string());
        }
    }
    for (number, topic) in &topics {
        assert_eq!(&mqtt::subject(topic).unwrap(), &found[number], "{topic}");
    }
    while let Ok(Some(_)) = timeout(Duration::from_millis(500), heard.recv()).await {}

    // From NATS to MQTT.
    for (number, topic) in &topics {
        let subject = mqtt::subject(topic).unwrap();
        nats.publish(subject, number.clone().into()).await.unwrap();
    }
    nats.flush().await.unwrap();
    let mut delivered = BTreeMap::new();
    while delivered.len() < topics.len() {
        let message = timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
        let number = String::from_utf8_lossy(&message.payload).into_owned();
        delivered.insert(number, message.topic);
    }
    assert_eq!(delivered, topics);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_topics_have_dots_is_reached_and_heard() {
    let (server, port) = mqtt_server().await;
    let reader = TestReader::willing();
    let settings = [("SUBSCRIPTION", "picow/heartbeat")];
    let instance = start(config(&server, &settings), &reader).await;
    let id = id(1);
    let topic = |name: &str| format!("picow/{id}/v1.2/{name}");
    let (device, mut polls) = mqtt_client(port, &topic("poll")).await;
    let mut said = heartbeat(1);
    for name in ["poll", "read", "disconnect"] {
        said[format!("{name}_topic")] = json!(topic(name));
    }
    let payload = said.to_string();
    let announced = device.publish("picow/heartbeat", QoS::AtMostOnce, false, payload);
    announced.await.unwrap();
    for _ in 0..3 {
        let poll = timeout(PATIENCE, polls.recv()).await.unwrap().unwrap();
        assert_eq!(poll.topic, topic("poll"));
        let answer = device.publish(topic("read"), QoS::AtMostOnce, false, "21.5");
        answer.await.unwrap();
    }
    eventually("three readings", || async {
        (reader.texts(1).len() >= 3).then_some(())
    })
    .await;
    assert!(
        reader
            .texts(1)
            .iter()
            .all(|text| text == "21.5" || text.is_empty())
    );
    assert_eq!(
        instance
            .sensor(id)
            .await
            .unwrap()
            .unwrap()
            .counters
            .unparsable,
        0
    );
    instance.stop().await;
}
