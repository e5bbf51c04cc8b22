//! The program of `firmware/emulated` on an emulated microcontroller, with settings from this program,
//! against a real nats-server, over MQTT and over NATS. It needs `cargo xtask firmware` and `cargo xtask setup` to have run.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fieldledger_attest::identity::PublicKey;
use fieldledger_attest::reading::Clock;
use fieldledger_device::sensor::{DEVICE_NUMBER, derived_id};
use fieldledger_drive::address::Protocol;
use fieldledger_rig::{PATIENCE, Rig, announced};
use fieldledger_site::{Access, Artifacts, Emulator, HOST_OF_EMULATOR, NewUser, Role};
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::heartbeat::Device;
use serde_json::{Value, json};
use uuid::Uuid;

/// Readings that arrive as history, before the test is content.
const MISSED: usize = 5;

fn provision(folder: &Path, config: &str) -> Output {
    let file = folder.join("board.yaml");
    std::fs::write(&file, config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_fieldledger-provision"))
        .args(["settings", "--format", "bin", "--config"])
        .arg(&file)
        .arg("--key")
        .arg(folder.join("key"))
        .arg("--output")
        .arg(folder.join("record"))
        .output()
        .unwrap()
}

/// Where the emulator finds the broker.
fn broker(rig: &Rig, protocol: Protocol) -> String {
    let port = match protocol {
        Protocol::Mqtt => rig.mqtt_port,
        Protocol::Nats => rig.nats.options().port,
    };
    format!("{}{HOST_OF_EMULATOR}:{port}", protocol.scheme())
}

/// What an installer is to enrol, as it was printed.
struct Printed(String);

impl Printed {
    fn value(&self, name: &str) -> &str {
        let mut lines = self.0.lines();
        lines
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
    }

    fn key(&self) -> PublicKey {
        self.value("key ").parse().unwrap()
    }
}

/// Writes the settings of a board with two sensors, as an installer would.
fn provisioned(rig: &Rig, protocol: Protocol) -> Printed {
    let broker = broker(rig, protocol);
    written(
        rig,
        &format!(
            "brokers: ['{broker}']
heartbeat_interval_ms: 1000
history_patience_ms: 1000
sensors:
  - {{ alias: Wave A, location: Emulator, poll_interval_ms: 300 }}
  - {{ alias: Wave B, location: Emulator, poll_interval_ms: 500 }}
"
        ),
    )
}

fn written(rig: &Rig, config: &str) -> Printed {
    let output = provision(rig.folder.path(), config);
    assert!(output.status.success(), "{output:?}");
    Printed(String::from_utf8(output.stdout).unwrap())
}

fn record(rig: &Rig) -> PathBuf {
    rig.folder.path().join("record")
}

fn start(rig: &Rig, settings: Option<&Path>) -> Emulator {
    let program = Artifacts::of_checkout().emulated_firmware();
    Emulator::start("device", &program, settings, rig.folder.path()).unwrap()
}

/// Both sensors, as they announce themselves.
async fn both(rig: &Rig, heartbeats: &mut async_nats::Subscriber) -> [Device; 2] {
    let mut found: BTreeMap<String, Device> = BTreeMap::new();
    while found.len() < 2 {
        let device = announced(&rig.next(heartbeats).await);
        found.insert(device.profile.alias.to_string(), device);
    }
    let mut found = found.into_values();
    [found.next().unwrap(), found.next().unwrap()]
}

#[tokio::test]
async fn over_mqtt_an_emulated_microcontroller_is_polled_and_sends_what_it_read_while_its_broker_was_away()
 {
    polled_and_sends_what_it_read_while_its_broker_was_away(Protocol::Mqtt).await;
}

#[tokio::test]
async fn over_nats_an_emulated_microcontroller_is_polled_and_sends_what_it_read_while_its_broker_was_away()
 {
    polled_and_sends_what_it_read_while_its_broker_was_away(Protocol::Nats).await;
}

async fn polled_and_sends_what_it_read_while_its_broker_was_away(protocol: Protocol) {
    let mut rig = Rig::start().await;
    let key = provisioned(&rig, protocol).key();
    let mut heartbeats = rig.subscribe("picow.heartbeat").await;
    let mut answers = rig.subscribe("picow.*.read").await;
    let mut history = rig.subscribe("picow.*.history").await;
    let mut emulator = start(&rig, Some(&record(&rig)));

    // It announces both sensors, under the key that it was given.
    let devices = both(&rig, &mut heartbeats).await;
    for (device, number) in devices.iter().zip(0..) {
        let identity = device.identity.as_ref().unwrap();
        assert_eq!(identity.key, key);
        assert_eq!(device.id.into_bytes(), derived_id(&key, number));
        assert_eq!(device.ip_addr.to_string(), "10.0.2.15");
    }
    let boot = devices[0].identity.as_ref().unwrap().boot.clone();

    // It answers polls, and every answer is signed and counted.
    let [device, _] = &devices;
    let mut values = BTreeMap::new();
    for number in 1..=3 {
        let reply = rig.poll(device, &mut answers, number).await;
        assert_eq!((reply.poll, &reply.boot), (Some(number), &boot));
        reply.attested(device.id, key).unwrap();
        values.insert(reply.seq.unwrap(), reply.value);
    }

    // It obeys a command, once.
    let mut acks = rig.subscribe("picow.*.command_ack").await;
    let id = Uuid::from_bytes(derived_id(&key, DEVICE_NUMBER));
    let command = json!({
        "boot": boot, "channel": "lamp", "epoch": 1, "seq": 1, "on": true, "for": 100,
    });
    for verdict in ["done", "repeated"] {
        let subject = format!("picow.{id}.command");
        let sent = rig.client.publish(subject, command.to_string().into());
        sent.await.unwrap();
        let ack: Value = serde_json::from_slice(&rig.next(&mut acks).await.payload).unwrap();
        assert_eq!(ack["verdict"], verdict);
    }

    // The broker is killed, and comes back: in the same boot, and with what was read meanwhile. From
    // the first number to the last none is missing.
    rig.nats.kill9().await;
    rig.nats.restart().await.unwrap();
    let polled = values.len();
    while values.len() < polled + MISSED {
        let message = rig.next(&mut history).await;
        let bulk = Bulk::parse(&message.payload).unwrap();
        assert_eq!(bulk.boot, boot);
        let sensor: Uuid = message.subject.split('.').nth(1).unwrap().parse().unwrap();
        let device = devices.iter().find(|device| device.id == sensor).unwrap();
        bulk.attested(sensor, key).unwrap();
        for reading in &bulk.readings {
            assert!(matches!(reading.clock, Clock::Uptime(_)));
            if sensor == devices[0].id {
                let known = values.insert(reading.seq, reading.value.clone());
                assert!(known.is_none_or(|known| known == reading.value));
            }
        }
        rig.acknowledge(device, &bulk).await;
    }
    assert!(
        values.keys().copied().eq(0..values.len() as u64),
        "{values:?}"
    );
    let reply = rig.poll(device, &mut answers, 77).await;
    reply.attested(device.id, key).unwrap();
    assert_eq!(reply.boot, boot);

    // Switched off and on again it is in another boot, and counts from zero.
    emulator.stop().await;
    let _emulator = start(&rig, Some(&record(&rig)));
    let again = loop {
        let device = announced(&rig.next(&mut heartbeats).await);
        let identity = device.identity.unwrap();
        if identity.boot != boot {
            break identity;
        }
    };
    assert_eq!(again.key, key);
}

#[tokio::test]
async fn over_mqtt_an_emulated_microcontroller_shows_its_password_and_is_kept_to_its_own_topics() {
    let rig = closed().await;
    // The key comes first: a user has the ids that follow from it.
    let key = provisioned(&rig, Protocol::Mqtt).key();
    let user = boiler(&key, None);
    let password = rig.nats.options().users().add(user).unwrap().unwrap();
    let file = rig.folder.path().join("password");
    std::fs::write(&file, &password).unwrap();
    let login = format!("{{ user: boiler, password_file: {file:?} }}");
    is_let_in(&rig, &key, Protocol::Mqtt, &login).await;
    assert!(!rig.device_says().contains(&password));
}

#[tokio::test]
async fn over_nats_an_emulated_microcontroller_proves_its_key_and_is_kept_to_its_own_subjects() {
    let rig = closed().await;
    let printed = provisioned(&rig, Protocol::Nats);
    let user = boiler(&printed.key(), Some(printed.value("nkey ").to_owned()));
    let password = rig.nats.options().users().add(user).unwrap();
    assert_eq!(password, None);
    is_let_in(&rig, &printed.key(), Protocol::Nats, "{ nkey: true }").await;
}

/// A broker that knows its users, and lets in nobody else.
async fn closed() -> Rig {
    Rig::start_with(|options| options.access = Access::Field { open: false }).await
}

/// The user of a board: it is let in by its nkey, or without one by a password.
fn boiler(key: &PublicKey, nkey: Option<String>) -> NewUser {
    let ids = [DEVICE_NUMBER, 0].map(|number| Uuid::from_bytes(derived_id(key, number)));
    NewUser {
        name: "boiler".to_owned(),
        role: Role::Device { ids: ids.to_vec() },
        has_password: nkey.is_none(),
        nkey,
    }
}

/// A board with this login announces itself on a subject of its own, and is polled there.
async fn is_let_in(rig: &Rig, key: &PublicKey, protocol: Protocol, login: &str) {
    let broker = broker(rig, protocol);
    let config = format!(
        "brokers: ['{broker}']
login: {login}
prefix: field
confined: true
sensors: [{{ alias: Wave, location: Emulator, poll_interval_ms: 500 }}]
"
    );
    written(rig, &config);
    let mut heartbeats = rig.subscribe("field.*.heartbeat").await;
    let mut answers = rig.subscribe("field.*.read").await;
    let _emulator = start(rig, Some(&record(rig)));
    let heartbeat = rig.next(&mut heartbeats).await;
    let device = announced(&heartbeat);
    let id = Uuid::from_bytes(derived_id(key, 0));
    let own = format!("field.{id}.heartbeat");
    assert_eq!((device.id, heartbeat.subject.as_str()), (id, own.as_str()));
    let reply = rig.poll(&device, &mut answers, 1).await;
    reply.attested(device.id, *key).unwrap();
}

#[tokio::test]
async fn without_settings_or_with_damaged_ones_it_ends_and_says_why() {
    let rig = Rig::start().await;
    provisioned(&rig, Protocol::Mqtt);
    let damaged = rig.folder.path().join("damaged");
    let mut bytes = std::fs::read(record(&rig)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    for (settings, complaint) in [
        (None, "there is no record"),
        (Some(damaged.as_path()), "record is damaged"),
    ] {
        let mut emulator = start(&rig, settings);
        let ended = tokio::time::timeout(PATIENCE, emulator.process.wait());
        let status = ended.await.unwrap().unwrap();
        assert_eq!(status.code(), Some(2));
        assert!(
            rig.device_says().contains(complaint),
            "{}",
            rig.device_says()
        );
    }
}

#[test]
fn settings_that_no_board_takes_are_not_written_and_those_that_are_are_secret() {
    let folder = tempfile::tempdir().unwrap();
    let sensor = "sensors: [{ alias: A, location: B, poll_interval_ms: 1000 }]";
    for (config, complaint) in [
        (
            format!("brokers: ['nats://a', 'mqtts://b']\n{sensor}"),
            "address does not begin with mqtt:// or nats://",
        ),
        (format!("brokers: []\n{sensor}"), "field brokers"),
        (
            format!("brokers: ['mqtt://a']\nprefix: a/b\n{sensor}"),
            "topic prefix",
        ),
        (
            format!("brokers: ['mqtt://a']\n{}", sensor.replace("1000", "99")),
            "poll_interval",
        ),
        (
            format!("brokers: ['mqtt://a']\nwifi: {{ ssid: a, passphrase: short }}\n{sensor}"),
            "field wifi",
        ),
    ] {
        let output = provision(folder.path(), &config);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains(complaint),
            "{said}"
        );
        assert!(!folder.path().join("record").exists());
    }
    let good = format!("brokers: ['mqtt://a', 'nats://b:4223']\n{sensor}");
    let output = provision(folder.path(), &good);
    assert!(output.status.success(), "{output:?}");
    let metadata = std::fs::metadata(folder.path().join("record")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), 4_096);
}
