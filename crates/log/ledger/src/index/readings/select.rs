//! Which readings of a block match: decided once for each profile, and for the rows of those profiles
//! alone where it hangs on a number.

use std::collections::HashMap;
use std::ops::ControlFlow;

use fieldledger_audit::event::FIELDS;
use fieldledger_audit::timestamp;
use fieldledger_formats::query::cursor::Filter;
use fieldledger_reading::record::ACTION;
use memchr::memmem::Finder;

use super::block::{Block, Head, PROFILE, Profile, Rows};
use super::bytes::Fault;
use super::column::GROUP;
use super::digits;
use super::pattern::{Choices, Outcome, Pattern};
use super::scan::Scan;
use super::shape::{Shape, Word};

/// What a search asks for.
pub(super) struct Query {
    conditions: Vec<Condition>,
}

/// One of the things that must hold.
enum Condition {
    /// A term; none in place of the pattern where the column must be there.
    Term {
        column: Option<&'static str>,
        pattern: Option<Pattern>,
    },
    /// A column is one of these texts.
    Exact {
        column: &'static str,
        values: Vec<String>,
    },
}

impl Query {
    /// None where a word is too long to be looked for in any case.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        let mut conditions = Vec::new();
        for clause in &filter.clauses {
            conditions.push(Condition::Term {
                column: clause.column.map(|at| FIELDS[at].name),
                pattern: match clause.words.is_empty() {
                    true => None,
                    false => Some(Pattern::of(clause)?),
                },
            });
        }
        for (at, values) in &filter.restriction {
            conditions.push(Condition::Exact {
                column: FIELDS[*at].name,
                values: values.clone(),
            });
        }
        Some(Self { conditions })
    }

    /// That the column `source` is this text.
    pub(super) fn of_sensor(sensor: &str) -> Self {
        Self {
            conditions: vec![Condition::Exact {
                column: "source",
                values: vec![sensor.to_owned()],
            }],
        }
    }
}

/// Whether readings match, as far as it does not hang on the profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Test {
    choices: Choices,
    /// The condition whose term may match the time of the event.
    time: Option<usize>,
}

/// How a condition turns out for a profile.
enum State {
    Always,
    /// As for all profiles of its shape.
    Shape,
    /// As this says.
    Own(Test),
}

/// Words of a profile that may match: where in its shape, and which.
type Places = Vec<(usize, u32)>;

/// What a condition comes to in a block.
struct InBlock {
    /// For each text, whether it matches as a whole column.
    texts: Vec<bool>,
    /// For each text, whether it may match as a word of a message.
    words: Vec<bool>,
    has_words: bool,
    /// How it turned out for shapes with words that may match, and where those stand.
    own: HashMap<(u32, Places), Result<(), Test>>,
    /// For each shape, whether it always matches, or when.
    shapes: Vec<Result<(), Test>>,
}

/// Which readings of a block match, by profile.
pub(super) struct Verdicts<'q> {
    query: &'q Query,
    /// For each profile [`NEVER`], [`ALWAYS`], or two more than the number of its tests.
    of: Vec<u32>,
    tests: Vec<Vec<Test>>,
    /// The verdict for each of these, so that profiles with the same tests share what is found of a group.
    of_tests: HashMap<Vec<Test>, u32>,
    /// Readings that match for their profiles alone.
    pub(super) sure: u64,
    pub(super) is_any: bool,
    /// Whether it hangs on rows.
    pub(super) has_tests: bool,
    times: HashMap<(usize, u64), bool>,
}

const NEVER: u32 = 0;
const ALWAYS: u32 = 1;

impl<'q> Verdicts<'q> {
    /// Decides for each profile of a block.
    pub(super) fn of(query: &'q Query, head: &Head) -> Result<Self, Fault> {
        let mut in_block = Vec::with_capacity(query.conditions.len());
        for (at, condition) in query.conditions.iter().enumerate() {
            in_block.push(condition.in_block(at, head));
        }
        let mut verdicts = Self {
            query,
            of: Vec::with_capacity(head.profiles.len()),
            tests: Vec::new(),
            of_tests: HashMap::new(),
            sure: 0,
            is_any: false,
            has_tests: false,
            times: HashMap::new(),
        };
        // By shape, and which conditions hang on it.
        let mut known: HashMap<(u32, Vec<bool>), u32> = HashMap::new();
        for profile in &head.profiles {
            let verdict = verdicts.profile(head, profile, &mut in_block, &mut known)?;
            if verdict == ALWAYS {
                verdicts.sure += u64::from(profile.count);
            }
            verdicts.is_any |= verdict != NEVER;
            verdicts.has_tests |= verdict > ALWAYS;
            verdicts.of.push(verdict);
        }
        Ok(verdicts)
    }

    fn profile(
        &mut self,
        head: &Head,
        profile: &Profile,
        in_block: &mut [InBlock],
        known: &mut HashMap<(u32, Vec<bool>), u32>,
    ) -> Result<u32, Fault> {
        let shape = profile.shape() as usize;
        let mut hangs = Vec::new();
        let mut tests = Vec::new();
        let mut is_own = false;
        for (at, condition) in self.query.conditions.iter().enumerate() {
            let here = &mut in_block[at];
            match condition.state(at, head, profile, here)? {
                State::Always => {}
                State::Shape => match &here.shapes[shape] {
                    Ok(()) => {}
                    Err(test) if test.is_never() => return Ok(NEVER),
                    Err(_) => {
                        hangs.resize(self.query.conditions.len(), false);
                        hangs[at] = true;
                    }
                },
                State::Own(test) if test.is_never() => return Ok(NEVER),
                State::Own(test) => {
                    is_own = true;
                    tests.push(test);
                }
            }
        }
        if hangs.is_empty() && !is_own {
            return Ok(ALWAYS);
        }
        let key = (profile.shape(), hangs);
        if !is_own && let Some(&verdict) = known.get(&key) {
            return Ok(verdict);
        }
        for (at, _) in key.1.iter().enumerate().filter(|(_, hangs)| **hangs) {
            tests.extend(in_block[at].shapes[shape].clone().err());
        }
        let verdict = match self.of_tests.get(&tests) {
            Some(&verdict) => verdict,
            None => {
                self.tests.push(tests.clone());
                let verdict = u32::try_from(self.tests.len()).unwrap_or(u32::MAX) + ALWAYS;
                self.of_tests.insert(tests, verdict);
                verdict
            }
        };
        if !is_own {
            known.insert(key, verdict);
        }
        Ok(verdict)
    }

    /// Hands every row of the range that matches to `each`, with the number of its profile, until that breaks
    /// off.
    pub(super) fn each(
        &mut self,
        block: &dyn Block,
        rows: std::ops::Range<usize>,
        is_descending: bool,
        mut each: impl FnMut(&mut Rows<'_>, usize, usize) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        if !self.is_any || rows.is_empty() {
            return Ok(());
        }
        let head = block.head();
        let mut reader = Rows::of(block);
        // For each verdict that hangs on rows, whether one of the group can match.
        let mut possible: Vec<Option<bool>> = Vec::new();
        let groups = rows.start / GROUP..rows.end.div_ceil(GROUP);
        let count = groups.len();
        for step in 0..count {
            let group = match is_descending {
                true => groups.end - 1 - step,
                false => groups.start + step,
            };
            let profiles = *reader.group(PROFILE, group)?;
            possible.clear();
            possible.resize(self.tests.len(), None);
            let first = group * GROUP;
            let from = rows.start.max(first) - first;
            let to = rows.end.min(first + GROUP) - first;
            for step in 0..to - from {
                let at = match is_descending {
                    true => to - 1 - step,
                    false => from + step,
                };
                let number = usize::try_from(profiles[at]).unwrap_or(usize::MAX);
                let verdict = *self.of.get(number).ok_or(Fault::Reference)?;
                if verdict == NEVER {
                    continue;
                }
                let row = first + at;
                if verdict > ALWAYS {
                    let at = (verdict - ALWAYS - 1) as usize;
                    let is_possible = match possible[at] {
                        Some(is_possible) => is_possible,
                        None => {
                            let is_possible = self.can_match(at, &mut reader, group)?;
                            possible[at] = Some(is_possible);
                            is_possible
                        }
                    };
                    if !is_possible {
                        continue;
                    }
                    let profile = head.profiles.get(number).ok_or(Fault::Reference)?;
                    if !self.matches(at, &mut reader, head, profile, row)? {
                        continue;
                    }
                }
                if each(&mut reader, row, number)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether a row of the group can match by what is known of the group's numbers.
    fn can_match(&self, at: usize, rows: &mut Rows<'_>, group: usize) -> Result<bool, Fault> {
        'tests: for test in &self.tests[at] {
            if test.time.is_some() {
                continue;
            }
            'choices: for choice in &test.choices {
                for (column, ranges) in choice {
                    if !rows.can_have(*column, group, ranges)? {
                        continue 'choices;
                    }
                }
                continue 'tests;
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn matches(
        &mut self,
        at: usize,
        rows: &mut Rows<'_>,
        head: &Head,
        profile: &Profile,
        row: usize,
    ) -> Result<bool, Fault> {
        let tests = &self.tests[at];
        'tests: for test in tests {
            'choices: for choice in &test.choices {
                for (column, ranges) in choice {
                    let number = rows.get(*column, row)?;
                    if !ranges
                        .iter()
                        .any(|&(low, high)| (low..=high).contains(&number))
                    {
                        continue 'choices;
                    }
                }
                continue 'tests;
            }
            let Some(at) = test.time else {
                return Ok(false);
            };
            let micros = rows.polled_at(head.shape(profile)?, row)?;
            if !time_matches(self.query, &mut self.times, at, micros) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the time of an event matches a term. Most terms cannot tell two times of one second apart.
fn time_matches(
    query: &Query,
    times: &mut HashMap<(usize, u64), bool>,
    at: usize,
    micros: u64,
) -> bool {
    let Condition::Term {
        pattern: Some(pattern),
        ..
    } = &query.conditions[at]
    else {
        return false;
    };
    let found = || timestamp::from_micros(micros).is_some_and(|text| pattern.is_in(&text));
    if can_be_fraction(pattern) {
        return found();
    }
    *times.entry((at, micros / 1_000_000)).or_insert_with(found)
}

/// Whether a term can hang on the fraction of a second, such as `123456Z`, which is the last word of a
/// time.
fn can_be_fraction(pattern: &Pattern) -> bool {
    let Some(word) = pattern.words().last() else {
        return false;
    };
    let digits = word.trim_end_matches(['Z', 'z']);
    let is_whole = digits.len() == 6 && word.len() == 7;
    digits.bytes().all(|byte| byte.is_ascii_digit()) && (pattern.is_open() || is_whole)
}

/// Whether each word can be one of a time.
fn can_be_time(pattern: &Pattern) -> bool {
    let mut words = pattern.words();
    words.all(|word| {
        let mut letters = word.bytes();
        letters.all(|byte| byte.is_ascii_digit() || b"TtZz".contains(&byte))
    })
}

impl Test {
    fn is_never(&self) -> bool {
        self.choices.is_empty() && self.time.is_none()
    }
}

impl Condition {
    fn in_block(&self, at: usize, head: &Head) -> InBlock {
        let mut here = InBlock {
            texts: vec![false; head.texts.len()],
            words: Vec::new(),
            has_words: false,
            own: HashMap::new(),
            shapes: Vec::with_capacity(head.shapes.len()),
        };
        match self {
            Self::Term { pattern: None, .. } => {
                for (number, text) in head.texts.iter() {
                    here.texts[number as usize] = !text.is_empty();
                }
            }
            Self::Term {
                pattern: Some(pattern),
                ..
            } => {
                let candidates = match pattern.ignores_case {
                    true => head.texts.iter().map(|(number, _)| number).collect(),
                    false => {
                        let words: Vec<_> =
                            pattern.words().map(unsigned).map(Finder::new).collect();
                        head.texts.with_any(&words)
                    }
                };
                here.words = vec![false; head.texts.len()];
                here.has_words = !candidates.is_empty();
                for number in candidates {
                    here.words[number as usize] = true;
                    here.texts[number as usize] = pattern.is_in(head.text(number));
                }
            }
            Self::Exact { values, .. } => {
                for value in values.iter().filter(|value| !value.is_empty()) {
                    if let Some(number) = head.texts.find(value) {
                        here.texts[number as usize] = true;
                    }
                }
            }
        }
        for shape in &head.shapes {
            let (outcome, has_time) = self.in_shape(shape);
            here.shapes.push(match outcome {
                Outcome::Always => Ok(()),
                Outcome::Where(choices) => Err(Test {
                    choices,
                    time: has_time.then_some(at),
                }),
            });
        }
        here
    }

    /// How it turns out for what all readings of a shape have in common, and whether it may match the
    /// time of the event besides.
    fn in_shape(&self, shape: &Shape) -> (Outcome, bool) {
        match self {
            Self::Term {
                column,
                pattern: None,
            } => {
                let is_there = match column {
                    Some("action" | "message" | "status") => true,
                    Some("new") => shape.new.is_some(),
                    Some("timestamp") => shape.has_time,
                    _ => false,
                };
                (Outcome::when(is_there), false)
            }
            Self::Term {
                column,
                pattern: Some(pattern),
            } => {
                let is_in = |name: &str| column.is_none_or(|column| column == name);
                let mut outcome = Outcome::never();
                if is_in("action") {
                    outcome = outcome.or(Outcome::when(pattern.is_in(ACTION)));
                }
                if is_in("status") {
                    outcome = outcome.or(Outcome::when(pattern.is_in(&shape.status)));
                }
                if is_in("message") {
                    outcome = outcome.or(pattern.is_in_words(&shape.words, |_| None));
                }
                if is_in("new")
                    && let Some(new) = &shape.new
                {
                    outcome = outcome.or(pattern.is_in_number(new));
                }
                let has_time = is_in("timestamp") && shape.has_time && can_be_time(pattern);
                (outcome, has_time)
            }
            Self::Exact { column, values } => {
                let mut outcome = Outcome::never();
                for value in values.iter().filter(|value| !value.is_empty()) {
                    outcome = outcome.or(match *column {
                        "action" => Outcome::when(value == ACTION),
                        "status" => Outcome::when(*value == shape.status),
                        "new" => exact_number(shape, value),
                        "timestamp" => exact_time(shape, value),
                        _ => Outcome::never(),
                    });
                }
                (outcome, false)
            }
        }
    }

    fn state(
        &self,
        at: usize,
        head: &Head,
        profile: &Profile,
        here: &mut InBlock,
    ) -> Result<State, Fault> {
        let column = match self {
            Self::Term { column, .. } => *column,
            Self::Exact { column, .. } => Some(*column),
        };
        let is_in = |name: &str| column.is_none_or(|column| column == name);
        let texts = [
            ("actor", profile.actor()),
            ("source", profile.source()),
            ("target", profile.target()),
        ];
        for (name, text) in texts {
            if is_in(name) && here.texts.get(text as usize).copied().unwrap_or(false) {
                return Ok(State::Always);
            }
        }
        match self {
            Self::Term {
                pattern: Some(pattern),
                ..
            } if is_in("message") && here.has_words => {
                let mut can = Vec::new();
                for (word, &text) in profile.words().iter().enumerate() {
                    if here.words.get(text as usize).copied().unwrap_or(false) {
                        can.push((word, text));
                    }
                }
                if !can.is_empty() {
                    let shape = head.shape(profile)?;
                    let key = (profile.shape(), can);
                    let found = match here.own.get(&key) {
                        Some(found) => found.clone(),
                        None => {
                            let word = |at: usize| {
                                let found = key.1.iter().find(|(word, _)| *word == at);
                                found.map(|&(_, text)| head.text(text))
                            };
                            let in_message = pattern.is_in_words(&shape.words, word);
                            let (others, has_time) = self.in_shape(shape);
                            let found = match others.or(in_message) {
                                Outcome::Always => Ok(()),
                                Outcome::Where(choices) => Err(Test {
                                    choices,
                                    time: has_time.then_some(at),
                                }),
                            };
                            here.own.insert(key, found.clone());
                            found
                        }
                    };
                    return Ok(match found {
                        Ok(()) => State::Always,
                        Err(test) => State::Own(test),
                    });
                }
                Ok(State::Shape)
            }
            Self::Exact {
                column: "message",
                values,
            } => {
                let shape = head.shape(profile)?;
                let mut outcome = Outcome::never();
                for value in values {
                    outcome = outcome.or(exact_message(head, profile, shape, value));
                }
                Ok(match outcome {
                    Outcome::Always => State::Always,
                    Outcome::Where(choices) => State::Own(Test {
                        choices,
                        time: None,
                    }),
                })
            }
            _ => Ok(State::Shape),
        }
    }
}

/// A word without its sign: the sign stands before the word in a message, and not in it.
fn unsigned(word: &str) -> &str {
    word.strip_prefix('-').unwrap_or(word)
}

fn equal(columns: impl Iterator<Item = usize>, codes: &[u64]) -> Outcome {
    let choice: Vec<_> = columns
        .zip(codes)
        .map(|(column, &code)| (column, vec![(code, code)]))
        .collect();
    match choice.is_empty() {
        true => Outcome::Always,
        false => Outcome::Where(vec![choice]),
    }
}

fn exact_number(shape: &Shape, value: &str) -> Outcome {
    let (Some((form, codes)), Some(new)) = (Scan::codes_of(value), &shape.new) else {
        return Outcome::never();
    };
    let is_same = form.starts_with('-') == new.is_negative
        && form.contains('.') == new.fraction.is_some()
        && !form.is_empty();
    match is_same {
        true => equal([new.whole].into_iter().chain(new.fraction), &codes),
        false => Outcome::never(),
    }
}

fn exact_time(shape: &Shape, value: &str) -> Outcome {
    let micros = timestamp::to_micros(value).filter(|_| shape.has_time);
    let micros = micros.filter(|&micros| timestamp::from_micros(micros).as_deref() == Some(value));
    match micros.and_then(digits::code_of) {
        Some(code) => Outcome::Where(vec![vec![(shape.polled_at, vec![(code, code)])]]),
        None => Outcome::never(),
    }
}

fn exact_message(head: &Head, profile: &Profile, shape: &Shape, value: &str) -> Outcome {
    let mut scan = Scan::default();
    if !scan.read_message(value) || scan.template() != shape.template {
        return Outcome::never();
    }
    let words = scan.words.iter().map(|word| &value[word.clone()]);
    let own = profile.words().iter().map(|text| head.text(*text));
    if !words.eq(own) {
        return Outcome::never();
    }
    let columns = shape.words.iter().filter_map(|word| match word {
        Word::Number { column, .. } => Some(*column),
        Word::Fixed(_) | Word::Text { .. } => None,
    });
    equal(columns, &scan.numbers)
}
