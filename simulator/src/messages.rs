//! The messages that sensors send, and the polls they hear.

use std::fmt::{self, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fieldledger_wire::batch::Range;
use fieldledger_wire::heartbeat::{Heartbeat, MacAddr};
use fieldledger_wire::poll::Poll;

use crate::hundredths::Hundredths;
use crate::sensor::Sensor;
use crate::simulation::Answer;
use crate::topics::{Style, Topics};

/// What a broken sensor sends instead of a number, in turn: text, nothing, a cut-off object, no
/// JSON, an object without a value, null, a float that is no number, a list, bytes that are not
/// UTF-8, a kilobyte of brackets.
pub const GARBAGE: [&[u8]; 10] = [
    b"\"ERR\"",
    b"",
    b"{\"value\":21.3",
    b"sensor fault",
    b"{\"seq\":1}",
    b"null",
    b"\"NaN\"",
    b"[21.37]",
    b"\"\xff\xfe\x80\"",
    &[b'['; 1024],
];

/// The garbage sent as answer number `sequence`.
pub(crate) fn garbage(sequence: u64) -> &'static [u8] {
    GARBAGE[(sequence % GARBAGE.len() as u64) as usize]
}

/// The original's answer: a JSON string that holds the number.
pub(crate) fn plain_answer(value: Hundredths, scratch: &mut BytesMut) -> Bytes {
    written(scratch, format_args!("\"{value}\""))
}

/// An answer with everything a device can say. `unit` and `boot` hold nothing that JSON escapes.
///
/// Written by hand: this is all that a poll costs beside the network, and it takes a third of the
/// time that a serializer does.
pub(crate) fn object_answer(
    value: Hundredths,
    unit: &str,
    boot: &str,
    answer: &Answer,
    scratch: &mut BytesMut,
) -> Bytes {
    let Answer {
        sequence,
        measured_at,
        ..
    } = answer;
    let common = format_args!(
        "{{\"value\":{value},\"seq\":{sequence},\"boot\":\"{boot}\",\"at\":{measured_at},\"unit\":\"{unit}\""
    );
    match answer.poll {
        Some(poll) => written(scratch, format_args!("{common},\"poll\":{poll}}}")),
        None => written(scratch, format_args!("{common}}}")),
    }
}

fn written(scratch: &mut BytesMut, text: fmt::Arguments<'_>) -> Bytes {
    // A BytesMut grows as needed, so that writing to it fails never.
    let infallible = scratch.write_fmt(text);
    debug_assert!(infallible.is_ok());
    scratch.split().freeze()
}

/// The number that a poll carries, if it carries one.
pub(crate) fn poll_number(payload: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Poll>(payload)
        .ok()
        .map(|poll| poll.poll)
}

/// A sensor's heartbeat.
pub(crate) fn heartbeat(
    sensor: &Sensor,
    topics: &Topics,
    style: Style,
    poll_interval: Duration,
) -> Bytes {
    let kind = sensor.kind();
    let is_modern = style == Style::Modern;
    let heartbeat = Heartbeat {
        alias: sensor.alias().to_owned(),
        id: sensor.id(),
        poll_interval: poll_interval.as_millis() as u64,
        poll_topic: topics.poll(sensor.id()),
        read_topic: topics.read(sensor.id()),
        disconnect_topic: topics.disconnect(sensor.id()),
        ip_addr: sensor.ip_address().to_string(),
        mac_addr: MacAddr::Bytes(sensor.mac_address()),
        location: sensor.location(),
        unit: is_modern.then(|| kind.unit.to_owned()),
        answer_within: None,
        range: is_modern.then_some(Range {
            low: kind.low,
            high: kind.high,
        }),
        calibration: None,
        // These devices have no keys.
        identity: None,
        lost: None,
    };
    let text = serde_json::to_vec(&heartbeat);
    // Strings, integers and finite floats: nothing here that JSON cannot hold.
    debug_assert!(text.is_ok());
    Bytes::from(text.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fieldledger_wire::heartbeat::{Limits, POLL_INTERVALS_MS};
    use fieldledger_wire::reply::Reply;
    use fieldledger_wire::topic::TopicRules;
    use serde_json::{Value, json};

    use super::*;
    use crate::catalogue::STATIONS;
    use crate::topics::Protocol;

    const ANSWER: Answer = Answer {
        sensor: 0,
        sequence: 7,
        poll: Some(12),
        measured_at: 1_700_000_000_000_001,
        fault: None,
    };

    #[test]
    fn the_originals_answer_is_a_string() {
        let value = Hundredths::truncated(21.37);
        let text = plain_answer(value, &mut BytesMut::new());
        assert_eq!(text, "\"21.37\"");
    }

    #[test]
    fn a_modern_answer_says_everything() {
        let value = Hundredths::truncated(-0.5);
        let mut scratch = BytesMut::new();
        for station in STATIONS {
            let unit = station.kind.unit;
            let text = object_answer(value, unit, "b-1", &ANSWER, &mut scratch);
            let mut expected = Reply {
                value: "-0.5".to_owned(),
                boot: "b-1".to_owned(),
                seq: Some(7),
                at: Some(1_700_000_000_000_001),
                up: None,
                unit: unit.to_owned(),
                poll: Some(12),
                sig: None,
                flaws: Vec::new(),
                notes: Vec::new(),
            };
            assert_eq!(Reply::parse(&text).unwrap(), expected);

            let unnumbered = Answer {
                poll: None,
                ..ANSWER
            };
            let text = object_answer(value, unit, "b-1", &unnumbered, &mut scratch);
            expected.poll = None;
            assert_eq!(Reply::parse(&text).unwrap(), expected);
        }
    }

    #[test]
    fn garbage_holds_no_number() {
        for (sequence, garbage_text) in (0..).zip(GARBAGE) {
            assert_eq!(garbage(sequence), garbage_text);
            assert!(Reply::parse(garbage_text).is_err(), "{garbage_text:?}");
        }
    }

    #[test]
    fn the_poll_number_is_optional() {
        for (payload, number) in [
            (&b"{\"poll\":12}"[..], Some(12)),
            (b" { \"poll\" : 12 , \"more\" : [] } ", Some(12)),
            (b"", None),
            (b"poll", None),
            (b"{\"poll\":-1}", None),
            (b"\xff", None),
        ] {
            assert_eq!(poll_number(payload), number);
        }
    }

    fn heartbeat_of(protocol: Protocol, style: Style) -> Value {
        let topics = Topics::new(protocol, style, None).unwrap();
        let sensor = Sensor::new(0, 0);
        let text = heartbeat(&sensor, &topics, style, Duration::from_secs(10));
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn the_originals_heartbeat_has_its_nine_fields() {
        let heartbeat = heartbeat_of(Protocol::Nats, Style::Original);
        let id = Sensor::new(0, 0).id();
        let fields = heartbeat.as_object().unwrap();
        assert_eq!(fields.len(), 9);
        assert_eq!(fields["alias"], "TempSensor01");
        assert_eq!(fields["id"], id.to_string());
        assert_eq!(fields["poll_interval"], 10_000);
        assert_eq!(fields["poll_topic"], format!("sim.poll.{id}"));
        assert_eq!(fields["read_topic"], format!("sim.read.{id}"));
        assert_eq!(fields["disconnect_topic"], format!("sim.disconnect/{id}"));
        assert!(fields["ip_addr"].as_str().unwrap().starts_with("10."));
        assert_eq!(fields["mac_addr"].as_array().unwrap().len(), 6);
        assert_eq!(fields["mac_addr"][0], 2);
        assert_eq!(fields["location"], "SIMULATION-Conveyor Belt 1");
    }

    #[test]
    fn a_modern_heartbeat_declares_unit_and_range() {
        let heartbeat = heartbeat_of(Protocol::Mqtt, Style::Modern);
        assert_eq!(heartbeat["unit"], "Cel");
        assert_eq!(heartbeat["range"], json!({"low": 0.0, "high": 50.0}));
    }

    #[test]
    fn the_polling_provider_accepts_every_heartbeat() {
        let prefixes = ["sim".to_owned(), "picow".to_owned()];
        let limits = Limits {
            topics: TopicRules::new(&prefixes, "default").unwrap(),
            poll_interval_ms: POLL_INTERVALS_MS,
        };
        for protocol in [Protocol::Nats, Protocol::Mqtt] {
            for style in [Style::Modern, Style::Original] {
                let topics = Topics::new(protocol, style, None).unwrap();
                for sensor in Sensor::fleet(0, 41) {
                    let text = heartbeat(&sensor, &topics, style, Duration::from_secs(1));
                    let device = Heartbeat::parse(&text, &limits).unwrap();
                    assert_eq!(device.id, sensor.id());
                }
            }
        }
    }
}
