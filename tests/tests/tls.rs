//! A field that speaks TLS only: it is read as any other, and nobody gets in, or sends a secret, without.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::{ConnectOptions, jetstream};
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use fieldledger_site::{
    Access, Artifacts, BrokerList, FieldAddress, FieldAuthority, FieldOperator, Leaf, NatsOptions,
    NatsServer, NewUser, Place, Process, Role, find_nats_server, free_port,
};
use futures::StreamExt as _;
use rumqttc::{AsyncClient, MqttOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use uuid::Uuid;

/// As wadm names the component that the provider is linked to.
const INSTANCE: &str = "fieldledger-sensor_reader";

#[tokio::test(flavor = "multi_thread")]
async fn a_field_with_tls_is_read_and_gives_nobody_a_secret() -> Result<()> {
    let mut plant = Plant::start_with(|options| options.tls = true).await?;
    let arguments = ["--sensors", "2", "--interval", "300", "--no-faulty"];
    let simulated = "SIMULATION-Conveyor Belt 1";
    let _field = plant.site.start_simulator("field", &arguments).await?;
    let tap = Tap::to(plant.site.mqtt_address()).await?;
    let device = DeviceProgram::install(&plant, tap.address).await?;

    // A broker with a certificate of another authority is sent nothing, and least of all a password.
    let other = FieldAuthority::of(&plant.path("other"));
    other.prepare()?;
    let process = device.start("doubtful", &other)?;
    until("the device refuses the broker", PATIENCE, async || {
        Ok(says(&process, "UnknownIssuer").then_some(()))
    })
    .await?;
    drop(process);
    ensure!(!tap.heard().is_empty(), "the device never tried");

    let authority = plant.site.authority().context("no authority")?.clone();
    let mut process = device.start("device", &authority)?;
    until_read(&plant, &device.sensor).await?;
    until_read_at(&plant, simulated).await?;
    ensure!(!tap.heard_text(&device.password), "a password was readable");
    without_tls(&plant, &device, &tap).await?;
    no_streams_without_bound(&plant).await?;
    an_event_arrives(&plant).await?;

    // Another name that the certificate has; who stands between could strip the `tls://`.
    let operator = FieldAddress::read(&plant.path("nats"))?.context("no address")?;
    let seed = plant.site.users().operator_seed();
    let operator =
        FieldOperator::connect(&operator.nats, &seed, operator.tls_ca.as_deref()).await?;
    let elsewhere = plant.site.nats_url();
    let elsewhere = elsewhere
        .replace("127.0.0.1", "localhost")
        .replace("tls://", "nats://");
    let list = BrokerList {
        version: 1,
        brokers: vec![elsewhere.clone()],
        by: "eva".to_owned(),
        reason: String::new(),
    };
    let answer = operator.send_to_provider(INSTANCE, &list).await?;
    ensure!(answer.taken && answer.server == elsewhere, "{answer:?}");
    until_read(&plant, &device.sensor).await?;

    // It comes back with another certificate, of the same authority.
    let certificate = fs::read(plant.path("nats/server.pem"))?;
    plant.site.nats.kill9().await;
    plant.site.nats.restart().await?;
    ensure!(fs::read(plant.path("nats/server.pem"))? != certificate);
    until_read(&plant, &device.sensor).await?;
    until_read_at(&plant, simulated).await?;
    ensure!(process.ended().is_none(), "the device has ended");
    ensure!(!tap.heard_text(&device.password), "a password was readable");
    plant.finish().await;
    Ok(())
}

/// Waits until three more readings of a sensor are in the log.
async fn until_read(plant: &Plant, sensor: &str) -> Result<()> {
    until_more(plant, json!({"source": [sensor], "status": ["SUCCESS"]})).await
}

/// The same of the sensors at a place.
async fn until_read_at(plant: &Plant, location: &str) -> Result<()> {
    until_more(plant, json!({"target": [location], "status": ["SUCCESS"]})).await
}

async fn until_more(plant: &Plant, wanted: Value) -> Result<()> {
    let count = async || anyhow::Ok(plant.api.entries(wanted.clone()).await?.len());
    let before = count().await?;
    until(&format!("{wanted} is read"), PATIENCE, async || {
        Ok((count().await? >= before + 3).then_some(()))
    })
    .await
}

/// A client that speaks no TLS, or trusts only the public authorities, does not get in.
async fn without_tls(plant: &Plant, device: &DeviceProgram, tap: &Tap) -> Result<()> {
    let nats = SocketAddr::from((Ipv4Addr::LOCALHOST, plant.site.options().nats_port));
    let mut stream = TcpStream::connect(nats).await?;
    stream.write_all(b"CONNECT {}\r\nPING\r\n").await?;
    let mut said = Vec::new();
    // To the end: the server closes it.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await?;
    let said = String::from_utf8_lossy(&said);
    ensure!(
        said.starts_with("INFO ") && said.contains("\"tls_required\":true"),
        "{said}"
    );
    ensure!(!said.contains("PONG"), "{said} {read:?}");
    let url = plant.site.nats_url();
    let as_device = || {
        let (user, password) = (device.user.clone(), device.password.clone());
        ConnectOptions::with_user_and_password(user, password)
    };
    let refused = as_device().connect(&url).await;
    ensure!(refused.is_err(), "let in without the authority");
    // It is the same user that gets in with it.
    let authority = plant.site.authority().context("no authority")?;
    authority.required_by(as_device()).connect(&url).await?;

    // Such a device sends its password all the same, which is why this can be seen at all.
    let mut options = MqttOptions::new("plain", tap.address.ip().to_string(), tap.address.port());
    options.set_credentials(&device.user, &device.password);
    let (_client, mut events) = AsyncClient::new(options, 8);
    let heard = tokio::time::timeout(PATIENCE, events.poll()).await?;
    ensure!(heard.is_err(), "let in over MQTT without TLS: {heard:?}");
    until("the password was readable", PATIENCE, async || {
        Ok(tap.heard_text(&device.password).then_some(()))
    })
    .await?;
    tap.forget();
    Ok(())
}

/// What MQTT stores is bounded here as well.
async fn no_streams_without_bound(plant: &Plant) -> Result<()> {
    let streams = jetstream::new(plant.nats().await?);
    for name in ["sess", "rmsgs", "msgs", "out", "qos2in"] {
        let stream = streams.get_stream(format!("$MQTT_{name}")).await?;
        let bound = stream.cached_info().config.max_bytes;
        ensure!(bound == 16 << 20, "{name}: {bound}");
    }
    Ok(())
}

/// The event logger hears programs.
async fn an_event_arrives(plant: &Plant) -> Result<()> {
    let client = plant.nats().await?;
    let event = json!({"message": "signed in", "action": "LOGIN"}).to_string();
    client.publish("events.audit", event.into()).await?;
    client.flush().await?;
    until("the event is in the log", PATIENCE, async || {
        let found = plant.api.entries(json!({"action": ["LOGIN"]})).await?;
        Ok((found.len() == 1).then_some(()))
    })
    .await
}

fn says(process: &Process, what: &str) -> bool {
    fs::read_to_string(process.log()).is_ok_and(|text| text.contains(what))
}

/// `fieldledger-device`, with a user of its own.
struct DeviceProgram {
    folder: PathBuf,
    program: PathBuf,
    broker: SocketAddr,
    user: String,
    password: String,
    sensor: String,
}

impl DeviceProgram {
    /// Makes its key, and lets it in.
    async fn install(plant: &Plant, broker: SocketAddr) -> Result<Self> {
        let program = Artifacts::locate()?.device();
        let folder = plant.path("device");
        fs::create_dir(&folder)?;
        let output = Command::new(&program)
            .args(["keygen", "--key"])
            .arg(folder.join("key"))
            .output()
            .await
            .with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout)?;
        let value = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .with_context(|| format!("no {name} in {printed}"))
        };
        let sensor = value("sensor 0 ")?;
        let ids = [value("device ")?.parse::<Uuid>()?, sensor.parse()?];
        let password = plant.site.users().add(NewUser {
            name: "boiler".to_owned(),
            role: Role::Device { ids: ids.to_vec() },
            nkey: None,
            has_password: true,
        })?;
        let password = password.context("no password")?;
        let path = folder.join("password");
        fs::write(&path, &password)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self {
            folder,
            program,
            broker,
            user: "boiler".to_owned(),
            password,
            sensor,
        })
    }

    /// Starts it, as one that trusts this authority.
    fn start(&self, name: &str, authority: &FieldAuthority) -> Result<Process> {
        let config = self.folder.join(format!("{name}.yaml"));
        let settings = format!(
            "brokers: [mqtts://{broker}]\n\
             login: {{ user: {user}, password_file: {password:?} }}\n\
             tls_ca: {authority:?}\n\
             prefix: field\n\
             confined: true\n\
             key: {key:?}\n\
             heartbeat_interval_ms: 1000\n\
             sensors:\n\
             \x20 - {{ source: !simulated {{ mean: 21.5, deviation: 0.5, unit: Cel }}, poll_interval_ms: 300 }}\n",
            broker = self.broker,
            user = self.user,
            password = self.folder.join("password"),
            authority = authority.certificate(),
            key = self.folder.join("key"),
        );
        fs::write(&config, settings)?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--config"]).arg(config);
        Ok(Process::start(name, command, &self.folder)?)
    }
}

/// A TCP relay on loopback that keeps what clients say.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    async fn to(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let record = Arc::clone(&record);
                tokio::spawn(async move {
                    // Ends with either side, as the connection itself would.
                    let Ok(far) = TcpStream::connect(to).await else {
                        return;
                    };
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    tokio::select! {
                        () = pass(near_in, far_out, Some(record)) => {}
                        () = pass(far_in, near_out, None) => {}
                    }
                });
            }
        });
        Ok(Self { address, heard })
    }

    fn heard(&self) -> Vec<u8> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }

    fn heard_text(&self, text: &str) -> bool {
        let heard = self.heard();
        heard
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    }

    fn forget(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clear();
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    record: Option<Arc<Mutex<Vec<u8>>>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if let Some(record) = &record {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.extend_from_slice(&buffer[..length]);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Servers of other sites join that of the centre where both want TLS and one trusts the other, or where
/// none wants it.
#[tokio::test]
async fn leaf_nodes_of_the_field_speak_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = |name: &str| FieldAuthority::of(&folder.path().join(name));
    let (ours, others) = (authority("ours"), authority("others"));
    others.prepare()?;
    for (site, of_hub, of_leaf, is_joined) in [
        ("plain", Some(&ours), None, false),
        ("doubtful", Some(&ours), Some(&others), false),
        ("lured", None, Some(&ours), false),
        ("north", Some(&ours), Some(&ours), true),
        ("open", None, None, true),
    ] {
        let folder = folder.path().join(site);
        let port = free_port(Ipv4Addr::LOCALHOST.into())?;
        let mut hub = server(&folder.join("hub"), of_hub, Place::Hub { port }).await?;
        let mut events = hub.connect().await?.subscribe("events.audit").await?;
        let leaf = Place::Leaf(Leaf {
            site: site.to_owned(),
            hub: (Ipv4Addr::LOCALHOST, port).into(),
            hub_folder: hub.options().folder.clone(),
        });
        let mut leaf = server(&folder, of_leaf, leaf).await?;
        let client = leaf.connect().await?;
        until(
            &format!("{site} is joined, or is not"),
            PATIENCE,
            async || {
                client.publish("events.audit", site.into()).await?;
                client.flush().await?;
                let heard = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
                // Until they are joined nobody hears it.
                if is_joined {
                    return Ok(heard.ok().map(drop));
                }
                ensure!(heard.is_err(), "{site} is heard");
                let log = fs::read_to_string(leaf.process.log())?;
                Ok(log.contains("TLS Handshake Failure").then_some(()))
            },
        )
        .await?;
        leaf.stop().await;
        hub.stop().await;
    }
    Ok(())
}

async fn server(
    folder: &Path,
    authority: Option<&FieldAuthority>,
    place: Place,
) -> Result<NatsServer> {
    let listen = Ipv4Addr::LOCALHOST.into();
    let server = NatsServer::start(NatsOptions {
        program: find_nats_server()?,
        listen,
        port: free_port(listen)?,
        mqtt_port: None,
        monitor_port: None,
        access: Access::Field { open: false },
        tls: authority.cloned(),
        place,
        folder: folder.join("nats"),
        logs: folder.join("logs"),
    });
    Ok(server.await?)
}
