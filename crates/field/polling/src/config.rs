//! The settings of a link, checked.
//!
//! `SUBSCRIPTION`, `URI`, `CLIENT_JWT` and `CLIENT_SEED` are the original's; the rest is new, and all
//! of it optional.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fieldledger_wire::heartbeat::{Limits, POLL_INTERVALS_MS};
use fieldledger_wire::topic::{TopicError, TopicRules, subject_of};
use thiserror::Error;

use crate::batcher::BatchLimits;
use crate::engine::Settings;

/// Every setting, with what it means.
pub const SETTINGS: [(&str, &str); 34] = [
    (
        "SUBSCRIPTION",
        "heartbeat subjects, comma-separated, each with an optional |queue group",
    ),
    (
        "URI",
        "NATS server, or several, best first, comma-separated (default nats://127.0.0.1:4222)",
    ),
    (
        "RETURN_AFTER_S",
        "how often it is looked whether a better one of several servers is back",
    ),
    (
        "REPLICAS",
        "servers of a cluster that each store what is stored",
    ),
    ("CLIENT_JWT", "user JWT for that server"),
    (
        "CLIENT_SEED",
        "seed that belongs to CLIENT_JWT, or of an nkey that the server's configuration lists",
    ),
    ("CLIENT_SEED_FILE", "file with that seed, instead of itself"),
    (
        "TLS_CA",
        "authorities (PEM, or a file with them) that vouch for that server; nothing but TLS is spoken then",
    ),
    (
        "PREFIX",
        "subjects below which device topics must lie (default: of each heartbeat subject, all but the last token)",
    ),
    (
        "CONFINED",
        "those of them whose sensors announce themselves below it, on a subject that carries their id",
    ),
    (
        "INSTANCE",
        "name in the subjects of stored results (default: the linked component)",
    ),
    ("POLL_TIMEOUT_MS", "how long a poll waits for its answer"),
    (
        "LATE_WINDOW_MS",
        "how long after that an answer is recognised as late",
    ),
    (
        "POLL_INTERVAL_MIN_MS",
        "shortest poll interval a heartbeat may ask for",
    ),
    (
        "POLL_INTERVAL_MAX_MS",
        "longest poll interval a heartbeat may ask for",
    ),
    (
        "STALE_AFTER_MS",
        "silence after which a sensor is stale: three heartbeats of the original",
    ),
    (
        "DOWN_AFTER",
        "unanswered polls in a row after which a sensor is down",
    ),
    (
        "RETRY_MAX_MS",
        "longest pause between polls of a sensor that is down",
    ),
    (
        "FORGET_AFTER_S",
        "silence after which a sensor is forgotten",
    ),
    (
        "SENSORS_MAX",
        "most sensors; a CONFINED one takes the place of another that has not answered",
    ),
    ("OUTSTANDING_MAX", "most polls under way"),
    (
        "PATTERNS_MAX",
        "most subscriptions for topics of CONFINED sensors, and as many for those of others",
    ),
    (
        "HEARTBEATS_PER_S",
        "most heartbeats of CONFINED sensors looked at per second, and as many of others",
    ),
    (
        "HISTORY_PER_S",
        "most readings per second of those that devices kept and send later",
    ),
    (
        "UNSIGNED",
        "allow or refuse: whether sensors that show no key may register (default allow)",
    ),
    ("BATCH_COUNT", "most results in a batch"),
    ("BATCH_BYTES", "most bytes in a batch"),
    ("BATCH_AGE_MS", "longest wait of a result for its batch"),
    (
        "BUFFER_MAX",
        "most results kept in memory while JetStream cannot be reached; then polling stops",
    ),
    (
        "STORED_BYTES_MAX",
        "most bytes of batches stored in the stream while the log takes none; then polling stops",
    ),
    (
        "LANES",
        "deliveries at a time; a sensor keeps to one lane, so that its readings keep their order",
    ),
    ("CALL_TIMEOUT_MS", "how long a delivery may take"),
    (
        "DRAIN_PER_S",
        "most results per second of a backlog, beside as many as are polled meanwhile",
    ),
    (
        "EVENTS",
        "subject whose messages are kept until the event logger has recorded them (none if absent)",
    ),
];

/// The original's default was `0.0.0.0:4222`, which means the same where it means anything.
const DEFAULT_URI: &str = "nats://127.0.0.1:4222";

/// A result without a signature takes 120 bytes: this is four days of a hundred sensors that are polled once a
/// second, and an hour of ten thousand. A disk on which it is a nuisance is too small for the log itself.
const STORED_BYTES_MAX: u64 = 4_000_000_000;

/// The longest name of an instance; it is a token in subjects and part of consumer names.
const INSTANCE_BYTES: usize = 64;

/// More heartbeat subjects than this is a mistake.
const SUBSCRIPTIONS_MAX: usize = 32;

/// A link's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the field is.
    pub connection: Connection,
    /// Where heartbeats arrive.
    pub subscriptions: Vec<Subscription>,
    /// Name in subjects, stored keys and consumers. A restart must find the same name.
    pub instance: String,
    /// How the engine behaves.
    pub engine: Settings,
    /// When a batch is full.
    pub batch: BatchLimits,
    /// Most results in memory while they cannot be stored.
    pub buffer_max: usize,
    /// Most bytes in the stream of batches while they cannot be delivered.
    pub stored_bytes_max: u64,
    /// Deliveries at a time.
    pub lanes: u32,
    /// How long a delivery may take.
    pub call_timeout: Duration,
    /// Most results per second of a backlog, beside as many as are polled meanwhile.
    pub drain_per_s: u32,
    /// Where programs publish events, which are kept until they are recorded.
    pub events: Option<String>,
}

/// A NATS server and the right to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Addresses of one cluster, or of several servers, best first.
    pub servers: Vec<String>,
    /// The address that names a user and a password, if any does.
    pub login: Option<String>,
    /// How often a better server is looked for.
    pub return_after: Duration,
    /// Servers that each store what is stored.
    pub replicas: usize,
    /// Who to be there; whoever a server's URL names if absent.
    pub credentials: Option<Credentials>,
    /// Who vouches for the servers. Where somebody must, they are spoken to over TLS only.
    pub authorities: Option<Authorities>,
}

/// Certificates in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Themselves.
    Text(String),
    /// A file that holds them.
    File(PathBuf),
}

/// A user of a NATS server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its JWT; without one the server knows its public key.
    pub jwt: Option<String>,
    /// The seed of its key.
    pub seed: Seed,
}

/// A secret, or where it is. A file's content does not travel through the lattice.
#[derive(Clone, PartialEq, Eq)]
pub enum Seed {
    /// The seed itself.
    Text(String),
    /// A file that holds it.
    File(PathBuf),
}

impl Connection {
    /// The same user at other servers.
    #[must_use]
    pub fn at(&self, servers: &[String]) -> Self {
        Self {
            servers: servers.to_vec(),
            ..self.clone()
        }
    }

    /// The addresses as logs may hold them: a URL can carry a user and a password.
    #[must_use]
    pub fn without_passwords(&self) -> Vec<String> {
        let cleaned = |server: &String| match server.rsplit_once('@') {
            Some((_, address)) => format!("…@{address}"),
            None => server.clone(),
        };
        self.servers.iter().map(cleaned).collect()
    }

    /// Each address as it is, and as logs may hold it.
    pub fn servers_without_passwords(&self) -> impl Iterator<Item = (&str, String)> {
        let servers = self.servers.iter().map(String::as_str);
        servers.zip(self.without_passwords())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.credentials.as_ref().map(|_| "…");
        f.debug_struct("Connection")
            .field("servers", &self.without_passwords())
            .field("credentials", &credentials)
            .finish()
    }
}

/// One heartbeat subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// May hold wildcards.
    pub subject: String,
    /// Queue group, where several providers share the sensors.
    pub queue: Option<String>,
}

impl Config {
    /// Reads a link's settings. `instance` is the default of `INSTANCE`; subjects of `lattice` are
    /// out of bounds for devices.
    ///
    /// # Errors
    ///
    /// Names the setting, its value and what would be right. An unknown setting is an error, since
    /// it is most likely a known one misspelt.
    pub fn from_map(
        map: &HashMap<String, String>,
        instance: &str,
        lattice: &str,
    ) -> Result<Self, ConfigError> {
        let values = Values(map);
        values.refuse_unknown()?;
        let subscriptions = values.subscriptions()?;
        let prefixes = values.prefixes(&subscriptions)?;
        let confined = values.confined(&prefixes)?;
        let topics = TopicRules::new(&prefixes, lattice).map_err(ConfigError::Prefix)?;
        Ok(Self {
            connection: values.connection()?,
            subscriptions,
            instance: values.instance(instance)?,
            engine: values.engine(topics, confined)?,
            batch: BatchLimits {
                count: values.number("BATCH_COUNT", 1_000, 1..=10_000)?,
                // A NATS message holds 1 MB at most unless the server is told otherwise.
                bytes: values.number("BATCH_BYTES", 262_144, 8_192..=1_000_000)?,
                age_ms: values.number("BATCH_AGE_MS", 200, 0..=60_000)?,
            },
            buffer_max: values.number("BUFFER_MAX", 100_000, 1_000..=10_000_000)?,
            stored_bytes_max: values.number(
                "STORED_BYTES_MAX",
                STORED_BYTES_MAX,
                1_000_000..=1_000_000_000_000,
            )?,
            lanes: values.number("LANES", 2, 1..=64)?,
            call_timeout: values.milliseconds("CALL_TIMEOUT_MS", 20_000, 100..=600_000)?,
            drain_per_s: values.number("DRAIN_PER_S", 10_000, 1..=1_000_000)?,
            events: values.text("EVENTS").map(str::to_owned),
        })
    }
}

struct Values<'a>(&'a HashMap<String, String>);

impl Values<'_> {
    /// The value of `key`; blank is the same as absent.
    fn text(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let known = |key: &str| SETTINGS.iter().any(|(name, _)| *name == key);
        let mut unknown: Vec<&String> = self.0.keys().filter(|key| !known(key)).collect();
        unknown.sort();
        match unknown.first() {
            Some(key) => Err(ConfigError::Unknown {
                key: (*key).clone(),
                known: SETTINGS.map(|(name, _)| name).join(", "),
            }),
            None => Ok(()),
        }
    }

    fn number<T>(
        &self,
        key: &'static str,
        default: T,
        allowed: RangeInclusive<T>,
    ) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.text(key) else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| allowed.contains(number));
        number.ok_or_else(|| {
            let (low, high) = (allowed.start(), allowed.end());
            invalid(key, text, format!("a whole number from {low} to {high}"))
        })
    }

    fn milliseconds(
        &self,
        key: &'static str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.number(key, default, allowed)
            .map(Duration::from_millis)
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>, ConfigError> {
        let expected = "heartbeat subjects such as sim.heartbeat,picow.heartbeat|pollers";
        let Some(text) = self.text("SUBSCRIPTION") else {
            return Err(ConfigError::Missing {
                key: "SUBSCRIPTION",
                expected: expected.to_owned(),
            });
        };
        let subscriptions: Option<Vec<Subscription>> = text
            .split(',')
            .map(|entry| subscription(entry.trim()))
            .collect();
        subscriptions
            .filter(|subscriptions| subscriptions.len() <= SUBSCRIPTIONS_MAX)
            .ok_or_else(|| invalid("SUBSCRIPTION", text, expected.to_owned()))
    }

    fn prefixes(&self, subscriptions: &[Subscription]) -> Result<Vec<String>, ConfigError> {
        if let Some(text) = self.text("PREFIX") {
            return Ok(text
                .split(',')
                .map(|prefix| subject_of(prefix.trim()))
                .collect());
        }
        let mut prefixes = Vec::new();
        for Subscription { subject, .. } in subscriptions {
            let prefix = prefix_of(subject).ok_or_else(|| ConfigError::Missing {
                key: "PREFIX",
                expected: format!(
                    "a subject such as sim, because the heartbeat subject {subject} implies none"
                ),
            })?;
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        Ok(prefixes)
    }

    fn confined(&self, prefixes: &[String]) -> Result<Vec<String>, ConfigError> {
        let text = self.text("CONFINED").unwrap_or_default();
        let confined = text.split(',').map(|prefix| subject_of(prefix.trim()));
        let confined: Vec<String> = confined.filter(|prefix| !prefix.is_empty()).collect();
        match confined.iter().all(|prefix| prefixes.contains(prefix)) {
            true => Ok(confined),
            false => {
                let expected = format!("some of the prefixes: {}", prefixes.join(", "));
                Err(invalid("CONFINED", text, expected))
            }
        }
    }

    fn connection(&self) -> Result<Connection, ConfigError> {
        let uri = self.text("URI").unwrap_or(DEFAULT_URI);
        let servers: Vec<String> = uri
            .split(',')
            .map(|server| server.trim().to_owned())
            .collect();
        if servers.iter().any(String::is_empty) {
            let expected = "addresses such as nats://127.0.0.1:4222".to_owned();
            return Err(invalid("URI", uri, expected));
        }
        let seed = match (self.text("CLIENT_SEED"), self.text("CLIENT_SEED_FILE")) {
            (Some(_), Some(file)) => {
                let expected = "nothing, because CLIENT_SEED is given as well".to_owned();
                return Err(invalid("CLIENT_SEED_FILE", file, expected));
            }
            (Some(seed), None) => Some(Seed::Text(seed.to_owned())),
            (None, Some(file)) => Some(Seed::File(file.into())),
            (None, None) => None,
        };
        let jwt = self.text("CLIENT_JWT").map(str::to_owned);
        let credentials = match (jwt, seed) {
            (Some(_), None) => {
                return Err(ConfigError::Missing {
                    key: "CLIENT_SEED",
                    expected: "the seed that belongs to CLIENT_JWT, or CLIENT_SEED_FILE".to_owned(),
                });
            }
            (jwt, Some(seed)) => Some(Credentials { jwt, seed }),
            (None, None) => None,
        };
        let return_after: u64 = self.number("RETURN_AFTER_S", 600, 1..=86_400)?;
        let login = servers.iter().find(|server| server.contains('@')).cloned();
        Ok(Connection {
            servers,
            login,
            return_after: Duration::from_secs(return_after),
            replicas: self.number("REPLICAS", 1, 1..=5)?,
            credentials,
            authorities: self.authorities(),
        })
    }

    /// A path has one line, and a certificate several.
    fn authorities(&self) -> Option<Authorities> {
        self.text("TLS_CA").map(|value| match value.contains('\n') {
            true => Authorities::Text(value.to_owned()),
            false => Authorities::File(value.into()),
        })
    }

    fn instance(&self, default: &str) -> Result<String, ConfigError> {
        let name = self.text("INSTANCE").unwrap_or(default);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > INSTANCE_BYTES || !name.bytes().all(allowed) {
            let expected =
                format!("1 to {INSTANCE_BYTES} letters, digits, hyphens and underscores");
            return Err(invalid("INSTANCE", name, expected));
        }
        Ok(name.to_owned())
    }

    fn unsigned_allowed(&self) -> Result<bool, ConfigError> {
        match self.text("UNSIGNED") {
            None | Some("allow") => Ok(true),
            Some("refuse") => Ok(false),
            Some(other) => Err(invalid("UNSIGNED", other, "allow or refuse".to_owned())),
        }
    }

    fn engine(&self, topics: TopicRules, confined: Vec<String>) -> Result<Settings, ConfigError> {
        let (shortest, longest) = POLL_INTERVALS_MS.into_inner();
        let min = self.number("POLL_INTERVAL_MIN_MS", shortest, 10..=longest)?;
        let max = self.number("POLL_INTERVAL_MAX_MS", longest, min..=longest)?;
        Ok(Settings {
            limits: Limits {
                topics,
                poll_interval_ms: min..=max,
            },
            confined,
            poll_timeout_ms: self.number("POLL_TIMEOUT_MS", 500, 10..=60_000)?,
            late_window_ms: self.number("LATE_WINDOW_MS", 2_000, 0..=600_000)?,
            stale_after_ms: self.number("STALE_AFTER_MS", 180_000, 1_000..=longest)?,
            down_after: self.number("DOWN_AFTER", 5, 1..=1_000)?,
            retry_max_ms: self.number("RETRY_MAX_MS", 60_000, 100..=longest)?,
            forget_after_s: self.number("FORGET_AFTER_S", 86_400, 10..=31_536_000)?,
            sensors_max: self.number("SENSORS_MAX", 20_000, 1..=1_000_000)?,
            outstanding_max: self.number("OUTSTANDING_MAX", 4_096, 1..=65_536)?,
            patterns_max: self.number("PATTERNS_MAX", 256, 2..=10_000)?,
            heartbeats_per_s: self.number("HEARTBEATS_PER_S", 2_000, 1..=1_000_000)?,
            history_per_s: self.number("HISTORY_PER_S", 2_000, 1..=1_000_000)?,
            unsigned_allowed: self.unsigned_allowed()?,
        })
    }
}

fn subscription(entry: &str) -> Option<Subscription> {
    let (subject, queue) = match entry.split_once('|') {
        Some((subject, queue)) => (subject, Some(queue)),
        None => (entry, None),
    };
    let subject = subject_of(subject);
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let good_token = |token: &str| !token.is_empty() && token.chars().all(plain);
    let good_subject = subject.split('.').all(good_token);
    let good_queue = queue.is_none_or(good_token);
    (good_subject && good_queue).then(|| Subscription {
        subject,
        queue: queue.map(str::to_owned),
    })
}

/// All tokens but the last, up to the first wildcard.
fn prefix_of(heartbeat_subject: &str) -> Option<String> {
    let (all_but_last, _) = heartbeat_subject.rsplit_once('.')?;
    let plain: Vec<&str> = all_but_last
        .split('.')
        .take_while(|token| !matches!(*token, "*" | ">"))
        .collect();
    (!plain.is_empty()).then(|| plain.join("."))
}

fn invalid(key: &'static str, value: &str, expected: String) -> ConfigError {
    let value = value.chars().take(80).collect();
    ConfigError::Invalid {
        key,
        value,
        expected,
    }
}

/// What is wrong with a link's settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A setting that does not exist.
    #[error("setting {key:?} does not exist; known are {known}")]
    Unknown {
        /// As it was given.
        key: String,
        /// Those that do.
        known: String,
    },
    /// A setting that is needed is not there.
    #[error("setting {key} is missing; expected {expected}")]
    Missing {
        /// Which.
        key: &'static str,
        /// What belongs there.
        expected: String,
    },
    /// A setting holds something else than it should.
    #[error("setting {key} is {value:?}; expected {expected}")]
    Invalid {
        /// Which.
        key: &'static str,
        /// What it holds, shortened.
        value: String,
        /// What belongs there.
        expected: String,
    },
    /// Devices could not keep within this prefix without reaching a control subject.
    #[error("setting PREFIX (given, or implied by SUBSCRIPTION) is not acceptable")]
    Prefix(#[source] TopicError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
        let manifest = include_str!("../../../../wadm.yaml");
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
        assert_eq!(config.engine.poll_timeout_ms, 500);
        assert_eq!(config.engine.stale_after_ms, 180_000);
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
}
