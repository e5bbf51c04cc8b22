//! What `wadm.yaml` can set of an edge.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use fieldledger_edge::Rules;
use hyper::http::uri::Authority;

/// Where the page and the API are unless something is set.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Where the builtin HTTP server is unless something is set.
const GATEWAY: &str = "127.0.0.1:8081";

/// Searches that may be done at a time at most: more would leave others no instance of the gateway.
const MOST_SEARCHES: usize = 6;

/// Why the settings cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A key that means nothing here: most likely misspelt.
    #[error(
        "unknown setting {0:?}; the edge knows address, gateway, connections, searches and prefix"
    )]
    Unknown(String),
    /// A value that cannot be used.
    #[error("setting {key} is {value:?}; right would be {right}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What would be right.
        right: &'static str,
    },
}

/// All settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whom it asks.
    pub(crate) gateway: Authority,
    pub(crate) rules: Rules,
}

/// Reads the settings:
///
/// - `address`: where clients find the page and the API (`127.0.0.1:8080`);
/// - `gateway`: where the builtin HTTP server listens (`127.0.0.1:8081`);
/// - `connections`: how many clients may be connected at a time (`4096`), as far as the limit on open files
///   allows;
/// - `searches`: how many searches are done at a time, 1 to 6 (`4`);
/// - `prefix`: the path below which a proxy shows the site and does not say so in `X-Forwarded-Prefix`; none
///   where nothing is set.
pub(crate) fn read(settings: &HashMap<String, String>) -> Result<Settings, SettingsError> {
    let mut read = Settings {
        address: ADDRESS,
        gateway: Authority::from_static(GATEWAY),
        rules: Rules::default(),
    };
    for (key, value) in settings {
        let wrong = |key, right| SettingsError::Value {
            key,
            value: value.clone(),
            right,
        };
        match key.as_str() {
            "address" => {
                let right = "an address with a port, such as 127.0.0.1:8080";
                read.address = value.parse().map_err(|_| wrong("address", right))?;
            }
            "gateway" => {
                let right = "a host with a port, such as 127.0.0.1:8081";
                let gateway = value.parse::<Authority>().ok();
                let gateway = gateway.filter(|gateway| gateway.port_u16().is_some());
                read.gateway = gateway.ok_or_else(|| wrong("gateway", right))?;
            }
            "connections" => {
                let number = value.parse().ok().filter(|number| *number >= 1);
                read.rules.connections =
                    number.ok_or_else(|| wrong("connections", "a number from 1"))?;
            }
            "searches" => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=MOST_SEARCHES).contains(number));
                read.rules.searches =
                    number.ok_or_else(|| wrong("searches", "a number from 1 to 6"))?;
            }
            "prefix" if value.is_empty() => read.rules.prefix = None,
            "prefix" => {
                let right = "a path such as /plant/north, or nothing";
                read.rules.prefix = Some(value.parse().map_err(|_| wrong("prefix", right))?);
            }
            _ => return Err(SettingsError::Unknown(key.clone())),
        }
    }
    Ok(read)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let pairs = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        read(&pairs.collect())
    }

    #[test]
    fn settings_are_read() {
        let read = of(&[
            ("address", "[::]:80"),
            ("gateway", "10.0.0.1:81"),
            ("connections", "100"),
            ("searches", "2"),
            ("prefix", "/plant/"),
        ])
        .unwrap();
        assert_eq!(read.address.to_string(), "[::]:80");
        assert_eq!(read.gateway.as_str(), "10.0.0.1:81");
        assert_eq!((read.rules.connections, read.rules.searches), (100, 2));
        assert_eq!(read.rules.prefix.unwrap().as_str(), "/plant");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (key, value) in [
            ("address", "localhost"),
            ("gateway", "10.0.0.1"),
            ("gateway", ""),
            ("connections", "0"),
            ("searches", "7"),
            ("prefix", "plant"),
            ("adress", "127.0.0.1:80"),
        ] {
            let error = of(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    /// `wadm.yaml` is the list that an operator reads, and only what it lists can be changed by tools.
    #[test]
    fn the_manifest_lists_every_setting_with_its_default() {
        let manifest = include_str!("../../../wadm.yaml");
        let from = manifest.find("- name: edge\n").unwrap();
        let block = &manifest[from..from + manifest[from..].find("traits:").unwrap()];
        let lines = block
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let settings: Vec<(&str, &str)> = lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(key, _)| *key != "- name")
            .map(|(key, value)| (key, value.trim_matches('"')))
            .collect();
        let names: Vec<&str> = settings.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            names,
            ["address", "gateway", "connections", "searches", "prefix"]
        );
        let (listed, default) = (of(&settings).unwrap(), of(&[]).unwrap());
        assert_eq!(format!("{listed:?}"), format!("{default:?}"));
    }
}
