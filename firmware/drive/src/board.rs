//! What a board gives.

use core::net::IpAddr;

use fieldledger_device::actuator::Value;

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

    /// The loop has come round: feeds the watchdog.
    fn alive(&mut self);

    /// There is a connection to a broker, or there is none any more.
    fn connected(&mut self, is_connected: bool);
}
