//! The RP2040's own temperature (data sheet, section 4.9.5): that of the chip, a few degrees above its
//! surroundings. It is not calibrated: a reference that is off by a percent is four degrees.

use core::fmt::Write as _;

use embassy_rp::Peri;
use embassy_rp::adc::{Adc, Blocking, Channel, Config};
use embassy_rp::peripherals::{ADC, ADC_TEMP_SENSOR};
use fieldledger_device::sensor::{Fault, Sensor, Text};

/// What the converter is measured against, in microvolts.
const REFERENCE: i64 = 3_300_000;

/// The converter's steps.
const STEPS: i64 = 4_096;

/// The sensor's voltage at 27 °C, in microvolts.
const VOLTAGE_AT_27: i64 = 706_000;

/// By so many microvolts it falls for a degree.
const VOLTAGE_PER_DEGREE: i64 = 1_721;

/// A measurement is the mean of so many: one step is half a degree.
const MEASUREMENTS: i64 = 16;

/// Measurements outside of what the sensor is made for are a broken converter.
const PLAUSIBLE: core::ops::RangeInclusive<i64> = -5_000..=13_000;

/// Hundredths of a degree, from the sum of [`MEASUREMENTS`].
const fn hundredths(sum: i64) -> i64 {
    let voltage = sum * REFERENCE / (MEASUREMENTS * STEPS);
    2_700 - (voltage - VOLTAGE_AT_27) * 100 / VOLTAGE_PER_DEGREE
}

// 706 mV are 876.3 steps; ten degrees more are 17.21 mV or 21.4 steps less, which is rounded here.
const _: () = {
    assert!(hundredths(14_021) == 2_700);
    assert!(hundredths(14_021 - 342) == 3_699);
    assert!(hundredths(14_021 + 2 * 342) == 698);
};

/// The sensor.
pub(crate) struct Temperature {
    converter: Adc<'static, Blocking>,
    channel: Channel<'static>,
}

impl Temperature {
    pub(crate) fn new(
        converter: Peri<'static, ADC>,
        sensor: Peri<'static, ADC_TEMP_SENSOR>,
    ) -> Self {
        Self {
            converter: Adc::new_blocking(converter, Config::default()),
            channel: Channel::new_temp_sensor(sensor),
        }
    }
}

impl Sensor for Temperature {
    /// Takes 16 conversions of 2 µs each.
    fn read(&mut self) -> Result<Text, Fault> {
        let mut sum = 0;
        for _ in 0..MEASUREMENTS {
            let read = self.converter.blocking_read(&mut self.channel);
            sum += i64::from(read.map_err(|_error| Fault("conversion failed"))?);
        }
        let value = hundredths(sum);
        if !PLAUSIBLE.contains(&value) {
            return Err(Fault("temperature is out of range"));
        }
        let sign = if value < 0 { "-" } else { "" };
        let value = value.unsigned_abs();
        let mut text = Text::new();
        let written = write!(text, "{sign}{}.{:02}", value / 100, value % 100);
        written.map_err(|_long| Fault("value is too long"))?;
        Ok(text)
    }
}
