//! A real nats-server, devices as plain NATS clients, and a reader that does as it is told.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

pub mod keeper;

use std::collections::{BTreeSet, HashMap};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Client;
use fieldledger_polling::Config;
use fieldledger_provider_nats_polling::instance::Instance;
use fieldledger_provider_nats_polling::reader::{IngestError, Ingested, Reader};
use fieldledger_wire::batch::PollBatch;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// What anything here may take at most. A cluster that loses the leaders of all its groups one after the
/// other took 16 s on a quiet machine, and once more than 40 s beside a build.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server of its own for one test, on a port and in a folder that a restart finds again.
pub struct Server {
    port: u16,
    folder: TempDir,
    process: Child,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// `jetstream`: further settings of that block.
    pub async fn start_with(jetstream: &str) -> Self {
        let server = Self::start_as("test", jetstream, "");
        server.client().await;
        server
    }

    /// One of several, of this name; `more` says how it is connected to the others.
    pub fn start_as(name: &str, jetstream: &str, more: &str) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: {name}\nlogfile: \"{0}/log\"\n\
             jetstream {{ store_dir: \"{0}\", sync_interval: always, {jetstream} }}\n{more}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("nats.conf"), settings).unwrap();
        let process = spawn(&folder);
        Self {
            port,
            folder,
            process,
        }
    }

    /// One that cannot do all that polling needs, as `more` says after all else.
    pub async fn start_small(more: &str) -> Self {
        let server = Self::start_as("small", "", more);
        server.client().await;
        server
    }

    pub fn uri(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub async fn client(&self) -> Client {
        let uri = self.uri();
        eventually("a connection", || async {
            async_nats::connect(&uri).await.ok()
        })
        .await
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(&self.folder);
        self.client().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(30)..];
            eprintln!("end of the log of nats-server:\n{}", end.join("\n"));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &TempDir) -> Child {
    Command::new(fieldledger_site::find_nats_server().unwrap())
        .arg("-c")
        .arg(folder.path().join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port()
}

/// Asks again and again until there is an answer.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what} did not come within {PATIENCE:?}"),
    }
}

pub fn config(server: &Server, settings: &[(&str, &str)]) -> Config {
    config_of(&server.uri(), settings)
}

/// With several servers, separated by commas.
pub fn config_of(uri: &str, settings: &[(&str, &str)]) -> Config {
    let mut map: HashMap<String, String> = [
        ("SUBSCRIPTION", "sim.heartbeat"),
        ("POLL_TIMEOUT_MS", "300"),
        ("LATE_WINDOW_MS", "100"),
        ("BATCH_AGE_MS", "50"),
        ("INSTANCE", "test"),
    ]
    .into_iter()
    .chain(settings.iter().copied())
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    map.insert("URI".to_owned(), uri.to_owned());
    Config::from_map(&map, "test", "default").unwrap()
}

pub fn id(n: u32) -> Uuid {
    Uuid::from_u128(0xf308_8463_5623_476f_a1b5_0000_0000_0000 + u128::from(n))
}

/// A heartbeat as the original simulator sends it.
pub fn heartbeat(n: u32) -> Value {
    let id = id(n);
    json!({
        "alias": format!("sensor-{n:04}"), "id": id, "poll_interval": 100,
        "poll_topic": format!("sim.poll.{id}"), "read_topic": format!("sim.read.{id}"),
        "disconnect_topic": format!("sim.disconnect/{id}"), "ip_addr": "192.168.1.17",
        "mac_addr": [40, 205, 193, 3, 226, 159], "location": "SIMULATION-Boiler Room",
    })
}

/// How a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// On its read topic, as the original simulator does.
    ReadTopic,
    /// On the reply subject.
    Directly,
    Never,
}

/// A sensor that counts upwards from 1 and remembers what it said.
pub struct Device {
    pub said: Arc<Mutex<Vec<u64>>>,
    task: JoinHandle<()>,
}

impl Device {
    /// Listens, and sends one heartbeat.
    pub async fn start(server: &Server, n: u32, answers: Answers) -> Self {
        let device = Self::start_silently(server, n, answers).await;
        let client = server.client().await;
        client
            .publish("sim.heartbeat", heartbeat(n).to_string().into())
            .await
            .unwrap();
        client.flush().await.unwrap();
        device
    }

    pub async fn start_silently(server: &Server, n: u32, answers: Answers) -> Self {
        let client = server.client().await;
        let mut polls = client
            .subscribe(format!("sim.poll.{}", id(n)))
            .await
            .unwrap();
        client.flush().await.unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&said);
        let task = tokio::spawn(async move {
            let mut value = 0;
            while let Some(poll) = polls.next().await {
                let subject = match answers {
                    Answers::ReadTopic => format!("sim.read.{}", id(n)).into(),
                    Answers::Directly => poll.reply.unwrap(),
                    Answers::Never => continue,
                };
                value += 1;
                record.lock().unwrap().push(value);
                client
                    .publish(subject, format!("\"{value}\"").into())
                    .await
                    .unwrap();
            }
        });
        Self { said, task }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Behaviour = dyn Fn(&PollBatch, usize) -> Result<(), IngestError> + Send + Sync;

/// Keeps the batches it has taken; `behaviour` decides, given a batch and the number of calls so far.
pub struct TestReader {
    pub taken: Mutex<Vec<PollBatch>>,
    calls: Mutex<usize>,
    behaviour: Box<Behaviour>,
}

impl TestReader {
    pub fn willing() -> Arc<Self> {
        Self::new(|_, _| Ok(()))
    }

    /// One that takes batches while this is true.
    pub fn willing_while(is_willing: &Arc<AtomicBool>) -> Arc<Self> {
        let is_willing = Arc::clone(is_willing);
        Self::new(move |_, _| match is_willing.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(IngestError::Unavailable("not willing".to_owned())),
        })
    }

    pub fn new(
        behaviour: impl Fn(&PollBatch, usize) -> Result<(), IngestError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            calls: Mutex::default(),
            behaviour: Box::new(behaviour),
        })
    }

    pub fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    pub fn results(&self) -> usize {
        self.taken
            .lock()
            .unwrap()
            .iter()
            .map(|batch| batch.poll.len())
            .sum()
    }

    /// The texts of a sensor's results, in the order in which they came.
    pub fn texts(&self, n: u32) -> Vec<String> {
        let id = id(n).to_string();
        let mut texts = Vec::new();
        for batch in self.taken.lock().unwrap().iter() {
            for (row, sensor) in batch.sensor.iter().enumerate() {
                if batch.sensors[*sensor as usize].id == id && !batch.text[row].is_empty() {
                    texts.push(batch.text[row].clone());
                }
            }
        }
        texts
    }

    /// The first run of those that results came from.
    pub fn epoch(&self) -> String {
        self.taken.lock().unwrap()[0].epoch.clone()
    }

    /// (run, poll) of every result, once; panics where one came twice in different batches.
    pub fn polls(&self) -> BTreeSet<(String, u64)> {
        let mut batches = HashMap::new();
        for batch in self.taken.lock().unwrap().iter() {
            batches.insert(batch.id.clone(), batch.clone());
        }
        let mut polls = BTreeSet::new();
        for batch in batches.values() {
            for poll in &batch.poll {
                assert!(
                    polls.insert((batch.epoch.clone(), *poll)),
                    "poll {poll} came twice"
                );
            }
        }
        polls
    }
}

impl Reader for TestReader {
    fn ingest<'a>(&'a self, batch: &'a PollBatch) -> BoxFuture<'a, Result<Ingested, IngestError>> {
        async move {
            let call = {
                let mut calls = self.calls.lock().unwrap();
                *calls += 1;
                *calls
            };
            (self.behaviour)(batch, call)?;
            self.taken.lock().unwrap().push(batch.clone());
            Ok(Ingested::default())
        }
        .boxed()
    }
}

/// Starts polling and waits until heartbeats are listened to.
pub async fn start(config: Config, reader: &Arc<TestReader>) -> Instance {
    let reader: Arc<dyn Reader> = Arc::<TestReader>::clone(reader);
    let instance = Instance::start(config, reader);
    eventually("the start", || async { instance.sensors(0, 1).await.ok() }).await;
    instance
}
