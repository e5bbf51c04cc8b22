//! The settings as people write them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use fieldledger_record::Settings;
use fieldledger_record::settings::{Login, MAX_BROKERS, MAX_SENSORS, SensorSettings, Wifi};
use serde::Deserialize;

/// See board.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoardFile {
    wifi: Option<WifiFile>,
    brokers: Vec<String>,
    sensors: Vec<SensorFile>,
    #[serde(default)]
    login: LoginFile,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default)]
    confined: bool,
    #[serde(default = "default_heartbeat_interval_ms")]
    heartbeat_interval_ms: u32,
    #[serde(default = "default_history_patience_ms")]
    history_patience_ms: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WifiFile {
    ssid: String,
    #[serde(default)]
    passphrase: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginFile {
    user: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    nkey: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SensorFile {
    alias: String,
    location: String,
    poll_interval_ms: u32,
}

fn default_prefix() -> String {
    "picow".to_owned()
}

fn default_heartbeat_interval_ms() -> u32 {
    30_000
}

fn default_history_patience_ms() -> u32 {
    10_000
}

impl BoardFile {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Self = serde_yaml_ng::from_str(text).context("not the settings of a board")?;
        ensure!(
            file.login.user.is_some() == file.login.password_file.is_some(),
            "login has one of user and password_file; name both or neither"
        );
        Ok(file)
    }

    /// The content of the password's file, where there is one.
    pub(crate) fn password(&self) -> anyhow::Result<String> {
        let Some(password_file) = &self.login.password_file else {
            return Ok(String::new());
        };
        let text = fs::read_to_string(password_file);
        let text = text.with_context(|| format!("cannot read {}", password_file.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// What is written into the board.
    pub(crate) fn settings<'a>(
        &'a self,
        key: [u8; 32],
        password: &'a str,
    ) -> anyhow::Result<Settings<'a>> {
        let mut settings = Settings {
            key,
            wifi: self.wifi.as_ref().map(|wifi| Wifi {
                ssid: &wifi.ssid,
                passphrase: &wifi.passphrase,
            }),
            login: (self.login.user.as_deref()).map(|user| Login { user, password }),
            prefix: &self.prefix,
            is_confined: self.confined,
            brokers: heapless::Vec::new(),
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            history_patience_ms: self.history_patience_ms,
            sensors: heapless::Vec::new(),
            nkey: self.login.nkey,
        };
        for broker in &self.brokers {
            let pushed = settings.brokers.push(broker);
            pushed.map_err(|_full| anyhow!("there are more than {MAX_BROKERS} brokers"))?;
        }
        for sensor in &self.sensors {
            let pushed = settings.sensors.push(SensorSettings {
                alias: &sensor.alias,
                location: &sensor.location,
                poll_interval_ms: sensor.poll_interval_ms,
            });
            pushed.map_err(|_full| anyhow!("there are more than {MAX_SENSORS} sensors"))?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_reference_holds_the_defaults() {
        let text = include_str!("../board.yaml");
        let file = BoardFile::parse(text).unwrap();
        let settings = file.settings([1; 32], "").unwrap();
        assert_eq!(settings.brokers.as_slice(), ["mqtt://10.0.0.1:1883"]);
        assert_eq!(settings.prefix, default_prefix());
        assert!(settings.login.is_none() && !settings.nkey && !settings.is_confined);
        assert_eq!(
            settings.heartbeat_interval_ms,
            default_heartbeat_interval_ms()
        );
        assert_eq!(settings.history_patience_ms, default_history_patience_ms());
        let with_wifi = text.replace("# wifi:", "wifi:");
        let file = BoardFile::parse(&with_wifi).unwrap();
        let settings = file.settings([1; 32], "").unwrap();
        let wifi = Wifi {
            ssid: "plant",
            passphrase: "not this one",
        };
        assert_eq!(settings.wifi, Some(wifi));
        let file = BoardFile::parse(&text.replace("# login:", "login:")).unwrap();
        let settings = file.settings([1; 32], "secret").unwrap();
        let login = Login {
            user: "boiler-room",
            password: "secret",
        };
        assert!(settings.login == Some(login) && settings.nkey);
    }

    #[test]
    fn a_user_has_a_password() {
        let text = "brokers: [a]\nsensors: []\nlogin: { user: a }";
        let error = format!("{:#}", BoardFile::parse(text).unwrap_err());
        assert!(error.contains("both or neither"), "{error}");
    }

    #[test]
    fn a_slip_of_the_pen_is_not_a_default() {
        let text = "brokers: [a]\nsensors: []\nheartbeat_intervall_ms: 5\n";
        let error = format!("{:#}", BoardFile::parse(text).unwrap_err());
        assert!(error.contains("heartbeat_intervall_ms"), "{error}");
    }
}
