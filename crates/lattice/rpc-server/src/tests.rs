#![allow(clippy::unwrap_used)]

use std::time::Duration;

use fieldledger_site::{Access, NatsOptions, NatsServer, Place, find_nats_server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Works on the calls of a function that gives back what it got, the parameters of one call after
/// the other's, as the generated bindings do.
async fn echo(
    calls: impl Stream<
        Item = anyhow::Result<(Option<wasmcloud_provider_sdk::Context>, Outgoing, Incoming)>,
    >,
) -> anyhow::Result<()> {
    let mut calls = Box::pin(calls);
    while let Some(call) = calls.next().await {
        let (_, mut results, mut parameters) = call?;
        let mut bytes = Vec::new();
        if parameters.read_to_end(&mut bytes).await.is_ok() {
            results.write_all(&bytes).await?;
            results.shutdown().await?;
        }
    }
    Ok(())
}

/// Returns once the server has read all that this connection has sent.
async fn round_trip(nats: &async_nats::Client) {
    let inbox = nats.new_inbox();
    let mut messages = nats.subscribe(inbox.clone()).await.unwrap();
    nats.publish(inbox, "".into()).await.unwrap();
    timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
}

struct Caller {
    nats: async_nats::Client,
    inbox: String,
    answers: async_nats::Subscriber,
}

impl Caller {
    /// Asks for a call with `first` as the first bytes of its parameters.
    async fn call(nats: &async_nats::Client, first: &'static str) -> Self {
        let inbox = nats.new_inbox();
        let answers = nats.subscribe(format!("{inbox}.>")).await.unwrap();
        let mut handshake = nats.subscribe(inbox.clone()).await.unwrap();
        nats.publish_with_reply(
            "test.echo.wrpc.0.0.1.fieldledger:test/echo.echo",
            inbox.clone(),
            first.into(),
        )
        .await
        .unwrap();
        let theirs = timeout(PATIENCE, handshake.next())
            .await
            .unwrap()
            .unwrap()
            .reply
            .unwrap();
        Self {
            nats: nats.clone(),
            inbox: format!("{theirs}.params"),
            answers,
        }
    }

    async fn send(&self, bytes: &'static str) {
        self.nats
            .publish(self.inbox.clone(), bytes.into())
            .await
            .unwrap();
    }

    /// All results, until they end.
    async fn results(mut self) -> String {
        let mut results = Vec::new();
        loop {
            let message = timeout(PATIENCE, self.answers.next())
                .await
                .unwrap()
                .unwrap();
            if message.payload.is_empty() {
                return String::from_utf8(results).unwrap();
            }
            results.extend_from_slice(&message.payload);
        }
    }
}

#[tokio::test]
async fn a_caller_that_falls_silent_does_not_hold_up_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let listen = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let server = NatsServer::start(NatsOptions {
        program: find_nats_server().unwrap(),
        listen,
        port: fieldledger_site::free_port(listen).unwrap(),
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
    let serving = async_nats::connect(server.url()).await.unwrap();
    let asking = async_nats::connect(server.url()).await.unwrap();
    let echoing = Server::new(Arc::new(serving.clone()), "test.echo".to_owned());
    let calls = echoing
        .serve("fieldledger:test/echo", "echo", [])
        .await
        .unwrap();
    round_trip(&serving).await;
    let serving = tokio::spawn(echo(calls));

    let whole = Caller::call(&asking, "one ").await;
    whole.send("two").await;
    whole.send("").await;
    assert_eq!(whole.results().await, "one two");

    let silent = Caller::call(&asking, "half").await;
    let next = tokio::spawn(async move {
        let next = Caller::call(&asking, "").await;
        next.send("answered").await;
        next.send("").await;
        next.results().await
    });
    assert_eq!(timeout(PATIENCE, next).await.unwrap().unwrap(), "answered");
    // The silent one is told that there is nothing to wait for.
    assert_eq!(silent.results().await, "");
    serving.abort();
}
