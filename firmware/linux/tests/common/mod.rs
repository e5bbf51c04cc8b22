//! A nats-server, the program under test, and a server that polls and checks every signature.
#![allow(clippy::unwrap_used, dead_code)]

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use fieldledger_attest::identity::PublicKey;
use fieldledger_field::bulk::Bulk;
use fieldledger_field::heartbeat::{Device, Heartbeat, Limits, POLL_INTERVALS_MS};
use fieldledger_field::reply::Reply;
use fieldledger_field::topic::TopicRules;
use fieldledger_site::{NatsOptions, NatsServer, find_nats_server, free_port};
use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::time::timeout;

/// What anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program and its broker.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) nats: NatsServer,
    pub(crate) mqtt_port: u16,
    pub(crate) client: Client,
    device: Option<Child>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mqtt_port = free_port(listen).unwrap();
        let options = NatsOptions {
            program: find_nats_server().unwrap(),
            listen,
            port: free_port(listen).unwrap(),
            mqtt_port: Some(mqtt_port),
            monitor_port: None,
            folder: folder.path().join("nats"),
            logs: folder.path().to_owned(),
        };
        let nats = NatsServer::start(options).await.unwrap();
        let client = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_attempt| Duration::from_millis(100))
            .connect(nats.url())
            .await
            .unwrap();
        Self {
            folder,
            nats,
            mqtt_port,
            client,
            device: None,
        }
    }

    pub(crate) fn mqtt(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.mqtt_port)
    }

    /// Makes the key, as an installer would; the key that is printed.
    pub(crate) fn keygen(&self) -> PublicKey {
        let output = Command::new(env!("CARGO_BIN_EXE_fieldledger-device"))
            .args(["keygen", "--key"])
            .arg(self.folder.path().join("key"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("key "))
            .unwrap();
        line.trim().parse().unwrap()
    }

    /// Starts the program; `settings` follow brokers and key.
    pub(crate) fn start_device(&mut self, brokers: &[String], settings: &str) {
        let folder = self.folder.path();
        let config = folder.join("device.yaml");
        let text = format!(
            "brokers: {brokers:?}\nkey: {:?}\nheartbeat_interval_ms: 1000\nhistory_patience_ms: 1000\n{settings}",
            folder.join("key")
        );
        std::fs::write(&config, text).unwrap();
        let log = File::create(folder.join("device.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fieldledger-device"))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "debug")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.device = Some(child);
    }

    /// Tells the program to end, and waits for it.
    pub(crate) async fn stop_device(&mut self) {
        let mut child = self.device.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(move || child.wait());
        let status = timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
        assert!(status.success(), "{status}");
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("device.log")).unwrap_or_default()
    }

    pub(crate) async fn subscribe(&self, subject: &str) -> Subscriber {
        let subscriber = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.client.flush().await.unwrap();
        subscriber
    }

    /// The next message, or a failure with what the program said.
    pub(crate) async fn next(&self, subscriber: &mut Subscriber) -> Message {
        match timeout(PATIENCE, subscriber.next()).await {
            Ok(Some(message)) => message,
            _ => panic!("nothing came; the device says:\n{}", self.log()),
        }
    }

    /// Polls until the device answers, on the reply subject or on its read topic.
    pub(crate) async fn poll(
        &self,
        device: &Device,
        answers: &mut Subscriber,
        number: u64,
    ) -> Reply {
        let poll = fieldledger_field::poll::Poll { poll: number }.payload();
        for _ in 0..60 {
            let subject = device.poll.to_string();
            self.client
                .publish(subject, poll.clone().into())
                .await
                .unwrap();
            let answer = timeout(Duration::from_secs(1), answers.next()).await;
            if let Ok(Some(message)) = answer {
                return Reply::parse(&message.payload).unwrap();
            }
        }
        panic!("no answer; the device says:\n{}", self.log())
    }

    /// Writes an acknowledgement of history.
    pub(crate) async fn acknowledge(&self, device: &Device, bulk: &Bulk) {
        let ack = serde_json::to_vec(&bulk.ack()).unwrap();
        self.client
            .publish(device.read.history_ack(), ack.into())
            .await
            .unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut device) = self.device.take() {
            let _ = device.kill();
            let _ = device.wait();
        }
    }
}

/// A heartbeat that passes every check of the polling provider.
pub(crate) fn announced(message: &Message) -> Device {
    let limits = Limits {
        topics: TopicRules::new(&["picow".to_owned()], "default").unwrap(),
        poll_interval_ms: POLL_INTERVALS_MS,
    };
    Heartbeat::parse(&message.payload, &limits).unwrap()
}

/// Waits until `file` holds `text`.
pub(crate) async fn until_holds(file: &Path, text: &str) {
    let holds = async {
        while std::fs::read_to_string(file).unwrap_or_default() != text {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        timeout(PATIENCE, holds).await.is_ok(),
        "{} never held {text}",
        file.display()
    );
}
