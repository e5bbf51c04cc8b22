//! The device of `firmware/device` over NATS: it has a key, numbers what it reads, and keeps what nobody
//! says is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::clock::SECOND;
use fieldledger_device::sensor::{Fault, Profile, Sensor, Text};
use fieldledger_device::topics::Style;
use fieldledger_device::{Action, Config, Device, Now};
use futures::StreamExt as _;
use futures::stream::SelectAll;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Server, TestReader, eventually, id};

/// The sensor's number among those of [`id`].
pub const KEEPER: u32 = 7;

/// Counts its readings from 1, so that each has a value of its own.
struct Counting(Arc<AtomicU64>);

impl Sensor for Counting {
    fn read(&mut self) -> Result<Text, Fault> {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Text::try_from(count.to_string().as_str()).map_err(|_long| Fault("too long"))
    }
}

type Keeping = Device<Counting, 1, 1_024, 16_384>;

/// Such a device, polled ten times a second.
pub struct Keeper {
    read: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub fn start(servers: &[&Server]) -> Self {
        let mut config = Config::new([9; 16], "sim".try_into().unwrap(), Style::Nats);
        config.heartbeat_interval = SECOND;
        config.history_patience = SECOND;
        config.history_pace = SECOND / 10;
        let brokers = servers.iter().map(|server| server.uri());
        let brokers = brokers
            .map(|uri| uri.as_str().try_into().unwrap())
            .collect();
        let key = DeviceKey::from_seed(&[7; 32]);
        let mut device = Box::new(Keeping::new(config, key, "boot-1", brokers).unwrap());
        let read = Arc::new(AtomicU64::new(0));
        let profile = Profile {
            id: *id(KEEPER).as_bytes(),
            alias: "keeper".try_into().unwrap(),
            location: "hall".try_into().unwrap(),
            unit: heapless::String::new(),
            range: None,
            poll_interval_ms: 100,
        };
        device
            .add_sensor(profile, Counting(Arc::clone(&read)))
            .unwrap();
        let task = tokio::spawn(run(device));
        Self { read, task }
    }

    /// Waits until the reader has every reading that was taken so far; how many those are.
    pub async fn has_delivered(&self, reader: &TestReader) -> u64 {
        let read = self.read.load(Ordering::Relaxed);
        eventually("every reading of the device", || async {
            let taken = reader.texts(KEEPER);
            let is_taken = |value: u64| taken.contains(&value.to_string());
            (1..=read).all(is_taken).then_some(())
        })
        .await;
        read
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection, and what comes through it.
struct Link {
    client: Client,
    messages: SelectAll<Subscriber>,
    is_lost: Arc<Notify>,
}

impl Link {
    async fn open(address: &str) -> Option<Self> {
        let is_lost = Arc::new(Notify::new());
        let notify = Arc::clone(&is_lost);
        let connected = ConnectOptions::new()
            .connection_timeout(Duration::from_secs(1))
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    notify.notify_one();
                }
                async {}
            })
            .connect(address)
            .await;
        Some(Self {
            client: connected.ok()?,
            messages: SelectAll::new(),
            is_lost,
        })
    }
}

async fn run(mut device: Box<Keeping>) {
    let started = Instant::now();
    let now = || Now {
        up: u64::try_from(started.elapsed().as_micros()).unwrap(),
        utc: None,
    };
    let mut link: Option<Link> = None;
    loop {
        act(&mut device, &mut link, &now).await;
        let wake = started + Duration::from_micros(device.wake_at());
        let Some(Link {
            messages, is_lost, ..
        }) = &mut link
        else {
            tokio::time::sleep_until(wake.into()).await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(wake.into()) => {}
            () = is_lost.notified() => {
                link = None;
                device.disconnected(now());
            }
            Some(message) = messages.next() => {
                let reply = message.reply.as_deref();
                device.message(now(), &message.subject, reply, &message.payload).unwrap();
            }
        }
    }
}

/// Does what the device says.
async fn act(device: &mut Keeping, link: &mut Option<Link>, now: &impl Fn() -> Now) {
    while let Some(action) = device.next(now()) {
        match (action, &mut *link) {
            (Action::Connect { address }, _) => {
                *link = Link::open(address).await;
                match link {
                    Some(_) => device.connected(now()),
                    None => device.disconnected(now()),
                }
            }
            (Action::Subscribe { topic }, Some(link)) => {
                let messages = link.client.subscribe(topic.to_owned()).await.unwrap();
                link.messages.push(messages);
            }
            (Action::Publish { topic, payload }, Some(link)) => {
                let publish = link
                    .client
                    .publish(topic.to_owned(), payload.to_vec().into());
                publish.await.unwrap();
            }
            // It does not reboot.
            (Action::Keep(_) | Action::Forget { .. } | Action::KeepBrokers(_), _) => {}
            (action, _) => panic!("{action:?} while there is no connection"),
        }
    }
}
