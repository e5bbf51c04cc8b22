//! What one board is to be.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::frame::{Kind, RecordError};

/// The room for settings on a board: one sector of flash, the least that can be erased.
pub const SETTINGS_BYTES: usize = 4_096;

/// Most brokers, as in `fieldledger-device`.
pub const MAX_BROKERS: usize = 8;

/// Most sensors.
pub const MAX_SENSORS: usize = 8;

/// The longest name of a Wi-Fi network, in bytes (IEEE 802.11).
const MAX_SSID_BYTES: usize = 32;

/// The lengths of a WPA2 passphrase (IEEE 802.11, annex J).
const PASSPHRASE_BYTES: core::ops::RangeInclusive<usize> = 8..=63;

/// Boards that were written to before NATS have layout 1; see [`Settings::read`].
const KIND: Kind = Kind {
    name: *b"FLDS",
    version: 2,
};

/// Settings of a board. Not shown: its key, its passphrase and its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings<'a> {
    /// The seed of the device's Ed25519 key.
    pub key: [u8; 32],
    /// The network to join, where the board has a radio.
    #[serde(borrow)]
    pub wifi: Option<Wifi<'a>>,
    /// Who the board is to its brokers, over NATS where `nkey` is false; nobody in particular without.
    pub login: Option<Login<'a>>,
    /// What every topic begins with.
    pub prefix: &'a str,
    /// Whether each sensor is announced on a topic of its own, as a device with a user of its own must.
    pub is_confined: bool,
    /// Brokers, best first: `mqtt://host` or `nats://host`, a port behind it or not.
    pub brokers: Vec<&'a str, MAX_BROKERS>,
    /// Milliseconds between two heartbeats of a sensor.
    pub heartbeat_interval_ms: u32,
    /// How long an acknowledgement of history is waited for at first, in milliseconds.
    pub history_patience_ms: u32,
    /// The board's sensors, in the board's order.
    pub sensors: Vec<SensorSettings<'a>, MAX_SENSORS>,
    /// Whether it proves over NATS that it has its key. It stands behind the others, where layout 1 ends.
    #[serde(skip)]
    pub nkey: bool,
}

/// A Wi-Fi network.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wifi<'a> {
    /// Its name.
    pub ssid: &'a str,
    /// Its WPA2 passphrase; empty for an open network.
    pub passphrase: &'a str,
}

/// A user of a broker.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login<'a> {
    /// Its name.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
}

/// What people call a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorSettings<'a> {
    /// Its name.
    pub alias: &'a str,
    /// Where it is.
    pub location: &'a str,
    /// Milliseconds between polls.
    pub poll_interval_ms: u32,
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("brokers", &self.brokers)
            .field("sensors", &self.sensors)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Wifi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wifi")
            .field("ssid", &self.ssid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl<'a> Settings<'a> {
    /// Reads the record at the beginning of `place`.
    ///
    /// # Errors
    ///
    /// Says why there is none to use.
    pub fn read(place: &'a [u8]) -> Result<Self, RecordError> {
        let (layout, content) = KIND.open(place)?;
        let read = postcard::take_from_bytes(content);
        let (mut settings, rest): (Self, _) = read.map_err(|_error| RecordError::Content)?;
        settings.nkey = match (layout, rest) {
            (1, []) | (2, [0]) => false,
            (2, [1]) => true,
            _ => return Err(RecordError::Content),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Writes a record to `place`, and returns its length.
    ///
    /// # Errors
    ///
    /// [`RecordError::Field`], [`RecordError::NoRoom`].
    pub fn write(&self, place: &mut [u8]) -> Result<usize, RecordError> {
        self.check()?;
        let content = Kind::content(place)?;
        let written = postcard::to_slice(self, content).map_err(|_full| RecordError::NoRoom)?;
        let length = written.len();
        let nkey = content.get_mut(length).ok_or(RecordError::NoRoom)?;
        *nkey = u8::from(self.nkey);
        KIND.seal(place, length + 1)
    }

    /// What a board relies on; what its device library checks is not checked again.
    fn check(&self) -> Result<(), RecordError> {
        let is_network = |Wifi { ssid, passphrase }: &Wifi<'_>| {
            let is_open = passphrase.is_empty();
            (1..=MAX_SSID_BYTES).contains(&ssid.len())
                && (is_open || PASSPHRASE_BYTES.contains(&passphrase.len()))
        };
        let checks = [
            ("wifi", self.wifi.as_ref().is_none_or(is_network)),
            (
                "login",
                self.login.is_none_or(|login| !login.user.is_empty()),
            ),
            ("brokers", !self.brokers.is_empty()),
            ("heartbeat_interval_ms", self.heartbeat_interval_ms > 0),
            ("history_patience_ms", self.history_patience_ms > 0),
            ("sensors", !self.sensors.is_empty()),
        ];
        match checks.into_iter().find(|(_, is_good)| !is_good) {
            Some((field, _)) => Err(RecordError::Field { field }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    use super::*;

    fn settings() -> Settings<'static> {
        let sensor = SensorSettings {
            alias: "Boiler",
            location: "Hall 2",
            poll_interval_ms: 10_000,
        };
        Settings {
            key: [0xa5; 32],
            wifi: Some(Wifi {
                ssid: "plant",
                passphrase: "correct horse",
            }),
            login: Some(Login {
                user: "boiler",
                password: "battery staple",
            }),
            prefix: "picow",
            is_confined: true,
            brokers: Vec::from_slice(&["mqtt://10.0.0.1:1883", "nats://broker"]).unwrap(),
            heartbeat_interval_ms: 30_000,
            history_patience_ms: 10_000,
            sensors: Vec::from_slice(&[sensor]).unwrap(),
            nkey: true,
        }
    }

    #[test]
    fn settings_read_back() {
        let mut place = [0xff; SETTINGS_BYTES];
        let length = settings().write(&mut place).unwrap();
        assert_eq!(length, 186);
        assert_eq!(Settings::read(&place), Ok(settings()));
    }

    /// The content of layout 1.
    const FIRST_LAYOUT: [&[u8]; 5] = [
        &[0xa5; 32],
        b"\x01\x05plant\x0dcorrect horse",
        b"\x01\x06boiler\x0ebattery staple\x05picow\x01",
        b"\x02\x14mqtt://10.0.0.1:1883\x0dnats://broker",
        b"\xb0\xea\x01\x90\x4e\x01\x06Boiler\x06Hall 2\x90\x4e",
    ];

    /// A record with this content, whose digest holds.
    fn sealed(version: u32, content: &[u8]) -> [u8; SETTINGS_BYTES] {
        let mut place = [0; SETTINGS_BYTES];
        Kind::content(&mut place).unwrap()[..content.len()].copy_from_slice(content);
        let kind = Kind { version, ..KIND };
        kind.seal(&mut place, content.len()).unwrap();
        place
    }

    // Boards have such records: a change to the layout needs a new version.
    #[test]
    fn the_layout_is_what_it_was() {
        let mut place = [0; SETTINGS_BYTES];
        settings().write(&mut place).unwrap();
        assert_eq!(place[..12], *b"FLDS\x02\0\0\0\x8e\0\0\0");
        let content = [&FIRST_LAYOUT.concat()[..], &[1]].concat();
        assert_eq!(place[12..][..content.len()], content);
    }

    #[test]
    fn a_board_reads_the_settings_that_it_had_before_there_was_nats() {
        let content = FIRST_LAYOUT.concat();
        let expected = Settings {
            nkey: false,
            ..settings()
        };
        assert_eq!(Settings::read(&sealed(1, &content)), Ok(expected));
        let version = RecordError::Version {
            found: 3,
            expected: 2,
        };
        assert_eq!(Settings::read(&sealed(3, &content)), Err(version));
        for (layout, end) in [(1, &[0][..]), (2, &[]), (2, &[2]), (2, &[1, 0])] {
            let content = [&content, end].concat();
            let refused = Err(RecordError::Content);
            assert_eq!(Settings::read(&sealed(layout, &content)), refused);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!(
            "{:?} {:?} {:?}",
            settings(),
            settings().wifi,
            settings().login
        );
        assert!(
            !shown.contains("horse") && !shown.contains("staple") && !shown.contains("165"),
            "{shown}"
        );
    }

    #[test]
    fn what_no_board_can_use_is_refused() {
        let long = "x".repeat(64);
        let wifi = |ssid, passphrase| Some(Wifi { ssid, passphrase });
        let good = settings();
        let cases = [
            (
                "wifi",
                Settings {
                    wifi: wifi("", ""),
                    ..good.clone()
                },
            ),
            (
                "wifi",
                Settings {
                    wifi: wifi("a", "1234567"),
                    ..good.clone()
                },
            ),
            (
                "wifi",
                Settings {
                    wifi: wifi("a", &long),
                    ..good.clone()
                },
            ),
            (
                "wifi",
                Settings {
                    wifi: wifi(&long[..33], ""),
                    ..good.clone()
                },
            ),
            (
                "login",
                Settings {
                    login: Some(Login {
                        user: "",
                        password: "a",
                    }),
                    ..good.clone()
                },
            ),
            (
                "brokers",
                Settings {
                    brokers: Vec::new(),
                    ..good.clone()
                },
            ),
            (
                "sensors",
                Settings {
                    sensors: Vec::new(),
                    ..good.clone()
                },
            ),
            (
                "heartbeat_interval_ms",
                Settings {
                    heartbeat_interval_ms: 0,
                    ..good.clone()
                },
            ),
            (
                "history_patience_ms",
                Settings {
                    history_patience_ms: 0,
                    ..good.clone()
                },
            ),
        ];
        let mut place = [0; SETTINGS_BYTES];
        for (field, settings) in cases {
            let refused = Err(RecordError::Field { field });
            assert_eq!(settings.write(&mut place), refused);
            // Nor where somebody else has written it.
            let content = postcard::to_slice(&(&settings, false), &mut place).unwrap();
            assert_eq!(Settings::read(&sealed(2, content)).map(|_| 0), refused);
        }
        for room in [184, 185] {
            assert_eq!(good.write(&mut place[..room]), Err(RecordError::NoRoom));
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_settings_read_back(
            key in any::<[u8; 32]>(),
            wifi in prop::option::of(("[a-z]{1,32}", "[ -~]{8,63}")),
            login in prop::option::of(("\\PC{1,20}", "\\PC{0,20}")),
            (prefix, is_confined, nkey) in ("\\PC{0,20}", any::<bool>(), any::<bool>()),
            brokers in prop::collection::vec("\\PC{0,60}", 1..=MAX_BROKERS),
            names in prop::collection::vec(("\\PC{0,60}", "\\PC{0,60}"), 1..=MAX_SENSORS),
            numbers in any::<(u32, u32, u32)>(),
        ) {
            let wifi = wifi.as_ref();
            let sensor = |(alias, location)| SensorSettings {
                alias, location, poll_interval_ms: numbers.0,
            };
            let names = names.iter().map(|(alias, location)| (alias.as_str(), location.as_str()));
            let settings = Settings {
                key,
                wifi: wifi.map(|(ssid, passphrase)| Wifi { ssid, passphrase }),
                login: login.as_ref().map(|(user, password)| Login { user, password }),
                prefix: &prefix,
                is_confined,
                brokers: brokers.iter().map(String::as_str).collect(),
                heartbeat_interval_ms: numbers.1.max(1),
                history_patience_ms: numbers.2.max(1),
                sensors: names.map(sensor).collect(),
                nkey,
            };
            let mut place = [0; SETTINGS_BYTES];
            let length = settings.write(&mut place).unwrap();
            prop_assert_eq!(Settings::read(&place[..length]), Ok(settings));
        }

        // With a digest that holds, so that the content is looked at.
        #[test]
        fn arbitrary_content_never_panics(
            layout in 1..3_u32, bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(settings) = Settings::read(&sealed(layout, &bytes)) {
                let mut again = [0; 800];
                let length = settings.write(&mut again).unwrap();
                prop_assert_eq!(Settings::read(&again[..length]), Ok(settings));
            }
        }
    }
}
