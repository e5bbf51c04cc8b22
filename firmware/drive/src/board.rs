//! What a board gives.

use core::net::IpAddr;

use fieldledger_attest::SensorId;
use fieldledger_device::actuator::Value;
use fieldledger_device::{Kept, Offer};

/// A board, beside its network and its sensors.
pub trait Board {
    /// The time, microseconds since the Unix epoch, once the board knows it.
    fn utc(&self) -> Option<u64> {
        None
    }

    /// Its address, for the heartbeat.
    fn ip_addr(&self) -> IpAddr;

    /// Sets an output.
    fn set(&mut self, channel: &str, value: Value);

    /// Keeps a reading where a reboot does not reach it. A board without such a place has nothing to do for
    /// this, nor for the two below.
    fn keep(&mut self, _reading: &Kept<'_>) {}

    /// Forgets what it keeps of this sensor and boot, up to and with number `through`.
    fn forget(&mut self, _sensor: SensorId, _boot: &str, _through: u64) {}

    /// Gives what it kept in earlier boots to `take`, oldest first, until there is no room.
    fn give_earlier(&mut self, _take: &mut dyn FnMut(&Kept<'_>) -> Offer) {}

    /// Keeps a list of brokers in place of any other. A board without a place for it has nothing to do for
    /// this, nor for the next.
    fn keep_brokers(&mut self, _list: &[u8]) {}

    /// Gives the list that it kept last to `remember`.
    fn give_brokers(&mut self, _remember: &mut dyn FnMut(&[u8])) {}

    /// The loop has come round: feeds the watchdog.
    fn alive(&mut self);

    /// There is a connection to a broker, or there is none any more.
    fn connected(&mut self, is_connected: bool);
}
