//! The loop on this machine, with a real broker over MQTT and over NATS, and with brokers that mean no good.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use fieldledger_attest::SensorId;
use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::Clock;
use fieldledger_device::actuator::{Channel, Value};
use fieldledger_device::sensor::{DEVICE_NUMBER, Fault, Sensor, Text, derived_id};
use fieldledger_device::{Device, Kept, Offer};
use fieldledger_drive::address::Protocol;
use fieldledger_drive::setup::{Hardware, client, client_id, device, profile};
use fieldledger_drive::wire::{outgoing_bytes, subscriptions};
use fieldledger_drive::{Board, Traffic, run};
use fieldledger_record::Settings;
use fieldledger_record::settings::SensorSettings;
use fieldledger_rig::{PATIENCE, Rig, announced};
use fieldledger_site::{Access, NewUser, Role};
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::reply::Reply;
use nano_nats::NkeyPair;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const MESSAGE: usize = 4_096;

/// This machine's network.
struct Tokio;

impl TcpConnect for Tokio {
    type Error = io::Error;
    type Connection<'a> = FromTokio<TcpStream>;

    async fn connect(&self, remote: SocketAddr) -> io::Result<FromTokio<TcpStream>> {
        Ok(FromTokio::new(TcpStream::connect(remote).await?))
    }
}

impl Dns for Tokio {
    type Error = io::Error;

    async fn get_host_by_name(&self, host: &str, _kind: AddrType) -> io::Result<IpAddr> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        let mut found = found.map(|address| address.ip()).filter(IpAddr::is_ipv4);
        found.next().ok_or(io::ErrorKind::NotFound.into())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What happened to the board.
#[derive(Default)]
struct Seen {
    /// Every setting of its output, and when.
    outputs: RefCell<Vec<(Instant, Value)>>,
    connections: Cell<u32>,
    /// When the watchdog was fed last, and the longest time that it was not.
    fed: Cell<Option<Instant>>,
    hungry: Cell<Duration>,
    /// How often it was switched off and on.
    restarts: Cell<u32>,
    /// What it keeps meanwhile: boot, number, time and value.
    kept: RefCell<Vec<(String, u64, Clock, String)>>,
    /// And the list of brokers.
    brokers: RefCell<Vec<u8>>,
}

impl Seen {
    fn boot(&self) -> String {
        format!("b{}", self.restarts.get() + 1)
    }

    /// The numbers of the first boot's readings that it keeps.
    fn kept_of_first_boot(&self) -> Vec<u64> {
        let kept = self.kept.borrow();
        let first = kept.iter().filter(|(boot, ..)| boot == "b1");
        first.map(|(_, number, ..)| *number).collect()
    }
}

struct Desk(Rc<Seen>);

impl Board for Desk {
    fn ip_addr(&self) -> IpAddr {
        Ipv4Addr::new(10, 1, 2, 3).into()
    }

    fn set(&mut self, channel: &str, value: Value) {
        assert_eq!(channel, "valve");
        self.0.outputs.borrow_mut().push((Instant::now(), value));
    }

    fn keep(&mut self, reading: &Kept<'_>) {
        assert_eq!((reading.sensor, reading.unit), (sensor(), "1"));
        let (boot, value) = (reading.boot.to_owned(), reading.value.to_owned());
        let mut kept = self.0.kept.borrow_mut();
        kept.push((boot, reading.sequence, reading.clock, value));
    }

    fn forget(&mut self, id: SensorId, boot: &str, through: u64) {
        assert_eq!(id, sensor());
        let mut kept = self.0.kept.borrow_mut();
        kept.retain(|(of, number, ..)| of != boot || *number > through);
    }

    fn give_earlier(&mut self, take: &mut dyn FnMut(&Kept<'_>) -> Offer) {
        for (boot, sequence, clock, value) in &*self.0.kept.borrow() {
            let reading = Kept {
                sensor: sensor(),
                boot,
                sequence: *sequence,
                clock: *clock,
                value,
                unit: "1",
            };
            if take(&reading) == Offer::NoRoom {
                break;
            }
        }
    }

    fn keep_brokers(&mut self, list: &[u8]) {
        *self.0.brokers.borrow_mut() = list.to_vec();
    }

    fn give_brokers(&mut self, remember: &mut dyn FnMut(&[u8])) {
        remember(&self.0.brokers.borrow());
    }

    fn alive(&mut self) {
        let now = Instant::now();
        if let Some(before) = self.0.fed.replace(Some(now)) {
            self.0.hungry.set(self.0.hungry.get().max(now - before));
        }
    }

    fn connected(&mut self, is_connected: bool) {
        let more = u32::from(is_connected);
        self.0.connections.set(self.0.connections.get() + more);
    }
}

struct Counter(u32);

impl Sensor for Counter {
    fn read(&mut self) -> Result<Text, Fault> {
        self.0 += 1;
        Text::try_from(self.0.to_string().as_str()).map_err(|_long| Fault("too long"))
    }
}

const KEY: [u8; 32] = [9; 32];

fn sensor() -> SensorId {
    derived_id(&DeviceKey::from_seed(&KEY).public(), 0)
}

/// Where the broker is.
fn address(rig: &Rig, protocol: Protocol) -> String {
    let port = match protocol {
        Protocol::Mqtt => rig.mqtt_port,
        Protocol::Nats => rig.nats.options().port,
    };
    format!("{}127.0.0.1:{port}", protocol.scheme())
}

/// A board with one sensor.
fn settings(brokers: &[String]) -> Settings<'_> {
    let sensor = SensorSettings {
        alias: "Counter",
        location: "Desk",
        poll_interval_ms: 200,
    };
    Settings {
        key: KEY,
        wifi: None,
        login: None,
        prefix: "picow",
        is_confined: false,
        brokers: brokers.iter().map(String::as_str).collect(),
        heartbeat_interval_ms: 500,
        history_patience_ms: 1_000,
        sensors: [sensor].into_iter().collect(),
        nkey: false,
    }
}

/// Serves a device of one sensor and one valve forever.
async fn serve(settings: &Settings<'_>, seen: Rc<Seen>) {
    let hardware = Hardware {
        boot: &seen.boot(),
        mac_addr: [2, 0, 0, 0, 0, 7],
    };
    let mut device: Device<Counter, 1, 64, MESSAGE> = device(settings, &hardware).unwrap();
    let key = device.key();
    let profile = profile(settings, &key, 0, "1").unwrap().unwrap();
    device.add_sensor(profile, Counter(0)).unwrap();
    let valve = Channel {
        name: "valve".try_into().unwrap(),
        neutral: Value::Switch(false),
        levels: (0, 0),
    };
    device.add_actuator(valve).unwrap();
    let mut traffic = Box::new(Traffic::<{ outgoing_bytes(MESSAGE) }, { subscriptions(1) }>::new());
    let name = client_id(&key);
    let client = client(settings, &name);
    run(
        &mut device,
        &mut Desk(seen),
        (&Tokio, &Tokio),
        &mut traffic,
        &client,
    )
    .await;
}

/// Runs `script` beside a device with these brokers.
async fn beside(brokers: &[String], seen: &Rc<Seen>, script: impl Future<Output = ()>) {
    beside_one_of(&settings(brokers), seen, script).await;
}

/// Runs `script` beside a device with these settings.
async fn beside_one_of(settings: &Settings<'_>, seen: &Rc<Seen>, script: impl Future<Output = ()>) {
    tokio::select! {
        () = serve(settings, Rc::clone(seen)) => {}
        () = script => {}
    }
}

fn command_topic() -> String {
    let key = DeviceKey::from_seed(&KEY).public();
    format!(
        "picow.{}.command",
        Uuid::from_bytes(derived_id(&key, DEVICE_NUMBER))
    )
}

/// Opens the valve for so many milliseconds.
async fn open_valve(rig: &Rig, milliseconds: u32) {
    let mut acks = rig.subscribe("picow.*.command_ack").await;
    let command = json!({
        "boot": "b1", "channel": "valve", "epoch": 1, "seq": 1, "on": true, "for": milliseconds,
    });
    let sent = rig
        .client
        .publish(command_topic(), command.to_string().into());
    sent.await.unwrap();
    let ack: Json = serde_json::from_slice(&rig.next(&mut acks).await.payload).unwrap();
    assert_eq!(ack["verdict"], "done");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    assert!(found.is_ok(), "{what} never came");
}

#[tokio::test]
async fn over_mqtt_a_device_is_polled_and_sends_what_it_read_while_its_broker_was_away() {
    polled_and_sends_what_it_read_while_its_broker_was_away(Protocol::Mqtt).await;
}

#[tokio::test]
async fn over_nats_a_device_is_polled_and_sends_what_it_read_while_its_broker_was_away() {
    polled_and_sends_what_it_read_while_its_broker_was_away(Protocol::Nats).await;
}

async fn polled_and_sends_what_it_read_while_its_broker_was_away(protocol: Protocol) {
    let mut rig = Rig::start().await;
    let key = DeviceKey::from_seed(&KEY).public();
    let seen = Rc::new(Seen::default());
    // By name: it is asked for.
    let brokers = [address(&rig, protocol).replace("127.0.0.1", "localhost")];
    let script = async {
        let mut heartbeats = rig.subscribe("picow.heartbeat").await;
        let mut answers = rig.subscribe("picow.*.read").await;
        let mut history = rig.subscribe("picow.*.history").await;
        let device = announced(&rig.next(&mut heartbeats).await);
        let identity = device.identity.clone().unwrap();
        assert_eq!((identity.key, identity.boot.as_str()), (key, "b1"));
        let mut values = BTreeMap::new();
        for number in 1..=3 {
            let reply = rig.poll(&device, &mut answers, number).await;
            assert_eq!(reply.poll, Some(number));
            reply.attested(device.id, key).unwrap();
            values.insert(reply.seq.unwrap(), reply.value);
        }
        rig.nats.kill9().await;
        let lost = seen.outputs.borrow().len();
        assert_eq!(lost, 1, "the valve is closed at the start, and stays so");
        rig.nats.restart().await.unwrap();
        while values.len() < 15 {
            let message = rig.next(&mut history).await;
            let bulk = Bulk::parse(&message.payload).unwrap();
            bulk.attested(device.id, key).unwrap();
            for reading in &bulk.readings {
                assert!(matches!(reading.clock, Clock::Uptime(_)));
                let known = values.insert(reading.seq, reading.value.clone());
                assert!(known.is_none_or(|known| known == reading.value));
            }
            rig.acknowledge(&device, &bulk).await;
        }
        let counted = values
            .iter()
            .map(|(seq, value)| (*seq, value.parse().unwrap()));
        assert!(counted.eq((0..).zip(1..=values.len())), "{values:?}");
    };
    beside(&brokers, &seen, script).await;
    assert!(seen.connections.get() >= 2);
    // A watchdog of eight seconds has time enough, on a machine that stalls for some of it.
    assert!(
        seen.hungry.get() < Duration::from_secs(4),
        "{:?}",
        seen.hungry
    );
}

#[tokio::test]
async fn over_nats_a_poll_is_answered_where_it_awaits_its_answer() {
    let rig = Rig::start().await;
    let key = DeviceKey::from_seed(&KEY).public();
    let seen = Rc::new(Seen::default());
    let brokers = [address(&rig, Protocol::Nats)];
    let script = async {
        let mut heartbeats = rig.subscribe("picow.heartbeat").await;
        let mut answers = rig.subscribe("picow.*.read").await;
        let device = announced(&rig.next(&mut heartbeats).await);
        // Once it has answered, it has subscribed.
        rig.poll(&device, &mut answers, 1).await;
        let poll = fieldledger_wire::poll::Poll::numbered(2).payload();
        let asked = rig.client.request(device.poll.to_string(), poll.into());
        let answer = asked.await.unwrap();
        let reply = Reply::parse(&answer.payload).unwrap();
        assert_eq!(reply.poll, Some(2));
        reply.attested(device.id, key).unwrap();
    };
    beside(&brokers, &seen, script).await;
}

#[tokio::test]
async fn a_nats_broker_that_does_not_know_the_devices_nkey_is_passed_over_for_one_that_does() {
    let closed = || Rig::start_with(|options| options.access = Access::Field { open: false });
    let (stranger, own) = (closed().await, closed().await);
    let key = DeviceKey::from_seed(&KEY).public();
    let ids = [DEVICE_NUMBER, 0].map(|number| Uuid::from_bytes(derived_id(&key, number)));
    let user = NewUser {
        name: "counter".to_owned(),
        role: Role::Device { ids: ids.to_vec() },
        nkey: Some(NkeyPair::from_secret(&KEY).public_key().to_owned()),
        has_password: false,
    };
    let password = own.nats.options().users().add(user).unwrap();
    assert_eq!(password, None);
    let seen = Rc::new(Seen::default());
    let brokers = [&stranger, &own].map(|rig| address(rig, Protocol::Nats));
    let settings = Settings {
        nkey: true,
        prefix: "field",
        is_confined: true,
        ..settings(&brokers)
    };
    let script = async {
        let mut heartbeats = own.subscribe("field.*.heartbeat").await;
        let mut answers = own.subscribe("field.*.read").await;
        let device = announced(&own.next(&mut heartbeats).await);
        assert_eq!(device.id, ids[1]);
        let reply = own.poll(&device, &mut answers, 1).await;
        reply.attested(device.id, key).unwrap();
    };
    beside_one_of(&settings, &seen, script).await;
    assert_eq!(seen.connections.get(), 1);
}

#[tokio::test]
async fn mqtt_brokers_that_talk_nonsense_or_hang_up_are_passed_over() {
    passed_over(
        Protocol::Mqtt,
        &[
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &[0x20, 2, 0, 5],
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff],
            b"",
        ],
    )
    .await;
}

#[tokio::test]
async fn nats_brokers_that_talk_nonsense_or_hang_up_are_passed_over() {
    passed_over(
        Protocol::Nats,
        &[
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"INFO {}\r\n",
            b"INFO {\"max_payload\":9,\"tls_required\":true}\r\n",
            b"INFO {\"max_payload\":9}\r\n-ERR 'Authorization Violation'\r\n",
            b"",
        ],
    )
    .await;
}

/// Each of these is what one broker says, before one that means well.
async fn passed_over(protocol: Protocol, said: &[&'static [u8]]) {
    let rig = Rig::start().await;
    let seen = Rc::new(Seen::default());
    let mut brokers = Vec::new();
    let mut bad = tokio::task::JoinSet::new();
    for bytes in said.iter().copied() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        brokers.push(format!("{}127.0.0.1:{port}", protocol.scheme()));
        bad.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A NATS broker speaks first.
            if protocol == Protocol::Mqtt {
                let mut first = [0; 14];
                stream.read_exact(&mut first).await.unwrap();
                assert_eq!(first[4..9], *b"MQTT\x04");
            }
            stream.write_all(bytes).await.unwrap();
        });
    }
    brokers.push(address(&rig, protocol));
    let script = async {
        let mut heartbeats = rig.subscribe("picow.heartbeat").await;
        rig.next(&mut heartbeats).await;
        // Each was tried.
        while let Some(done) = bad.join_next().await {
            done.unwrap();
        }
    };
    beside(&brokers, &seen, script).await;
    assert_eq!(seen.connections.get(), 1);
}

#[tokio::test]
async fn what_a_board_keeps_is_sent_after_a_restart() {
    let mut rig = Rig::start().await;
    let key = DeviceKey::from_seed(&KEY).public();
    let seen = Rc::new(Seen::default());
    let brokers = [address(&rig, Protocol::Mqtt)];
    rig.nats.kill9().await;
    let enough = || seen.kept_of_first_boot().len() >= 20;
    beside(&brokers, &seen, until("20 readings", enough)).await;
    // That device is gone now, and its ring with it.
    let kept = seen.kept_of_first_boot();
    assert!(kept.iter().copied().eq(0..kept.len() as u64));

    seen.restarts.set(1);
    rig.nats.restart().await.unwrap();
    let script = async {
        let mut heartbeats = rig.subscribe("picow.heartbeat").await;
        let mut history = rig.subscribe("picow.*.history").await;
        let device = announced(&rig.next(&mut heartbeats).await);
        assert_eq!(device.identity.clone().unwrap().boot, "b2");
        let mut numbers = BTreeSet::new();
        while numbers.len() < kept.len() {
            let message = rig.next(&mut history).await;
            let bulk = Bulk::parse(&message.payload).unwrap();
            bulk.attested(device.id, key).unwrap();
            if bulk.boot == "b1" {
                numbers.extend(bulk.readings.iter().map(|reading| reading.seq));
            }
            rig.acknowledge(&device, &bulk).await;
        }
        assert!(numbers.iter().eq(&kept));
        until("the end of the first boot", || {
            seen.kept_of_first_boot().is_empty()
        })
        .await;
    };
    beside(&brokers, &seen, script).await;
}

#[tokio::test]
async fn a_board_that_was_sent_elsewhere_goes_there_after_a_restart() {
    let (first, second) = (Rig::start().await, Rig::start().await);
    let seen = Rc::new(Seen::default());
    // What it is sent may speak otherwise.
    let brokers = [address(&first, Protocol::Mqtt)];
    let mut at_second = second.subscribe("picow.heartbeat").await;
    let script = async {
        let mut at_first = first.subscribe("picow.heartbeat").await;
        let _ = announced(&first.next(&mut at_first).await);
        let list = json!({"version": 1, "brokers": [address(&second, Protocol::Nats)]}).to_string();
        let topic = command_topic().replace("command", "brokers");
        first.client.publish(topic, list.into()).await.unwrap();
        let moved = announced(&second.next(&mut at_second).await);
        assert_eq!(moved.identity.unwrap().boot, "b1");
    };
    beside(&brokers, &seen, script).await;
    seen.restarts.set(1);
    let script = async {
        let mut boot = "b1".to_owned();
        while boot == "b1" {
            let device = announced(&second.next(&mut at_second).await);
            boot = device.identity.unwrap().boot;
        }
        assert_eq!(boot, "b2");
    };
    beside(&brokers, &seen, script).await;
    assert_eq!(seen.connections.get(), 3);
}

#[tokio::test]
async fn a_valve_closes_in_time_while_an_mqtt_broker_keeps_the_device_waiting() {
    a_valve_closes_in_time_while_a_broker_keeps_the_device_waiting(Protocol::Mqtt).await;
}

#[tokio::test]
async fn a_valve_closes_in_time_while_a_nats_broker_keeps_the_device_waiting() {
    a_valve_closes_in_time_while_a_broker_keeps_the_device_waiting(Protocol::Nats).await;
}

async fn a_valve_closes_in_time_while_a_broker_keeps_the_device_waiting(protocol: Protocol) {
    let mut rig = Rig::start().await;
    let seen = Rc::new(Seen::default());
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let brokers = [
        address(&rig, protocol),
        format!("{}{}", protocol.scheme(), silent.local_addr().unwrap()),
    ];
    let script = async {
        let mut heartbeats = rig.subscribe("picow.heartbeat").await;
        rig.next(&mut heartbeats).await;
        open_valve(&rig, 2_000).await;
        rig.nats.kill9().await;
        let (_stream, _) = silent.accept().await.unwrap();
        let is_closed = || seen.outputs.borrow().len() == 3;
        assert!(!is_closed(), "it is open still");
        until("the end of the command", is_closed).await;
    };
    beside(&brokers, &seen, script).await;
    let outputs = seen.outputs.borrow();
    let values: Vec<Value> = outputs.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [false, true, false].map(Value::Switch));
    let open = outputs[2].0 - outputs[1].0;
    // The broker would have been given up after ten seconds.
    assert!((1_900..6_000).contains(&open.as_millis()), "{open:?}");
}
