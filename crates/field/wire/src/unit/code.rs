//! Whether a text is a UCUM code, case sensitive (The Unified Code for Units of Measure, section 2).

/// How deep parentheses go.
const MAX_DEPTH: u8 = 4;

/// Prefixes of metric units, longest first where one begins another.
const PREFIXES: [&str; 24] = [
    "da", "Ki", "Mi", "Gi", "Ti", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u",
    "n", "p", "f", "a", "z", "y",
];

/// Units that take a prefix.
const METRIC: [&str; 77] = [
    "m", "s", "g", "rad", "K", "C", "cd", "mol", "sr", "Hz", "N", "Pa", "J", "W", "A", "V", "F",
    "Ohm", "S", "Wb", "Cel", "T", "H", "lm", "lx", "Bq", "Gy", "Sv", "l", "L", "ar", "t", "bar",
    "u", "eV", "pc", "B", "Np", "kat", "U", "G", "Mx", "Gb", "P", "St", "erg", "dyn", "Gal", "Ky",
    "sb", "Lmb", "R", "RAD", "REM", "Ci", "cal", "cal_th", "cal_IT", "osm", "eq", "bit", "By",
    "Bd", "b", "Oe", "Bi", "m[H2O]", "m[Hg]", "B[SPL]", "B[V]", "B[mV]", "B[uV]", "B[W]", "B[kW]",
    "[iU]", "[g]", "st",
];

/// Units that take none.
const OTHER: [&str; 84] = [
    "%",
    "[ppth]",
    "[ppm]",
    "[ppb]",
    "[pptr]",
    "[pi]",
    "10*",
    "10^",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "a",
    "a_j",
    "a_t",
    "a_g",
    "mo_j",
    "deg",
    "gon",
    "'",
    "''",
    "circ",
    "sph",
    "AU",
    "atm",
    "att",
    "gf",
    "g%",
    "bit_s",
    "[pH]",
    "[psi]",
    "[degF]",
    "[degR]",
    "[degRe]",
    "[in_i]",
    "[ft_i]",
    "[yd_i]",
    "[mi_i]",
    "[fth_i]",
    "[nmi_i]",
    "[kn_i]",
    "[sin_i]",
    "[sft_i]",
    "[syd_i]",
    "[cin_i]",
    "[cft_i]",
    "[cyd_i]",
    "[mil_i]",
    "[in_us]",
    "[ft_us]",
    "[mi_us]",
    "[acr_us]",
    "[gal_us]",
    "[qt_us]",
    "[pt_us]",
    "[foz_us]",
    "[bbl_us]",
    "[bu_us]",
    "[gal_br]",
    "[pt_br]",
    "[foz_br]",
    "[lb_av]",
    "[oz_av]",
    "[gr]",
    "[ston_av]",
    "[lton_av]",
    "[lbf_av]",
    "[oz_tr]",
    "[lb_tr]",
    "[Btu]",
    "[Btu_IT]",
    "[Btu_th]",
    "[HP]",
    "[in_i'H2O]",
    "[in_i'Hg]",
    "tex",
    "[den]",
    "[diop]",
    "[IU]",
    "[CFU]",
    "[HPF]",
    "[arb'U]",
    "[car_m]",
];

/// Whether the text is a code of units that are known here.
pub(super) fn is_code(text: &str) -> bool {
    let is_printable = |byte: u8| byte.is_ascii_graphic();
    // A number alone counts nothing, but for the unit 1.
    let is_bare = text != "1" && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || is_bare || !text.bytes().all(is_printable) {
        return false;
    }
    let mut rest = text;
    main_term(&mut rest, 0) && rest.is_empty()
}

/// `/` and a term, or a term.
fn main_term(rest: &mut &str, depth: u8) -> bool {
    if let Some(behind) = rest.strip_prefix('/') {
        *rest = behind;
    }
    term(rest, depth)
}

/// Components between `.` and `/`.
fn term(rest: &mut &str, depth: u8) -> bool {
    loop {
        if !component(rest, depth) {
            return false;
        }
        match rest.strip_prefix(['.', '/']) {
            Some(behind) => *rest = behind,
            None => return true,
        }
    }
}

fn component(rest: &mut &str, depth: u8) -> bool {
    if let Some(behind) = rest.strip_prefix('(') {
        *rest = behind;
        if depth == MAX_DEPTH || !main_term(rest, depth + 1) {
            return false;
        }
        let Some(behind) = rest.strip_prefix(')') else {
            return false;
        };
        *rest = behind;
        return true;
    }
    let end = end_of_unit(rest);
    let (unit, behind) = rest.split_at(end);
    *rest = behind;
    let has_annotation = match annotation(rest) {
        Some(there) => there,
        None => return false,
    };
    match unit {
        "" => has_annotation,
        _ if unit.bytes().all(|byte| byte.is_ascii_digit()) => true,
        _ => is_unit_with_exponent(unit),
    }
}

/// A text in braces, which says what is counted. None where it does not end.
fn annotation(rest: &mut &str) -> Option<bool> {
    let Some(behind) = rest.strip_prefix('{') else {
        return Some(false);
    };
    let end = behind.find('}')?;
    let is_plain = !behind[..end].contains('{');
    *rest = &behind[end + 1..];
    is_plain.then_some(true)
}

/// Where a unit ends: at a separator, a parenthesis or an annotation outside of brackets.
fn end_of_unit(text: &str) -> usize {
    let mut in_brackets = false;
    for (position, character) in text.char_indices() {
        match character {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            '.' | '/' | '(' | ')' | '{' if !in_brackets => return position,
            _ => {}
        }
    }
    text.len()
}

fn is_unit_with_exponent(text: &str) -> bool {
    if is_unit(text) {
        return true;
    }
    let base = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_exponent = base.len() < text.len();
    has_exponent && is_unit(base.strip_suffix(['-', '+']).unwrap_or(base))
}

fn is_unit(text: &str) -> bool {
    OTHER.contains(&text)
        || METRIC.contains(&text)
        || PREFIXES.iter().any(|prefix| {
            let unit = text.strip_prefix(prefix);
            unit.is_some_and(|unit| METRIC.contains(&unit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_other_texts() {
        for code in [
            "Cel",
            "%",
            "m3/h",
            "kW.h",
            "/min",
            "1/min",
            "ug/m3",
            "m/s2",
            "m.s-1",
            "m.s-2",
            "{count}",
            "{rev}/min",
            "mm[Hg]",
            "[in_i'H2O]",
            "J/(kg.K)",
            "10*3/uL",
            "10^6",
            "kg{dry}",
            "uS/cm",
            "dB[SPL]",
            "MBq",
            "dag",
            "Kibit",
            "mol/L",
            "[degF]",
            "1",
            "W/m2",
            "%{RH}",
        ] {
            assert!(is_code(code), "{code}");
        }
        for text in [
            "",
            "degC",
            "°C",
            "m/",
            "/",
            ".",
            "m..s",
            "(m",
            "m)",
            "{",
            "{a",
            "psi",
            "KW",
            "ppm",
            "rpm",
            "m s",
            "[x]",
            "kmin",
            "foo",
            "21",
            "m^2",
            "((((((m))))))",
            "2m",
            "-1",
        ] {
            assert!(!is_code(text), "{text}");
        }
    }
}
