//! What a device with many points answers to a poll: a PLC, a gateway.
//!
//! ```json
//! {"seq":7,"boot":"a1b2","at":1767323045000006,"poll":12,"points":[
//!   {"name":"inlet","value":21.3,"unit":"Cel"},{"name":"pump 1/rpm","value":"1480","at":1767323045000001}]}
//! ```
//!
//! One poll, one sequence number, many values. What stands beside `points` counts for each of them, `at` unless
//! a point has its own. A point has a name, which is its only identity within the device, and what else a
//! single answer has of a reading: `value` and `unit`, read as there.
//!
//! One bad point costs no other: a value that cannot be read is that point's invalid answer. A point without
//! a name, or with one that the answer had before, cannot be told from others and is left out; so says
//! [`Points::remarks`].
//!
//! A signature over points is not defined yet: `sig` is left out, and a device with a key that answers so is
//! recorded as one whose signature is missing.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::excerpt::quoted;
use crate::reply::{MAX_UNPARSABLE_BYTES, Object, Reply, ReplyError, Unparsable};
use crate::text::{readable, trimmed_text};

/// The largest answer with points, in bytes: 250 for each of the most points.
pub const MAX_POINTS_BYTES: usize = 256_000;

/// The most points of one answer.
pub const MAX_POINTS: usize = 1_000;

/// The longest name of a point, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// An answer with points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Points {
    /// The poll that is answered, where the device repeats its number.
    pub poll: Option<u64>,
    /// The points in the order of the answer, no name twice.
    pub points: Vec<Point>,
    /// What was left out of the answer, and why.
    pub remarks: Vec<String>,
}

/// One point of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// 1 to [`MAX_NAME_BYTES`] bytes, without control characters and blanks around them.
    pub name: String,
    /// What a sensor that has nothing but this point would have answered.
    pub answer: Result<Reply, Unparsable>,
}

/// An answer of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// That of a sensor: one value, or none.
    One(Result<Reply, Unparsable>),
    /// That of a device with points.
    Many(Points),
}

/// The answer as an object, its points not yet looked at.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    points: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    boot: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    up: Option<&'a RawValue>,
    #[serde(borrow, default)]
    poll: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sig: Option<&'a RawValue>,
}

/// A point, its members not yet looked at.
#[derive(Deserialize)]
struct Element<'a> {
    name: String,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    at: Option<&'a RawValue>,
}

impl Answer {
    /// Reads an answer. What is no answer with points is read as that of a sensor, and what is wrong with it
    /// is said as of one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_POINTS_BYTES || !names_points(bytes) {
            return Self::One(Reply::parse(bytes));
        }
        let text = readable(bytes).text;
        match serde_json::from_str::<Envelope<'_>>(&text) {
            Ok(envelope) if (1..=MAX_POINTS).contains(&envelope.points.len()) => {
                Self::Many(Points::read(&envelope))
            }
            Ok(envelope) => {
                let head = Reply::with_members(String::new(), &envelope.beside_points(), false);
                let count = envelope.points.len();
                let beginning = &bytes[..bytes.len().min(MAX_UNPARSABLE_BYTES)];
                Self::One(Err(Unparsable {
                    text: cut(&String::from_utf8_lossy(beginning)),
                    poll: head.poll,
                    reason: ReplyError::PointCount { count },
                }))
            }
            Err(_) => Self::One(Reply::parse(bytes)),
        }
    }

    /// The poll that is answered, where the device repeats its number.
    #[must_use]
    pub fn poll(&self) -> Option<u64> {
        match self {
            Self::One(Ok(reply)) => reply.poll,
            Self::One(Err(unparsable)) => unparsable.poll,
            Self::Many(points) => points.poll,
        }
    }
}

impl<'a> Envelope<'a> {
    fn beside_points(&self) -> Object<'a> {
        Object {
            boot: self.boot,
            seq: self.seq,
            at: self.at,
            up: self.up,
            poll: self.poll,
            ..Object::default()
        }
    }
}

impl Points {
    fn read(envelope: &Envelope<'_>) -> Self {
        let head = Reply::with_members(String::new(), &envelope.beside_points(), false);
        let mut remarks = Vec::new();
        if envelope.sig.is_some() {
            remarks.push("field sig is left out; points cannot be signed yet".to_owned());
        }
        let mut names = HashSet::with_capacity(envelope.points.len());
        let mut points = Vec::with_capacity(envelope.points.len());
        for raw in &envelope.points {
            match element(raw) {
                Ok((name, element)) if names.insert(name.clone()) => points.push(Point {
                    name,
                    answer: of_element(&element, &head),
                }),
                Ok((name, _)) => remarks.push(format!(
                    "point {} is there twice; the first one is taken",
                    quoted(&name)
                )),
                Err(remark) => remarks.push(remark),
            }
        }
        // A hostile answer may have a thousand flaws; a few tell enough.
        remarks.truncate(MAX_REMARKS);
        Self {
            poll: head.poll,
            points,
            remarks,
        }
    }
}

/// The most remarks on one answer.
const MAX_REMARKS: usize = 4;

/// Whether an answer may have points: cheaper than to read it, and wrong only where a text holds the name.
fn names_points(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"\"points\"";
    bytes.windows(NAME.len()).any(|window| window == NAME)
}

fn element<'a>(raw: &'a RawValue) -> Result<(String, Element<'a>), String> {
    let element: Element<'a> = serde_json::from_str(raw.get()).map_err(|error| {
        let text = quoted(raw.get());
        format!("point {text} is left out ({error}); expected {{\"name\":…,\"value\":…}}")
    })?;
    let name = trimmed_text(&element.name);
    let has_control = name.chars().any(char::is_control);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || has_control {
        return Err(format!(
            "point name {} is left out; expected 1 to {MAX_NAME_BYTES} bytes without control characters",
            quoted(name)
        ));
    }
    Ok((name.to_owned(), element))
}

/// What a sensor with this point alone would have answered.
fn of_element(element: &Element<'_>, head: &Reply) -> Result<Reply, Unparsable> {
    let object = Object {
        value: element.value,
        unit: element.unit,
        at: element.at,
        ..Object::default()
    };
    let own = Reply::from_object(&object, false).map_err(|reason| Unparsable {
        text: cut(element.value.map_or("", |raw| raw.get())),
        poll: head.poll,
        reason,
    })?;
    let has_time = own.at.is_some();
    Ok(Reply {
        value: own.value,
        unit: own.unit,
        at: own.at.or(head.at),
        up: head.up.filter(|_| !has_time),
        boot: head.boot.clone(),
        flaws: [&head.flaws[..], &own.flaws].concat(),
        notes: [&head.notes[..], &own.notes].concat(),
        ..*head
    })
}

/// At most [`MAX_UNPARSABLE_BYTES`] of it.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_UNPARSABLE_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn many(text: &str) -> Points {
        match Answer::parse(text.as_bytes()) {
            Answer::Many(points) => points,
            Answer::One(answer) => panic!("{text}: {answer:?}"),
        }
    }

    #[test]
    fn each_point_has_what_the_answer_says_of_all() {
        let answer = many(
            r#"{"seq":7,"boot":"b","at":1767323045000006,"poll":12,"points":[
                {"name":"inlet","value":21.30,"unit":"Cel"},
                {"name":" pump 1/rpm ","value":"1480","at":1767323045000001}]}"#,
        );
        assert_eq!((answer.poll, answer.remarks.len()), (Some(12), 0));
        let [inlet, pump] = &answer.points[..] else {
            panic!("{answer:?}")
        };
        let (one, two) = (
            inlet.answer.as_ref().unwrap(),
            pump.answer.as_ref().unwrap(),
        );
        assert_eq!((&*inlet.name, &*pump.name), ("inlet", "pump 1/rpm"));
        assert_eq!(
            (&*one.value, &*one.unit, &*two.value),
            ("21.30", "Cel", "1480")
        );
        assert_eq!((one.seq, &*one.boot, one.poll), (Some(7), "b", Some(12)));
        assert_eq!(one.at, Some(1_767_323_045_000_006));
        assert_eq!((two.at, two.seq), (Some(1_767_323_045_000_001), Some(7)));
    }

    #[test]
    fn a_point_with_a_time_of_its_own_has_one_clock() {
        let answer = many(
            r#"{"up":5,"points":[{"name":"a","value":1},{"name":"b","value":1,"at":1767323045000001}]}"#,
        );
        let clock = |point: &Point| {
            let reply = point.answer.as_ref().unwrap();
            (reply.at, reply.up)
        };
        let clocks: Vec<_> = answer.points.iter().map(clock).collect();
        assert_eq!(
            clocks,
            [(None, Some(5)), (Some(1_767_323_045_000_001), None)]
        );
    }

    #[test]
    fn a_bad_point_costs_no_other() {
        let answer = many(
            r#"{"seq":7,"points":[1,{"value":1},{"name":"a"},{"name":"b","value":[{}]},
                {"name":"c","value":3},{"name":"c","value":4},{"name":"\u0007","value":5},
                {"name":"d","name":"e","value":6},null,{"name":"f","value":1e999},{"name":"g","value":8}]}"#,
        );
        let good: Vec<_> = answer
            .points
            .iter()
            .filter_map(|point| Some((&*point.name, &*point.answer.as_ref().ok()?.value)))
            .collect();
        assert_eq!(good, [("c", "3"), ("g", "8")]);
        let bad = answer.points.iter().filter(|point| point.answer.is_err());
        let bad: Vec<_> = bad.map(|point| &*point.name).collect();
        assert_eq!(bad, ["a", "b", "f"]);
        assert_eq!(answer.remarks.len(), MAX_REMARKS);
    }

    #[test]
    fn no_points_or_too_many_are_one_invalid_answer_of_the_poll() {
        let points = vec![r#"{"name":"a","value":1}"#; MAX_POINTS + 1].join(",");
        for (points, count) in [("", 0), (&*points, MAX_POINTS + 1)] {
            let text = format!(r#"{{"poll":3,"points":[{points}]}}"#);
            let Answer::One(Err(refused)) = Answer::parse(text.as_bytes()) else {
                panic!("{count} points are taken")
            };
            assert_eq!(refused.poll, Some(3));
            assert_eq!(refused.reason, ReplyError::PointCount { count });
            assert!(refused.text.len() <= MAX_UNPARSABLE_BYTES);
        }
        let long = format!(r#"{{"points":[{}]}}"#, "0,".repeat(1_000_000));
        assert!(matches!(
            Answer::parse(long.as_bytes()),
            Answer::One(Err(_))
        ));
    }

    #[test]
    fn an_answer_of_one_value_is_read_as_before() {
        for text in [
            "21.5",
            r#"{"value":21.5}"#,
            r#"{"value":21.5,"note":"points"}"#,
            "x",
        ] {
            let one = Answer::One(Reply::parse(text.as_bytes()));
            assert_eq!(Answer::parse(text.as_bytes()), one, "{text}");
        }
        assert!(matches!(
            Answer::parse(br#"{"points":3}"#),
            Answer::One(Err(_))
        ));
    }

    #[test]
    fn a_signature_over_points_is_none() {
        let sig = "A".repeat(86);
        let answer = many(&format!(
            r#"{{"seq":1,"boot":"b","up":1,"sig":"{sig}==","points":[{{"name":"a","value":1}}]}}"#
        ));
        assert_eq!(answer.points[0].answer.as_ref().unwrap().sig, None);
        assert_eq!(answer.remarks.len(), 1);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn hostile_points_are_bounded_and_no_name_comes_twice(
            points in proptest::collection::vec(
                r#"\{"name":"[ab]?","value":[0-9]{0,2}\}|\PC{0,12}|null|\[\]"#, 0..12
            ),
        ) {
            let text = format!(r#"{{"seq":1,"points":[{}]}}"#, points.join(","));
            if let Answer::Many(answer) = Answer::parse(text.as_bytes()) {
                let names: HashSet<&str> = answer.points.iter().map(|point| &*point.name).collect();
                prop_assert_eq!(names.len(), answer.points.len());
                prop_assert!(answer.points.len() <= MAX_POINTS);
                prop_assert!(answer.remarks.len() <= MAX_REMARKS);
            }
        }
    }
}
