//! The simulator against a real nats-server.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Message, Subscriber};
use fieldledger_simulator::{
    Broker, Fault, MeshSettings, MqttBroker, NatsBroker, PolledMesh, Sensor, Settings, Simulation,
    Style, run,
};
use fieldledger_wire::heartbeat::Heartbeat;
use fieldledger_wire::reply::Reply;
use futures::StreamExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server of our own, with JetStream and the MQTT gateway.
struct Server {
    process: Child,
    folder: TempDir,
    port: u16,
    mqtt_port: u16,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, mqtt_port) = (free_port(), free_port());
        let config = format!(
            "server_name: simulator-test\nlisten: 127.0.0.1:{port}\n\
             jetstream {{ store_dir: {:?} }}\nmqtt {{ listen: 127.0.0.1:{mqtt_port} }}\n",
            folder.path().join("jetstream")
        );
        std::fs::write(folder.path().join("nats.conf"), config).unwrap();
        Self {
            process: launch(folder.path()),
            folder,
            port,
            mqtt_port,
        }
    }

    fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = launch(self.folder.path());
    }

    fn nats(&self) -> NatsBroker {
        NatsBroker {
            url: format!("nats://127.0.0.1:{}", self.port),
            credentials: None,
            login: None,
            tls_ca: None,
        }
    }

    fn mqtt(&self) -> MqttBroker {
        MqttBroker {
            host: "127.0.0.1".to_owned(),
            port: self.mqtt_port,
            login: None,
        }
    }

    /// A client of the test's own, once the server accepts one.
    async fn client(&self) -> Client {
        let options = ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(20));
        let client = options.connect(self.nats().url).await.unwrap();
        timeout(PATIENCE, client.flush()).await.unwrap().unwrap();
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            eprintln!("nats-server said:\n{}", log.unwrap_or_default());
        }
    }
}

fn launch(folder: &Path) -> Child {
    let mut appending = std::fs::File::options();
    appending.create(true).append(true);
    let log = appending.open(folder.join("log")).unwrap();
    Command::new(fieldledger_site::find_nats_server().unwrap())
        .arg("-c")
        .arg(folder.join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A simulation that runs until the test stops it.
struct Running {
    simulation: Arc<Simulation>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), fieldledger_simulator::RunError>>,
}

fn start(settings: Settings) -> Running {
    start_simulation(Simulation::new(settings).unwrap())
}

fn start_simulation(simulation: Simulation) -> Running {
    let simulation = Arc::new(simulation);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(simulation.clone(), stop.clone()));
    Running {
        simulation,
        stop,
        task,
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    async fn ended(self) {
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

async fn next(messages: &mut Subscriber) -> Message {
    timeout(PATIENCE, messages.next()).await.unwrap().unwrap()
}

async fn next_heartbeat(heartbeats: &mut Subscriber) -> Heartbeat {
    serde_json::from_slice(&next(heartbeats).await.payload).unwrap()
}

/// Waits for what no message tells.
async fn until(condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap();
}

fn three_sensors(broker: Broker) -> Settings {
    let mut settings = Settings {
        sensors: 3,
        seed: 11,
        boot: "boot-1".to_owned(),
        broker,
        ..Settings::default()
    };
    settings.faults.faulty_sensor = false;
    settings
}

#[tokio::test]
async fn modern_sensors_answer_the_reply_subject() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    client.flush().await.unwrap();
    let running = start(three_sensors(Broker::Nats(server.nats())));

    for index in 0..3 {
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        let sensor = running.simulation.sensors()[index].clone();
        assert_eq!(heartbeat.id, sensor.id());
        assert_eq!(heartbeat.unit.as_deref(), Some(sensor.kind().unit));
        for sequence in 1..=5 {
            let poll = format!("{{\"poll\":{}}}", 100 + sequence);
            let topic = heartbeat.poll_topic.clone();
            let answer = client.request(topic, poll.into()).await.unwrap();
            let reply = Reply::parse(&answer.payload).unwrap();
            assert_eq!(reply.value, sensor.value(sequence).to_string());
            assert_eq!(reply.seq, Some(sequence));
            assert_eq!(reply.poll, Some(100 + sequence));
            assert_eq!(reply.boot, "boot-1");
            assert_eq!(reply.unit, sensor.kind().unit);
            assert!(reply.at.is_some());
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn original_sensors_publish_a_string_on_their_read_topic() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    let mut readings = client.subscribe("sim.read.*").await.unwrap();
    client.flush().await.unwrap();
    let mut settings = three_sensors(Broker::Nats(server.nats()));
    settings.style = Style::Original;
    let running = start(settings);

    let message = next(&mut heartbeats).await;
    let heartbeat: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(heartbeat.as_object().unwrap().len(), 9);
    let heartbeat: Heartbeat = serde_json::from_value(heartbeat).unwrap();
    // A reply subject is not heeded, as by the original.
    let poll_topic = heartbeat.poll_topic.clone();
    let polled = client.publish_with_reply(poll_topic, "nobody.listens", "poll".into());
    polled.await.unwrap();
    let reading = next(&mut readings).await;
    assert_eq!(reading.subject.as_str(), heartbeat.read_topic);
    let value = running.simulation.sensors()[0].value(1);
    assert_eq!(reading.payload, format!("\"{value}\""));
    running.stop().await;
}

#[tokio::test]
async fn mqtt_sensors_work_through_the_gateway() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("picow.heartbeat").await.unwrap();
    let mut readings = client.subscribe("picow.*.read").await.unwrap();
    let mut goodbyes = client.subscribe("picow.*.disconnect").await.unwrap();
    client.flush().await.unwrap();
    let mut settings = three_sensors(Broker::Mqtt(server.mqtt()));
    settings.connections = Some(2);
    settings.say_goodbye = true;
    let running = start(settings);

    for _ in 0..3 {
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        assert_eq!(heartbeat.poll_topic, format!("picow/{}/poll", heartbeat.id));
        let subject = heartbeat.poll_topic.replace('/', ".");
        client
            .publish(subject, "{\"poll\":7}".into())
            .await
            .unwrap();
        let reading = next(&mut readings).await;
        assert_eq!(
            reading.subject.as_str(),
            heartbeat.read_topic.replace('/', ".")
        );
        let reply = Reply::parse(&reading.payload).unwrap();
        let mut sensors = running.simulation.sensors().iter();
        let sensor = sensors.find(|sensor| sensor.id() == heartbeat.id).unwrap();
        assert_eq!(reply.value, sensor.value(1).to_string());
        assert_eq!((reply.seq, reply.poll), (Some(1), Some(7)));
    }
    running.stop().await;
    for _ in 0..3 {
        next(&mut goodbyes).await;
    }
}

#[tokio::test]
async fn sensors_announce_themselves_again_after_the_broker_came_back() {
    for protocol in ["nats", "mqtt"] {
        let mut server = Server::start();
        let client = server.client().await;
        let mut heartbeats = client.subscribe("*.heartbeat").await.unwrap();
        client.flush().await.unwrap();
        let mut settings = three_sensors(match protocol {
            "nats" => Broker::Nats(server.nats()),
            _ => Broker::Mqtt(server.mqtt()),
        });
        settings.style = Style::Original;
        let running = start(settings);
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        until(|| running.simulation.counts().heartbeats == 3).await;
        drop((client, heartbeats));

        server.restart();
        let counts = || running.simulation.counts();
        until(|| counts().reconnects == 1 && counts().heartbeats == 6).await;
        let client = server.client().await;
        let mut readings = client.subscribe("*.*.*").await.unwrap();
        client.flush().await.unwrap();
        let subject = heartbeat.poll_topic.replace('/', ".");
        client.publish(subject, "poll".into()).await.unwrap();
        loop {
            let reading = next(&mut readings).await;
            if reading.subject.as_str() == heartbeat.read_topic.replace('/', ".") {
                break;
            }
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn the_record_holds_every_answer_and_no_drop() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    let mut answers = client.subscribe("answers.*").await.unwrap();
    client.flush().await.unwrap();
    let mut settings = three_sensors(Broker::Nats(server.nats()));
    settings.polls = Some(50);
    settings.faults.drop = 0.2;
    settings.faults.late = 0.2;
    settings.faults.late_by = Duration::from_millis(50);
    settings.faults.garbage = 0.2;
    settings.faults.out_of_range = 0.2;
    let record = server.folder.path().join("record.jsonl");
    let mut simulation = Simulation::new(settings).unwrap();
    simulation.record_to(&record).unwrap();
    let running = start_simulation(simulation);
    let simulation = running.simulation.clone();

    for _ in 0..3 {
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        for number in 1..=50 {
            let reply = format!("answers.{}-{number}", heartbeat.id);
            let topic = heartbeat.poll_topic.clone();
            let polled = client.publish_with_reply(topic, reply, "{\"poll\":3}".into());
            polled.await.unwrap();
        }
    }
    // Ends by itself, once every sensor heard its fifty polls.
    running.ended().await;

    let lines = std::fs::read_to_string(&record).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let counts = simulation.counts();
    assert_eq!(counts.polls, 150);
    assert_eq!(counts.answers + counts.dropped, 150);
    assert_eq!(counts.answers, lines.len() as u64);
    for sensor in simulation.sensors() {
        for sequence in 1..=50 {
            let mut of_this = lines
                .iter()
                .filter(|line| line["id"] == sensor.id().to_string() && line["seq"] == sequence);
            let fault = simulation.fault(sensor.index(), sequence);
            let line = of_this.next();
            assert_eq!(line.is_none(), fault == Some(Fault::Drop));
            assert!(of_this.next().is_none(), "recorded twice");
            let Some(line) = line else { continue };
            assert_eq!(line["fault"], serde_json::to_value(fault).unwrap());
            match fault {
                None | Some(Fault::Late) => {
                    assert_eq!(line["value"], sensor.value(sequence).to_string());
                }
                Some(Fault::OutOfRange) => {
                    assert_eq!(
                        line["value"],
                        sensor.out_of_range_value(sequence).to_string()
                    );
                }
                Some(Fault::Garbage | Fault::Drop) => {}
            }
        }
    }
    for _ in 0..lines.len() {
        next(&mut answers).await;
    }
}

#[tokio::test]
async fn several_connections_share_the_polls() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    client.flush().await.unwrap();
    let mut settings = three_sensors(Broker::Nats(server.nats()));
    settings.connections = Some(3);
    let running = start(settings);
    for _ in 0..3 {
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        for sequence in 1..=10 {
            let topic = heartbeat.poll_topic.clone();
            let answer = client.request(topic, "".into()).await.unwrap();
            assert_eq!(Reply::parse(&answer.payload).unwrap().seq, Some(sequence));
        }
    }
    assert_eq!(running.simulation.counts().polls, 30);
    running.stop().await;
}

/// Two gateways, 0 and 1, and four sensors. Sensor 2 hears gateway 0, sensor 3 gateway 1, and the way
/// between those two is long.
const LINKS: &str = "0 2\n1 3\n2 4\n4 5\n5 3\n";

#[tokio::test]
async fn a_mesh_is_polled_through_its_gateways_and_after_one_died() {
    let server = Server::start();
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    client.flush().await.unwrap();
    let links = server.folder.path().join("links");
    std::fs::write(&links, LINKS).unwrap();
    // Six seconds at this speed, and a gateway dies after three.
    let mesh = MeshSettings {
        nodes: 6,
        links: Some(links),
        loss: 0.05,
        deaths: 1,
        duration: Duration::from_secs(600),
        ..MeshSettings::default()
    };
    let settings = Settings {
        heartbeat_interval: Duration::from_millis(100),
        ..three_sensors(Broker::Nats(server.nats()))
    };
    let mut polled = PolledMesh::new(&mesh, 100, settings).unwrap();
    let record = server.folder.path().join("record.jsonl");
    polled.record_to(&record).unwrap();
    let began = Instant::now();
    let mut running = tokio::spawn(polled.run(CancellationToken::new()));

    let sensors = Sensor::fleet(11, 4);
    let mut announced = std::collections::HashMap::new();
    while announced.len() < sensors.len() {
        let heartbeat = next_heartbeat(&mut heartbeats).await;
        announced.insert(heartbeat.id, heartbeat);
    }
    // Each answer's sequence number, and when it came.
    let mut answers: Vec<(u64, Duration)> = vec![(0, Duration::ZERO); sensors.len()];
    let (mut polls, mut answered) = (0, 0);
    let report = loop {
        for (sensor, (last, at)) in sensors.iter().zip(&mut answers) {
            let topic = announced[&sensor.id()].poll_topic.clone();
            polls += 1;
            let request = client.request(topic, format!("{{\"poll\":{polls}}}").into());
            // A poll may get lost in the mesh, and some do when the gateway dies.
            let Ok(Ok(answer)) = timeout(Duration::from_millis(300), request).await else {
                continue;
            };
            let Ok(reply) = Reply::parse(&answer.payload) else {
                continue;
            };
            assert_eq!(reply.poll, Some(polls));
            let sequence = reply.seq.unwrap();
            assert!(sequence > *last);
            assert_eq!(reply.value, sensor.value(sequence).to_string());
            (*last, *at) = (sequence, began.elapsed());
            answered += 1;
        }
        if running.is_finished() {
            break (&mut running).await.unwrap().unwrap();
        }
    };
    assert_eq!(report.deaths, 1);
    let told = report.polls.unwrap();
    assert_eq!(told.heard, told.answered + told.lost);
    let lines = std::fs::read_to_string(&record).unwrap().lines().count();
    assert_eq!(told.answered, lines as u64);
    // Answers that took longer than was waited for them, and the polls after the end.
    assert!(told.answered >= answered && told.heard <= polls, "{told:?}");
    assert!(
        told.answered > 100 && told.answered > 4 * told.lost,
        "{told:?}"
    );
    // All were heard when only the other gateway was left, the first over four hops.
    for (_, at) in &answers {
        assert!(*at > Duration::from_secs(5), "{answers:?}");
    }
    assert!(report.hops.contains_key(&4), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn being_told_to_stop_is_no_failure() {
    let server = Server::start();
    server.client().await;
    for _ in 0..50 {
        let running = start(three_sensors(Broker::Nats(server.nats())));
        until(|| running.simulation.counts().heartbeats == 3).await;
        running.stop().await;
    }
}

/// Starts the program, polls one of its sensors once, and tells it to end; what it printed.
async fn polled_once(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let client = server.client().await;
    let mut heartbeats = client.subscribe("sim.heartbeat").await.unwrap();
    client.flush().await.unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_fieldledger-simulator"))
        .args(["--json", "--url", &server.nats().url])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let heartbeat = next_heartbeat(&mut heartbeats).await;
    let polled = client.request(heartbeat.poll_topic, "".into()).await;
    polled.unwrap();
    let terminated = Command::new("kill").arg(program.id().to_string()).status();
    assert!(terminated.unwrap().success());
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn the_program_ends_on_sigterm_with_a_summary() {
    let server = Server::start();
    let printed = polled_once(&server, &["--sensors", "3"]).await;
    let stdout = String::from_utf8(printed).unwrap();
    let summary: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["kind"], "summary");
    assert_eq!(summary["sensors"], 3);
    assert_eq!(summary["answers"], 1);
}

#[tokio::test]
async fn a_polled_mesh_ends_on_sigterm_with_a_report() {
    let server = Server::start();
    let client = server.client().await;
    let mut goodbyes = client.subscribe("sim.disconnect.*").await.unwrap();
    client.flush().await.unwrap();
    let small = [
        "--mesh-nodes",
        "5",
        "--mesh-loss",
        "0",
        "--heartbeat",
        "100",
    ];
    let polled = ["--mesh", "--mesh-polled", "--disconnect"];
    let printed = polled_once(&server, &[&polled[..], &small].concat()).await;
    let report: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(report["polls"]["heard"], 1);
    assert_eq!(report["polls"]["answered"], 1);
    assert_eq!(report["polls"]["lost"], 0);
    for _ in 0..3 {
        next(&mut goodbyes).await;
    }
}
