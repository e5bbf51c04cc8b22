//! Reading a link's settings one by one.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use fieldledger_wire::heartbeat::{Limits, POLL_INTERVALS_MS};
use fieldledger_wire::topic::{TopicRules, subject_of};

use super::connection::{Authorities, Connection, Credentials, Seed};
use super::error::{ConfigError, invalid};
use super::settings::SETTINGS;
use super::subscription::{Subscription, prefix_of, subscription};
use crate::engine::Settings;

/// The proof of concept's default was `0.0.0.0:4222`, which means the same where it means anything.
const DEFAULT_URI: &str = "nats://127.0.0.1:4222";

/// The longest name of an instance; it is a token in subjects and part of consumer names.
const INSTANCE_BYTES: usize = 64;

/// More heartbeat subjects than this is a mistake.
const SUBSCRIPTIONS_MAX: usize = 32;

pub(super) struct Values<'a>(pub(super) &'a HashMap<String, String>);

impl Values<'_> {
    /// The value of `key`; blank is the same as absent.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn refuse_unknown(&self) -> Result<(), ConfigError> {
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

    pub(super) fn number<T>(
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

    pub(super) fn milliseconds(
        &self,
        key: &'static str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.number(key, default, allowed)
            .map(Duration::from_millis)
    }

    fn seconds(
        &self,
        key: &'static str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.number(key, default, allowed).map(Duration::from_secs)
    }

    pub(super) fn subscriptions(&self) -> Result<Vec<Subscription>, ConfigError> {
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

    pub(super) fn prefixes(
        &self,
        subscriptions: &[Subscription],
    ) -> Result<Vec<String>, ConfigError> {
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

    pub(super) fn confined(&self, prefixes: &[String]) -> Result<Vec<String>, ConfigError> {
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

    pub(super) fn connection(&self) -> Result<Connection, ConfigError> {
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
        let login = servers.iter().find(|server| server.contains('@')).cloned();
        Ok(Connection {
            servers,
            login,
            return_after: self.seconds("RETURN_AFTER_S", 600, 1..=86_400)?,
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

    pub(super) fn instance(&self, default: &str) -> Result<String, ConfigError> {
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

    pub(super) fn engine(
        &self,
        topics: TopicRules,
        confined: Vec<String>,
    ) -> Result<Settings, ConfigError> {
        let (shortest, longest) = POLL_INTERVALS_MS.into_inner();
        let min = self.number("POLL_INTERVAL_MIN_MS", shortest, 10..=longest)?;
        let max = self.number("POLL_INTERVAL_MAX_MS", longest, min..=longest)?;
        Ok(Settings {
            limits: Limits {
                topics,
                poll_interval_ms: min..=max,
            },
            confined,
            poll_timeout: self.milliseconds("POLL_TIMEOUT_MS", 500, 10..=60_000)?,
            late_window: self.milliseconds("LATE_WINDOW_MS", 2_000, 0..=600_000)?,
            stale_after: self.milliseconds("STALE_AFTER_MS", 180_000, 1_000..=longest)?,
            down_after: self.number("DOWN_AFTER", 5, 1..=1_000)?,
            retry_max: self.milliseconds("RETRY_MAX_MS", 60_000, 100..=longest)?,
            forget_after: self.seconds("FORGET_AFTER_S", 86_400, 10..=31_536_000)?,
            sensors_max: self.number("SENSORS_MAX", 20_000, 1..=1_000_000)?,
            outstanding_max: self.number("OUTSTANDING_MAX", 4_096, 1..=65_536)?,
            patterns_max: self.number("PATTERNS_MAX", 256, 2..=10_000)?,
            heartbeats_per_s: self.number("HEARTBEATS_PER_S", 2_000, 1..=1_000_000)?,
            history_per_s: self.number("HISTORY_PER_S", 2_000, 1..=1_000_000)?,
            unsigned_allowed: self.unsigned_allowed()?,
        })
    }
}
