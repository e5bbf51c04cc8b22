//! Measures how many polls a second NATS itself carries: requests to simulated sensors and their
//! answers, with nothing in between. It is the yardstick for the system that audits the same polls.
//!
//! Requester and sensors live in this one process, on a connection each, unless `--external` asks
//! for the sensors of a simulator that runs beside it. Prints one JSON object.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use async_nats::{Client, ConnectOptions, Subject, Subscriber};
use bytes::Bytes;
use clap::Parser;
use fieldledger_simulator::{Broker, Faults, NatsBroker, Settings, Simulation, run};
use fieldledger_wire::poll::Poll;
use fieldledger_wire::reply::Reply;
use futures::StreamExt;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Raw NATS request/reply per second against simulated sensors.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// NATS server
    #[arg(long, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    url: String,

    /// Sensors that are polled in turn
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    sensors: u32,

    /// Polls under way at any time
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    outstanding: u32,

    /// Poll the sensors of a simulator that runs with this prefix, as many sensors, --no-faulty
    /// and otherwise its defaults, rather than sensors in this process
    #[arg(long, value_name = "PREFIX")]
    external: Option<String>,

    /// Seconds to measure
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// What was measured.
#[derive(Serialize)]
struct Measurement {
    sensors: u32,
    outstanding: u32,
    seconds: f64,
    polls: u64,
    polls_per_second: f64,
    /// Time from request to reply in microseconds.
    latency_p50_us: u64,
    latency_p99_us: u64,
}

/// Time for the sensors to subscribe, and for caches and buffers to grow.
const WARM_UP: Duration = Duration::from_millis(500);

/// An answer that takes longer is lost.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Answers taken at once.
const CHUNK: usize = 256;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // A name of its own, so that sensors already on this server are neither polled nor heard.
    let own_prefix = format!("rawrate-{}", std::process::id());
    let simulation = Arc::new(Simulation::new(Settings {
        sensors: cli.sensors,
        prefix: Some(cli.external.clone().unwrap_or(own_prefix)),
        broker: Broker::Nats(NatsBroker {
            url: cli.url.clone(),
            credentials: None,
            login: None,
            tls_ca: None,
        }),
        faults: Faults {
            faulty_sensor: false,
            ..Faults::default()
        },
        ..Settings::default()
    })?);
    let measurement = if cli.external.is_some() {
        measure(&cli, &simulation).await?
    } else {
        measure_own_sensors(&cli, simulation).await?
    };
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

/// Runs the sensors for as long as it takes to measure them.
async fn measure_own_sensors(
    cli: &Cli,
    simulation: Arc<Simulation>,
) -> anyhow::Result<Measurement> {
    let stop = CancellationToken::new();
    let sensors = tokio::spawn(run(simulation.clone(), stop.clone()));
    let measured = tokio::select! {
        measured = measure(cli, &simulation) => Some(measured),
        () = stop.cancelled() => None,
    };
    stop.cancel();
    sensors.await.context("running the sensors")??;
    measured.context("the sensors stopped")?
}

async fn measure(cli: &Cli, simulation: &Simulation) -> anyhow::Result<Measurement> {
    let mut requester = Requester::connect(&cli.url, simulation).await?;
    requester.wait_for_sensors().await?;
    requester.poll_for(cli.outstanding, WARM_UP).await?;

    let begun = Instant::now();
    let duration = Duration::from_secs(cli.seconds);
    let mut latencies = requester.poll_for(cli.outstanding, duration).await?;
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let percentile = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    Ok(Measurement {
        sensors: cli.sensors,
        outstanding: cli.outstanding,
        seconds,
        polls: latencies.len() as u64,
        polls_per_second: latencies.len() as f64 / seconds,
        latency_p50_us: percentile(0.5).into(),
        latency_p99_us: percentile(0.99).into(),
    })
}

/// Polls sensors in turn and matches their answers by the number in the reply subject, like the
/// polling provider does.
struct Requester {
    client: Client,
    answers: Subscriber,
    inbox: String,
    poll_topics: Vec<Subject>,
    /// When each poll was sent, by number.
    sent_at: Vec<Instant>,
}

impl Requester {
    async fn connect(url: &str, simulation: &Simulation) -> anyhow::Result<Self> {
        let options = ConnectOptions::new().name("fieldledger-rawrate");
        let connected = options.connect(url).await;
        let client = connected.with_context(|| format!("no NATS server answered at {url}"))?;
        let inbox = format!("_INBOX.{}", Uuid::new_v4().simple());
        let answers = client.subscribe(format!("{inbox}.*")).await?;
        let poll_topic = |id| Subject::from(simulation.topics().poll(id));
        Ok(Self {
            client,
            answers,
            inbox,
            poll_topics: simulation
                .sensors()
                .iter()
                .map(|s| poll_topic(s.id()))
                .collect(),
            sent_at: Vec::new(),
        })
    }

    /// The server says "no responders" until the sensors have subscribed.
    async fn wait_for_sensors(&self) -> anyhow::Result<()> {
        let attempts = async {
            let topic = &self.poll_topics[0];
            while self
                .client
                .request(topic.clone(), Bytes::new())
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONGEST_WAIT, attempts)
            .await
            .context("no sensor answers")
    }

    /// Keeps so many polls under way for a time, then waits for the last answers. Returns each
    /// poll's latency in microseconds.
    async fn poll_for(&mut self, outstanding: u32, duration: Duration) -> anyhow::Result<Vec<u32>> {
        self.sent_at.clear();
        let mut latencies = Vec::new();
        let deadline = Instant::now() + duration;
        for _ in 0..outstanding {
            self.send_poll().await?;
        }
        while latencies.len() < self.sent_at.len() {
            let mut chunks = self.answers.by_ref().ready_chunks(CHUNK);
            let Some(answers) = timeout(LONGEST_WAIT, chunks.next())
                .await
                .context("an answer was lost")?
            else {
                bail!("the connection to NATS was closed");
            };
            let now = Instant::now();
            for answer in answers {
                let number = self
                    .number(&answer.subject)
                    .context("an answer to no poll")?;
                let reply = Reply::parse(&answer.payload)?;
                if reply.poll != Some(number as u64) {
                    bail!("poll {number} was answered with {reply:?}");
                }
                let latency = now.duration_since(self.sent_at[number]);
                latencies.push(latency.as_micros() as u32);
                if now < deadline {
                    self.send_poll().await?;
                }
            }
        }
        Ok(latencies)
    }

    /// Polls the next sensor.
    async fn send_poll(&mut self) -> anyhow::Result<()> {
        let number = self.sent_at.len();
        self.sent_at.push(Instant::now());
        let topic = self.poll_topics[number % self.poll_topics.len()].clone();
        let reply = format!("{}.{number}", self.inbox);
        let poll = Poll::numbered(number as u64);
        let sent = self
            .client
            .publish_with_reply(topic, reply, poll.payload().into());
        Ok(sent.await?)
    }

    /// The number of a poll under way that a reply subject names.
    fn number(&self, subject: &str) -> Option<usize> {
        let number = subject
            .strip_prefix(self.inbox.as_str())?
            .strip_prefix('.')?;
        number
            .parse()
            .ok()
            .filter(|number| *number < self.sent_at.len())
    }
}
