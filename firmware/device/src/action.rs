//! What a device says is to be done.

use fieldledger_attest::SensorId;

use crate::command::Value;
use crate::kept::Kept;

/// Something for the program to do, at once and in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Leave the broker there is, connect to this one, and say [`Device::connected`](crate::Device::connected) or
    /// [`Device::disconnected`](crate::Device::disconnected).
    Connect {
        /// Its address, as it was configured.
        address: &'a str,
    },
    /// Listen to a topic.
    Subscribe {
        /// The topic.
        topic: &'a str,
    },
    /// Send a message, QoS 0, not retained.
    Publish {
        /// Where.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
    },
    /// Set an output.
    Set {
        /// Its name.
        channel: &'a str,
        /// To what.
        value: Value,
    },
    /// Keep a reading where a reboot does not reach it. A board without such a place does nothing.
    Keep(Kept<'a>),
    /// Forget what was kept of this sensor and boot, up to and with number `through`: the server has it.
    Forget {
        /// Of which sensor.
        sensor: SensorId,
        /// Of which boot.
        boot: &'a str,
        /// The last one.
        through: u64,
    },
    /// Keep this list of brokers in place of any other, for [`Device::remember_brokers`](crate::Device::remember_brokers) after a reboot; at
    /// most [`MAX_KEPT_BYTES`](crate::brokers::MAX_KEPT_BYTES).
    KeepBrokers(&'a [u8]),
}
