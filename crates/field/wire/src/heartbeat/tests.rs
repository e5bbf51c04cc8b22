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
    assert_eq!(device.mac_addr, MacAddr::Bytes([40, 205, 193, 3, 226, 159]));
    assert!(device.remarks.is_empty(), "{:?}", device.remarks);
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
    let informing = ["alias", "location", "ip_addr", "mac_addr"];
    for field in complete.as_object().unwrap().keys() {
        let mut json = complete.clone();
        json.as_object_mut().unwrap().remove(field);
        let named = match parse(&json) {
            Ok(device) => {
                assert!(informing.contains(&field.as_str()), "{field}");
                device.remarks.join("\n")
            }
            Err(error) => error.to_string(),
        };
        assert!(named.contains(field), "{field}: {named}");
    }
}

#[test]
fn what_only_informs_never_costs_the_device() {
    let long = "x".repeat(MAX_NAME_CHARACTERS + 1);
    for (field, value) in [
        ("ip_addr", json!("fe80::1%wlan0")),
        ("ip_addr", json!("localhost")),
        ("ip_addr", json!("999.0.0.1")),
        ("ip_addr", json!("1.2.3.4:80")),
        ("ip_addr", json!(17)),
        ("ip_addr", json!(["1.2.3.4"])),
        ("ip_addr", json!(long)),
        ("ip_addr", json!("")),
        ("mac_addr", json!([1, 2, 3, 4, 5])),
        ("mac_addr", json!([1, 2, 3, 4, 5, 256])),
        ("mac_addr", json!("00:11:22:33:44")),
        ("mac_addr", json!("unknown")),
        ("mac_addr", json!(null)),
        ("mac_addr", json!({"a": [1, 2]})),
        ("location", json!(null)),
        ("location", json!(7)),
        ("location", json!(["hall"])),
        ("location", json!("a\u{1b}[2Jb")),
        ("location", json!(long)),
        ("alias", json!("")),
        ("alias", json!("  \u{200b}")),
        ("alias", json!(null)),
        ("alias", json!(long)),
        ("alias", json!("a\u{1b}[2Jb")),
        ("unit", json!("furlongs")),
        ("unit", json!(7)),
        ("unit", json!(long)),
        ("lost", json!(-1)),
        ("lost", json!("many")),
        ("answer_within", json!(0)),
        ("answer_within", json!("soon")),
    ] {
        let mut json = simulated();
        json[field] = value.clone();
        let device = parse(&json).unwrap();
        let remarks = device.remarks.join("\n");
        assert!(remarks.contains(field), "{field} = {value}: {remarks}");
        assert!(remarks.len() < 400, "{remarks}");
        let texts = [
            &device.ip_addr,
            &device.profile.alias,
            &device.profile.location,
        ];
        assert!(
            texts
                .into_iter()
                .all(|text| !text.contains(char::is_control))
        );
        let stored = serde_json::to_vec(&device.to_heartbeat()).unwrap();
        let mut again = Heartbeat::restore(&stored, &limits()).unwrap();
        again.remarks.clone_from(&device.remarks);
        assert_eq!(again, device, "{field} = {value}");
    }
}

#[test]
fn a_blank_alias_is_shown_as_the_id() {
    for alias in ["", " \t", "\u{200b}\u{feff}", "\u{3164}"] {
        let mut json = simulated();
        json["alias"] = json!(alias);
        assert_eq!(parse(&json).unwrap().profile.alias, ID, "{alias:?}");
    }
}

#[test]
fn addresses_are_read_in_every_usual_spelling() {
    for mac in [
        json!([40, 205, 193, 3, 226, 159]),
        json!(["40", 205.0, 193, 3, 226, 159]),
        json!("28:cd:c1:03:e2:9f"),
        json!("28-CD-C1-03-E2-9F"),
        json!("28cd.c103.e29f"),
    ] {
        let mut json = simulated();
        json["mac_addr"] = mac.clone();
        let device = parse(&json).unwrap();
        assert_eq!(device.mac_addr.to_string(), "28:cd:c1:03:e2:9f");
        assert!(device.remarks.is_empty(), "{mac}");
    }
    let mut json = simulated();
    json["ip_addr"] = json!("fe80::1%wlan0");
    assert_eq!(parse(&json).unwrap().ip_addr, "fe80::1%wlan0");
}

#[test]
fn units_are_understood_and_kept_as_they_were_sent() {
    for (sent, code, kept) in [
        ("°C", "Cel", "°C"),
        ("degrees C", "Cel", "degrees C"),
        ("µg/m³", "ug/m3", "µg/m³"),
        ("μg/m³", "ug/m3", "μg/m³"),
        ("Cel", "Cel", ""),
        ("furlongs", "furlongs", ""),
    ] {
        let mut json = simulated();
        json["unit"] = json!(sent);
        let device = parse(&json).unwrap();
        let profile = &device.profile;
        assert_eq!(
            (profile.unit.as_str(), profile.unit_sent.as_str()),
            (code, kept)
        );
        assert_eq!(device.remarks.is_empty(), sent != "furlongs");
        let stored = serde_json::to_vec(&device.to_heartbeat()).unwrap();
        assert_eq!(Heartbeat::restore(&stored, &limits()).unwrap(), device);
    }
}

#[test]
fn numbers_are_read_in_every_exact_spelling() {
    for interval in ["60000", "60000.0", "6e4", "\"60000\"", "\" 60000 \""] {
        let text = simulated().to_string().replace("610000", interval);
        assert_eq!(
            parse_text(&text).unwrap().poll_interval_ms,
            60_000,
            "{interval}"
        );
    }
    let mut json = simulated();
    json["range"] = json!({"low": "-40", "high": 125.0});
    json["calibration"] = json!({"base": "0", "scale": "6.25", "offset": 0});
    json["answer_within"] = json!("800");
    let device = parse(&json).unwrap();
    assert_eq!(device.profile.range.unwrap().low, -40.0);
    assert_eq!(device.profile.calibration.unwrap().scale, 6.25);
    assert_eq!(device.answer_within_ms, Some(800));
}

#[test]
fn what_stands_around_a_heartbeat_is_passed_over() {
    for (text, key) in [
        (simulated().to_string(), false),
        (proven(&declared()), true),
    ] {
        for padded in [
            format!("\u{feff}{text}"),
            format!("{text}\0"),
            format!("{text}\r\n\0\0"),
            format!("  {text} \n"),
        ] {
            let device = parse_text(&padded).unwrap();
            assert_eq!(device.identity.is_some(), key);
            assert!(device.remarks.is_empty());
        }
    }
    let latin: Vec<u8> = simulated()
        .to_string()
        .replace("Filling", "F\u{fc}ll")
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let device = Heartbeat::parse(&latin, &limits()).unwrap();
    assert!(device.profile.location.contains("Füll"));
    assert!(device.remarks[0].contains("Latin-1"));
}

#[test]
fn a_refused_heartbeat_names_its_sensor() {
    let whole = simulated().to_string();
    let id = Some(Uuid::parse_str(ID).unwrap());
    assert_eq!(sensor_named(whole.as_bytes()), id);
    assert_eq!(sensor_named(format!("\u{feff}{whole}\0").as_bytes()), id);
    // Cut off, it is still there.
    assert_eq!(sensor_named(&whole.as_bytes()[..whole.len() - 3]), id);
    for text in ["", "{}", "{\"id\":7}", "hello"] {
        assert_eq!(sensor_named(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn topics_of_mqtt_are_stored_as_their_subjects() {
    let mut json = simulated();
    for (field, name) in [
        ("poll_topic", "poll"),
        ("read_topic", "read"),
        ("disconnect_topic", "bye"),
    ] {
        json[field] = json!(format!("picow/{ID}/v1.2/{name}"));
    }
    let device = parse(&json).unwrap();
    assert_eq!(device.poll.as_str(), format!("picow.{ID}.v1//2.poll"));
    let stored = serde_json::to_vec(&device.to_heartbeat()).unwrap();
    assert_eq!(Heartbeat::restore(&stored, &limits()).unwrap(), device);
}

#[test]
fn every_hostile_value_is_refused_and_named() {
    for (field, value) in [
        ("id", json!("not a uuid")),
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("id", json!(7)),
        ("poll_interval", json!(0)),
        ("poll_interval", json!(99)),
        ("poll_interval", json!(86_400_001_u64)),
        ("poll_interval", json!(-1)),
        ("poll_interval", json!(1000.5)),
        ("poll_interval", json!("1000 ms")),
        ("poll_interval", json!([1000])),
        ("poll_topic", json!(["sim"])),
        ("poll_topic", json!(format!("wasmbus.ctl.v1.{ID}"))),
        ("poll_topic", json!(format!("picow/{ID}/+/poll"))),
        ("read_topic", json!(format!("sim.*.{ID}"))),
        ("disconnect_topic", json!("sim.disconnect.>")),
        ("range", json!({"low": 2, "high": 1})),
        ("range", json!([1, "two"])),
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
