//! CSV that a spreadsheet opens right: marked as UTF-8, numbers as numbers, and no cell a formula.

use std::borrow::Cow;

use fieldledger_audit::decimal::Decimal;

/// What stands before everything else, so that a spreadsheet reads UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The text as it can stand in a cell: one that a spreadsheet would take for a formula gets an
/// apostrophe before it. A number, such as -3.5, stays what it is.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    match is_formula(text) && Decimal::parse(text).is_none() {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Whether a spreadsheet may take the text for a formula. Some pass over spaces before it, and some
/// know the full-width signs.
fn is_formula(text: &str) -> bool {
    let first = text.trim_start_matches(' ').chars().next();
    first.is_some_and(|first| {
        matches!(
            first,
            '=' | '+'
                | '-'
                | '@'
                | '\t'
                | '\r'
                | '\n'
                | '\u{ff1d}'
                | '\u{ff0b}'
                | '\u{ff0d}'
                | '\u{ff20}'
        )
    })
}

/// A cell of a line of RFC 4180.
#[must_use]
pub fn cell(text: &str) -> String {
    let text = harmless(text);
    match text.contains([',', ';', '\t', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_formulas_do_not_run() {
        for text in [
            "-3.5",
            "+5",
            "-1e-3",
            "21.50",
            "Kühler",
            "",
            "a=b",
            "12345678",
            "2026-01-02",
        ] {
            assert_eq!(harmless(text), text);
        }
        for text in [
            "=1+1",
            "-3.5+cmd",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "-",
            "+49 30 1",
            "\u{ff1d}1",
            "-3,5",
            "=-3.5",
        ] {
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=1;2"), "\"'=1;2\"");
        assert_eq!(cell("-3.5"), "-3.5");
    }
}
