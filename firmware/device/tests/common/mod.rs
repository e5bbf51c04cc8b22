//! A device without sensors.
#![allow(clippy::unwrap_used)]

use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::sensor::{Fault, Sensor, Text};
use fieldledger_device::topics::Style;
use fieldledger_device::{Config, Device};

/// There is none.
pub(crate) struct Nothing;

impl Sensor for Nothing {
    fn read(&mut self) -> Result<Text, Fault> {
        Err(Fault("not there"))
    }
}

pub(crate) type Board = Device<Nothing, 1, 1, 1_536>;

/// One of boot `b1` that is configured with these brokers.
pub(crate) fn board(configured: &[&str]) -> Board {
    let config = Config::new([2; 16], "picow".try_into().unwrap(), Style::Mqtt);
    let mut brokers = heapless::Vec::new();
    for address in configured {
        brokers.push((*address).try_into().unwrap()).unwrap();
    }
    Board::new(config, DeviceKey::from_seed(&[1; 32]), "b1", brokers).unwrap()
}
