//! A term of a query, and which words and texts it matches: the language itself, without an index.

use fieldledger_audit::decimal::Decimal;
use fieldledger_formats::query::language::Clause;
use fieldledger_formats::query::words::{next_word, normal, parts};
use tantivy_fst::{Automaton, Regex};

use super::digits::{self, Range};
use super::shape::{Number, Word};

/// A word that is looked for.
struct Wanted {
    text: String,
    /// It may go on.
    is_open: bool,
    /// The same, with capital and small letters alike.
    any_case: Option<Regex>,
}

/// A term.
pub(super) struct Pattern {
    words: Vec<Wanted>,
    pub(super) ignores_case: bool,
    number: Option<Decimal>,
}

/// Numbers that must lie in ranges, by column, for a reading to match; any of the lists will do.
pub(super) type Choices = Vec<Vec<(usize, Vec<Range>)>>;

/// Whether a text matches that has numbers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Always,
    /// Never where there is no choice.
    Where(Choices),
}

impl Outcome {
    pub(super) fn never() -> Self {
        Self::Where(Vec::new())
    }

    pub(super) fn when(is_so: bool) -> Self {
        match is_so {
            true => Self::Always,
            false => Self::never(),
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Where(mut one), Self::Where(other)) => {
                one.extend(other);
                Self::Where(one)
            }
            _ => Self::Always,
        }
    }
}

impl Wanted {
    fn is(&self, word: &str) -> bool {
        match &self.any_case {
            Some(regex) => {
                let mut state = regex.start();
                for &byte in word.as_bytes() {
                    state = regex.accept(&state, byte);
                }
                regex.is_match(&state)
            }
            None if self.is_open => word.starts_with(&self.text),
            None => word == self.text,
        }
    }

    /// Whether it is the word, or what that is found by besides.
    fn finds(&self, word: &str) -> bool {
        self.is(word) || parts(word).any(|part| self.is(&word[part]))
    }

    /// The numbers that it finds.
    fn numbers(&self, is_signed: bool) -> Vec<Range> {
        let run = match is_signed {
            true => self.text.strip_prefix('-').unwrap_or_default(),
            false => &self.text,
        };
        match (digits::code(run.as_bytes()), self.is_open) {
            (None, _) => Vec::new(),
            (Some(_), true) => digits::beginning(run.as_bytes()),
            (Some(code), false) => vec![(code, code)],
        }
    }
}

impl Pattern {
    /// None where a word is too long to be looked for in any case.
    pub(super) fn of(clause: &Clause) -> Option<Self> {
        let last = clause.words.len().saturating_sub(1);
        let mut words = Vec::with_capacity(clause.words.len());
        for (at, word) in clause.words.iter().enumerate() {
            let is_open = clause.is_open && at == last;
            let rest = if is_open { ".*" } else { "" };
            let any_case = match clause.ignores_case {
                true => Some(Regex::new(&format!("(?i){word}{rest}")).ok()?),
                false => None,
            };
            words.push(Wanted {
                text: word.clone(),
                is_open,
                any_case,
            });
        }
        Some(Self {
            words,
            ignores_case: clause.ignores_case,
            number: clause.number.clone(),
        })
    }

    /// The words themselves.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.text.as_str())
    }

    /// Whether its last word may go on.
    pub(super) fn is_open(&self) -> bool {
        self.words.last().is_some_and(|word| word.is_open)
    }

    /// Whether a text matches.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let text = normal(text);
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(word) = next_word(&text, next) {
            next = word.end;
            found.push(&text[word]);
        }
        found.windows(self.words.len().max(1)).any(|found| {
            let mut pairs = self.words.iter().zip(found);
            pairs.all(|(wanted, word)| wanted.finds(word))
        })
    }

    /// Whether a message matches. `text` has the words that the profile names; none where those cannot
    /// match.
    pub(super) fn is_in_words<'a>(
        &self,
        words: &[Word],
        text: impl Fn(usize) -> Option<&'a str>,
    ) -> Outcome {
        let mut choices = Vec::new();
        'starts: for found in words.windows(self.words.len().max(1)) {
            let mut choice: Vec<(usize, Vec<Range>)> = Vec::new();
            for (wanted, word) in self.words.iter().zip(found) {
                let is_found = match word {
                    Word::Fixed(word) => wanted.finds(word),
                    Word::Text { at, is_signed } => text(*at).is_some_and(|word| {
                        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
                        match *is_signed && is_number {
                            true => wanted.finds(&format!("-{word}")),
                            false => wanted.finds(word),
                        }
                    }),
                    Word::Number { column, is_signed } => {
                        let numbers = wanted.numbers(*is_signed);
                        let is_any = !numbers.is_empty();
                        choice.push((*column, numbers));
                        is_any
                    }
                };
                if !is_found {
                    continue 'starts;
                }
            }
            if choice.is_empty() {
                return Outcome::Always;
            }
            choices.push(choice);
        }
        Outcome::Where(choices)
    }

    /// Whether a value matches: as a number where one is looked for.
    pub(super) fn is_in_number(&self, value: &Number) -> Outcome {
        match &self.number {
            Some(number) => equal(number, value),
            None => {
                let words = [
                    Some(Word::Number {
                        column: value.whole,
                        is_signed: value.is_negative,
                    }),
                    value.fraction.map(|column| Word::Number {
                        column,
                        is_signed: false,
                    }),
                ];
                let words: Vec<Word> = words.into_iter().flatten().collect();
                self.is_in_words(&words, |_| None)
            }
        }
    }
}

/// Where a decimal number of this form is the number that is looked for, however it is written.
fn equal(number: &Decimal, value: &Number) -> Outcome {
    // The digits without zeros around, and how many of them stand before the point.
    let text = number.to_string();
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (is_negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let is_zero = digits.is_empty();
    if !is_zero && is_negative != value.is_negative {
        return Outcome::never();
    }
    let most = i64::try_from(digits::MOST).unwrap_or(0);
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    if exponent > most || exponent < -most {
        return Outcome::never();
    }
    let before = usize::try_from(exponent).unwrap_or(0);
    let zeros = usize::try_from(-exponent).unwrap_or(0);
    let whole = match digits.get(..before) {
        Some(whole) => whole.to_owned(),
        None => format!("{digits:0<before$}"),
    };
    let behind = digits.get(before..).unwrap_or("");
    let fraction = match behind.is_empty() {
        true => String::new(),
        false => format!("{}{behind}", "0".repeat(zeros)),
    };
    let mut choice = vec![(value.whole, digits::with_zeros(&whole, true))];
    match value.fraction {
        Some(column) => choice.push((column, digits::with_zeros(&fraction, false))),
        None if fraction.is_empty() => {}
        None => return Outcome::never(),
    }
    if choice.iter().any(|(_, ranges)| ranges.is_empty()) {
        return Outcome::never();
    }
    Outcome::Where(vec![choice])
}
