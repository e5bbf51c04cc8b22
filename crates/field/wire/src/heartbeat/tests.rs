#![allow(clippy::unwrap_used)]
use fieldledger_attest::heartbeat::with_proof;
use fieldledger_attest::identity::DeviceKey;
use fieldledger_chance::proptest_config;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::topic::TopicRules;

const ID: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

fn limits() -> Limits {
    let prefixes = ["sim".to_owned(), "picow".to_owned()];
    Limits {
        topics: TopicRules::new(&prefixes, "default").unwrap(),
        poll_interval_ms: POLL_INTERVALS_MS,
    }
}

fn simulated() -> Value {
    json!({
        "alias": "FAULTY_HumiditySensor-A1",
        "id": ID,
        "poll_interval": 610_000,
        "poll_topic": format!("sim.poll.{ID}"),
        "read_topic": format!("sim.read.{ID}"),
        "disconnect_topic": format!("sim.disconnect/{ID}"),
        "ip_addr": "93.184.216.34",
        "mac_addr": [0, 1, 2, 3, 4, 255],
        "location": "SIMULATION-Filling Line 3",
    })
}

fn parse(json: &Value) -> Result<Device, HeartbeatError> {
    Heartbeat::parse(json.to_string().as_bytes(), &limits())
}

#[test]
fn the_original_simulators_heartbeat_is_accepted() {
    let device = parse(&simulated()).unwrap();
    assert_eq!(device.profile.alias, "FAULTY_HumiditySensor-A1");
    assert_eq!(device.disconnect.as_str(), format!("sim.disconnect.{ID}"));
    assert_eq!(device.poll_interval_ms, 610_000);
    assert_eq!(device.profile.unit, "");
}

#[test]
fn the_pico_w_heartbeat_is_accepted() {
    let text = r#"{"disconnect_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/disconnect",
        "poll_interval": 60000, "ip_addr": "1.2.3.4", "mac_addr": [40, 205, 193, 3, 226, 159],
        "id": "f3088463-5623-476f-a1b5-ecb49446a443", "location": "rp-pico-w",
        "poll_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/poll", "alias": "temp_01",
        "read_topic": "picow/f3088463-5623-476f-a1b5-ecb49446a443/read"}"#;
    let device = Heartbeat::parse(text.as_bytes(), &limits()).unwrap();
    assert_eq!(device.poll.as_str(), format!("picow.{ID}.poll"));
    assert_eq!(device.mac_addr, [40, 205, 193, 3, 226, 159]);
}

#[test]
fn what_is_written_reads_back() {
    let mut json = simulated();
    json["unit"] = json!("%");
    json["range"] = json!({"low": 20.0, "high": 90.0});
    json["calibration"] = json!({"base": 4.0, "scale": 6.25, "offset": 0.0});
    let device = parse(&json).unwrap();
    let written = serde_json::to_vec(&device.to_heartbeat()).unwrap();
    assert_eq!(Heartbeat::parse(&written, &limits()).unwrap(), device);
}

#[test]
fn every_missing_field_is_named() {
    let complete = simulated();
    for field in complete.as_object().unwrap().keys() {
        let mut json = complete.clone();
        json.as_object_mut().unwrap().remove(field);
        let text = parse(&json).unwrap_err().to_string();
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[test]
fn every_hostile_value_is_refused_and_named() {
    let long = "x".repeat(MAX_NAME_CHARACTERS + 1);
    for (field, value) in [
        ("id", json!("not a uuid")),
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("id", json!(7)),
        ("alias", json!("")),
        ("alias", json!(long)),
        ("alias", json!("a\u{1b}[2Jb")),
        ("location", json!(null)),
        ("poll_interval", json!(0)),
        ("poll_interval", json!(99)),
        ("poll_interval", json!(86_400_001_u64)),
        ("poll_interval", json!(-1)),
        ("poll_interval", json!(1000.5)),
        ("poll_interval", json!("1000")),
        ("poll_topic", json!(["sim"])),
        ("poll_topic", json!(format!("wasmbus.ctl.v1.{ID}"))),
        ("read_topic", json!(format!("sim.*.{ID}"))),
        ("disconnect_topic", json!("sim.disconnect.>")),
        ("ip_addr", json!("localhost")),
        ("mac_addr", json!([1, 2, 3, 4, 5])),
        ("mac_addr", json!([1, 2, 3, 4, 5, 256])),
        ("mac_addr", json!("00:11:22:33:44:55")),
        ("unit", json!("degrees celsius")),
        ("range", json!({"low": 2, "high": 1})),
        ("range", json!([1, "2"])),
        ("calibration", json!({"base": 0, "scale": 0, "offset": 0})),
        ("calibration", json!({"base": 0})),
    ] {
        let mut json = simulated();
        json[field] = value.clone();
        let text = parse(&json).unwrap_err().to_string();
        assert!(text.contains(field), "{field} = {value}: {text}");
        assert!(text.len() < 400, "{text}");
    }
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[9; 32])
}

/// What a device with a key says before its proof.
fn declared() -> Value {
    let mut json = simulated();
    json["key"] = json!(key().public());
    json["boot"] = json!("a1b2");
    json["beat"] = json!(3);
    json["lost"] = json!(12);
    json
}

/// That with its proof.
fn proven(json: &Value) -> String {
    with_proof(&json.to_string(), &key()).unwrap()
}

fn parse_text(text: &str) -> Result<Device, HeartbeatError> {
    Heartbeat::parse(text.as_bytes(), &limits())
}

#[test]
fn a_device_that_proves_its_key_is_accepted_and_stored_so() {
    let device = parse_text(&proven(&declared())).unwrap();
    let identity = device.identity.clone().unwrap();
    assert_eq!(identity.key, key().public());
    assert_eq!((identity.boot.as_str(), identity.beat), ("a1b2", 3));
    assert_eq!(device.lost, Some(12));
    let written = serde_json::to_vec(&device.to_heartbeat()).unwrap();
    assert_eq!(Heartbeat::restore(&written, &limits()).unwrap(), device);
    let read: Heartbeat = serde_json::from_slice(&written).unwrap();
    assert_eq!(read, device.to_heartbeat());
    assert_eq!(parse(&simulated()).unwrap().identity, None);
}

#[test]
fn only_what_is_new_of_a_sensor_is_a_change() {
    let device = parse_text(&proven(&declared())).unwrap();
    let mut later = device.clone();
    later.lost = None;
    let identity = later.identity.as_mut().unwrap();
    identity.beat += 1;
    assert!(device.declares_the_same(&later) && device != later);
    let mut rebooted = later.clone();
    rebooted.identity.as_mut().unwrap().boot = "c3d4".to_owned();
    assert!(!device.declares_the_same(&rebooted));
    let mut renamed = later.clone();
    renamed.profile.alias = "other".to_owned();
    assert!(!device.declares_the_same(&renamed));
    later.identity = None;
    assert!(!device.declares_the_same(&later));
}

#[test]
fn a_key_without_its_proof_is_refused() {
    let is_missing = |field: &str, text: &str| {
        let error = parse_text(text).unwrap_err().to_string();
        assert!(
            error.contains(field) && error.contains("missing"),
            "{error}"
        );
    };
    for field in ["key", "boot", "beat"] {
        let mut json = declared();
        json.as_object_mut().unwrap().remove(field);
        is_missing(field, &proven(&json));
    }
    is_missing("key_sig", &declared().to_string());
    is_missing("key", &proven(&simulated()));
}

#[test]
fn all_that_a_heartbeat_says_is_signed() {
    let said = proven(&declared());
    let stranger = DeviceKey::from_seed(&[8; 32]).public().to_string();
    let names = key().public().to_string();
    for (from, to) in [
        (names.as_str(), stranger.as_str()),
        ("a1b2", "a1b3"),
        ("\"beat\":3", "\"beat\":4"),
        ("a443", "a444"),
        ("sim.poll.", "picow.poll."),
        ("610000", "610001"),
        ("Filling Line 3", "Filling Line 4"),
        ("\"lost\":12", "\"lost\":0"),
        ("{", "{ "),
        ("{", "{\"calibration\":null,"),
    ] {
        let forged = said.replace(from, to);
        assert_ne!(said, forged, "{from}");
        let error = parse_text(&forged).unwrap_err();
        assert!(
            matches!(error, HeartbeatError::NotPossessed { .. }),
            "{from}: {error}"
        );
    }
}

#[test]
fn nothing_stands_behind_the_proof() {
    let said = proven(&declared());
    parse_text(&format!("{said} \n")).unwrap();
    let open = said.strip_suffix('}').unwrap();
    let proof = &said[said.rfind(":").unwrap()..said.len() - 1];
    for behind in [
        ",\"lost\":0}",
        ",\"unit\":\"Cel\"}",
        ", \"poll_interval\" : 100}",
    ] {
        let error = parse_text(&format!("{open}{behind}")).unwrap_err();
        assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
    }
    // The last of two counts, here and for the parser of JSON.
    let twice = format!("{open},\"key_sig\"{proof}}}");
    let error = parse_text(&twice).unwrap_err();
    assert!(
        matches!(error, HeartbeatError::NotPossessed { .. }),
        "{error}"
    );
    // It is found where it is, and not within something else.
    let within = format!("{open},\"a\":{{\"key_sig\"{proof}}}}}");
    let error = parse_text(&within).unwrap_err();
    assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
    let escaped = said.replace("key_sig", "key_si\\u0067");
    let error = parse_text(&escaped).unwrap_err();
    assert!(matches!(error, HeartbeatError::ProofNotLast), "{error}");
}

#[test]
fn every_hostile_part_of_an_identity_is_named() {
    for (field, value) in [
        ("key", json!("ed25519:AAAA")),
        ("key", json!(7)),
        ("boot", json!("")),
        ("boot", json!("a b")),
        ("boot", json!("b".repeat(65))),
        ("beat", json!(-1)),
        ("beat", json!(1_u64 << 53)),
        ("beat", json!("3")),
        ("lost", json!(-1)),
        ("lost", json!("12")),
    ] {
        let mut json = declared();
        json[field] = value.clone();
        let text = parse_text(&proven(&json)).unwrap_err().to_string();
        assert!(text.contains(field), "{field} = {value}: {text}");
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn a_proof_that_is_no_signature_is_named() {
    for proof in [json!("AAAA"), json!(7), json!(null)] {
        let mut json = declared();
        json["key_sig"] = proof;
        let text = parse(&json).unwrap_err().to_string();
        assert!(text.contains("key_sig"), "{text}");
    }
}

#[test]
fn topics_must_differ() {
    let topics = ["poll_topic", "read_topic", "disconnect_topic"];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let mut json = simulated();
        json[topics[one]] = json[topics[other]].clone();
        assert!(matches!(parse(&json), Err(HeartbeatError::SameTopics)));
    }
}

#[test]
fn the_longest_heartbeat_is_read_and_no_longer_one() {
    let text = format!("{:1$}", simulated().to_string(), MAX_HEARTBEAT_BYTES);
    parse_text(&text).unwrap();
    let error = parse_text(&format!("{text} ")).unwrap_err();
    assert!(matches!(error, HeartbeatError::TooLong { .. }), "{error}");
}

#[test]
fn other_bytes_are_refused() {
    let limits = limits();
    let long = vec![b' '; MAX_HEARTBEAT_BYTES + 1];
    let deep = "[".repeat(MAX_HEARTBEAT_BYTES);
    for bytes in [
        &b""[..],
        b"\xff\xfe",
        b"{",
        b"[]",
        b"7",
        &long,
        deep.as_bytes(),
    ] {
        assert!(Heartbeat::parse(bytes, &limits).is_err());
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Heartbeat::parse(&bytes, &limits());
    }

    #[test]
    fn arbitrary_values_never_panic(field in 0..9_usize, text in "\\PC{0,80}") {
        let mut json = simulated();
        let name = json.as_object().unwrap().keys().nth(field).unwrap().clone();
        json[name] = json!(text);
        let _ = parse(&json);
    }
}
