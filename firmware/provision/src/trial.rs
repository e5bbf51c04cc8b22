//! Whether a board will take its settings: the code that it runs at its start decides here too.

use fieldledger_device::Device;
use fieldledger_device::sensor::{Fault, Sensor, Text};
use fieldledger_drive::setup::{self, Hardware, SetupError};
use fieldledger_record::Settings;
use fieldledger_record::settings::MAX_SENSORS;

struct Nothing;

impl Sensor for Nothing {
    fn read(&mut self) -> Result<Text, Fault> {
        Err(Fault("no sensor"))
    }
}

/// Makes a device of the settings, and forgets it.
pub(crate) fn start(settings: &Settings<'_>) -> Result<(), SetupError> {
    let hardware = Hardware {
        boot: "trial",
        mac_addr: [0; 6],
    };
    let mut device: Device<Nothing, MAX_SENSORS, 1, 2_048> = setup::device(settings, &hardware)?;
    let key = device.key();
    for number in 0..MAX_SENSORS as u32 {
        if let Some(profile) = setup::profile(settings, &key, number, "1")? {
            device.add_sensor(profile, Nothing)?;
        }
    }
    Ok(())
}
