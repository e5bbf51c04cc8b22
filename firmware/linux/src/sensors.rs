//! The sensors of a Linux machine.

use std::fs;
use std::path::Path;

use fieldledger_device::sensor::{Fault, Sensor, Text};

use crate::settings::Source;

/// A source that is read when it is asked.
#[derive(Debug)]
pub(crate) struct LinuxSensor(pub(crate) Source);

impl LinuxSensor {
    /// What it is called unless the settings say.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            Source::Load => "Load average".to_owned(),
            Source::Memory => "Available memory".to_owned(),
            Source::Temperature(path) => {
                let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
                let file = path.file_name().unwrap_or_default();
                format!("{} {}", folder.to_string_lossy(), file.to_string_lossy())
            }
            Source::Simulated { .. } => "Simulated".to_owned(),
        }
    }

    /// Its unit, a UCUM code.
    pub(crate) fn unit(&self) -> &str {
        match &self.0 {
            Source::Load => "1",
            Source::Memory => "MiBy",
            Source::Temperature(_) => "Cel",
            Source::Simulated { unit, .. } => unit,
        }
    }
}

impl Sensor for LinuxSensor {
    fn read(&mut self) -> Result<Text, Fault> {
        let text = match &self.0 {
            Source::Load => load(&read("/proc/loadavg")?),
            Source::Memory => available_mebibytes(&read("/proc/meminfo")?),
            Source::Temperature(path) => degrees(&read(path)?),
            Source::Simulated {
                mean, deviation, ..
            } => {
                let offset = (rand::random::<f64>() * 2.0 - 1.0) * deviation;
                Some(format!("{:.2}", mean + offset))
            }
        };
        let text = text.ok_or(Fault("file holds something else"))?;
        Text::try_from(text.as_str()).map_err(|_full| Fault("value is too long"))
    }
}

fn read(path: impl AsRef<Path>) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|_error| Fault("file cannot be read"))
}

/// The first number of `/proc/loadavg`, as it stands there.
fn load(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_owned)
}

/// `MemAvailable` of `/proc/meminfo`.
fn available_mebibytes(text: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kibibytes / 1_024).to_string())
}

/// Thousandths of a degree as degrees, without a detour over binary fractions.
fn degrees(text: &str) -> Option<String> {
    let thousandths: i64 = text.trim().parse().ok()?;
    let sign = if thousandths < 0 { "-" } else { "" };
    let positive = thousandths.unsigned_abs();
    Some(format!(
        "{sign}{}.{:03}",
        positive / 1_000,
        positive % 1_000
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_become_numbers() {
        assert_eq!(load("0.52 0.58 0.59 1/467 12\n").unwrap(), "0.52");
        let memory = "MemTotal: 16 kB\nMemAvailable:    2097152 kB\n";
        assert_eq!(available_mebibytes(memory).unwrap(), "2048");
        assert_eq!(degrees("51234\n").unwrap(), "51.234");
        assert_eq!(degrees("-50\n").unwrap(), "-0.050");
        for text in ["", "x", "1.5"] {
            assert_eq!(degrees(text), None);
        }
        assert_eq!(available_mebibytes("MemTotal: 16 kB\n"), None);
    }

    #[test]
    fn this_machine_has_a_load_and_a_memory() {
        for source in [Source::Load, Source::Memory] {
            let value = LinuxSensor(source).read().unwrap();
            assert!(value.parse::<f64>().unwrap().is_finite());
        }
        let missing = LinuxSensor(Source::Temperature("/nowhere".into())).read();
        assert_eq!(missing, Err(Fault("file cannot be read")));
    }

    #[test]
    fn a_simulated_value_stays_within_its_deviation() {
        let unit = "Cel".to_owned();
        let mut sensor = LinuxSensor(Source::Simulated {
            mean: 20.0,
            deviation: 0.5,
            unit,
        });
        for _ in 0..100 {
            let value: f64 = sensor.read().unwrap().parse().unwrap();
            assert!((19.5..=20.5).contains(&value), "{value}");
        }
    }
}
