//! Calls between clients, with a real nats-server between them.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use fieldledger_site::{Access, NatsOptions, NatsServer, Place, find_nats_server, free_port};
use futures::StreamExt as _;
use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wrpc_transport::{Index as _, Invoke as _, Serve as _};
use wrpc_transport_nats::{Client, Incoming, Outgoing};

const PATIENCE: Duration = Duration::from_secs(60);
const PREFIX: &str = "test.target";
const NO_PATHS: [&[Option<usize>]; 0] = [];

struct Lattice {
    server: NatsServer,
    _folder: tempfile::TempDir,
}

impl Lattice {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let server = NatsServer::start(NatsOptions {
            program: find_nats_server().unwrap(),
            listen,
            port: free_port(listen).unwrap(),
            mqtt_port: None,
            monitor_port: None,
            access: Access::Anyone,
            tls: None,
            place: Place::Alone,
            folder: folder.path().join("nats"),
            logs: folder.path().join("logs"),
        })
        .await
        .unwrap();
        Self {
            server,
            _folder: folder,
        }
    }

    /// A connection of its own, as another process would have it.
    async fn connect(&self) -> Arc<async_nats::Client> {
        Arc::new(async_nats::connect(self.server.url()).await.unwrap())
    }
}

async fn client(nats: &Arc<async_nats::Client>) -> Client {
    let group = Some(Arc::from(PREFIX));
    Client::new(Arc::clone(nats), PREFIX, group).await.unwrap()
}

/// Returns once nats-server has read all that this connection has sent.
async fn round_trip(nats: &async_nats::Client) {
    let inbox = nats.new_inbox();
    let mut messages = nats.subscribe(inbox.clone()).await.unwrap();
    nats.publish(inbox, "".into()).await.unwrap();
    timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
}

async fn answer(mut results: Outgoing, mut parameters: Incoming) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    parameters.read_to_end(&mut bytes).await?;
    results.write_all(&bytes).await?;
    results.shutdown().await
}

/// Serves `echo`, which gives back its parameters, until the tasks are dropped.
async fn serve_echo(nats: &Arc<async_nats::Client>) -> JoinSet<()> {
    let calls = client(nats).await.serve("a:b/c", "echo", []).await.unwrap();
    round_trip(nats).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut calls = Box::pin(calls);
        let mut answers = JoinSet::new();
        while let Some(call) = calls.next().await {
            let (_, results, parameters) = call.unwrap();
            answers.spawn(answer(results, parameters));
        }
    });
    tasks
}

async fn call(client: &Client, parameters: Bytes) -> std::io::Result<Vec<u8>> {
    let (mut outgoing, mut incoming) = client
        .invoke(None, "a:b/c", "echo", parameters, NO_PATHS)
        .await
        .map_err(std::io::Error::other)?;
    outgoing.shutdown().await?;
    let mut results = Vec::new();
    incoming.read_to_end(&mut results).await?;
    Ok(results)
}

/// 64 callers on one thread, with the server of the calls and as much other work as there are callers:
/// what made an answer overtake its registration. `FIELDLEDGER_CALLS=1000000` makes it a million calls.
#[tokio::test]
async fn no_call_is_lost_on_a_busy_core() {
    let calls: usize =
        std::env::var("FIELDLEDGER_CALLS").map_or(20_000, |calls| calls.parse().unwrap());
    let lattice = Lattice::start().await;
    let _serving = serve_echo(&lattice.connect().await).await;
    let calling = client(&lattice.connect().await).await;
    let mut busy = JoinSet::new();
    for _ in 0..64 {
        busy.spawn(async {
            loop {
                for number in 0..2_000_u64 {
                    std::hint::black_box(number);
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let callers = (0..64).map(|caller| {
        let calling = calling.clone();
        tokio::spawn(async move {
            for number in (caller..calls).step_by(64) {
                let parameters = Bytes::from(number.to_string());
                let results = timeout(PATIENCE, call(&calling, parameters.clone())).await;
                let results = results.unwrap_or_else(|_| panic!("call {number} was lost"));
                assert_eq!(results.unwrap(), parameters);
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}

#[tokio::test]
async fn parameters_and_results_larger_than_a_message_arrive_whole() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let _tasks = serve_echo(&serving).await;
    let large: Bytes = (0..5_000_000_u32)
        .map(|byte| byte.to_le_bytes()[1])
        .collect();
    for nats in [lattice.connect().await, serving] {
        let calling = client(&nats).await;
        let results = timeout(PATIENCE, call(&calling, large.clone())).await;
        assert_eq!(results.unwrap().unwrap(), large);
    }
}

#[tokio::test]
async fn headers_arrive_and_count_with_the_first_message() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let calls = client(&serving).await.serve("a:b/c", "echo", []).await;
    let mut calls = Box::pin(calls.unwrap());
    round_trip(&serving).await;
    let largest = serving.server_info().max_payload;
    let calling = client(&lattice.connect().await).await;
    let mut headers = HeaderMap::new();
    headers.insert("source-id", "x".repeat(10_000));
    let parameters = Bytes::from(vec![7; largest]);
    let asked = tokio::spawn(async move {
        let (mut outgoing, incoming) = calling
            .invoke(Some(headers), "a:b/c", "echo", parameters, NO_PATHS)
            .await
            .unwrap();
        outgoing.shutdown().await.unwrap();
        incoming
    });
    let (headers, _results, mut parameters) = timeout(PATIENCE, calls.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        headers.unwrap().get("source-id").unwrap().as_str().len(),
        10_000
    );
    let mut bytes = Vec::new();
    parameters.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), largest);
    drop(asked.await.unwrap());
}

#[tokio::test]
async fn a_call_within_the_process_does_not_touch_the_server() {
    let lattice = Lattice::start().await;
    let nats = lattice.connect().await;
    let tasks = serve_echo(&nats).await;
    let watching = lattice.connect().await;
    let mut seen = watching.subscribe(">").await.unwrap();
    round_trip(&watching).await;

    let calling = client(&nats).await;
    let results = timeout(PATIENCE, call(&calling, "here".into())).await;
    assert_eq!(results.unwrap().unwrap(), b"here");
    watching.publish("marker", "".into()).await.unwrap();
    loop {
        let message = timeout(PATIENCE, seen.next()).await.unwrap().unwrap();
        if message.subject.as_str() == "marker" {
            break;
        }
        let subject = message.subject.as_str();
        assert!(subject.starts_with("_INBOX"), "{subject}");
        assert!(!subject.contains("results"), "{subject}");
    }

    // Once it is served elsewhere only, the call goes there.
    drop(tasks);
    let _elsewhere = serve_echo(&lattice.connect().await).await;
    let results = timeout(PATIENCE, async {
        loop {
            // The server may not have read yet that the first one is gone.
            if let Ok(results) = call(&calling, "there".into()).await {
                return results;
            }
        }
    });
    assert_eq!(results.await.unwrap(), b"there");
}

#[tokio::test]
async fn a_function_that_nobody_serves_is_refused_at_once() {
    let lattice = Lattice::start().await;
    let calling = client(&lattice.connect().await).await;
    let refused = timeout(PATIENCE, call(&calling, "anyone?".into())).await;
    assert_eq!(
        refused.unwrap().unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}

#[tokio::test]
async fn a_caller_that_falls_silent_and_one_that_does_not_read_hold_up_nobody() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let _tasks = serve_echo(&serving).await;
    let nats = lattice.connect().await;
    let calling = client(&nats).await;
    // Neither ended nor read; another asks for two messages' worth of results and does not read them.
    let (_silent, _unread) = calling
        .invoke(None, "a:b/c", "echo", "half".into(), NO_PATHS)
        .await
        .unwrap();
    let large = Bytes::from(vec![1; 3_000_000]);
    let (mut outgoing, unread) = calling
        .invoke(None, "a:b/c", "echo", large, NO_PATHS)
        .await
        .unwrap();
    outgoing.shutdown().await.unwrap();
    for _ in 0..100 {
        let results = timeout(PATIENCE, call(&calling, "next".into())).await;
        assert_eq!(results.unwrap().unwrap(), b"next");
    }
    drop(unread);
}

#[tokio::test]
async fn a_caller_that_falls_silent_is_given_up() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let calls = client(&serving).await.serve("a:b/c", "echo", []).await;
    let mut calls = Box::pin(calls.unwrap());
    round_trip(&serving).await;
    let calling = client(&lattice.connect().await).await;
    let _silent = calling
        .invoke(None, "a:b/c", "echo", "half".into(), NO_PATHS)
        .await
        .unwrap();
    let (_, _, mut parameters) = timeout(PATIENCE, calls.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let mut bytes = Vec::new();
    let given_up = timeout(PATIENCE, parameters.read_to_end(&mut bytes)).await;
    assert_eq!(given_up.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(bytes, b"half");
}

#[tokio::test]
async fn asynchronous_values_arrive_at_their_paths() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let elsewhere = lattice.connect().await;
    let path: &[Option<usize>] = &[Some(0), Some(2)];
    let calls = client(&serving)
        .await
        .serve("a:b/c", "pour", [path.into()])
        .await;
    let mut calls = Box::pin(calls.unwrap());
    round_trip(&serving).await;
    for nats in [elsewhere, serving] {
        let calling = client(&nats).await;
        let asked = tokio::spawn(async move {
            let (mut outgoing, incoming) = calling
                .invoke(None, "a:b/c", "pour", "root".into(), [path])
                .await
                .unwrap();
            outgoing.shutdown().await.unwrap();
            let mut nested = outgoing.index(&[0, 2]).unwrap();
            nested.write_all(b"water").await.unwrap();
            nested.shutdown().await.unwrap();
            let mut results = String::new();
            let mut nested = incoming.index(&[0]).unwrap().index(&[2]);
            let nested = nested.as_mut().unwrap();
            nested.read_to_string(&mut results).await.unwrap();
            results
        });
        let (_, mut results, mut parameters) = timeout(PATIENCE, calls.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let mut bytes = Vec::new();
        parameters.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"root");
        bytes.clear();
        let mut nested = parameters.index(&[0, 2]).unwrap();
        nested.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"water");
        let mut nested = results.index(&[0, 2]).unwrap();
        nested.write_all(b"and wine").await.unwrap();
        nested.shutdown().await.unwrap();
        results.shutdown().await.unwrap();
        assert_eq!(timeout(PATIENCE, asked).await.unwrap().unwrap(), "and wine");
    }
}

#[tokio::test]
async fn a_server_that_drops_a_call_ends_it() {
    let lattice = Lattice::start().await;
    let serving = lattice.connect().await;
    let calls = client(&serving)
        .await
        .serve("a:b/c", "echo", [])
        .await
        .unwrap();
    round_trip(&serving).await;
    let _dropping = JoinSet::from_iter([calls.for_each(|call| async move { drop(call) })]);
    for nats in [lattice.connect().await, serving] {
        let calling = client(&nats).await;
        let results = timeout(PATIENCE, call(&calling, "hello".into()))
            .await
            .unwrap();
        // No results, or that nobody reads the parameters: in either case the caller knows.
        assert!(results.map_or(true, |results| results.is_empty()));
    }
}
