//! What many readings have in common: their status, and their message but for its numbers and for the
//! words that a sensor or a device has of its own.

use std::str::FromStr as _;

use fieldledger_formats::query::words::{is_word_letter, next_word, normal};
use fieldledger_reading::Recorded;
use fieldledger_reading::quality::{Quality, Severity};

use super::bytes::Fault;
use super::scan::{BETWEEN, NUMBER, Scan, WORD, decimal, member};

/// A word of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The same in all of them.
    Fixed(String),
    /// The number in a column.
    Number { column: usize, is_signed: bool },
    /// The text that the profile names there; with a minus sign where it is a number.
    Text { at: usize, is_signed: bool },
}

/// A decimal number whose digits are in columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) is_negative: bool,
    pub(super) whole: usize,
    pub(super) fraction: Option<usize>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Fixed(String),
    /// The text that the profile names there.
    Text(usize),
}

/// A shape, and where the numbers of its readings are.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) status: String,
    /// The event has the time of its poll.
    pub(super) has_time: bool,
    pub(super) template: String,
    pub(super) words: Vec<Word>,
    /// The columns of its numbers, in the order of the scan.
    pub(super) columns: Vec<usize>,
    /// Words that a profile has of its own.
    pub(super) texts: usize,
    /// What the column `new` holds.
    pub(super) new: Option<Number>,
    pub(super) value: Option<Number>,
    pub(super) unit: Vec<Piece>,
    pub(super) is_uncertain: bool,
    pub(super) polled_at: usize,
}

impl Shape {
    /// Takes a shape apart. Columns that are not there yet are added to `names`.
    ///
    /// # Errors
    ///
    /// Where it is not that of a reading.
    pub(super) fn of(key: &str, names: &mut Vec<String>) -> Result<Self, Fault> {
        Self::read(key, names).ok_or(Fault::Reference)
    }

    fn read(key: &str, names: &mut Vec<String>) -> Option<Self> {
        let mut parts = key.splitn(4, BETWEEN);
        let (status, time) = (parts.next()?, parts.next()?);
        let (new, template) = (parts.next()?, parts.next()?);
        let mut column = |name: String| match names.iter().position(|known| *known == name) {
            Some(at) => at,
            None => {
                names.push(name);
                names.len() - 1
            }
        };
        let mut words = Vec::new();
        let mut columns = Vec::new();
        let mut texts = 0;
        let mut name = "";
        let mut count = 0;
        let mut rest = template;
        let mut is_first = true;
        loop {
            let hole = rest.find(is_hole);
            let before = &rest[..hole.unwrap_or(rest.len())];
            fixed_words(before, is_first, &mut words);
            if let Some(end) = before.rfind("\":") {
                name = &before[before[..end].rfind('"')? + 1..end];
                count = 0;
            }
            let Some(at) = hole else {
                break;
            };
            let is_signed = is_signed(before, is_first);
            if rest.as_bytes()[at] == NUMBER {
                let column = column(format!("{name}/{count}"));
                count += 1;
                columns.push(column);
                words.push(Word::Number { column, is_signed });
            } else {
                words.push(Word::Text {
                    at: texts,
                    is_signed,
                });
                texts += 1;
            }
            rest = &rest[at + 1..];
            is_first = false;
        }
        let mut number = |form: &str, name: &str| {
            let whole = column(format!("{name}/0"));
            Number {
                is_negative: form.starts_with('-'),
                whole,
                fraction: form.contains('.').then(|| column(format!("{name}/1"))),
            }
        };
        let value = match member(template, "\"value\":\"") {
            Some(value) => Some(number(is_form(&template[value.clone()])?, "value")),
            None => None,
        };
        let new = match new {
            "" => None,
            new => Some(number(is_form(new)?, "new")),
        };
        if let Some(new) = &new {
            columns.push(new.whole);
            columns.extend(new.fraction);
        }
        let quality = member(template, "\"quality\":\"")?;
        let mut qualities = Quality::ALL.into_iter();
        let quality = qualities.find(|known| known.name() == &template[quality.clone()])?;
        let polled_at = names.iter().position(|name| name == "polled_at/0")?;
        Some(Self {
            status: status.to_owned(),
            has_time: !time.is_empty(),
            template: template.to_owned(),
            words,
            columns,
            texts,
            new,
            value,
            unit: unit(template),
            is_uncertain: quality.severity() == Severity::Uncertain,
            polled_at,
        })
    }

    /// Whether a message of this shape is what the sensor reader writes. It is then one of a reading
    /// whatever its numbers and own words are: those stand where any number, or any text, may.
    pub(super) fn is_written(scan: &Scan) -> bool {
        let Ok(recorded) = Recorded::parse(&scan.message) else {
            return false;
        };
        let value = recorded.value.as_deref().unwrap_or_default();
        decimal(value).is_some()
            && recorded.to_message() == scan.message
            && recorded.value.as_deref() != Some("")
    }
}

fn is_hole(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(|letter| letter == NUMBER || letter == WORD)
}

/// The form of a decimal number.
fn is_form(template: &str) -> Option<&str> {
    let digits = template.strip_prefix('-').unwrap_or(template);
    matches!(digits, "\u{1}" | "\u{1}.\u{1}").then_some(template)
}

/// The words of what stands between two holes. Nothing of a word is in a hole, so that each can be cut
/// for itself.
fn fixed_words(text: &str, is_first: bool, words: &mut Vec<Word>) {
    // What comes after a hole comes after a word.
    let text = match is_first {
        true => text.to_owned(),
        false => format!("x{text}"),
    };
    let text = normal(&text);
    let mut next = 0;
    let mut skip = !is_first;
    while let Some(word) = next_word(&text, next) {
        next = word.end;
        if !std::mem::take(&mut skip) {
            words.push(Word::Fixed(text[word].to_owned()));
        }
    }
}

/// Whether a minus sign before a number belongs to it.
fn is_signed(before: &str, is_first: bool) -> bool {
    let before = normal(before);
    before
        .strip_suffix('-')
        .is_some_and(|before| match before.is_empty() {
            true => is_first,
            false => !before.ends_with(is_word_letter),
        })
}

fn unit(template: &str) -> Vec<Piece> {
    let Some(place) = member(template, "\"unit\":\"") else {
        return Vec::new();
    };
    let holes = template[..place.start].bytes();
    let mut at = holes.filter(|&byte| byte == WORD).count();
    let mut pieces = Vec::new();
    for (number, text) in template[place].split(char::from(WORD)).enumerate() {
        if number > 0 {
            pieces.push(Piece::Text(at));
            at += 1;
        }
        if !text.is_empty() {
            pieces.push(Piece::Fixed(text.to_owned()));
        }
    }
    pieces
}

/// The value of a decimal number.
pub(super) fn value_of(is_negative: bool, whole: u64, fraction: Option<u64>) -> f64 {
    /// Below it every whole number, and below the other every power of ten, is one double: one division
    /// of the two is rounded once, as reading the text is.
    const EXACT: u64 = 1 << 53;
    const EXACT_TENS: usize = 22;
    let (_, number) = super::digits::parts(whole);
    let (places, behind) = fraction.map_or((0, 0), super::digits::parts);
    let ten = u32::try_from(places)
        .ok()
        .and_then(|places| 10_u64.checked_pow(places));
    let all = ten.and_then(|ten| number.checked_mul(ten)?.checked_add(behind));
    let value = match (all, ten) {
        #[allow(clippy::cast_precision_loss)]
        (Some(all), Some(ten)) if all < EXACT && places <= EXACT_TENS && ten < EXACT => {
            all as f64 / ten as f64
        }
        _ => {
            let mut text = String::new();
            super::digits::write(whole, &mut text);
            if let Some(fraction) = fraction {
                text.push('.');
                super::digits::write(fraction, &mut text);
            }
            f64::from_str(&text).unwrap_or(f64::NAN)
        }
    };
    match is_negative {
        true => -value,
        false => value,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::index::readings::digits::code;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn values_are_what_their_texts_are(text in "-?[0-9]{1,18}(\\.[0-9]{1,18})?") {
            let digits = text.trim_start_matches('-');
            let (whole, fraction) = match digits.split_once('.') {
                Some((whole, fraction)) => (whole, code(fraction.as_bytes())),
                None => (digits, None),
            };
            let whole = code(whole.as_bytes()).unwrap();
            let value = value_of(text.starts_with('-'), whole, fraction);
            prop_assert_eq!(value, text.parse::<f64>().unwrap());
        }
    }
}
