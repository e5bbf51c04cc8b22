//! A temperature that rises and falls evenly, since there is nothing to measure in an emulator.

use core::fmt::Write as _;

use embassy_time::Instant;
use fieldledger_device::sensor::{Fault, Sensor, Text};

/// Hundredths of a degree between the lowest and the highest value.
const SPAN: u64 = 1_000;

/// The lowest value, hundredths of a degree.
const LOWEST: u64 = 2_000;

/// How long a hundredth takes.
const STEP_MILLISECONDS: u64 = 10;

/// A wave, later than another one.
pub(crate) struct Wave {
    delay: u64,
}

impl Wave {
    /// The wave of sensor number `number`.
    pub(crate) fn new(number: u32) -> Self {
        let delay = u64::from(number) * SPAN / 2;
        Self { delay }
    }
}

impl Sensor for Wave {
    fn read(&mut self) -> Result<Text, Fault> {
        let step = Instant::now().as_millis() / STEP_MILLISECONDS + self.delay;
        let phase = step % (2 * SPAN);
        let value = LOWEST + phase.min(2 * SPAN - phase);
        let mut text = Text::new();
        let written = write!(text, "{}.{:02}", value / 100, value % 100);
        written.map_err(|_long| Fault("value is too long"))?;
        Ok(text)
    }
}
