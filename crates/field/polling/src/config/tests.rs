#![allow(clippy::unwrap_used)]
use super::subscription::prefix_of;
use super::*;

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let map = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Config::from_map(&map, "app-sensor_reader", "default")
}

/// `wadm.yaml` is the list that an operator reads, and only what it lists can be changed by tools.
#[test]
fn the_manifest_has_every_setting_with_its_default() {
    let manifest = include_str!("../../../../../wadm.yaml");
    let (_, block) = manifest.split_once("- name: polling\n").unwrap();
    let mut listed = HashMap::new();
    for line in block.lines().skip(1) {
        let line = line.trim();
        match line.split_once(": ") {
            _ if line.starts_with('#') => {}
            Some((name, value)) if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                listed.insert(name.to_owned(), value.trim_matches('"').to_owned());
            }
            _ => break,
        }
    }
    let mut names: Vec<&str> = listed.keys().map(String::as_str).collect();
    let mut expected = SETTINGS.map(|(name, _)| name);
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);

    // Where a default needs no more than a number, the manifest says the same as the code.
    let mut left_out = listed.clone();
    left_out.retain(|_, value| value.parse::<u64>().is_err());
    let of = |map| Config::from_map(map, "app-sensor_reader", "default").unwrap();
    assert_eq!(format!("{:?}", of(&listed)), format!("{:?}", of(&left_out)));
}

#[test]
fn the_originals_settings_suffice() {
    let config = read(&[
        ("SUBSCRIPTION", "sim.heartbeat, picow/heartbeat|pollers"),
        ("URI", "nats://user:SECRET@127.0.0.1:4222"),
        ("CLIENT_JWT", "jwt"),
        ("CLIENT_SEED", "SU-SECRET"),
    ])
    .unwrap();
    let queue = Some("pollers".to_owned());
    assert_eq!(
        config.subscriptions[1],
        Subscription {
            subject: "picow.heartbeat".to_owned(),
            queue
        }
    );
    let prefixes = ["sim".to_owned(), "picow".to_owned()];
    assert_eq!(
        config.engine.limits.topics,
        TopicRules::new(&prefixes, "default").unwrap()
    );
    assert_eq!(config.instance, "app-sensor_reader");
    assert!(!format!("{config:?}").contains("SECRET"));
}

#[test]
fn a_seed_alone_is_that_of_an_nkey_and_may_be_in_a_file() {
    let heartbeat = ("SUBSCRIPTION", "sim.heartbeat, field.*.heartbeat");
    let confined = ("CONFINED", "field");
    let file = ("CLIENT_SEED_FILE", "/run/seed");
    let config = read(&[heartbeat, file, confined]).unwrap();
    let seed = Seed::File("/run/seed".into());
    let expected = Credentials { jwt: None, seed };
    assert!(config.connection.credentials == Some(expected));
    assert_eq!(config.engine.confined, ["field"]);
    let config = read(&[heartbeat, ("CLIENT_SEED", "SU-SECRET")]).unwrap();
    assert_eq!(config.connection.credentials.unwrap().jwt, None);
}

#[test]
fn authorities_are_certificates_or_a_file_with_them() {
    let heartbeat = ("SUBSCRIPTION", "sim.heartbeat");
    let pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----";
    for (value, expected) in [
        (pem, Some(Authorities::Text(pem.to_owned()))),
        ("/run/ca.pem", Some(Authorities::File("/run/ca.pem".into()))),
        (" ", None),
    ] {
        let config = read(&[heartbeat, ("TLS_CA", value)]).unwrap();
        assert_eq!(config.connection.authorities, expected);
        // Servers that a message names must be vouched for as well.
        let elsewhere = config.connection.at(&["nats://10.0.0.2:4222".to_owned()]);
        assert_eq!(elsewhere.authorities, expected);
    }
}

#[test]
fn defaults_are_as_documented() {
    let config = read(&[("SUBSCRIPTION", "sim.heartbeat")]).unwrap();
    assert_eq!(config.engine.outstanding_max, 4_096);
    assert_eq!(config.engine.poll_timeout, Duration::from_millis(500));
    assert_eq!(config.engine.stale_after, Duration::from_secs(180));
    assert_eq!(config.lanes, 2);
}

#[test]
fn a_prefix_ends_before_a_wildcard() {
    assert_eq!(prefix_of("plant.*.heartbeat").unwrap(), "plant");
    assert_eq!(prefix_of("plant.hall1.heartbeat").unwrap(), "plant.hall1");
    assert_eq!(prefix_of("*.heartbeat"), None);
    assert_eq!(prefix_of("heartbeat"), None);
}

#[test]
fn errors_name_the_setting_and_what_is_right() {
    let heartbeat = ("SUBSCRIPTION", "sim.heartbeat");
    for (settings, words) in [
        (vec![], vec!["SUBSCRIPTION", "missing"]),
        (
            vec![("SUBSCRIPTION", "sim..heartbeat")],
            vec!["SUBSCRIPTION", "sim.heartbeat"],
        ),
        (
            vec![("SUBSCRIPTION", "sim.heartbeat,,")],
            vec!["SUBSCRIPTION"],
        ),
        (
            vec![("SUBSCRIPTION", "sim.heartbeat|")],
            vec!["SUBSCRIPTION"],
        ),
        (
            vec![("SUBSCRIPTION", "heartbeat")],
            vec!["PREFIX", "heartbeat"],
        ),
        (
            vec![("SUBSCRIPTION", "wasmbus.heartbeat")],
            vec!["PREFIX", "wasmbus"],
        ),
        (
            vec![("SUBSCRIPTION", "default.heartbeat")],
            vec!["PREFIX", "default"],
        ),
        (vec![heartbeat, ("PREFIX", "sim.*")], vec!["PREFIX", "'*'"]),
        (
            vec![heartbeat, ("LANES", "0")],
            vec!["LANES", "\"0\"", "1 to 64"],
        ),
        (
            vec![heartbeat, ("POLL_TIMEOUT_MS", "half a second")],
            vec!["POLL_TIMEOUT_MS"],
        ),
        (
            vec![
                heartbeat,
                ("POLL_INTERVAL_MIN_MS", "500"),
                ("POLL_INTERVAL_MAX_MS", "400"),
            ],
            vec!["POLL_INTERVAL_MAX_MS", "500 to"],
        ),
        (
            vec![heartbeat, ("POLL_TIMEOUT", "500")],
            vec!["\"POLL_TIMEOUT\"", "POLL_TIMEOUT_MS"],
        ),
        (vec![heartbeat, ("CLIENT_JWT", "jwt")], vec!["CLIENT_SEED"]),
        (
            vec![
                heartbeat,
                ("CLIENT_SEED", "seed"),
                ("CLIENT_SEED_FILE", "/a/file"),
            ],
            vec!["CLIENT_SEED_FILE", "/a/file"],
        ),
        (
            vec![heartbeat, ("CONFINED", "field")],
            vec!["CONFINED", "field", "sim"],
        ),
        (
            vec![heartbeat, ("INSTANCE", "a.b")],
            vec!["INSTANCE", "a.b"],
        ),
        (vec![heartbeat, ("URI", ",")], vec!["URI"]),
    ] {
        let text = crate::chain(&read(&settings).unwrap_err());
        for word in words {
            assert!(text.contains(word), "{settings:?}: {text}");
        }
    }
}
