//! Units: what devices call them, and their UCUM codes (<https://ucum.org>).
//!
//! | module | holds |
//! |---|---|
//! | `words` | spellings that people and devices use, with the code that each means |
//! | `code` | whether a text is a UCUM code |
//!
//! A text that is a UCUM code stays as it is, so `C` is coulomb and `F` farad. Another one is looked up
//! as a whole, then part by part between `/` and `.`, so `kWh/m²` is `kW.h/m2`. Case decides where it
//! means something (`mA` and `MA`), and is passed over only where one unit can be meant.

mod code;
mod words;

pub use fieldledger_attest::reading::MAX_UNIT_BYTES;

use crate::text::trimmed_text;

/// A unit, as well as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its UCUM code; the text itself where it is not known.
    pub code: String,
    /// Whether it is known.
    pub is_known: bool,
}

/// What a text means as a unit; the empty text is the unit of none.
#[must_use]
pub fn understood(text: &str) -> Unit {
    let text = trimmed_text(text);
    // Words may become longer codes.
    let code = match text {
        "" => Some(String::new()),
        _ => code_of(text).filter(|code| code.len() <= 2 * MAX_UNIT_BYTES),
    };
    Unit {
        is_known: code.is_some(),
        code: code.unwrap_or_else(|| text.to_owned()),
    }
}

/// Whether two texts name one unit.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    // UCUM has two codes for the litre, and two for what is divided.
    let compared = |text| {
        let code = understood(text).code.replace('l', "L");
        code.strip_prefix('1')
            .filter(|rest| rest.starts_with('/'))
            .map_or(code.clone(), str::to_owned)
    };
    one == other || compared(one) == compared(other)
}

/// Whether it may be kept as a unit: short, and nothing in it that a terminal would act upon.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= MAX_UNIT_BYTES && !text.contains(char::is_control)
}

fn code_of(text: &str) -> Option<String> {
    if let Some(code) = words::exact(text) {
        return Some(code.to_owned());
    }
    if code::is_code(text) {
        return Some(text.to_owned());
    }
    let plain = words::in_ascii(text);
    let whole = words::exact(&plain).or_else(|| words::in_any_case(&plain));
    if let Some(code) = whole {
        return Some(code.to_owned());
    }
    let plain: String = plain
        .replace(" per ", "/")
        .replace(" / ", "/")
        .replace(['*', ' '], ".")
        .replace('^', "");
    if code::is_code(&plain) {
        return Some(plain);
    }
    by_parts(&plain)
}

/// Each part between separators looked up by itself.
fn by_parts(text: &str) -> Option<String> {
    let mut code = String::new();
    let mut divides = false;
    let mut rest = text;
    loop {
        let end = rest.find(['/', '.']).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        if part.is_empty() {
            // Only before the first `/`.
            if !code.is_empty() || !behind.starts_with('/') {
                return None;
            }
        } else {
            let part = part_code(part)?;
            match divides && part.contains(['.', '/']) {
                true => code.extend(["(", &part, ")"]),
                false => code.push_str(&part),
            }
        }
        let mut characters = behind.chars();
        let Some(separator) = characters.next() else {
            break;
        };
        divides = separator == '/';
        code.push(separator);
        rest = characters.as_str();
    }
    code::is_code(&code).then_some(code)
}

/// A word with its exponent.
fn part_code(part: &str) -> Option<String> {
    if code::is_code(part) && words::exact(part).is_none() {
        return Some(part.to_owned());
    }
    let base = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let exponent = &part[base.len()..];
    let code = words::exact(base).or_else(|| words::in_any_case(base))?;
    match (exponent, code.contains(['.', '/'])) {
        ("", _) => Some(code.to_owned()),
        (_, false) => Some(format!("{code}{exponent}")),
        (_, true) => Some(format!("({code}){exponent}")),
    }
}

#[cfg(test)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_devices_write_is_understood() {
        for (spellings, code) in [
            (
                &[
                    "°C",
                    "℃",
                    "degC",
                    "degrees C",
                    "Degrees Celsius",
                    "celsius",
                    "Celsius",
                    "deg C",
                    "degree celsius",
                    "º C",
                    "˚C",
                    "° C",
                    " °C ",
                    "Cel",
                    "DEGC",
                    "deg. C",
                    "oC",
                ][..],
                "Cel",
            ),
            (
                &["°F", "℉", "degF", "degrees F", "Fahrenheit", "[degF]"],
                "[degF]",
            ),
            (&["K", "kelvin", "°K", "Kelvin", "degK"], "K"),
            (
                &[
                    "µg/m³",
                    "μg/m³",
                    "ug/m3",
                    "µg/m3",
                    "ug/m^3",
                    "µg / m³",
                    "ug/m³",
                ],
                "ug/m3",
            ),
            (
                &["m³/h", "m3/h", "m^3/h", "m³/hr", "m3/hour", "m³ / h"],
                "m3/h",
            ),
            (
                &[
                    "%", "percent", "pct", "Percent", "%RH", "% RH", "%rH", "RH%", "%rh",
                ],
                "%",
            ),
            (&["ppm", "PPM", "[ppm]"], "[ppm]"),
            (&["bar", "Bar", "BAR"], "bar"),
            (&["mbar"], "mbar"),
            (&["hPa", "HPA", "hpa"], "hPa"),
            (&["kPa", "KPA", "kpa"], "kPa"),
            (&["Pa", "pa", "Pascal"], "Pa"),
            (&["psi", "PSI", "lbf/in²"], "[psi]"),
            (&["V", "volt", "Volts"], "V"),
            (&["mV"], "mV"),
            (&["A", "amp", "Amps", "ampere"], "A"),
            (&["mA"], "mA"),
            (&["MA"], "MA"),
            (&["W", "watts"], "W"),
            (&["kW", "KW"], "kW"),
            (&["kWh", "KWH", "kwh", "kW h", "kW·h"], "kW.h"),
            (&["Wh"], "W.h"),
            (&["MWh"], "MW.h"),
            (&["Hz", "hz", "hertz"], "Hz"),
            (&["rpm", "RPM", "r/min", "rev/min", "Rpm"], "/min"),
            (&["l/min"], "l/min"),
            (&["L/h"], "L/h"),
            (&["lpm", "LPM"], "L/min"),
            (&["m/s"], "m/s"),
            (&["m s⁻¹", "m·s⁻¹", "m s^-1"], "m.s-1"),
            (&["μg m⁻³"], "ug.m-3"),
            (&["m/s²", "m/s2", "m/s^2"], "m/s2"),
            (&["km/h", "kmh", "kph"], "km/h"),
            (&["lx", "lux", "Lux"], "lx"),
            (&["dB", "db", "DB"], "dB"),
            (&["pH", "ph", "PH"], "[pH]"),
            (&["µS/cm", "uS/cm", "μS/cm"], "uS/cm"),
            (&["mg/l"], "mg/l"),
            (&["mg/L"], "mg/L"),
            (&["g"], "g"),
            (&["kg", "KG"], "kg"),
            (&["mm"], "mm"),
            (&["cm"], "cm"),
            (&["m", "metre", "meters"], "m"),
            (&["min", "minutes", "mins"], "min"),
            (&["h", "hr", "hours", "hrs"], "h"),
            (&["s", "sec", "seconds", "secs"], "s"),
            (&["S"], "S"),
            (&["ms"], "ms"),
            (&["°", "deg", "degrees"], "deg"),
            (&["Ω", "Ω", "ohm", "Ohms"], "Ohm"),
            (&["kΩ", "kohm"], "kOhm"),
            (&["µm", "μm", "um"], "um"),
            (&["kWh/m²"], "kW.h/m2"),
            (&["J/kWh"], "J/(kW.h)"),
            (&["°C/min"], "Cel/min"),
            (&["W/m²", "W/m2", "W / m²"], "W/m2"),
            (&["gal", "gallons"], "[gal_us]"),
            (&["inHg"], "[in_i'Hg]"),
            (&["mmHg"], "mm[Hg]"),
            (&["mph"], "[mi_i]/h"),
            (&["Nm", "N m", "N·m"], "N.m"),
            (&["VA"], "V.A"),
            (&["mol/l"], "mol/l"),
            (&[""], ""),
        ] {
            for text in spellings {
                let unit = understood(text);
                assert_eq!(
                    (unit.code.as_str(), unit.is_known),
                    (code, true),
                    "{text:?}"
                );
                assert!(code.is_empty() || code::is_code(code), "{code}");
            }
        }
    }

    #[test]
    fn what_is_not_known_stays_as_it_is() {
        for text in [
            "furlongs",
            "m/",
            "//",
            "°Q",
            "widgets per day",
            "21",
            "C°C",
            "²",
            "[foo]",
            "KK",
            "mm//s",
            "MBAR",
        ] {
            let unit = understood(text);
            assert_eq!(
                (unit.code.as_str(), unit.is_known),
                (text, false),
                "{text:?}"
            );
        }
    }

    #[test]
    fn two_spellings_are_one_unit() {
        assert!(is_same("°C", "Cel") && is_same("degC", "celsius") && is_same("l/min", "L/min"));
        assert!(is_same("rpm", "1/min"));
        assert!(!is_same("°C", "°F") && !is_same("mA", "MA") && !is_same("s", "S"));
        assert!(is_same("furlongs", "furlongs") && !is_same("furlongs", "m"));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_looked_at_and_a_code_stays_one(text in "\\PC{0,40}") {
            let unit = understood(&text);
            if unit.is_known {
                prop_assert_eq!(&understood(&unit.code).code, &unit.code);
            }
        }

        #[test]
        fn what_looks_like_a_unit_is_stable(text in "[a-zA-Z0-9°µ²³%/.()\\[\\]{}^ -]{0,12}") {
            let unit = understood(&text);
            if unit.is_known {
                prop_assert_eq!(&understood(&unit.code).code, &unit.code);
            }
        }
    }
}
