//! The settings file; `device.yaml` is its reference.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use uuid::Uuid;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Best first: `mqtt://host:port` or `nats://host:port`.
    pub(crate) brokers: Vec<String>,
    /// Who the device is to them.
    #[serde(default)]
    pub(crate) login: LoginSettings,
    /// File with the authorities that vouch for brokers at `mqtts://` and `tls://`, in PEM.
    pub(crate) tls_ca: Option<PathBuf>,
    /// Whether each sensor is announced on a topic of its own.
    #[serde(default)]
    pub(crate) confined: bool,
    /// First level of every topic.
    #[serde(default = "default_prefix")]
    pub(crate) prefix: String,
    /// Where the key is, or is made.
    #[serde(default = "default_key")]
    pub(crate) key: PathBuf,
    /// Where readings are held; beside the key if absent.
    waiting: Option<PathBuf>,
    /// Where the sensors are that do not say it themselves.
    #[serde(default = "default_location")]
    pub(crate) location: String,
    /// Milliseconds between heartbeats.
    #[serde(default = "default_heartbeat")]
    pub(crate) heartbeat_interval_ms: u64,
    /// Milliseconds that the first acknowledgement of history is waited for.
    #[serde(default = "default_patience")]
    pub(crate) history_patience_ms: u64,
    /// What is measured; without it, all that the machine has.
    pub(crate) sensors: Option<Vec<SensorSettings>>,
    /// What can be switched.
    #[serde(default)]
    pub(crate) outputs: Vec<OutputSettings>,
}

/// What the device shows its brokers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginSettings {
    /// Its name, over MQTT, and over NATS where `nkey` is false.
    pub(crate) user: Option<String>,
    /// File with its password.
    pub(crate) password_file: Option<PathBuf>,
    /// Whether it proves over NATS that it has its key.
    #[serde(default)]
    pub(crate) nkey: bool,
}

/// One sensor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensorSettings {
    /// What it is.
    pub(crate) source: Source,
    /// Its id; derived from the key and its place in the list if absent.
    pub(crate) id: Option<Uuid>,
    /// Its name; that of the source if absent.
    pub(crate) alias: Option<String>,
    /// Where it is; that of the device if absent.
    pub(crate) location: Option<String>,
    /// Milliseconds between polls.
    #[serde(default = "default_interval")]
    pub(crate) poll_interval_ms: u64,
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Source {
    /// Processes that want a processor, over the last minute (`/proc/loadavg`).
    Load,
    /// Memory that programs could still take, in MiB (`/proc/meminfo`).
    Memory,
    /// A file with thousandths of a degree Celsius: a thermal zone's `temp`, hwmon's `temp1_input`.
    Temperature(PathBuf),
    /// A number around a mean, evenly distributed.
    Simulated {
        /// The middle.
        mean: f64,
        /// The largest distance from it.
        deviation: f64,
        /// UCUM code.
        #[serde(default)]
        unit: String,
    },
}

/// One output: a file to write to, such as `value` of a GPIO pin or `brightness` of a LED.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputSettings {
    /// The name that commands use.
    pub(crate) channel: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// For a level instead of a switch: neutral, lowest and highest.
    pub(crate) levels: Option<Levels>,
}

/// The values of a level.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Levels {
    /// The harmless one.
    pub(crate) neutral: i64,
    /// The lowest.
    pub(crate) low: i64,
    /// The highest.
    pub(crate) high: i64,
}

fn default_prefix() -> String {
    "picow".to_owned()
}

fn default_key() -> PathBuf {
    "/var/lib/fieldledger-device/key".into()
}

fn default_location() -> String {
    "Field".to_owned()
}

fn default_heartbeat() -> u64 {
    30_000
}

fn default_patience() -> u64 {
    10_000
}

fn default_interval() -> u64 {
    10_000
}

impl Settings {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read the settings {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("settings {} are wrong", path.display()))
    }

    /// The file of held readings.
    pub(crate) fn waiting(&self) -> PathBuf {
        let beside_key = || self.key.with_extension("waiting");
        self.waiting.clone().unwrap_or_else(beside_key)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let settings: Self = serde_yaml_ng::from_str(text)?;
        ensure!(
            !settings.brokers.is_empty(),
            "brokers is empty; name at least one"
        );
        ensure!(
            settings.heartbeat_interval_ms > 0,
            "heartbeat_interval_ms is 0"
        );
        ensure!(settings.history_patience_ms > 0, "history_patience_ms is 0");
        let LoginSettings {
            user,
            password_file,
            ..
        } = &settings.login;
        ensure!(
            user.is_some() == password_file.is_some(),
            "login has one of user and password_file; name both or neither"
        );
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_reference_is_readable() {
        let settings = Settings::parse(include_str!("../device.yaml")).unwrap();
        assert_eq!(settings.brokers[0], "mqtt://127.0.0.1:1883");
        let waiting = settings.waiting();
        assert_eq!(waiting, settings.key.with_file_name("key.waiting"));
        let elsewhere = Settings::parse("brokers: [a]\nwaiting: /b").unwrap();
        assert_eq!(elsewhere.waiting(), Path::new("/b"));
        assert_eq!(settings.sensors.unwrap().len(), 4);
        assert_eq!(settings.outputs.len(), 2);
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, expected) in [
            ("brokers: []", "at least one"),
            ("prefix: x", "missing field `brokers`"),
            ("brokers: [a]\nbroker: b", "unknown field `broker`"),
            ("brokers: [a]\nlogin: { user: a }", "both or neither"),
            (
                "brokers: [a]\nheartbeat_interval_ms: 0",
                "heartbeat_interval_ms is 0",
            ),
        ] {
            let error = format!("{:#}", Settings::parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
