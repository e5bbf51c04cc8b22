//! What a device is told once.

use core::net::IpAddr;

use fieldledger_attest::SensorId;
use heapless::String;

use crate::clock::SECOND;
use crate::topics::{Style, Topics};

/// The longest alias and location of a sensor, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest boot id that a device gives itself, in bytes.
pub const MAX_BOOT_BYTES: usize = 32;

/// The longest topic prefix, in bytes.
pub const MAX_PREFIX_BYTES: usize = 32;

/// What holds for the device as a whole. Times are in microseconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// The id under which it hears of commands and brokers; see
    /// [`derived_id`](crate::sensor::derived_id).
    pub id: SensorId,
    /// What every topic begins with: one level, letters, digits, `-` and `_`.
    pub prefix: String<MAX_PREFIX_BYTES>,
    /// How topics are spelled.
    pub style: Style,
    /// True where each sensor is announced on a topic of its own: then the broker can say who may
    /// announce whom.
    pub is_confined: bool,
    /// IP address for the heartbeat.
    pub ip_addr: IpAddr,
    /// MAC address for the heartbeat.
    pub mac_addr: [u8; 6],
    /// Between two heartbeats of a sensor.
    pub heartbeat_interval: u64,
    /// After so many of its intervals without a poll a sensor samples by itself.
    pub silent_intervals: u32,
    /// Most readings in a message of history, 1 to 1,024.
    pub history_batch: usize,
    /// Between an acknowledgement and the next message of history, so that live traffic goes first.
    pub history_pace: u64,
    /// How long an acknowledgement is waited for at first; it doubles each time, up to
    /// [`Config::history_patience_limit`].
    pub history_patience: u64,
    /// The longest wait for an acknowledgement.
    pub history_patience_limit: u64,
    /// How long it stays with a broker that is not the first of the list before it tries better ones.
    pub return_after: u64,
}

impl Config {
    /// Where the device publishes and listens.
    pub(crate) fn topics(&self) -> Topics<'_> {
        Topics {
            prefix: &self.prefix,
            style: self.style,
        }
    }

    /// Everything but the names at its usual value: a heartbeat every 30 s on the topic of all sensors, sampling after three
    /// silent intervals, history in messages of 64 a second apart, acknowledgements within 10 s to
    /// 5 min, a better broker tried after 10 min.
    #[must_use]
    pub fn new(id: SensorId, prefix: String<MAX_PREFIX_BYTES>, style: Style) -> Self {
        Self {
            id,
            prefix,
            style,
            is_confined: false,
            ip_addr: IpAddr::from([0, 0, 0, 0]),
            mac_addr: [0; 6],
            heartbeat_interval: 30 * SECOND,
            silent_intervals: 3,
            history_batch: 64,
            history_pace: SECOND,
            history_patience: 10 * SECOND,
            history_patience_limit: 300 * SECOND,
            return_after: 600 * SECOND,
        }
    }
}
