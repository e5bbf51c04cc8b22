//! Devices that send as much as they can. Those beside them are read on, newcomers find their place, and
//! the disk that results are stored on does not fill up.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, ConnectOptions, jetstream};
use fieldledger_e2e::{
    device::{Device, heartbeat, sensor_id},
    plant::{PATIENCE, Plant, until},
};
use fieldledger_site::{
    Access, FieldUsers, NatsOptions, NatsServer, NewUser, Place, Role, find_nats_server, free_port,
};
use nkeys::KeyPair;
use rumqttc::{AsyncClient, ConnectionError, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const REFUSED: &str = "fieldledger_polling_heartbeats_rejected_total";

/// A device with a user, over NATS.
async fn let_in(plant: &Plant, users: &FieldUsers, name: &str, number: u32) -> Result<Client> {
    let key = KeyPair::new_user();
    users.add(NewUser {
        name: name.to_owned(),
        role: Role::Device {
            ids: vec![sensor_id(number).parse()?],
        },
        nkey: Some(key.public_key()),
        has_password: false,
    })?;
    let (url, seed) = (plant.site.nats_url(), key.seed()?);
    until("the user is let in", PATIENCE, async || {
        let options = ConnectOptions::with_nkey(seed.clone());
        Ok(options.connect(&url).await.ok())
    })
    .await
}

fn subject(number: u32, name: &str) -> String {
    format!("field.{}.{name}", sensor_id(number))
}

fn confined(number: u32) -> Value {
    let mut heartbeat = heartbeat(&sensor_id(number));
    heartbeat["poll_interval"] = json!(300);
    for name in ["poll", "read", "disconnect"] {
        heartbeat[format!("{name}_topic")] = json!(subject(number, name));
    }
    heartbeat
}

async fn honest(client: &Client, number: u32) -> Result<Device> {
    let announced = subject(number, "heartbeat");
    Device::start(client, &announced, &confined(number), |poll| {
        vec![poll.direct("\"11.5\"")]
    })
    .await
}

/// Publishes thousands a second until it is dropped.
struct Flood(JoinHandle<()>);

impl Flood {
    fn start(client: Client, mut next: impl FnMut() -> (String, String) + Send + 'static) -> Self {
        const AT_ONCE: usize = 200;
        Self(tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            loop {
                pace.tick().await;
                for _ in 0..AT_ONCE {
                    let (subject, payload) = next();
                    if client.publish(subject, payload.into()).await.is_err() {
                        return;
                    }
                }
            }
        }))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_floods_of_heartbeats_devices_are_read_and_new_ones_registered() -> Result<()> {
    let plant = Plant::start_with(|options| {
        options.set("nats-polling", "HEARTBEATS_PER_S", "20");
        options.set("nats-polling", "SENSORS_MAX", "30");
    })
    .await?;
    let users = plant.site.users();
    let press = let_in(&plant, &users, "press", 1).await?;
    let saw = let_in(&plant, &users, "saw", 2).await?;
    let intruder = let_in(&plant, &users, "intruder", 3).await?;
    let _press = honest(&press, 1).await?;
    until_read(&plant, 1).await?;

    let own = subject(3, "heartbeat");
    let _of_one = Flood::start(intruder, move || (own.clone(), "x".to_owned()));
    let open = async_nats::connect(plant.site.nats_url()).await?;
    let mut number = 1_000;
    let _of_many = Flood::start(open, move || {
        number += 1;
        let announced = heartbeat(&sensor_id(number)).to_string();
        ("sim.heartbeat".to_owned(), announced)
    });
    until("both floods have arrived", PATIENCE, async || {
        let refused = plant.api.metric(REFUSED).await?;
        let sensors = plant.api.get_json("/api/sensors?limit=100").await?;
        let sensors = sensors["sensors"].as_array().context("no sensors")?.len();
        ensure!(
            refused > 2_000.0 && sensors == 30,
            "{refused} refused, {sensors} sensors"
        );
        Ok(Some(()))
    })
    .await?;

    let _saw = honest(&saw, 2).await?;
    until_read(&plant, 2).await?;
    until_read(&plant, 1).await?;
    let sensor = format!("/api/sensors/{}", sensor_id(1));
    let sensor = plant.api.get_json(&sensor).await?;
    ensure!(sensor["liveness"] == "ok", "{sensor}");
    plant.finish().await;
    Ok(())
}

/// Waits until five more readings of a device's are in the log.
async fn until_read(plant: &Plant, number: u32) -> Result<()> {
    let count = async || {
        let readings = json!({"source": [sensor_id(number)], "status": ["SUCCESS"]});
        anyhow::Ok(plant.api.entries(readings).await?.len())
    };
    let before = count().await?;
    until(&format!("sensor {number} is read"), PATIENCE, async || {
        Ok((count().await? >= before + 5).then_some(()))
    })
    .await
}

/// Retained messages, sessions and what waits for a session that is gone: MQTT stores all of that.
#[tokio::test(flavor = "multi_thread")]
async fn what_mqtt_stores_is_bounded() -> Result<()> {
    const STORED_MAX: u64 = 16 << 20;
    const MESSAGES: u32 = 400;
    let folder = tempfile::tempdir()?;
    let listen = [127, 0, 0, 1].into();
    let mut server = NatsServer::start(NatsOptions {
        program: find_nats_server()?,
        listen,
        port: free_port(listen)?,
        mqtt_port: Some(free_port(listen)?),
        monitor_port: None,
        access: Access::Field { open: true },
        tls: None,
        place: Place::Alone,
        folder: folder.path().join("nats"),
        logs: folder.path().join("logs"),
    })
    .await?;
    let mqtt = server.options().mqtt_port.context("no MQTT")?;
    let mqtt = SocketAddr::new(listen, mqtt);
    let streams = jetstream::new(server.connect().await?);
    let stored = async |name: &str| {
        let stream = streams.get_stream(name).await?;
        anyhow::Ok(stream.cached_info().state.clone())
    };

    // Somebody subscribes with an acknowledgement, and does not come back.
    let mut gone = options("gone", mqtt);
    gone.set_clean_session(false);
    let (client, mut events) = AsyncClient::new(gone, 8);
    client.subscribe("sim/kept/#", QoS::AtLeastOnce).await?;
    acknowledged(&mut events, 1).await?;
    drop((client, events));
    let filling = vec![b'x'; 64 << 10];
    let (client, mut events) = AsyncClient::new(options("flood", mqtt), 1_000);
    for number in 0..MESSAGES {
        let topic = format!("sim/kept/{number}");
        client
            .publish(topic, QoS::AtLeastOnce, true, filling.clone())
            .await?;
    }
    acknowledged(&mut events, MESSAGES as usize).await?;
    for name in ["$MQTT_rmsgs", "$MQTT_msgs"] {
        let state = stored(name).await?;
        ensure!(
            state.bytes <= STORED_MAX && state.last_sequence >= u64::from(MESSAGES),
            "{name}: {state:?}"
        );
    }

    // Others have their sessions and messages all the same, and results their stream.
    let (client, mut events) = AsyncClient::new(options("honest", mqtt), 8);
    client.subscribe("sim/poll/x", QoS::AtLeastOnce).await?;
    client
        .publish("sim/poll/x", QoS::AtLeastOnce, false, "1")
        .await?;
    acknowledged(&mut events, 2).await?;
    // A start finds the streams as they are.
    server.restart().await?;
    ensure!(stored("$MQTT_rmsgs").await?.bytes <= STORED_MAX);
    let (client, mut events) = AsyncClient::new(options("honest", mqtt), 8);
    client
        .publish("sim/poll/x", QoS::AtLeastOnce, false, "1")
        .await?;
    acknowledged(&mut events, 1).await?;
    server.stop().await;
    Ok(())
}

fn options(client_id: &str, address: SocketAddr) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, address.ip().to_string(), address.port());
    options.set_max_packet_size(1 << 20, 1 << 20);
    options
}

/// Waits until the server has acknowledged so much.
async fn acknowledged(events: &mut rumqttc::EventLoop, count: usize) -> Result<()> {
    let all = async {
        let mut acknowledged = 0;
        while acknowledged < count {
            let packet = events.poll().await?;
            let is_one = matches!(
                packet,
                rumqttc::Event::Incoming(Packet::PubAck(_) | Packet::SubAck(_))
            );
            acknowledged += usize::from(is_one);
        }
        Ok::<(), ConnectionError>(())
    };
    tokio::time::timeout(PATIENCE, all).await??;
    Ok(())
}
