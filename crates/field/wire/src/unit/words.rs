//! Spellings of units, each with its UCUM code.

/// As they are written, case and all. What is a UCUM code of another meaning stands here only where
/// nobody measures that: `pH` would be a picohenry.
const EXACT: [(&str, &str); 67] = [
    ("°C", "Cel"),
    ("degC", "Cel"),
    ("deg C", "Cel"),
    ("oC", "Cel"),
    ("°F", "[degF]"),
    ("degF", "[degF]"),
    ("deg F", "[degF]"),
    ("oF", "[degF]"),
    ("°K", "K"),
    ("degK", "K"),
    ("°", "deg"),
    ("pH", "[pH]"),
    ("ph", "[pH]"),
    ("PH", "[pH]"),
    ("Ω", "Ohm"),
    ("kΩ", "kOhm"),
    ("MΩ", "MOhm"),
    ("mΩ", "mOhm"),
    ("kohm", "kOhm"),
    ("Wh", "W.h"),
    ("mWh", "mW.h"),
    ("kWh", "kW.h"),
    ("MWh", "MW.h"),
    ("GWh", "GW.h"),
    ("kwh", "kW.h"),
    ("KWh", "kW.h"),
    ("KWH", "kW.h"),
    ("Ah", "A.h"),
    ("mAh", "mA.h"),
    ("VA", "V.A"),
    ("kVA", "kV.A"),
    ("MVA", "MV.A"),
    ("var", "V.A"),
    ("kvar", "kV.A"),
    ("VAr", "V.A"),
    ("kVAr", "kV.A"),
    ("VARh", "V.A.h"),
    ("varh", "V.A.h"),
    ("kvarh", "kV.A.h"),
    ("VAh", "V.A.h"),
    ("Nm", "N.m"),
    ("kNm", "kN.m"),
    ("r/min", "/min"),
    ("rev/min", "/min"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("psi", "[psi]"),
    ("lbf/in2", "[psi]"),
    ("mmHg", "mm[Hg]"),
    ("inHg", "[in_i'Hg]"),
    ("mmH2O", "mm[H2O]"),
    ("cmH2O", "cm[H2O]"),
    ("inH2O", "[in_i'H2O]"),
    ("in", "[in_i]"),
    ("ft", "[ft_i]"),
    ("yd", "[yd_i]"),
    ("mi", "[mi_i]"),
    ("lb", "[lb_av]"),
    ("lbs", "[lb_av]"),
    ("oz", "[oz_av]"),
    ("gal", "[gal_us]"),
    ("lbf", "[lbf_av]"),
    ("mph", "[mi_i]/h"),
    ("cfm", "[cft_i]/min"),
    ("gpm", "[gal_us]/min"),
    ("kn", "[kn_i]"),
    ("db", "dB"),
];

/// In lower case: words, and codes of which no other unit differs by case alone. Prefixes `m` and `M`
/// are told apart by their case, so nothing that begins with one of them stands here, but for words.
const ANY_CASE: [(&str, &str); 124] = [
    ("c°", "Cel"),
    ("celsius", "Cel"),
    ("degrees c", "Cel"),
    ("degree c", "Cel"),
    ("deg c", "Cel"),
    ("deg. c", "Cel"),
    ("degc", "Cel"),
    ("deg_c", "Cel"),
    ("degrees celsius", "Cel"),
    ("degree celsius", "Cel"),
    ("deg celsius", "Cel"),
    ("° celsius", "Cel"),
    ("°celsius", "Cel"),
    ("° c", "Cel"),
    ("°c", "Cel"),
    ("centigrade", "Cel"),
    ("cel", "Cel"),
    ("grad celsius", "Cel"),
    ("fahrenheit", "[degF]"),
    ("degrees f", "[degF]"),
    ("degree f", "[degF]"),
    ("deg f", "[degF]"),
    ("degf", "[degF]"),
    ("deg_f", "[degF]"),
    ("degrees fahrenheit", "[degF]"),
    ("degree fahrenheit", "[degF]"),
    ("° f", "[degF]"),
    ("°f", "[degF]"),
    ("kelvin", "K"),
    ("kelvins", "K"),
    ("percent", "%"),
    ("pct", "%"),
    ("per cent", "%"),
    ("%rh", "%"),
    ("% rh", "%"),
    ("rh%", "%"),
    ("rh", "%"),
    ("%r.h.", "%"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("psi", "[psi]"),
    ("bar", "bar"),
    ("bars", "bar"),
    ("pa", "Pa"),
    ("pascal", "Pa"),
    ("pascals", "Pa"),
    ("hpa", "hPa"),
    ("hectopascal", "hPa"),
    ("kpa", "kPa"),
    ("kilopascal", "kPa"),
    ("millibar", "mbar"),
    ("atmospheres", "atm"),
    ("volt", "V"),
    ("volts", "V"),
    ("millivolt", "mV"),
    ("millivolts", "mV"),
    ("amp", "A"),
    ("amps", "A"),
    ("ampere", "A"),
    ("amperes", "A"),
    ("milliamp", "mA"),
    ("milliamps", "mA"),
    ("watt", "W"),
    ("watts", "W"),
    ("kw", "kW"),
    ("kilowatt", "kW"),
    ("kilowatts", "kW"),
    ("kv", "kV"),
    ("kilowatt hours", "kW.h"),
    ("kilowatt-hours", "kW.h"),
    ("kwh", "kW.h"),
    ("kw h", "kW.h"),
    ("kw.h", "kW.h"),
    ("wh", "W.h"),
    ("joule", "J"),
    ("joules", "J"),
    ("hz", "Hz"),
    ("hertz", "Hz"),
    ("khz", "kHz"),
    ("rpm", "/min"),
    ("lpm", "L/min"),
    ("kph", "km/h"),
    ("kmh", "km/h"),
    ("km/hr", "km/h"),
    ("lux", "lx"),
    ("lumen", "lm"),
    ("lumens", "lm"),
    ("db", "dB"),
    ("decibel", "dB"),
    ("decibels", "dB"),
    ("kg", "kg"),
    ("kilogram", "kg"),
    ("kilograms", "kg"),
    ("gram", "g"),
    ("grams", "g"),
    ("tonne", "t"),
    ("tonnes", "t"),
    ("km", "km"),
    ("metre", "m"),
    ("meter", "m"),
    ("metres", "m"),
    ("meters", "m"),
    ("micron", "um"),
    ("microns", "um"),
    ("litre", "L"),
    ("liter", "L"),
    ("litres", "L"),
    ("liters", "L"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("mins", "min"),
    ("minute", "min"),
    ("minutes", "min"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("degrees", "deg"),
    ("ohm", "Ohm"),
    ("ohms", "Ohm"),
];

/// More of them, of things that are counted or have no unit.
const COUNTED: [(&str, &str); 14] = [
    ("gallon", "[gal_us]"),
    ("gallons", "[gal_us]"),
    ("count", "{count}"),
    ("counts", "{count}"),
    ("pcs", "{piece}"),
    ("pieces", "{piece}"),
    ("unitless", "1"),
    ("dimensionless", "1"),
    ("feet", "[ft_i]"),
    ("foot", "[ft_i]"),
    ("inch", "[in_i]"),
    ("inches", "[in_i]"),
    ("siemens", "S"),
    ("bpm", "/min"),
];

/// The code of this very spelling.
pub(super) fn exact(text: &str) -> Option<&'static str> {
    code_in(&EXACT, text)
}

/// The code of a spelling whose case means nothing.
pub(super) fn in_any_case(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    code_in(&ANY_CASE, &lower).or_else(|| code_in(&COUNTED, &lower))
}

fn code_in(table: &'static [(&'static str, &'static str)], text: &str) -> Option<&'static str> {
    let found = table.iter().find(|(spelling, _)| *spelling == text);
    found.map(|(_, code)| *code)
}

/// Signs as ASCII has them, where it does: both micro signs, superscripts, the degree and those that look
/// like it. Blanks become one space each, a blank between units a `.`.
pub(super) fn in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            'µ' | 'μ' => ascii.push('u'),
            'º' | '˚' | '∘' => ascii.push('°'),
            '℃' => ascii.push_str("°C"),
            '℉' => ascii.push_str("°F"),
            '\u{212a}' => ascii.push('K'),
            '\u{2126}' => ascii.push('Ω'),
            '⁰' => ascii.push('0'),
            '¹' => ascii.push('1'),
            '²' => ascii.push('2'),
            '³' => ascii.push('3'),
            '⁴' => ascii.push('4'),
            '⁻' | '−' | '‐' | '–' => ascii.push('-'),
            '⋅' | '·' | '×' | '∙' => ascii.push('.'),
            '∕' | '⁄' | '÷' => ascii.push('/'),
            '％' => ascii.push('%'),
            // The accent that makes a letter of another.
            '\u{30a}' => ascii.push('°'),
            blank if blank.is_whitespace() => ascii.push(' '),
            other => ascii.push(other),
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::super::{code::is_code, understood};
    use super::*;

    #[test]
    fn every_word_is_reached_and_means_a_code() {
        for (word, code) in EXACT.iter().chain(&ANY_CASE).chain(&COUNTED) {
            assert!(is_code(code), "{word}: {code}");
            assert_eq!(understood(word).code, *code, "{word}");
        }
    }
}
