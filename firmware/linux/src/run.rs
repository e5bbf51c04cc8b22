//! The device's loop: does what it says, and tells it what happens.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_device::brokers::{self, MAX_BROKERS};
use fieldledger_device::config::MAX_NAME_BYTES;
use fieldledger_device::sensor::{DEVICE_NUMBER, Profile, derived_id};
use fieldledger_device::topics::Style;
use fieldledger_device::{Action, Config, Device, Kept};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::clock::SystemClock;
use crate::held::HeldFile;
use crate::link::{Address, Event, Link, Login, Report};
use crate::sensors::LinuxSensor;
use crate::sent_brokers::SentBrokers;
use crate::settings::{SensorSettings, Settings};
use crate::{discovery, outputs};

/// Most sensors of a machine.
const SENSORS: usize = 16;

/// Readings that each sensor keeps through an outage: at one in ten seconds, 85 minutes.
const RING: usize = 512;

/// The largest message: 64 readings of history fit.
const MESSAGE: usize = 16_384;

/// Reports that may wait; while they do, connections pause.
const QUEUED_REPORTS: usize = 256;

type LinuxDevice = Device<LinuxSensor, SENSORS, RING, MESSAGE>;

/// Runs until it is told to stop; then leaves in good order, every output neutral.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let boot = format!("{:032x}", rand::random::<u128>());
    let mut device = device(&settings, &boot)?;
    let key = device.key();
    tracing::info!(%key, fingerprint = %key.fingerprint(), boot, "device starts");
    for sensor in device.sensors() {
        tracing::info!(sensor = %Uuid::from_bytes(sensor), "sensor");
    }
    let (reporter, mut reports) = mpsc::channel(QUEUED_REPORTS);
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut connection = Connection {
        login: Login::of(&settings)?,
        link: None,
        opened: 0,
        reporter,
    };
    let mut disk = Disk {
        readings: HeldFile::open(&settings.waiting()),
        brokers: SentBrokers::beside(&settings.waiting()),
    };
    if let Some(list) = disk.brokers.read() {
        let is_taken = device.remember_brokers(&list);
        tracing::info!(is_taken, "brokers were sent to an earlier run");
    }
    loop {
        act(&mut device, &mut connection, &settings, &clock, &mut disk);
        if device.wants_earlier() {
            let give = |reading: &Kept<'_>| device.take_earlier(reading);
            disk.readings.give_earlier(give);
        }
        disk.readings.sync();
        let wake = tokio::time::Instant::from_std(clock.instant(device.wake_at()));
        tokio::select! {
            () = tokio::time::sleep_until(wake) => {}
            Some(report) = reports.recv() => hear(&mut device, &mut connection, report, &clock),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    outputs::set_neutral(&settings.outputs);
    keep_all(&mut device, &clock, &mut disk);
    let (waiting, lost) = device.waiting_and_lost();
    let unconfirmed = device.unconfirmed();
    tracing::info!(waiting, lost, unconfirmed, "device stops");
    if let Some(link) = connection.link.take() {
        for sensor in device.sensors() {
            link.publish(&device.disconnect_topic(sensor), b"disconnect");
        }
        let _ = tokio::time::timeout(Duration::from_secs(3), link.close()).await;
    }
    Ok(())
}

/// What a restart does not reach.
struct Disk {
    readings: HeldFile,
    brokers: SentBrokers,
}

impl Disk {
    /// Does what is for the disk.
    fn obey(&mut self, action: &Action<'_>) {
        match *action {
            Action::Keep(ref reading) => self.readings.keep(reading),
            Action::Forget {
                sensor,
                boot,
                through,
            } => self.readings.forget(sensor, boot, through),
            Action::KeepBrokers(list) => self.brokers.keep(list),
            _ => {}
        }
    }
}

/// The connection that there is.
struct Connection {
    login: Login,
    link: Option<Link>,
    opened: u64,
    reporter: mpsc::Sender<Report>,
}

fn act(
    device: &mut LinuxDevice,
    connection: &mut Connection,
    settings: &Settings,
    clock: &SystemClock,
    disk: &mut Disk,
) {
    loop {
        let mut is_lost = false;
        let Some(action) = device.next(clock.now()) else {
            return;
        };
        match action {
            Action::Set { channel, value } => outputs::set(&settings.outputs, channel, value),
            Action::Keep(_) | Action::Forget { .. } | Action::KeepBrokers(_) => disk.obey(&action),
            Action::Connect { address } => {
                connection.link = None;
                connection.opened += 1;
                match Address::parse(address) {
                    Ok(parsed) => {
                        tracing::info!(broker = address, "connecting");
                        let reporter = connection.reporter.clone();
                        let (login, number) = (&connection.login, connection.opened);
                        connection.link = Some(Link::open(&parsed, login, number, reporter));
                    }
                    // Of a list that came by message; those of the settings were checked.
                    Err(error) => {
                        tracing::warn!(broker = address, %error, "broker cannot be used");
                        is_lost = true;
                    }
                }
            }
            Action::Subscribe { topic } => {
                let link = connection.link.as_ref();
                is_lost = !link.is_some_and(|link| link.subscribe(topic));
            }
            Action::Publish { topic, payload } => {
                tracing::trace!(topic, bytes = payload.len(), "publishing");
                let link = connection.link.as_ref();
                is_lost = !link.is_some_and(|link| link.publish(topic, payload));
            }
        }
        if is_lost {
            connection.link = None;
            device.disconnected(clock.now());
        }
    }
}

/// Keeps what would be lost with this process.
fn keep_all(device: &mut LinuxDevice, clock: &SystemClock, disk: &mut Disk) {
    device.leave();
    while let Some(action) = device.next_alone(clock.now()) {
        // Outputs stay neutral.
        disk.obey(&action);
    }
    disk.readings.sync();
}

fn hear(
    device: &mut LinuxDevice,
    connection: &mut Connection,
    report: Report,
    clock: &SystemClock,
) {
    let current = connection.link.as_ref().map(Link::number);
    if current != Some(report.link) {
        return;
    }
    let now = clock.now();
    match report.event {
        Event::Connected => {
            let (waiting, lost) = device.waiting_and_lost();
            tracing::info!(waiting, lost, "connected");
            device.connected(now);
        }
        Event::Lost { reason } => {
            tracing::warn!(reason, "no connection");
            connection.link = None;
            device.disconnected(now);
        }
        Event::Message {
            topic,
            reply,
            payload,
        } => {
            if let Err(error) = device.message(now, &topic, reply.as_deref(), &payload) {
                tracing::warn!(topic, %error, "message is not obeyed");
            }
        }
    }
}

/// The device that the settings describe.
fn device(settings: &Settings, boot: &str) -> anyhow::Result<Box<LinuxDevice>> {
    let seed = fieldledger_key_file::read_or_create(&settings.key)?;
    let key = DeviceKey::from_seed(&seed);
    let public = key.public();
    let mut addresses = heapless::Vec::<_, MAX_BROKERS>::new();
    let mut first = None;
    for text in &settings.brokers {
        let parsed = Address::parse(text).with_context(|| format!("broker {text:?}"))?;
        ensure!(
            !parsed.is_encrypted || settings.tls_ca.is_some(),
            "broker {text:?} speaks TLS; name the file with its authority in tls_ca"
        );
        first.get_or_insert(parsed);
        let address = brokers::Address::try_from(text.as_str());
        let address = address.map_err(|_long| anyhow!("broker {text:?} is too long"))?;
        let pushed = addresses.push(address);
        pushed.map_err(|_full| anyhow!("there are more than {MAX_BROKERS} brokers"))?;
    }
    let prefix = settings.prefix.as_str().try_into();
    let prefix = prefix.map_err(|_long| anyhow!("prefix is too long"))?;
    let mut config = Config::new(device_id(&public), prefix, Style::Mqtt);
    if let Some(Address { host, port, .. }) = first {
        config.ip_addr = discovery::own_address(&host, port);
    }
    config.mac_addr = discovery::mac_address();
    config.is_confined = settings.confined;
    config.heartbeat_interval = settings.heartbeat_interval_ms.saturating_mul(1_000);
    config.history_patience = settings.history_patience_ms.saturating_mul(1_000);
    let mut device = Box::new(Device::new(config, key, boot, addresses)?);
    let sensors = settings.sensors.clone().unwrap_or_else(discovery::sensors);
    for (number, sensor) in (0..).zip(&sensors) {
        let profile = profile(sensor, settings, &public, number);
        let added = profile.and_then(|profile| {
            Ok(device.add_sensor(profile, LinuxSensor(sensor.source.clone()))?)
        });
        added.with_context(|| format!("sensor number {number}"))?;
    }
    for output in &settings.outputs {
        let context = || format!("output {:?}", output.channel);
        let channel = outputs::channel(output).with_context(context)?;
        device.add_actuator(channel).with_context(context)?;
    }
    Ok(device)
}

fn device_id(key: &PublicKey) -> [u8; 16] {
    derived_id(key, DEVICE_NUMBER)
}

fn profile(
    sensor: &SensorSettings,
    settings: &Settings,
    key: &PublicKey,
    number: u32,
) -> anyhow::Result<Profile> {
    let source = LinuxSensor(sensor.source.clone());
    let text = |text: &str| -> anyhow::Result<heapless::String<MAX_NAME_BYTES>> {
        let fits = text.try_into();
        fits.map_err(|_long| anyhow!("{text:?} is longer than {MAX_NAME_BYTES} bytes"))
    };
    let id = sensor
        .id
        .map_or_else(|| derived_id(key, number), |id| *id.as_bytes());
    let unit = source.unit().try_into();
    Ok(Profile {
        id,
        alias: text(sensor.alias.as_deref().unwrap_or(&source.name()))?,
        location: text(sensor.location.as_deref().unwrap_or(&settings.location))?,
        unit: unit.map_err(|_long| anyhow!("unit {:?} is too long", source.unit()))?,
        range: None,
        poll_interval_ms: sensor.poll_interval_ms,
    })
}
