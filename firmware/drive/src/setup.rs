//! A device from the settings that a board holds.

use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_device::brokers;
use fieldledger_device::device::DeviceError;
use fieldledger_device::sensor::{DEVICE_NUMBER, MAX_UNIT_BYTES, Profile, Sensor, derived_id};
use fieldledger_device::topics::Style;
use fieldledger_device::{Config, Device};
use fieldledger_record::Settings;
use heapless::{String, Vec};
use nano_nats::NkeyPair;
use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::client::Client;

/// Why the settings make no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SetupError {
    /// A text that is longer than the device has room for.
    #[error("field {field} of the settings is too long")]
    TooLong {
        /// The field.
        field: &'static str,
    },
    /// A broker that cannot be connected to.
    #[error("broker number {number} of the settings cannot be used")]
    Broker {
        /// Its place in the list, from zero.
        number: usize,
        /// Why.
        source: AddressError,
    },
    /// What the device library refuses.
    #[error("settings make no device")]
    Device(#[from] DeviceError),
}

/// What a board is, whatever its settings.
#[derive(Debug, Clone, Copy)]
pub struct Hardware<'a> {
    /// Drawn at random at this start, 64 bits or more; see [`boot_id`].
    pub boot: &'a str,
    /// Its MAC address.
    pub mac_addr: [u8; 6],
}

/// The boot id of a number that was drawn.
#[must_use]
pub fn boot_id(drawn: u128) -> String<BOOT_ID_BYTES> {
    let mut id = String::new();
    let written = core::fmt::write(&mut id, format_args!("{drawn:032x}"));
    debug_assert!(written.is_ok(), "BOOT_ID_BYTES holds it");
    id
}

/// The length of [`boot_id`].
pub const BOOT_ID_BYTES: usize = 32;

/// A device of these settings that was just switched on, without sensors yet.
///
/// # Errors
///
/// Says what is wrong with the settings.
pub fn device<S: Sensor, const SENSORS: usize, const RING: usize, const MESSAGE: usize>(
    settings: &Settings<'_>,
    hardware: &Hardware<'_>,
) -> Result<Device<S, SENSORS, RING, MESSAGE>, SetupError> {
    let key = DeviceKey::from_seed(&settings.key);
    let id = derived_id(&key.public(), DEVICE_NUMBER);
    // Whatever its brokers speak: over NATS, topics become subjects on their way.
    let mut config = Config::new(id, text("prefix", settings.prefix)?, Style::Mqtt);
    config.is_confined = settings.is_confined;
    config.mac_addr = hardware.mac_addr;
    config.heartbeat_interval = u64::from(settings.heartbeat_interval_ms) * 1_000;
    config.history_patience = u64::from(settings.history_patience_ms) * 1_000;
    let mut list = Vec::new();
    for (number, broker) in settings.brokers.iter().enumerate() {
        Address::parse(broker).map_err(|source| SetupError::Broker { number, source })?;
        let address: brokers::Address = text("brokers", broker)?;
        let full = SetupError::TooLong { field: "brokers" };
        list.push(address).map_err(|_full| full)?;
    }
    Ok(Device::new(config, key, hardware.boot, list)?)
}

/// The profile of the board's sensor number `number`, where the settings have one for it.
///
/// # Errors
///
/// [`SetupError::TooLong`].
pub fn profile(
    settings: &Settings<'_>,
    key: &PublicKey,
    number: u32,
    unit: &'static str,
) -> Result<Option<Profile>, SetupError> {
    let place = usize::try_from(number).ok();
    let Some(sensor) = place.and_then(|place| settings.sensors.get(place)) else {
        return Ok(None);
    };
    Ok(Some(Profile {
        id: derived_id(key, number),
        alias: text("alias", sensor.alias)?,
        location: text("location", sensor.location)?,
        unit: text::<MAX_UNIT_BYTES>("unit", unit)?,
        range: None,
        poll_interval_ms: u64::from(sensor.poll_interval_ms),
    }))
}

fn text<const N: usize>(field: &'static str, text: &str) -> Result<String<N>, SetupError> {
    String::try_from(text).map_err(|_long| SetupError::TooLong { field })
}

/// Who the device is to its brokers, with an id from [`client_id`].
#[must_use]
pub fn client<'a>(settings: &Settings<'a>, id: &'a str) -> Client<'a> {
    let nkey = settings.nkey.then(|| NkeyPair::from_secret(&settings.key));
    let login = settings.login;
    Client { id, login, nkey }
}

/// The id that a broker knows the device by.
#[must_use]
pub fn client_id(key: &PublicKey) -> String<CLIENT_ID_BYTES> {
    let mut name = String::new();
    let id = derived_id(key, DEVICE_NUMBER);
    let written = core::fmt::write(
        &mut name,
        format_args!("fieldledger-{:032x}", u128::from_be_bytes(id)),
    );
    debug_assert!(written.is_ok(), "CLIENT_ID_BYTES holds it");
    name
}

/// The length of [`client_id`].
pub const CLIENT_ID_BYTES: usize = 44;
