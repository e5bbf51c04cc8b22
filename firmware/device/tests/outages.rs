//! A device in a world where polls, answers, messages, acknowledgements and brokers get lost, boards
//! reboot, and the server dies before it has stored what it heard. A server that checks every signature
//! adds up what it has.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::Clock;
use fieldledger_chance::proptest_config;
use fieldledger_device::brokers::Address;
use fieldledger_device::clock::SECOND;
use fieldledger_device::sensor::{DEVICE_NUMBER, Fault, Profile, Sensor, Text, derived_id};
use fieldledger_device::topics::Style;
use fieldledger_device::{Action, Config, Device, Kept, Now, Offer};
use fieldledger_wire::bulk::{Bulk, HistoryAck};
use fieldledger_wire::heartbeat::{Heartbeat, Limits, POLL_INTERVALS_MS};
use fieldledger_wire::poll::{self, Poll};
use fieldledger_wire::reply::Reply;
use fieldledger_wire::topic::TopicRules;
use proptest::prelude::*;
use uuid::Uuid;

const RING: usize = 8;
const SENSORS: u32 = 2;
const INTERVAL_MS: u64 = 1_000;

/// Counts its readings, so that each has a value of its own.
struct Counting(Rc<Cell<u64>>);

impl Sensor for Counting {
    fn read(&mut self) -> Result<Text, Fault> {
        self.0.set(self.0.get() + 1);
        let text = format!("{}.5", self.0.get());
        Text::try_from(text.as_str()).map_err(|_| Fault("too long"))
    }
}

/// What a server keeps of a reading.
type Content = (String, Clock);

/// Boot, sensor and number of a reading.
type Number = (String, Uuid, u64);

/// What reached the server and is not stored yet.
enum Heard {
    Answer {
        number: Number,
        content: Content,
        /// Whether the device keeps it until it hears that it is stored.
        is_kept: bool,
    },
    History {
        sensor: Uuid,
        readings: Vec<(Number, Content)>,
        ack: HistoryAck,
    },
}

/// A reading where no reboot reaches it.
#[derive(Clone)]
struct OnBoard {
    number: Number,
    content: Content,
}

struct World {
    device: Device<Counting, 2, RING, 2_048>,
    up: u64,
    utc_offset: Option<u64>,
    boots: u32,
    /// Readings of this boot, by sensor.
    counts: Vec<Rc<Cell<u64>>>,
    is_broker_up: bool,
    loses_messages: bool,
    loses_acks: bool,
    /// Whether polls lose on their way what they say of stored answers.
    loses_told: bool,
    /// Whether the server takes its time to store what it hears.
    stalls: bool,
    /// Whether a message was ever lost on its way, or an acknowledgement came late, in this boot.
    has_lost: bool,
    /// Whether the poll that is being answered says which answers are stored, by sensor.
    is_telling: BTreeMap<Uuid, bool>,
    /// What the server will say is stored, with its next poll.
    to_tell: BTreeMap<Uuid, poll::StoredAnswers>,
    heard: Vec<Heard>,
    /// Whatever was ever published.
    emitted: BTreeMap<Number, Content>,
    /// What the server has stored.
    received: BTreeMap<Number, Content>,
    /// What the board keeps, in the order in which it came.
    on_board: Vec<OnBoard>,
    /// How often it was told to keep one.
    keeps: u64,
    /// Readings of this boot that it was told to forget and the server does not have.
    forgotten_unstored: u64,
    /// What the device was told is stored.
    told: BTreeSet<Number>,
    /// Answers of this boot that the device did not keep and that did not reach the log, by sensor.
    answers_lost: BTreeMap<Uuid, u64>,
    /// What the last heartbeat said of each sensor.
    announced_lost: BTreeMap<Uuid, u64>,
    last_beat: Option<u64>,
    answers: u64,
    histories: u64,
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[5; 32])
}

fn sensor(number: u32) -> Uuid {
    Uuid::from_bytes(derived_id(&key().public(), number))
}

fn switch_on(boot: u32) -> (Device<Counting, 2, RING, 2_048>, Vec<Rc<Cell<u64>>>) {
    let id = derived_id(&key().public(), DEVICE_NUMBER);
    let mut config = Config::new(id, "picow".try_into().unwrap(), Style::Mqtt);
    config.history_batch = 5;
    config.history_patience_limit = 20 * SECOND;
    let mut brokers = heapless::Vec::new();
    brokers.push(Address::try_from("first").unwrap()).unwrap();
    let mut device = Device::new(config, key(), &format!("boot-{boot}"), brokers).unwrap();
    let mut counts = Vec::new();
    for number in 0..SENSORS {
        let count = Rc::new(Cell::new(0));
        let profile = Profile {
            id: *sensor(number).as_bytes(),
            alias: "a \"quoted\" name".try_into().unwrap(),
            location: "hall".try_into().unwrap(),
            unit: "Cel".try_into().unwrap(),
            range: Some((-40.0, 125.0)),
            poll_interval_ms: INTERVAL_MS,
        };
        device.add_sensor(profile, Counting(count.clone())).unwrap();
        counts.push(count);
    }
    (device, counts)
}

impl World {
    fn new() -> Self {
        let (device, counts) = switch_on(0);
        Self {
            device,
            up: 0,
            utc_offset: None,
            boots: 0,
            counts,
            is_broker_up: true,
            loses_messages: false,
            loses_acks: false,
            loses_told: false,
            stalls: false,
            has_lost: false,
            is_telling: BTreeMap::new(),
            to_tell: BTreeMap::new(),
            heard: Vec::new(),
            on_board: Vec::new(),
            keeps: 0,
            forgotten_unstored: 0,
            told: BTreeSet::new(),
            emitted: BTreeMap::new(),
            received: BTreeMap::new(),
            answers_lost: BTreeMap::new(),
            announced_lost: BTreeMap::new(),
            last_beat: None,
            answers: 0,
            histories: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            up: self.up,
            utc: self.utc_offset.map(|offset| offset + self.up),
        }
    }

    fn boot(&self) -> String {
        format!("boot-{}", self.boots)
    }

    /// Does all that the device says, until it has nothing to say.
    fn drain(&mut self) {
        let mut actions = 0;
        loop {
            actions += 1;
            assert!(actions < 1_000, "the device never rests");
            let now = self.now();
            if self.device.wants_earlier() {
                give_back(&mut self.device, &self.on_board);
            }
            let Some(action) = self.device.next(now) else {
                break;
            };
            match action {
                Action::Connect { address } => {
                    assert_eq!(address, "first");
                    match self.is_broker_up {
                        true => self.device.connected(now),
                        false => self.device.disconnected(now),
                    }
                }
                Action::Subscribe { topic } => assert!(topic.starts_with("picow/")),
                Action::Publish { topic, payload } => {
                    assert!(self.is_broker_up, "published into the void");
                    let (topic, payload) = (topic.to_owned(), payload.to_owned());
                    self.publish(&topic, &payload);
                }
                Action::Keep(kept) => {
                    let sensor = Uuid::from_bytes(kept.sensor);
                    let number = (kept.boot.to_owned(), sensor, kept.sequence);
                    let content = (kept.value.to_owned(), kept.clock);
                    assert_eq!(kept.unit, "Cel");
                    self.keep(OnBoard { number, content });
                }
                Action::Forget {
                    sensor,
                    boot,
                    through,
                } => {
                    let boot = boot.to_owned();
                    self.forget(&boot, Uuid::from_bytes(sensor), through);
                }
                Action::Set { .. } => panic!("there are no outputs"),
                Action::KeepBrokers(_) => panic!("nobody sent any"),
            }
        }
        assert!(
            self.device.wake_at() > self.up,
            "it wants to be woken at once, for nothing"
        );
    }

    fn keep(&mut self, reading: OnBoard) {
        let OnBoard { number, .. } = &reading;
        assert_eq!(number.0, self.boot());
        let same = |one: &&OnBoard| (&one.number.0, one.number.1) == (&number.0, number.1);
        let before = self.on_board.iter().rfind(same);
        assert!(
            before.is_none_or(|before| before.number.2 < number.2),
            "kept twice, or out of order"
        );
        self.keeps += 1;
        self.on_board.push(reading);
    }

    fn forget(&mut self, boot: &str, sensor: Uuid, through: u64) {
        let is_obsolete = |one: &OnBoard| {
            (&*one.number.0, one.number.1) == (boot, sensor) && one.number.2 <= through
        };
        let obsolete = self.on_board.extract_if(.., |one| is_obsolete(one));
        let numbers: Vec<_> = obsolete.map(|one| one.number).collect();
        assert!(!numbers.is_empty(), "nothing to forget");
        let is_lost = |number: &&Number| !self.received.contains_key(number);
        let lost = numbers.iter().filter(is_lost).count() as u64;
        // In its own boot a reading may have given way to others before.
        assert!(lost == 0 || boot == self.boot(), "forgotten unstored");
        self.forgotten_unstored += lost;
    }

    /// Readings of earlier boots that the board keeps.
    fn earlier(&self) -> usize {
        let boot = self.boot();
        let is_earlier = |one: &&OnBoard| one.number.0 != boot;
        self.on_board.iter().filter(is_earlier).count()
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) {
        if topic == "picow/heartbeat" {
            return self.heartbeat(payload);
        }
        let mut levels = topic.split('/').skip(1);
        let sensor = Uuid::parse_str(levels.next().unwrap()).unwrap();
        match levels.next().unwrap() {
            "read" => self.answer(sensor, payload),
            "history" => self.history(sensor, payload),
            other => panic!("unexpected topic {other}"),
        }
    }

    fn heartbeat(&mut self, payload: &[u8]) {
        let limits = Limits {
            topics: TopicRules::new(&["picow".to_owned()], "default").unwrap(),
            poll_interval_ms: POLL_INTERVALS_MS,
        };
        let announced = Heartbeat::parse(payload, &limits).unwrap();
        let identity = announced.identity.unwrap();
        assert_eq!(identity.key, key().public());
        assert_eq!(identity.boot, self.boot());
        assert!(
            self.last_beat.is_none_or(|last| last < identity.beat),
            "a beat twice"
        );
        self.last_beat = Some(identity.beat);
        self.announced_lost
            .insert(announced.id, announced.lost.unwrap());
    }

    fn answer(&mut self, sensor: Uuid, payload: &[u8]) {
        let reply = Reply::parse(payload).unwrap();
        reply.attested(sensor, key().public()).unwrap();
        assert_eq!((reply.unit.as_str(), &reply.boot), ("Cel", &self.boot()));
        let number = (reply.boot.clone(), sensor, reply.seq.unwrap());
        let content = (reply.value.clone(), reply.clock().unwrap());
        let later = self.emitted.range(number.clone()..);
        let is_newest = later.take_while(|later| later.0.1 == sensor).count() == 0;
        assert!(is_newest, "an answer is not the newest reading");
        self.emitted.insert(number.clone(), content.clone());
        self.answers += 1;
        let heard = Heard::Answer {
            number,
            content,
            is_kept: self.is_telling[&sensor],
        };
        self.hear(heard);
    }

    /// The server hears of readings, or they are lost on their way.
    fn hear(&mut self, heard: Heard) {
        if self.loses_messages {
            return self.lose(&heard);
        }
        self.heard.push(heard);
        if !self.stalls {
            self.store();
        }
    }

    fn lose(&mut self, heard: &Heard) {
        if let Heard::Answer {
            number, is_kept, ..
        } = heard
            && !is_kept
            && number.0 == self.boot()
        {
            *self.answers_lost.entry(number.1).or_default() += 1;
        }
    }

    /// What was heard is stored, and the device hears of that.
    fn store(&mut self) {
        for heard in std::mem::take(&mut self.heard) {
            match heard {
                Heard::Answer {
                    number, content, ..
                } => {
                    let to_tell = self.to_tell.entry(number.1).or_default();
                    if to_tell.boot != number.0 {
                        to_tell.boot.clone_from(&number.0);
                        to_tell.stored.clear();
                    }
                    to_tell.stored.push(number.2);
                    // As the server does, and as little as the device is ready for.
                    if to_tell.stored.len() > poll::MAX_STORED {
                        to_tell.stored.remove(0);
                    }
                    self.append(number, content);
                }
                Heard::History {
                    sensor,
                    readings,
                    ack,
                } => {
                    for (number, content) in readings {
                        self.append(number, content);
                    }
                    if !self.loses_acks && self.device.is_connected() {
                        let known = self.emitted.keys();
                        let acknowledged = known.filter(|number| {
                            (&number.0, number.1) == (&ack.boot, sensor) && number.2 <= ack.seq
                        });
                        self.told.extend(acknowledged.cloned());
                        let topic = format!("picow/{sensor}/history_ack");
                        let ack = serde_json::to_vec(&ack).unwrap();
                        self.device.message(self.now(), &topic, None, &ack).unwrap();
                    }
                }
            }
        }
    }

    /// The log has each number once.
    fn append(&mut self, number: Number, content: Content) {
        match self.received.entry(number) {
            Entry::Occupied(kept) => assert_eq!(*kept.get(), content, "one number, two readings"),
            Entry::Vacant(place) => {
                place.insert(content);
            }
        }
    }

    /// A poll, with what is stored where `is_telling`.
    fn poll(&mut self, sensor: Uuid, is_telling: bool) {
        if !self.device.is_connected() {
            return;
        }
        let stored = self
            .to_tell
            .get_mut(&sensor)
            .map(|known| poll::StoredAnswers {
                boot: known.boot.clone(),
                stored: std::mem::take(&mut known.stored),
            });
        let mut stored = stored.unwrap_or_default();
        if self.loses_told {
            stored.stored.clear();
        }
        let numbers = stored.stored.iter();
        let numbers = numbers.map(|number| (stored.boot.clone(), sensor, *number));
        if is_telling {
            self.told.extend(numbers);
        }
        let poll = Poll {
            poll: 1,
            stored: is_telling.then_some(stored),
        };
        self.is_telling.insert(sensor, is_telling);
        let topic = format!("picow/{sensor}/poll");
        let payload = poll.payload();
        let heard = self.device.message(self.now(), &topic, None, &payload);
        heard.unwrap();
        // Another poll may be of another kind.
        self.drain();
    }

    fn history(&mut self, sensor: Uuid, payload: &[u8]) {
        let bulk = Bulk::parse(payload).unwrap();
        let evidence = bulk.attested(sensor, key().public()).unwrap();
        assert!(evidence.len() <= 5);
        self.histories += 1;
        let mut readings = Vec::new();
        for reading in &bulk.readings {
            let number = (bulk.boot.clone(), sensor, reading.seq);
            let content = (reading.value.clone(), reading.clock);
            let before = self.emitted.insert(number.clone(), content.clone());
            assert!(
                before.is_none_or(|before| before == content),
                "one number, two readings"
            );
            // What a poll named may be kept still, and goes out once more after a reboot.
            assert!(
                bulk.boot != self.boot() || !self.told.contains(&number),
                "{number:?} is known to be stored"
            );
            readings.push((number, content));
        }
        let ack = bulk.ack();
        self.hear(Heard::History {
            sensor,
            readings,
            ack,
        });
    }

    /// Lets time pass, and wakes the device when it wants to.
    fn pass(&mut self, time: u64) {
        let end = self.up + time;
        self.drain();
        while self.up < end {
            self.up = self.device.wake_at().clamp(self.up, end);
            self.drain();
        }
    }

    /// Polls each sensor once, and lets a second pass.
    fn poll_all(&mut self, is_telling: bool) {
        for number in 0..SENSORS {
            self.step(&Event::Poll(number, is_telling));
        }
        self.pass(SECOND);
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Poll(number, is_telling) => self.poll(sensor(*number), *is_telling),
            Event::Pass(time) => self.pass(*time),
            Event::BrokerDown => {
                self.is_broker_up = false;
                if self.device.is_connected() {
                    self.device.disconnected(self.now());
                }
            }
            Event::BrokerUp => self.is_broker_up = true,
            Event::LoseMessages(lose) => {
                self.loses_messages = *lose;
                self.has_lost |= lose;
            }
            Event::LoseAcks(lose) => {
                self.loses_acks = *lose;
                self.has_lost |= lose;
            }
            Event::LoseTold(lose) => {
                self.loses_told = *lose;
                self.has_lost |= lose;
            }
            Event::Stall(stall) => {
                self.stalls = *stall;
                self.has_lost |= stall;
                if !stall {
                    self.store();
                }
            }
            Event::ServerDies => {
                self.has_lost |= !self.heard.is_empty();
                self.to_tell.clear();
                for heard in std::mem::take(&mut self.heard) {
                    self.lose(&heard);
                }
            }
            Event::LearnTime => self.utc_offset = Some(1_767_323_045_000_000),
            Event::HostileAck(number, seq) => {
                let topic = format!("picow/{}/history_ack", sensor(*number));
                let ack = format!(r#"{{"boot":"boot-x","seq":{seq}}}"#);
                self.device
                    .message(self.now(), &topic, None, ack.as_bytes())
                    .unwrap();
                // Beyond what was ever sent: no server can have it.
                let ack = format!(r#"{{"boot":"{}","seq":{}}}"#, self.boot(), seq + 1_000_000);
                self.device
                    .message(self.now(), &topic, None, ack.as_bytes())
                    .unwrap();
            }
            Event::Garbage(topic, bytes) => {
                let topic = format!("picow/{}/{topic}", sensor(0));
                // Whatever it is, as a poll it says nothing of answers.
                self.is_telling.insert(sensor(0), false);
                let _ = self.device.message(self.now(), &topic, None, bytes);
                self.drain();
            }
            Event::Reboot => {
                self.boots += 1;
                (self.device, self.counts) = switch_on(self.boots);
                self.up = 0;
                self.utc_offset = None;
                self.answers_lost.clear();
                self.forgotten_unstored = 0;
                self.has_lost =
                    self.loses_messages || self.loses_acks || self.loses_told || self.stalls;
                self.announced_lost.clear();
                self.last_beat = None;
            }
        }
    }

    /// All is well again, for long enough; then every reading must be accounted for.
    fn settle_and_add_up(&mut self) {
        self.is_broker_up = true;
        self.loses_messages = false;
        self.loses_acks = false;
        self.loses_told = false;
        self.step(&Event::Stall(false));
        // The longest waits are twenty seconds for an acknowledgement and a minute for the broker.
        // Polled all the while, the device samples no more.
        for _ in 0..110 {
            self.poll_all(true);
        }
        // What earlier boots left goes out five readings at a time, in turn with everything else.
        let most = self.earlier();
        for _ in 0..most {
            if self.earlier() > 0 {
                self.poll_all(true);
            }
        }
        assert_eq!((self.earlier(), self.device.earlier()), (0, 0));
        let (_, lost) = self.device.waiting_and_lost();
        assert!(self.forgotten_unstored <= lost + self.device.unconfirmed());
        // The next poll would name these.
        let (waiting, _) = self.device.waiting_and_lost();
        assert_eq!(waiting, SENSORS as usize, "the ring was not emptied");
        for number in 0..SENSORS {
            assert_eq!(self.unsent(sensor(number)), 0);
        }
        // One more heartbeat of each.
        self.pass(31 * SECOND);
        let boot = self.boot();
        for (number, count) in (0..).zip(&self.counts) {
            let sensor = sensor(number);
            let numbers = self
                .received
                .keys()
                .filter(|key| key.0 == boot && key.1 == sensor);
            let received = numbers.count() as u64;
            let answers_lost = self.answers_lost.get(&sensor).copied().unwrap_or_default();
            let announced = self.announced_lost[&sensor];
            let missing = count.get() - received - self.unsent(sensor);
            // Of what it counts as lost the server may have some: only the acknowledgement was. And so
            // it is with answers that gave way.
            let most = answers_lost + announced + self.device.unconfirmed();
            let explained = answers_lost..=most;
            assert!(
                explained.contains(&missing),
                "{missing} of {count:?}, {explained:?}"
            );
            if !self.has_lost {
                assert_eq!(missing, announced);
            }
        }
    }

    /// Readings that were sampled in the last seconds, when nobody polled, and still wait.
    fn unsent(&self, sensor: Uuid) -> u64 {
        self.device
            .waiting_of(*sensor.as_bytes())
            .filter(|waiting| {
                let number = (format!("boot-{}", self.boots), sensor, waiting.sequence);
                !self.received.contains_key(&number)
            })
            .count() as u64
    }
}

/// What a board does at the start, and whenever the device has room again.
fn give_back(device: &mut Device<Counting, 2, RING, 2_048>, on_board: &[OnBoard]) {
    for OnBoard { number, content } in on_board {
        let offer = device.take_earlier(&Kept {
            sensor: *number.1.as_bytes(),
            boot: &number.0,
            sequence: number.2,
            clock: content.1,
            value: &content.0,
            unit: "Cel",
        });
        if offer == Offer::NoRoom {
            break;
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    /// Of this sensor; true where the server says what it has stored.
    Poll(u32, bool),
    Pass(u64),
    BrokerDown,
    BrokerUp,
    LoseMessages(bool),
    LoseAcks(bool),
    LoseTold(bool),
    Stall(bool),
    ServerDies,
    LearnTime,
    HostileAck(u32, u64),
    Garbage(&'static str, Vec<u8>),
    Reboot,
}

fn event() -> impl Strategy<Value = Event> {
    let topics = prop::sample::select(vec!["poll", "history_ack", "command", "brokers", "x"]);
    prop_oneof![
        6 => (0..SENSORS, prop::bool::weighted(0.8))
            .prop_map(|(sensor, is_telling)| Event::Poll(sensor, is_telling)),
        8 => (0..6_000_000_u64).prop_map(Event::Pass),
        2 => Just(Event::BrokerDown),
        2 => Just(Event::BrokerUp),
        1 => any::<bool>().prop_map(Event::LoseMessages),
        1 => any::<bool>().prop_map(Event::LoseAcks),
        1 => any::<bool>().prop_map(Event::LoseTold),
        1 => any::<bool>().prop_map(Event::Stall),
        1 => Just(Event::ServerDies),
        1 => Just(Event::LearnTime),
        1 => (0..SENSORS, 0..50_u64).prop_map(|(sensor, seq)| Event::HostileAck(sensor, seq)),
        1 => (topics, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(topic, bytes)| Event::Garbage(topic, bytes)),
        1 => Just(Event::Reboot),
    ]
}

#[test]
fn a_polled_device_answers_and_keeps_nothing_that_is_stored() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    for seconds in 1..=100 {
        world.poll_all(true);
        assert_eq!(world.device.waiting_and_lost(), (2, 0));
        assert_eq!((world.answers, world.histories), (2 * seconds, 0));
    }
    assert_eq!(world.keeps, 0, "polls cost a write");
    world.settle_and_add_up();
    assert_eq!(world.device.unconfirmed(), 0);
}

#[test]
fn what_waits_survives_a_reboot_under_its_own_boot() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.poll_all(true);
    world.step(&Event::LoseMessages(true));
    world.poll_all(true);
    world.step(&Event::LoseMessages(false));
    world.step(&Event::BrokerDown);
    world.pass(4 * SECOND);
    world.step(&Event::Reboot);
    world.pass(3 * SECOND);
    world.step(&Event::Reboot);
    assert!(world.earlier() >= 2 * (4 + 2), "{}", world.earlier());
    world.settle_and_add_up();
    // Six of the first boot, the lost answer among them, and no gap.
    let numbers = world.received.keys();
    let of_first = numbers.filter(|number| (&*number.0, number.1) == ("boot-0", sensor(0)));
    let sequences: Vec<u64> = of_first.map(|number| number.2).collect();
    assert!(sequences.len() >= 6 && sequences.iter().copied().eq(0..sequences.len() as u64));
    assert!(world.received.keys().any(|number| number.0 == "boot-1"));
}

#[test]
fn answers_that_nobody_has_named_are_kept_when_the_device_is_switched_off() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.poll_all(true);
    world.step(&Event::LoseMessages(true));
    world.poll_all(true);
    assert_eq!(world.keeps, 0);
    world.device.leave();
    world.drain();
    assert_eq!(world.keeps, 2);
    world.step(&Event::Reboot);
    world.settle_and_add_up();
    for number in 0..SENSORS {
        let lost = ("boot-0".to_owned(), sensor(number), 1);
        assert!(world.received.contains_key(&lost));
    }
}

#[test]
fn what_is_no_reading_of_an_earlier_boot_is_passed_over() {
    let (mut device, _) = switch_on(1);
    let good = Kept {
        sensor: *sensor(0).as_bytes(),
        boot: "boot-0",
        sequence: 7,
        clock: Clock::Uptime(7),
        value: "1.5",
        unit: "Cel",
    };
    let long = "b".repeat(33);
    for bad in [
        Kept {
            sensor: [9; 16],
            ..good
        },
        Kept {
            boot: "boot-1",
            ..good
        },
        Kept { boot: "", ..good },
        Kept {
            boot: "a\"b",
            ..good
        },
        Kept {
            boot: &long,
            ..good
        },
        Kept {
            sequence: 1 << 53,
            ..good
        },
        Kept {
            value: "warm",
            ..good
        },
        Kept { value: "", ..good },
        Kept {
            unit: "\u{b0}C",
            ..good
        },
    ] {
        assert_eq!(device.take_earlier(&bad), Offer::PassedOver, "{bad:?}");
        assert!(device.wants_earlier());
    }
    assert_eq!(device.take_earlier(&good), Offer::Taken);
    // The same number again, a lower one, another unit: not in one message.
    for other in [
        good,
        Kept {
            sequence: 6,
            ..good
        },
        Kept {
            sequence: 8,
            unit: "K",
            ..good
        },
    ] {
        assert_eq!(device.take_earlier(&other), Offer::PassedOver);
        assert_eq!((device.earlier(), device.wants_earlier()), (1, false));
    }
    for sequence in 8..8 + 63 {
        let next = Kept { sequence, ..good };
        assert_eq!(device.take_earlier(&next), Offer::Taken);
    }
    let next = Kept {
        sequence: 99,
        ..good
    };
    assert_eq!(device.take_earlier(&next), Offer::NoRoom);
}

#[test]
fn for_a_poller_that_never_says_what_is_stored_nothing_is_kept() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    for _ in 0..60 {
        world.poll_all(false);
        assert_eq!(world.device.waiting_and_lost(), (0, 0));
    }
    assert_eq!((world.answers, world.histories), (120, 0));
}

#[test]
fn an_answer_that_is_lost_is_sent_once_more_and_the_others_are_not() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    for _ in 0..3 {
        world.poll_all(true);
    }
    world.step(&Event::LoseMessages(true));
    world.poll_all(true);
    world.step(&Event::LoseMessages(false));
    // The server could still be storing them.
    for _ in 0..5 {
        world.poll_all(true);
        let received = world.received.len() as u64;
        assert_eq!((received, world.histories), (world.answers - 2, 0));
    }
    for _ in 0..5 {
        world.poll_all(true);
    }
    assert_eq!(world.received.len() as u64, world.answers);
    assert_eq!(world.histories, 2);
    assert_eq!(world.device.waiting_and_lost(), (2, 0));
}

#[test]
fn answers_that_a_server_took_with_it_are_sent_to_the_next() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.step(&Event::Stall(true));
    for _ in 0..4 {
        world.poll_all(true);
    }
    world.step(&Event::ServerDies);
    world.step(&Event::Stall(false));
    assert_eq!(world.received.len(), 0);
    world.settle_and_add_up();
    let first = (world.boot(), sensor(0), 0);
    assert!(world.received.contains_key(&first));
    assert_eq!(world.device.unconfirmed(), 0);
}

#[test]
fn a_server_that_says_nothing_of_answers_displaces_no_reading_that_was_never_sent() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.step(&Event::BrokerDown);
    world.pass(4 * SECOND);
    let (waiting, _) = world.device.waiting_and_lost();
    assert!(waiting >= 2 * 4, "{waiting}");
    world.step(&Event::BrokerUp);
    world.step(&Event::LoseAcks(true));
    world.step(&Event::LoseTold(true));
    while !world.device.is_connected() {
        world.pass(SECOND);
    }
    let (_, lost) = world.device.waiting_and_lost();
    for _ in 0..60 {
        world.poll_all(true);
    }
    assert_eq!(world.device.waiting_and_lost(), (2 * RING, lost));
    assert!(world.device.unconfirmed() > 50);
    world.settle_and_add_up();
}

#[test]
fn readings_of_an_outage_arrive_afterwards_with_their_own_times() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.step(&Event::BrokerDown);
    world.pass(6 * SECOND);
    assert_eq!(world.received.len(), 0);
    assert_eq!(world.device.waiting_and_lost(), (12, 0));
    world.step(&Event::BrokerUp);
    world.settle_and_add_up();
    let first = world.received.values().next().unwrap();
    assert_eq!(first, &("1.5".to_owned(), Clock::Uptime(SECOND)));
}

#[test]
fn what_a_small_ring_cannot_keep_is_announced() {
    let mut world = World::new();
    world.pass(SECOND / 2);
    world.step(&Event::BrokerDown);
    world.pass(20 * SECOND);
    let (waiting, lost) = world.device.waiting_and_lost();
    assert_eq!(
        (waiting as u64, lost),
        (2 * RING as u64, 2 * (20 - RING as u64))
    );
    world.settle_and_add_up();
    // Some more gave way while the device waited before it tried the broker again.
    let announced: u64 = world.announced_lost.values().sum();
    assert_eq!(announced, world.device.waiting_and_lost().1);
    assert!(announced >= lost);
}

#[test]
fn a_message_of_history_is_repeated_until_it_is_acknowledged() {
    let mut world = World::new();
    world.step(&Event::LoseAcks(true));
    // Connected, and polled by nobody.
    world.pass(7 * SECOND);
    let waiting = world.device.waiting_and_lost().0;
    assert!(waiting > 0);
    world.pass(60 * SECOND);
    assert!(!world.received.is_empty(), "it reached the server");
    assert_eq!(
        world.device.waiting_and_lost().0,
        2 * RING,
        "and stays in the ring"
    );
    world.settle_and_add_up();
}

#[test]
fn an_acknowledgement_of_another_boot_or_of_what_was_not_sent_drops_nothing() {
    let mut world = World::new();
    world.step(&Event::LoseMessages(true));
    world.pass(8 * SECOND);
    let waiting = world.device.waiting_and_lost();
    assert!(waiting.0 > 0);
    let topic = format!("picow/{}/history_ack", sensor(0));
    for ack in [
        r#"{"boot":"boot-1","seq":0}"#,
        r#"{"boot":"boot-0","seq":500}"#,
    ] {
        let now = world.now();
        world
            .device
            .message(now, &topic, None, ack.as_bytes())
            .unwrap();
        assert_eq!(world.device.waiting_and_lost(), waiting, "{ack}");
    }
    let now = world.now();
    let ack = br#"{"boot":"boot-0","seq":0}"#;
    world.device.message(now, &topic, None, ack).unwrap();
    assert_eq!(world.device.waiting_and_lost().0, waiting.0 - 1);
}

#[test]
fn what_nobody_acknowledges_is_sent_less_and_less_often() {
    let mut world = World::new();
    world.step(&Event::LoseAcks(true));
    // From about the fourth second on after 10 and then every 20 seconds.
    world.pass(100 * SECOND);
    assert!((5..=7).contains(&world.histories), "{}", world.histories);
}

#[test]
fn a_poll_with_a_reply_subject_is_answered_there() {
    let mut world = World::new();
    world.drain();
    let topic = format!("picow/{}/poll", sensor(0));
    let poll = br#"{"poll":12}"#;
    world
        .device
        .message(world.now(), &topic, Some("_INBOX.a.12"), poll)
        .unwrap();
    let now = world.now();
    let Some(Action::Publish { topic, payload }) = world.device.next(now) else {
        panic!("no answer")
    };
    assert_eq!(topic, "_INBOX.a.12");
    assert_eq!(Reply::parse(payload).unwrap().poll, Some(12));
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn no_interleaving_loses_or_doubles_a_reading(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new();
        for event in &events {
            world.step(event);
        }
        world.settle_and_add_up();
    }
}
