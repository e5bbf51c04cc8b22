//! A heartbeat as it is written.

use std::ops::RangeInclusive;

use fieldledger_attest::identity::PublicKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::address::MacAddr;
use crate::batch::{Calibration, Range};

/// The largest heartbeat, in bytes. Two topics of the longest kind and every name at its longest
/// stay below it.
pub const MAX_HEARTBEAT_BYTES: usize = 4_096;

pub use fieldledger_contract::limits::NAME_CHARACTERS as MAX_NAME_CHARACTERS;

/// The longest address that is kept as it was sent, in bytes: an IPv6 address with a zone needs 61.
pub(super) const MAX_ADDRESS_BYTES: usize = 64;

/// How long a sensor may say that it needs for an answer, in milliseconds.
pub const ANSWERS_WITHIN_MS: RangeInclusive<u64> = 1..=10_000;

/// Poll intervals that are accepted unless configured otherwise: 100 ms to a day.
pub const POLL_INTERVALS_MS: RangeInclusive<u64> = 100..=86_400_000;

/// A heartbeat as a sensor writes it, but for the proof of its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Name a person gave the sensor.
    pub alias: String,
    /// The sensor's id.
    pub id: Uuid,
    /// Milliseconds between polls.
    pub poll_interval: u64,
    /// Where the sensor listens for polls.
    pub poll_topic: String,
    /// Where the sensor answers, unless it answers the poll's reply subject.
    pub read_topic: String,
    /// Where the sensor, or its broker on its behalf, says that it leaves.
    pub disconnect_topic: String,
    /// The sensor's IP address, or what it gave for one.
    pub ip_addr: String,
    /// The sensor's MAC address, or what it gave for one.
    pub mac_addr: MacAddr,
    /// Where the sensor is.
    pub location: String,
    /// Unit of the values, as the sensor calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How long the sensor may need for an answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_within: Option<u64>,
    /// Plausible engineering values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// From raw to engineering value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The key of the device.
    #[serde(flatten)]
    pub identity: Option<Identity>,
    /// Readings of this boot, other than answers to polls, that were dropped before anyone acknowledged
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// A device's key, in this boot, as of this heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What the device signs with.
    pub key: PublicKey,
    /// The device's boot id; not empty.
    pub boot: String,
    /// Number of the heartbeat within the boot, below 2^53.
    pub beat: u64,
}
