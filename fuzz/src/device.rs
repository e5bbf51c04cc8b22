//! What devices hear.

use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::actuator::{Channel, Value};
use fieldledger_device::sensor::{Fault, Profile, Sensor, Text};
use fieldledger_device::topics::{Purpose, Style, Topics};
use fieldledger_device::{Action, Config, Device, Now};
use fieldledger_wire::reply::Reply;

struct Fixed;

impl Sensor for Fixed {
    fn read(&mut self) -> Result<Text, Fault> {
        Text::try_from("21.5").map_err(|_long| Fault("too long"))
    }
}

/// A poll of one who will say which answers are stored.
const TELLING_POLL: &[u8] = br#"{"poll":1,"boot":"","stored":[]}"#;

/// A byte that picks the topic, then the message, for a device that is connected and keeps three answers.
/// Whatever it is, the device comes to rest, answers polls, and keeps what it keeps in order.
pub(crate) fn message(data: &[u8]) {
    const PURPOSES: [Purpose; 4] = [
        Purpose::Poll,
        Purpose::HistoryAck,
        Purpose::Command,
        Purpose::Brokers,
    ];
    let Some((choice, payload)) = data.split_first() else {
        return;
    };
    let purpose = PURPOSES[usize::from(*choice) % PURPOSES.len()];
    let key = DeviceKey::from_seed(&[7; 32]);
    let text = |text: &str| text.try_into().expect("it is short");
    let config = Config::new(
        [2; 16],
        "picow".try_into().expect("it is short"),
        Style::Mqtt,
    );
    let mut brokers = heapless::Vec::new();
    let first = "first".try_into().expect("it is short");
    brokers.push(first).expect("there is room");
    let mut device: Device<Fixed, 1, 4, 2_048> =
        Device::new(config, key, "a1b2", brokers).expect("the parts are good");
    let profile = Profile {
        id: [1; 16],
        alias: text("sensor"),
        location: text("hall"),
        unit: "Cel".try_into().expect("it is short"),
        range: None,
        poll_interval_ms: 1_000,
    };
    device.add_sensor(profile, Fixed).expect("there is room");
    let valve = Channel {
        name: "valve".try_into().expect("it is short"),
        neutral: Value::Switch(false),
        levels: (0, 0),
    };
    device.add_actuator(valve).expect("there is room");
    let now = Now {
        up: 1,
        utc: Some(1_767_323_045_000_006),
    };
    rest(&mut device, now);
    device.connected(now);
    rest(&mut device, now);
    let topics = Topics {
        prefix: "picow",
        style: Style::Mqtt,
    };
    let poll = topics.of([1; 16], Purpose::Poll);
    for _ in 0..3 {
        let heard = device.message(now, &poll, None, TELLING_POLL);
        heard.expect("anything is a poll");
        rest(&mut device, now);
    }
    let id = match purpose {
        Purpose::Poll | Purpose::HistoryAck => [1; 16],
        _ => [2; 16],
    };
    let topic = topics.of(id, purpose);
    let _ = device.message(now, &topic, None, payload);
    let answers = rest(&mut device, now);
    assert_eq!(answers, u32::from(purpose == Purpose::Poll));
    let kept = device.waiting_of([1; 16]).map(|waiting| waiting.sequence);
    assert!(kept.is_sorted_by(|one, next| one < next));
    assert_eq!((device.waiting_and_lost().1, device.unconfirmed()), (0, 0));
    // Much later what is left is history.
    let later = Now {
        up: 60_000_000,
        ..now
    };
    rest(&mut device, later);
}

/// Does nothing of what it says, until it says nothing; its answers to polls.
fn rest(device: &mut Device<Fixed, 1, 4, 2_048>, now: Now) -> u32 {
    let mut answers = 0;
    for _ in 0..32 {
        match device.next(now) {
            None => return answers,
            Some(Action::Publish { topic, payload }) if topic.ends_with("/read") => {
                Reply::parse(payload).expect("its answers are good");
                answers += 1;
            }
            Some(_) => {}
        }
    }
    panic!("the device never rests");
}
