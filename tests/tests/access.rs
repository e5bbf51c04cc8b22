//! A device that tries to be more than itself: other devices, the streams, the lattice. All of it is
//! refused or without effect, and honest devices are read on.
#![forbid(unsafe_code)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::{Client, ConnectOptions, Event};
use fieldledger_e2e::{
    device::{Device, heartbeat, sensor_id},
    plant::{PATIENCE, Plant, until},
};
use fieldledger_site::{
    Access, FieldUsers, NatsOptions, NatsServer, NewUser, Place, Role, find_nats_server, free_port,
};
use futures::StreamExt as _;
use nkeys::KeyPair;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, LastWill, MqttOptions, Packet, QoS,
    SubscribeReasonCode,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What the honest devices measure, so that anything else is somebody else's.
const HONEST: &str = "11.5";

/// In every payload of an intruder's.
const MARK: &str = "66.6";

/// A user of the field's server with all that it takes to be it.
struct User {
    id: String,
    name: String,
    seed: String,
    password: String,
}

impl User {
    fn add(users: &FieldUsers, name: &str, number: u32) -> Result<Self> {
        let key = KeyPair::new_user();
        let id = sensor_id(number);
        let password = users.add(NewUser {
            name: name.to_owned(),
            role: Role::Device {
                ids: vec![id.parse()?],
            },
            nkey: Some(key.public_key()),
            has_password: true,
        })?;
        Ok(Self {
            id,
            name: name.to_owned(),
            seed: key.seed()?,
            password: password.context("no password")?,
        })
    }

    fn subject(&self, name: &str) -> String {
        format!("field.{}.{name}", self.id)
    }

    fn topic(&self, name: &str) -> String {
        format!("field/{}/{name}", self.id)
    }

    fn heartbeat(&self) -> Value {
        let mut heartbeat = heartbeat(&self.id);
        for name in ["poll", "read", "disconnect"] {
            heartbeat[format!("{name}_topic")] = json!(self.topic(name));
        }
        heartbeat["alias"] = json!(self.name);
        heartbeat
    }

    fn mqtt(&self, address: SocketAddr, client_id: &str) -> MqttOptions {
        let mut options = MqttOptions::new(client_id, address.ip().to_string(), address.port());
        options.set_credentials(&self.name, &self.password);
        options
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_cannot_be_more_than_itself() -> Result<()> {
    let plant = Plant::start().await?;
    let users = plant.site.users();
    let press = User::add(&users, "press", 1)?;
    let saw = User::add(&users, "saw", 2)?;
    let intruder = User::add(&users, "intruder", 3)?;
    let mqtt = plant.site.mqtt_address();

    // The server reads its users again when it gets round to it, and closes what connects meanwhile.
    until("the last user is let in", PATIENCE, async || {
        let url = plant.site.nats_url();
        Ok(nats(&url, &intruder, &Complaints::default()).await.ok())
    })
    .await?;
    let everything = Everything::heard(&plant).await?;

    // Both kinds of honest device, over NATS and over MQTT.
    let client = nats(&plant.site.nats_url(), &press, &Complaints::default()).await?;
    let answer = json!({"value": HONEST}).to_string();
    let announced = (press.subject("heartbeat"), press.heartbeat());
    let _press = Device::start(&client, &announced.0, &announced.1, move |poll| {
        vec![poll.direct(answer.clone())]
    })
    .await?;
    let _saw = MqttDevice::start(saw.mqtt(mqtt, "saw"), &saw);
    for user in [&press, &saw] {
        until_read_again(&plant, user).await?;
    }

    over_nats(&plant, &intruder, &press).await?;
    over_mqtt(mqtt, &intruder, &saw).await?;
    under_the_name_of_another(&plant, &intruder, &saw).await?;
    in_the_open_field(&plant, &press).await?;
    on_the_lattice(&plant, &intruder).await?;

    let forged = everything.with_mark();
    // What came over MQTT with an acknowledgement is there a second time, in the stream of the gateway.
    let own = intruder.subject("read");
    let expected = [format!("$MQTT.msgs.{own}"), own];
    ensure!(forged == expected, "{forged:?}");
    for user in [&press, &saw] {
        until_read_again(&plant, user).await?;
        let sensor = plant
            .api
            .get_json(&format!("/api/sensors/{}", user.id))
            .await?;
        ensure!(sensor["alias"] == user.name, "{sensor}");
        let all = json!({"source": [user.id], "status": ["SUCCESS"]});
        for entry in plant.api.entries(all).await? {
            ensure!(entry.reading()?["raw"] == HONEST, "{:?}", entry.envelope);
        }
    }
    removed(&plant, &users, &press).await?;
    // The users have changed four times, and nobody else was thrown out for that.
    let log = fs::read_to_string(plant.path("logs/host.log"))?;
    let connected = log.matches("connected to NATS").count();
    ensure!(
        connected == 1,
        "the polling provider has connected {connected} times"
    );
    nothing_secret_is_shown(&plant, &[&press, &saw, &intruder])?;
    plant.finish().await;
    Ok(())
}

/// Waits until two more readings of the device's are in the log.
async fn until_read_again(plant: &Plant, user: &User) -> Result<()> {
    let count = async || {
        let readings = json!({"source": [user.id], "status": ["SUCCESS"]});
        let found = plant.api.entries(readings).await?;
        anyhow::Ok(found.len())
    };
    let before = count().await?;
    until(&format!("{} is read", user.name), PATIENCE, async || {
        Ok((count().await? >= before + 2).then_some(()))
    })
    .await
}

/// The subjects of all that is published in the field, with its payload.
struct Everything {
    heard: Arc<Mutex<Vec<(String, String)>>>,
    _task: JoinHandle<()>,
}

impl Everything {
    async fn heard(plant: &Plant) -> Result<Self> {
        let client = plant.nats().await?;
        let mut messages = client.subscribe(">").await?;
        client.flush().await?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let payload = String::from_utf8_lossy(&message.payload).into_owned();
                let subject = message.subject.to_string();
                into.lock().expect("no panic").push((subject, payload));
            }
            drop(client);
        });
        Ok(Self { heard, _task: task })
    }

    /// Where a marked message arrived.
    fn with_mark(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("no panic");
        let marked = heard.iter().filter(|(_, payload)| payload.contains(MARK));
        let mut subjects: Vec<String> = marked.map(|(subject, _)| subject.clone()).collect();
        subjects.sort();
        subjects.dedup();
        subjects
    }
}

/// What a server complains of.
#[derive(Clone, Default)]
struct Complaints(Arc<Mutex<Vec<String>>>);

impl Complaints {
    fn count(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }
}

async fn nats(url: &str, user: &User, complaints: &Complaints) -> Result<Client> {
    let options = ConnectOptions::with_nkey(user.seed.clone());
    listening(options, url, complaints).await
}

async fn listening(options: ConnectOptions, url: &str, complaints: &Complaints) -> Result<Client> {
    let complaints = complaints.clone();
    let options = options.event_callback(move |event| {
        if let Event::ServerError(error) = event {
            complaints
                .0
                .lock()
                .expect("no panic")
                .push(error.to_string());
        }
        std::future::ready(())
    });
    Ok(options.connect(url).await?)
}

/// Subjects that are none of a device's.
fn foreign(victim: &User) -> Vec<String> {
    let control = [
        "wasmbus.ctl.v1.default.host.ping",
        "wasmbus.evt.default.x",
        "default.audit-api.wrpc.0.0.1.fieldledger:audit/log@0.1.0.append",
        "wadm.api.default.model.get",
        "fieldledger.polls.x.0",
        "fieldledger.dead.x",
        "fieldledger.brokers.fieldledger-sensor_reader",
        "fieldledger.events",
        "events.audit",
        "sim.heartbeat",
        "picow.heartbeat",
        "field.heartbeat",
        "$JS.API.STREAM.DELETE.FIELDLEDGER_POLLS",
        "$JS.API.STREAM.PURGE.KV_FIELDLEDGER_SENSORS",
        "$JS.API.INFO",
        "$JS.ACK.FIELDLEDGER_POLLS.x",
        "$JS.ACK.FIELDLEDGER_EVENTS.event-logger.1.1.1.1.0",
        "$KV.FIELDLEDGER_SENSORS.x.y",
        "$SYS.REQ.SERVER.PING",
        "$MQTT.msgs.x",
        "$MQTT.sess.x",
        "_INBOX.x",
    ];
    let of_victim = [
        "heartbeat",
        "read",
        "history",
        "disconnect",
        "poll",
        "command",
        "brokers",
    ];
    let of_victim = of_victim.map(|name| victim.subject(name));
    control
        .map(str::to_owned)
        .into_iter()
        .chain(of_victim)
        .collect()
}

/// Publishes and subscribes wherever it should not be able to.
async fn over_nats(plant: &Plant, intruder: &User, victim: &User) -> Result<()> {
    let complaints = Complaints::default();
    let client = nats(&plant.site.nats_url(), intruder, &complaints).await?;
    let mut attempts = 0;
    for subject in foreign(victim) {
        client.publish(subject, MARK.into()).await?;
        attempts += 1;
    }
    let wildcards = [
        "", "wasmbus.", "$JS.", "$KV.", "$SYS.", "$MQTT.", "_INBOX.", "field.",
    ];
    let wildcards = wildcards.map(|prefix| format!("{prefix}>"));
    let more = ["field.*.read", "field.*.poll", "*.*.*", "sim.>", "picow.>"].map(str::to_owned);
    let mut subscriptions = Vec::new();
    for subject in foreign(victim).into_iter().chain(wildcards).chain(more) {
        subscriptions.push(client.subscribe(subject.clone()).await?);
        let queued = client
            .queue_subscribe(subject, "polling".to_owned())
            .await?;
        subscriptions.push(queued);
        attempts += 2;
    }
    until("the server refuses each of them", PATIENCE, async || {
        let refused = complaints.count();
        ensure!(refused == attempts, "{refused} of {attempts} refused");
        Ok(Some(()))
    })
    .await?;

    // Its own is heard, so the others would be; a poll of another's is answered to nobody.
    let mut own = client.subscribe(intruder.subject("poll")).await?;
    client
        .publish(intruder.subject("read"), MARK.into())
        .await?;
    client.flush().await?;
    let operator = plant.nats().await?;
    for subject in foreign(victim) {
        // These do what they say.
        let has_effect = subject.starts_with("$JS.API.STREAM")
            || subject.ends_with("heartbeat")
            || subject == victim.subject("poll")
            || subject == victim.subject("disconnect");
        if !has_effect {
            operator.publish(subject, "for others".into()).await?;
        }
    }
    operator
        .publish(intruder.subject("poll"), "for you".into())
        .await?;
    operator.flush().await?;
    let heard = tokio::time::timeout(PATIENCE, own.next()).await?;
    ensure!(heard.context("no poll")?.payload == "for you");
    for subscription in &mut subscriptions {
        let heard = futures::FutureExt::now_or_never(subscription.next()).flatten();
        ensure!(heard.is_none(), "{heard:?}");
    }

    // An impostor on its own subject is the provider's to refuse.
    is_rejected(
        plant,
        &client,
        intruder.subject("heartbeat"),
        &victim.heartbeat(),
    )
    .await?;

    let streams = async_nats::jetstream::new(operator);
    for stream in ["FIELDLEDGER_POLLS", "KV_FIELDLEDGER_SENSORS"] {
        streams.get_stream(stream).await?;
    }
    Ok(())
}

/// Announces a sensor and waits until the polling provider has refused that.
async fn is_rejected(
    plant: &Plant,
    client: &Client,
    subject: String,
    sensor: &Value,
) -> Result<()> {
    let metric = "fieldledger_polling_heartbeats_rejected_total";
    let before = plant.api.metric(metric).await?;
    client.publish(subject, sensor.to_string().into()).await?;
    client.flush().await?;
    until("the provider refuses the heartbeat", PATIENCE, async || {
        Ok((plant.api.metric(metric).await? > before).then_some(()))
    })
    .await
}

/// The same through the MQTT gateway, with retained messages and last wills.
async fn over_mqtt(address: SocketAddr, intruder: &User, victim: &User) -> Result<()> {
    for filter in [
        "#".to_owned(),
        "+/+/read".to_owned(),
        "field/#".to_owned(),
        "field/+/poll".to_owned(),
        "$JS/#".to_owned(),
        "$MQTT/#".to_owned(),
        "wasmbus/#".to_owned(),
        "sim/#".to_owned(),
        victim.topic("read"),
        victim.topic("poll"),
        victim.topic("command"),
    ] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let accepted = is_subscribed(intruder.mqtt(address, &unused()), &filter, qos).await?;
            ensure!(!accepted, "subscribed to {filter}");
        }
    }
    let own = intruder.topic("poll");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let options = intruder.mqtt(address, &unused());
        ensure!(is_subscribed(options, &own, qos).await?, "not even {own}");
    }

    for subject in foreign(victim) {
        let topic = subject.replace('.', "/");
        for (qos, retained) in [(QoS::AtMostOnce, false), (QoS::AtLeastOnce, true)] {
            let options = intruder.mqtt(address, &unused());
            publish(options, &topic, qos, retained, false).await?;
        }
    }
    for name in ["read", "disconnect"] {
        let mut options = intruder.mqtt(address, &unused());
        options.set_last_will(LastWill::new(
            victim.topic(name),
            MARK,
            QoS::AtLeastOnce,
            true,
        ));
        // Gone without a goodbye, so that the will is carried out.
        publish(
            options,
            &intruder.topic("read"),
            QoS::AtLeastOnce,
            false,
            true,
        )
        .await?;
    }
    Ok(())
}

/// A client id of its own for each connection: the server holds up and then closes one whose id was in use
/// a moment ago, which would pass for a refusal.
fn unused() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("intruder-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether the server accepts a subscription. It closes the connection of some who may not.
async fn is_subscribed(options: MqttOptions, filter: &str, qos: QoS) -> Result<bool> {
    let (client, mut events) = AsyncClient::new(options, 8);
    client.subscribe(filter, qos).await?;
    let suback = async {
        loop {
            match events.poll().await {
                Ok(rumqttc::Event::Incoming(Packet::SubAck(ack))) => {
                    let refused =
                        |code: &SubscribeReasonCode| *code == SubscribeReasonCode::Failure;
                    return Ok(!ack.return_codes.iter().any(refused));
                }
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(code)) => bail!("not let in: {code:?}"),
                Err(_) => return Ok(false),
            }
        }
    };
    tokio::time::timeout(PATIENCE, suback).await?
}

/// Publishes, and waits until the server has seen it: until it acknowledges a later message on the
/// client's own topic or closes the connection.
async fn publish(
    options: MqttOptions,
    topic: &str,
    qos: QoS,
    retained: bool,
    is_abrupt: bool,
) -> Result<()> {
    let (client, mut events) = AsyncClient::new(options, 8);
    client.publish(topic, qos, retained, MARK).await?;
    if !is_abrupt {
        client.disconnect().await?;
    }
    let seen = async {
        loop {
            match events.poll().await {
                Ok(rumqttc::Event::Incoming(Packet::PubAck(_))) if is_abrupt => return Ok(()),
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(code)) => bail!("not let in: {code:?}"),
                Err(_) => return Ok(()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await?
}

/// A wrong password, and another's client id with the own password.
async fn under_the_name_of_another(plant: &Plant, intruder: &User, victim: &User) -> Result<()> {
    let address = plant.site.mqtt_address();
    let mut wrong = intruder.mqtt(address, "wrong");
    for (user, password) in [
        (victim.name.as_str(), intruder.password.as_str()),
        (victim.name.as_str(), ""),
        ("operator", "operator"),
        ("open", ""),
        ("nobody", "x"),
    ] {
        wrong.set_credentials(user, password);
        ensure!(is_refused(wrong.clone()).await?, "{user} with {password:?}");
    }
    let url = plant.site.nats_url();
    let by_password = |user: &User, password: &str| {
        ConnectOptions::with_user_and_password(user.name.clone(), password.to_owned()).connect(&url)
    };
    ensure!(by_password(victim, &intruder.password).await.is_err());
    ensure!(by_password(victim, "").await.is_err());
    let stranger = KeyPair::new_user().seed()?;
    ensure!(
        ConnectOptions::with_nkey(stranger)
            .connect(&url)
            .await
            .is_err()
    );

    // Who knows a client id takes its connection, once, and hears nothing that is for the other.
    let mut options = intruder.mqtt(address, "saw");
    options.set_clean_session(false);
    let (_client, mut events) = AsyncClient::new(options, 8);
    let operator = plant.nats().await?;
    let heard = async {
        loop {
            match events.poll().await {
                Ok(rumqttc::Event::Incoming(Packet::ConnAck(ack))) => {
                    ensure!(ack.code == ConnectReturnCode::Success, "{ack:?}");
                    operator
                        .publish(victim.subject("poll"), "{\"poll\":0}".into())
                        .await?;
                }
                Ok(rumqttc::Event::Incoming(Packet::Publish(message))) => {
                    bail!("another's message: {message:?}")
                }
                Ok(_) => {}
                // The victim is back and takes the id again.
                Err(_) => return Ok(()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await?
}

async fn is_refused(options: MqttOptions) -> Result<bool> {
    let (_client, mut events) = AsyncClient::new(options, 8);
    match tokio::time::timeout(PATIENCE, events.poll()).await? {
        Ok(rumqttc::Event::Incoming(Packet::ConnAck(ack))) => {
            Ok(ack.code != ConnectReturnCode::Success)
        }
        Ok(other) => bail!("{other:?}"),
        Err(_) => Ok(true),
    }
}

/// Who names no user may speak in the open field, and nowhere else.
async fn in_the_open_field(plant: &Plant, victim: &User) -> Result<()> {
    let complaints = Complaints::default();
    let url = plant.site.nats_url();
    let client = listening(ConnectOptions::new(), &url, &complaints).await?;
    let mut attempts = 0;
    for subject in foreign(victim) {
        if subject.starts_with("sim.") || subject.starts_with("picow.") {
            continue;
        }
        client.publish(subject.clone(), MARK.into()).await?;
        drop(client.subscribe(subject).await?);
        attempts += 2;
    }
    for subject in [">", "field.>", "*.*.read"] {
        drop(client.subscribe(subject).await?);
        attempts += 1;
    }
    until("the server refuses each of them", PATIENCE, async || {
        let refused = complaints.count();
        ensure!(refused == attempts, "{refused} of {attempts} refused");
        Ok(Some(()))
    })
    .await?;
    // There anyone may say anything; the provider knows where the sensor lives.
    is_rejected(
        plant,
        &client,
        "sim.heartbeat".to_owned(),
        &heartbeat(&victim.id),
    )
    .await
}

/// The lattice has a server of its own, which knows nobody of the field.
async fn on_the_lattice(plant: &Plant, intruder: &User) -> Result<()> {
    let url = plant.site.lattice_nats.url();
    let operator = fs::read_to_string(plant.site.users().operator_seed())?;
    let intruders_password = (intruder.name.clone(), intruder.password.clone());
    for options in [
        ConnectOptions::new(),
        ConnectOptions::with_nkey(intruder.seed.clone()),
        ConnectOptions::with_user_and_password(intruders_password.0, intruders_password.1),
        ConnectOptions::with_nkey(operator),
    ] {
        ensure!(
            options.connect(&url).await.is_err(),
            "let in to the lattice"
        );
    }
    Ok(())
}

/// A user that is removed is thrown out at once; the others stay connected.
async fn removed(plant: &Plant, users: &FieldUsers, user: &User) -> Result<()> {
    let url = plant.site.nats_url();
    users.remove(&user.name)?;
    until("who was removed is refused", PATIENCE, async || {
        let refused = ConnectOptions::with_nkey(user.seed.clone())
            .connect(&url)
            .await;
        Ok(refused.is_err().then_some(()))
    })
    .await?;
    let path = format!("/api/sensors/{}", user.id);
    until("its sensor is down", PATIENCE, async || {
        Ok((plant.api.get_json(&path).await?["liveness"] == "down").then_some(()))
    })
    .await
}

/// No secret is in a log or on a command line, and files that hold one are their owner's alone.
fn nothing_secret_is_shown(plant: &Plant, users: &[&User]) -> Result<()> {
    let mut secrets: Vec<String> = Vec::new();
    for user in users {
        secrets.extend([user.seed.clone(), user.password.clone()]);
    }
    for file in [
        "nats/operator.nk",
        "nats/polling.nk",
        "nats/events.login",
        "nats/simulator.login",
        "lattice/lattice.creds",
    ] {
        let path = plant.path(file);
        let text = fs::read_to_string(&path).with_context(|| file.to_owned())?;
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{file} has mode {mode:o}");
        let words = text.split([':', '\n']).filter(|word| word.len() > 30);
        secrets.extend(words.filter(|word| !word.contains(' ')).map(str::to_owned));
    }
    ensure!(secrets.len() >= 12, "only {} secrets", secrets.len());
    let is_shown = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        secrets.iter().any(|secret| text.contains(secret.as_str()))
    };
    for entry in fs::read_dir(plant.path("logs"))? {
        let path = entry?.path();
        ensure!(
            !is_shown(&fs::read(&path)?),
            "{} holds a secret",
            path.display()
        );
    }
    for entry in fs::read_dir("/proc")? {
        let command = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let shown = String::from_utf8_lossy(&command).replace('\0', " ");
        ensure!(
            !is_shown(&command),
            "a command line holds a secret: {shown}"
        );
    }
    Ok(())
}

/// A device that answers over MQTT and comes back when its connection is lost.
struct MqttDevice(JoinHandle<()>);

impl MqttDevice {
    fn start(options: MqttOptions, user: &User) -> Self {
        let (client, mut events) = AsyncClient::new(options, 64);
        let [poll, read, announce] = ["poll", "read", "heartbeat"].map(|name| user.topic(name));
        let heartbeat = user.heartbeat().to_string();
        Self(tokio::spawn(async move {
            loop {
                let said = match events.poll().await {
                    Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => {
                        let subscribed = client.subscribe(&poll, QoS::AtMostOnce).await;
                        match subscribed {
                            Ok(()) => say(&client, &announce, &heartbeat).await,
                            Err(error) => Err(error),
                        }
                    }
                    Ok(rumqttc::Event::Incoming(Packet::Publish(_))) => {
                        say(&client, &read, &json!({"value": HONEST}).to_string()).await
                    }
                    Ok(_) => Ok(()),
                    Err(_) => {
                        // What a device does between two attempts.
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        Ok(())
                    }
                };
                if said.is_err() {
                    return;
                }
            }
        }))
    }
}

impl Drop for MqttDevice {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn say(client: &AsyncClient, topic: &str, text: &str) -> Result<(), rumqttc::ClientError> {
    client.publish(topic, QoS::AtMostOnce, false, text).await
}

#[tokio::test]
async fn a_closed_field_lets_nobody_in_who_names_no_user() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = NatsServer::start(options(folder.path(), false)?).await?;
    let users = server.options().users();
    let device = User::add(&users, "press", 1)?;
    let mqtt = SocketAddr::new(
        server.options().listen,
        server.options().mqtt_port.context("no MQTT")?,
    );
    let nobody = MqttOptions::new("nobody", mqtt.ip().to_string(), mqtt.port());
    ensure!(is_refused(nobody).await?, "let in over MQTT");
    ensure!(async_nats::connect(server.url()).await.is_err(), "let in");
    let url = server.url();
    until("the new user is let in", PATIENCE, async || {
        Ok(nats(&url, &device, &Complaints::default()).await.ok())
    })
    .await?;
    let own = device.topic("poll");
    let options = device.mqtt(mqtt, "press");
    ensure!(is_subscribed(options, &own, QoS::AtMostOnce).await?);
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_field_logs_in_where_the_field_is_closed() -> Result<()> {
    let plant = Plant::start_with(|options| options.open_field = false).await?;
    for protocol in ["nats", "mqtt"] {
        let arguments = [
            "--protocol",
            protocol,
            "--sensors",
            "4",
            "--interval",
            "300",
        ];
        let arguments = [&arguments[..], &["--polls", "3", "--no-faulty"]].concat();
        let mut simulator = plant.site.start_simulator(protocol, &arguments).await?;
        let status = tokio::time::timeout(PATIENCE, simulator.process.wait()).await??;
        let tail = simulator.process.log_tail();
        ensure!(status.success(), "{protocol} ended with {status}: {tail}");
    }
    plant.finish().await;
    Ok(())
}

#[tokio::test]
async fn batches_of_a_server_without_accounts_are_found_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let open = options(folder.path(), true)?;
    let mut server = NatsServer::start(NatsOptions {
        access: Access::Anyone,
        ..open.clone()
    })
    .await?;
    let streams = async_nats::jetstream::new(server.connect().await?);
    let config = async_nats::jetstream::stream::Config {
        name: "FIELDLEDGER_POLLS".to_owned(),
        subjects: vec!["fieldledger.polls.>".to_owned()],
        ..Default::default()
    };
    streams.create_stream(config).await?;
    streams
        .publish("fieldledger.polls.x.0", "a batch".into())
        .await?
        .await?;
    server.stop().await;
    let mut server = NatsServer::start(open).await?;
    let streams = async_nats::jetstream::new(server.connect().await?);
    let mut found = streams.get_stream("FIELDLEDGER_POLLS").await?;
    ensure!(found.info().await?.state.messages == 1);
    server.stop().await;
    Ok(())
}

fn options(folder: &Path, open: bool) -> Result<NatsOptions> {
    let listen = [127, 0, 0, 1].into();
    Ok(NatsOptions {
        program: find_nats_server()?,
        listen,
        port: free_port(listen)?,
        mqtt_port: Some(free_port(listen)?),
        monitor_port: None,
        access: Access::Field { open },
        tls: None,
        place: Place::Alone,
        folder: folder.join("nats"),
        logs: folder.join("logs"),
    })
}
