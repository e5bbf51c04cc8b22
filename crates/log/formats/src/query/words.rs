//! The words of a text, the same for what is searched and for what is looked for.
//!
//! A word is a run of letters, digits and underscores. Everything else separates words, so `a-b`,
//! `10.0.0.5` or a UUID is found as the phrase of its parts. What underscores join is one word, of
//! which each part, and each run of parts, can be found as well. A minus sign before a number, and
//! not after a word, belongs to the number.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

/// Parts that a word may have for each run of them to be found; of longer ones the parts are, and
/// what ends like the word.
const MOST_PARTS: usize = 6;

/// The text in Unicode's normal form KC, in which texts that look the same are the same: composed and
/// decomposed letters, both micro signs, full-width digits.
#[must_use]
pub fn normal(text: &str) -> Cow<'_, str> {
    match text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfkc().collect()),
    }
}

/// Whether the letter is part of a word. Marks that combine with a letter are.
#[must_use]
pub fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || is_combining_mark(letter)
}

/// The words of a text in its [`normal`] form.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let word = next_word(text, next)?;
        next = word.end;
        Some(&text[word])
    })
}

/// Where the first word after `from`, which is where another ended, is in the text.
#[must_use]
pub fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + text[from..].find(is_word_letter)?;
    let word = &text[start..];
    let length = word
        .find(|letter| !is_word_letter(letter))
        .unwrap_or(word.len());
    Some(signed(text, start)..start + length)
}

/// Where the word that begins at `start` begins with its sign, if it is a number that has one.
fn signed(text: &str, start: usize) -> usize {
    let is_number = text[start..].starts_with(|first: char| first.is_ascii_digit());
    let before = text[..start].strip_suffix('-');
    let has_sign = before.is_some_and(|before| !before.ends_with(is_word_letter));
    match is_number && has_sign {
        true => start - 1,
        false => start,
    }
}

/// Where in the word is what it is found by besides itself: the runs of its parts, and of a time as
/// RFC 3339 writes it, in which letters join digits, what is beside the letter.
pub fn parts(word: &str) -> impl Iterator<Item = Range<usize>> {
    let length = word.len();
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    if word.contains('_') {
        let mut at = 0;
        for part in word.split('_') {
            if !part.is_empty() {
                starts.push(at);
                ends.push(at + part.len());
            }
            at += part.len() + 1;
        }
    }
    let count = starts.len();
    let runs = (0..count).flat_map(move |first| (first..count).map(move |last| (first, last)));
    runs.filter(move |(first, last)| count <= MOST_PARTS || first == last || last + 1 == count)
        .map(move |(first, last)| starts[first]..ends[last])
        .filter(move |run| run.len() < length)
        .chain(time_parts(word))
}

/// Of `02T03` the end of a date and the begin of a time of day, of `05Z` the seconds.
fn time_parts(word: &str) -> impl Iterator<Item = Range<usize>> {
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let (first, second) = match word.as_bytes() {
        [day @ .., b'T' | b't', hour, digit]
            if day.len() == 2 && is_number(day) && is_number(&[*hour, *digit]) =>
        {
            (Some(0..2), Some(3..5))
        }
        [seconds @ .., b'Z' | b'z'] if seconds.len() == 2 && is_number(seconds) => {
            (Some(0..2), None)
        }
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn texts_are_cut_into_words() {
        assert_eq!(all("door a-b opened"), ["door", "a", "b", "opened"]);
        assert_eq!(all("mqtt://plc:1883/x_1"), ["mqtt", "plc", "1883", "x_1"]);
        assert_eq!(all("2026-01-02"), ["2026", "01", "02"]);
        assert_eq!(all("x\u{304}y"), ["x\u{304}y"]);
        assert_eq!(all(" -- "), Vec::<&str>::new());
    }

    #[test]
    fn a_sign_belongs_to_its_number() {
        assert_eq!(all("-4.7"), ["-4", "7"]);
        assert_eq!(all("\"value\":\"-4.7\""), ["value", "-4", "7"]);
        assert_eq!(
            all("+4.7 5-4 a-4 -a --4"),
            ["4", "7", "5", "4", "a", "4", "a", "-4"]
        );
    }

    #[test]
    fn parts_are_every_run() {
        let found = |word: &'static str| parts(word).map(|part| &word[part]).collect::<Vec<_>>();
        assert_eq!(found("boiler"), Vec::<&str>::new());
        assert_eq!(found("boiler_1"), ["boiler", "1"]);
        assert_eq!(found("a_b_c"), ["a", "a_b", "b", "b_c", "c"]);
        assert_eq!(found("_a__b_"), ["a", "a__b", "b"]);
        assert_eq!(found("____"), Vec::<&str>::new());
        assert_eq!(found("a_b_c_d_e_f_g").len(), 12);
        // So that a date finds the times of its day.
        assert_eq!(found("02T03"), ["02", "03"]);
        assert_eq!(found("05Z"), ["05"]);
        assert_eq!(found("000006Z"), Vec::<&str>::new());
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, other) in [
            ("K\u{fc}hler", "Ku\u{308}hler"),
            ("\u{b5}g/m\u{b3}", "\u{3bc}g/m3"),
            ("\u{212b}", "\u{c5}"),
            ("\u{ff11}", "1"),
        ] {
            assert_eq!(normal(one), normal(other));
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_has_words(text: String) {
            let text = normal(&text);
            for word in words(&text) {
                prop_assert!(word.trim_start_matches('-').chars().all(is_word_letter));
                prop_assert_eq!(words(word).next(), Some(word));
                for part in parts(word) {
                    prop_assert!(!word[part].is_empty());
                }
            }
        }
    }
}
