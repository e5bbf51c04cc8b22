//! The site that is simulated: what can be measured, and where the first forty sensors are.
//!
//! Names, places, ranges and distributions are those of the proof of concept that Fieldledger
//! rebuilds, so that its dashboards and habits keep working. The units are new.

/// One measured quantity and how it is distributed: normal, clamped to the range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// Name of the quantity, for people.
    pub name: &'static str,
    /// UCUM code (<https://ucum.org>).
    pub unit: &'static str,
    /// Lowest value the sensor gives.
    pub low: f64,
    /// Highest value the sensor gives.
    pub high: f64,
    /// Mean, in `unit`.
    pub mean: f64,
    /// Standard deviation, in `unit`.
    pub deviation: f64,
}

/// A sensor's name and where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Station {
    /// Name of the sensor.
    pub alias: &'static str,
    /// Part of the site.
    pub site: &'static str,
    /// What it measures.
    pub kind: &'static Kind,
}

/// A sensor whose alias contains this drops about a tenth of its polls.
pub const FAULTY_MARK: &str = "FAULTY";

macro_rules! kinds {
    ($($constant:ident: $name:literal, $unit:literal, $low:literal to $high:literal, $mean:literal +- $deviation:literal;)*) => {
        $(const $constant: &Kind = &Kind {
            name: $name, unit: $unit, low: $low, high: $high, mean: $mean, deviation: $deviation,
        };)*
    };
}

kinds! {
    TEMPERATURE: "temperature", "Cel", 0.0 to 50.0, 25.0 +- 2.0;
    HUMIDITY: "relative humidity", "%", 20.0 to 90.0, 55.0 +- 10.0;
    PRESSURE: "pressure", "bar", 1.0 to 10.0, 5.5 +- 1.0;
    VIBRATION: "vibration velocity", "mm/s", 0.0 to 100.0, 50.0 +- 10.0;
    FLOW: "flow", "L/min", 0.0 to 10.0, 5.0 +- 0.5;
    LEVEL: "fill level", "%", 0.0 to 100.0, 50.0 +- 5.0;
    ROTATION: "angle", "deg", 0.0 to 360.0, 180.0 +- 30.0;
    SOUND: "sound pressure level", "dB[SPL]", 20.0 to 120.0, 70.0 +- 10.0;
    ACIDITY: "acidity", "[pH]", 0.0 to 14.0, 7.0 +- 1.0;
    RADIATION: "dose rate", "uSv/h", 0.0 to 10.0, 0.5 +- 0.1;
    LIGHT: "illuminance", "lx", 0.0 to 1000.0, 500.0 +- 50.0;
    PROXIMITY: "distance", "m", 0.0 to 10.0, 5.0 +- 1.0;
    MAGNETISM: "magnetic flux density", "uT", -100.0 to 100.0, 0.0 +- 20.0;
    SMOKE: "smoke obscuration", "%/m", 0.0 to 100.0, 5.0 +- 2.0;
    MOTION: "motion", "1", 0.0 to 1.0, 0.5 +- 0.1;
}

const fn station(alias: &'static str, site: &'static str, kind: &'static Kind) -> Station {
    Station { alias, site, kind }
}

/// The forty sensors of the original, in its order.
pub const STATIONS: [Station; 40] = [
    station("TempSensor01", "Conveyor Belt 1", TEMPERATURE),
    station("FAULTY_HumiditySensor-A1", "Filling Line 3", HUMIDITY),
    station("PressureSensor789", "Boiler Room", PRESSURE),
    station("VibrationSensorB", "Machine Room", VIBRATION),
    station("FlowSensor-R23", "Filling Line 3", FLOW),
    station("LevelSensor-L4", "Storage Tank 2", LEVEL),
    station("RotationalSensor3", "Main Assembly Line", ROTATION),
    station("AcousticSensor-X2", "Boiler Room", SOUND),
    station("ChemicalSensor-C17", "Chemical Storage", ACIDITY),
    station("RadiationSensor-R5", "Waste Disposal", RADIATION),
    station("LightSensor-LS1", "Main Assembly Line", LIGHT),
    station("ProximitySensor-P3", "Loading Dock", PROXIMITY),
    station("MagneticSensor-M7", "Machine Room", MAGNETISM),
    station("SmokeSensor-S2", "Boiler Room", SMOKE),
    station("MotionSensor-M1", "Security Gate", MOTION),
    station("TempSensor02", "Conveyor Belt 2", TEMPERATURE),
    station("HumiditySensor-A2", "Filling Line 1", HUMIDITY),
    station("PressureSensor790", "HVAC System", PRESSURE),
    station("VibrationSensorC", "Machine Room 2", VIBRATION),
    station("FlowSensor-R24", "Filling Line 2", FLOW),
    station("LevelSensor-L5", "Storage Tank 3", LEVEL),
    station("RotationalSensor4", "Auxiliary Assembly Line", ROTATION),
    station("AcousticSensor-X3", "HVAC System", SOUND),
    station("ChemicalSensor-C18", "Chemical Storage 2", ACIDITY),
    station("RadiationSensor-R6", "Waste Disposal 2", RADIATION),
    station("LightSensor-LS2", "Auxiliary Assembly Line", LIGHT),
    station("ProximitySensor-P4", "Unloading Dock", PROXIMITY),
    station("MagneticSensor-M8", "Machine Room 3", MAGNETISM),
    station("SmokeSensor-S3", "HVAC System", SMOKE),
    station("MotionSensor-M2", "Security Gate 2", MOTION),
    station("TempSensor03", "Conveyor Belt 3", TEMPERATURE),
    station("HumiditySensor-A3", "Filling Line 2", HUMIDITY),
    station("PressureSensor791", "Boiler Room 2", PRESSURE),
    station("VibrationSensorD", "Machine Room 4", VIBRATION),
    station("FlowSensor-R25", "Filling Line 1", FLOW),
    station("LevelSensor-L6", "Storage Tank 1", LEVEL),
    station("RotationalSensor5", "Main Assembly Line", ROTATION),
    station("AcousticSensor-X4", "Boiler Room 2", SOUND),
    station("ChemicalSensor-C19", "Chemical Storage 3", ACIDITY),
    station("RadiationSensor-R7", "Waste Disposal 3", RADIATION),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn aliases_are_unique_and_one_is_faulty() {
        let aliases: HashSet<&str> = STATIONS.iter().map(|station| station.alias).collect();
        assert_eq!(aliases.len(), STATIONS.len());
        let faulty = STATIONS.iter().filter(|s| s.alias.contains(FAULTY_MARK));
        assert_eq!(faulty.count(), 1);
    }

    #[test]
    fn every_mean_lies_within_its_range() {
        for Station { kind, .. } in STATIONS {
            assert!(kind.low < kind.mean && kind.mean < kind.high, "{kind:?}");
            assert!(kind.deviation > 0.0, "{kind:?}");
        }
    }
}
