//! Servers die in turn: polling goes on at the next, comes back, and no reading that was accepted is
//! lost or doubled; of a device with a key none is lost at all. How long each takes is printed, not
//! asserted.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use common::keeper::Keeper;
use common::{Server, TestReader, config_of, eventually, free_port, heartbeat, id, start};
use fieldledger_provider_nats_polling::instance::Instance;
use fieldledger_wire::batch::PollBatch;
use futures::StreamExt as _;
use tokio::task::JoinHandle;

const STREAM: &str = "FIELDLEDGER_POLLS";

/// An answer of a device without a key, under way this long before a server is killed, may be lost with
/// it: a poll's timeout.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// A device that counts upwards, and takes the next server where one is lost.
struct Wanderer {
    said: Arc<Mutex<Vec<(u64, Instant)>>>,
    task: JoinHandle<()>,
}

impl Wanderer {
    async fn start(servers: &[&Server]) -> Self {
        let servers: Vec<String> = servers.iter().map(|server| server.uri()).collect();
        let client = async_nats::ConnectOptions::new()
            .retain_servers_order()
            .reconnect_delay_callback(|_| Duration::from_millis(100))
            .connect(servers)
            .await
            .unwrap();
        let polls = client.subscribe(format!("sim.poll.{}", id(1))).await;
        let mut polls = polls.unwrap();
        client.flush().await.unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&said);
        let announced = heartbeat(1).to_string();
        let sent = client.publish("sim.heartbeat", announced.into()).await;
        sent.unwrap();
        let task = tokio::spawn(async move {
            let mut value = 0;
            while let Some(poll) = polls.next().await {
                value += 1;
                record.lock().unwrap().push((value, Instant::now()));
                let answer = format!("\"{value}\"").into();
                client.publish(poll.reply.unwrap(), answer).await.unwrap();
            }
        });
        Self { said, task }
    }

    /// What was said outside of these times, in order.
    fn said_outside(&self, outages: &[(Instant, Instant)]) -> Vec<String> {
        let is_outside = |at: &Instant| {
            let is_in = |(from, to): &(Instant, Instant)| *from - UNDER_WAY <= *at && at <= to;
            !outages.iter().any(is_in)
        };
        let said = self.said.lock().unwrap();
        let outside = said.iter().filter(|(_, at)| is_outside(at));
        outside.map(|(value, _)| value.to_string()).collect()
    }
}

impl Drop for Wanderer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for ten more readings, and prints how long the first one took.
async fn read_again(reader: &TestReader, what: &str, since: Instant) -> (Instant, Instant) {
    let before = reader.texts(1).len();
    eventually("a reading", || async {
        (reader.texts(1).len() > before).then_some(())
    })
    .await;
    let outage = (since, Instant::now());
    println!(
        "{what}: read again after {} ms",
        since.elapsed().as_millis()
    );
    eventually("readings", || async {
        (reader.texts(1).len() > before + 10).then_some(())
    })
    .await;
    outage
}

/// Everything that was said outside of the outages was taken, and nothing twice; of the device with a key
/// everything.
async fn settle(
    device: &Wanderer,
    keeper: &Keeper,
    reader: &TestReader,
    instance: Instance,
    outages: &[(Instant, Instant)],
) {
    let expected = device.said_outside(outages);
    eventually("all that was accepted", || async {
        let taken = reader.texts(1);
        expected
            .iter()
            .all(|value| taken.contains(value))
            .then_some(())
    })
    .await;
    let kept = keeper.has_delivered(reader).await;
    println!("none of {kept} readings is missing");
    assert!(kept > 30);
    instance.stop().await;
    // Panics where a poll came in two batches; a batch that came twice is the ledger's to recognise.
    let polls = reader.polls().len();
    assert!(polls >= expected.len());
    let mut taken = Vec::new();
    let mut batches: Vec<String> = Vec::new();
    for batch in reader.taken.lock().unwrap().iter() {
        if !batches.contains(&batch.id) {
            batches.push(batch.id.clone());
            taken.extend(answers_of(batch));
        }
    }
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), count, "a reading was taken twice");
}

/// What the device without a key answered.
fn answers_of(batch: &PollBatch) -> impl Iterator<Item = String> {
    let device = id(1).to_string();
    let rows = batch.sensor.iter().zip(&batch.text);
    let rows = rows.filter(move |(sensor, _)| batch.sensors[**sensor as usize].id == device);
    rows.filter(|(_, text)| !text.is_empty())
        .map(|(_, text)| text.clone())
}

async fn stream_state(server: &Server) -> Option<jetstream::stream::Info> {
    let client = async_nats::connect(server.uri()).await.ok()?;
    let stream = jetstream::new(client).get_stream(STREAM).await.ok()?;
    Some(stream.cached_info().clone())
}

#[tokio::test]
async fn the_nodes_of_a_cluster_die_in_turn() {
    let routes = [free_port(), free_port(), free_port()];
    let all_routes = routes
        .map(|port| format!("\"nats://127.0.0.1:{port}\""))
        .join(", ");
    let mut servers: Vec<Server> = Vec::new();
    for (name, port) in ["a", "b", "c"].iter().zip(routes) {
        let more = format!(
            "cluster {{ name: plant, listen: \"127.0.0.1:{port}\", routes: [{all_routes}] }}"
        );
        servers.push(Server::start_as(name, "", &more));
    }
    eventually("a leader", || async {
        let client = async_nats::connect(servers[0].uri()).await.ok()?;
        jetstream::new(client).query_account().await.ok()
    })
    .await;
    let uri = servers
        .iter()
        .map(Server::uri)
        .collect::<Vec<_>>()
        .join(",");
    let settings = [("REPLICAS", "3"), ("RETURN_AFTER_S", "1")];
    let reader = TestReader::willing();
    let instance = start(config_of(&uri, &settings), &reader).await;
    let all = [&servers[0], &servers[1], &servers[2]];
    let keeper = Keeper::start(&all);
    let device = Wanderer::start(&all).await;
    eventually("readings", || async {
        (reader.texts(1).len() > 10).then_some(())
    })
    .await;

    let mut outages = Vec::new();
    for killed in 0..3 {
        // All three have everything, so that any two of them do.
        eventually("three replicas", || async {
            let cluster = stream_state(&servers[(killed + 1) % 3]).await?.cluster?;
            let followers = cluster.replicas.iter().filter(|peer| peer.current).count();
            (cluster.leader.is_some() && followers == 2).then_some(())
        })
        .await;
        let since = Instant::now();
        servers[killed].kill();
        let what = format!("node {} of a cluster of 3", killed + 1);
        outages.push(read_again(&reader, &what, since).await);
        servers[killed].start_again().await;
    }
    settle(&device, &keeper, &reader, instance, &outages).await;
}

#[tokio::test]
async fn separate_brokers_take_over_and_nothing_is_left_behind() {
    let leaf = free_port();
    let more = format!("leafnodes {{ listen: \"127.0.0.1:{leaf}\" }}");
    let mut best = Server::start_as("best", "domain: best", &more);
    // What is stored on one is not stored on the other.
    let apart = "deny_imports: [\"fieldledger.>\", \"$KV.>\"], deny_exports: [\"fieldledger.>\", \"$KV.>\"]";
    let more = format!(
        "leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{leaf}\", {apart} }}], reconnect: 1 }}"
    );
    let mut next = Server::start_as("next", "domain: next", &more);
    for server in [&best, &next] {
        server.client().await;
    }
    let is_willing = Arc::new(AtomicBool::new(true));
    let reader = TestReader::willing_while(&is_willing);
    let uri = format!("{},{}", best.uri(), next.uri());
    let instance = start(config_of(&uri, &[("RETURN_AFTER_S", "1")]), &reader).await;
    let keeper = Keeper::start(&[&best, &next]);
    let device = Wanderer::start(&[&best, &next]).await;
    eventually("readings", || async {
        (reader.texts(1).len() > 10).then_some(())
    })
    .await;

    // Batches pile up on the best, which then dies with them.
    is_willing.store(false, Ordering::Relaxed);
    eventually("batches that wait", || async {
        (stream_state(&best).await?.state.messages > 5).then_some(())
    })
    .await;
    let left_behind = stream_state(&best).await.unwrap().state.messages;
    let since = Instant::now();
    best.kill();
    is_willing.store(true, Ordering::Relaxed);
    let mut outages = vec![read_again(&reader, "from the best broker to the next", since).await];
    assert!(stream_state(&next).await.unwrap().state.last_sequence > 0);

    // It is back: what was left behind is fetched, and new readings are stored there again.
    best.start_again().await;
    let since = Instant::now();
    let stored = stream_state(&best).await.unwrap().state.last_sequence;
    eventually("a return", || async {
        let state = stream_state(&best).await?.state;
        (state.last_sequence > stored + 5 && state.messages < left_behind).then_some(())
    })
    .await;
    println!(
        "back at the best broker after {} ms",
        since.elapsed().as_millis()
    );

    let since = Instant::now();
    next.kill();
    outages.push(read_again(&reader, "the next broker, where the device was", since).await);
    settle(&device, &keeper, &reader, instance, &outages).await;
}
