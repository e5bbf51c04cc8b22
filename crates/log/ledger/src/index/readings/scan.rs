//! From the envelope of a reading to its parts, in one pass over its bytes.
//!
//! Only what the sensor reader writes is taken apart here. All else, and what has rare things in it such
//! as an escape within a text or the evidence of a signature, goes to the other index, which takes
//! anything. That hangs on the entry alone: an index that is built anew sends it to the same place.

use std::ops::Range;

use fieldledger_audit::timestamp;
use fieldledger_reading::record::ACTION;

use super::digits;
use crate::gaps::numbering_of;

/// In a template, in place of a run of digits that each reading has its own of.
pub(super) const NUMBER: u8 = 1;

/// In a template, in place of a word that its sensor or device has its own of.
pub(super) const WORD: u8 = 2;

/// Between the parts of a shape: status, whether it has a time, the template of `new`, that of the
/// message.
pub(super) const BETWEEN: char = '\u{3}';

/// Numbers that a reading has at most.
const MOST_NUMBERS: usize = 48;

/// The parts of one reading. It is used again and again, so that nothing is allocated for a reading.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(super) actor: String,
    pub(super) source: String,
    pub(super) target: String,
    /// Of whom it is a numbered reading; empty where it is none.
    pub(super) producer: String,
    pub(super) sequence: u64,
    /// See [`BETWEEN`].
    pub(super) shape: String,
    pub(super) message: String,
    /// Where the words of the template are in the message.
    pub(super) words: Vec<Range<usize>>,
    /// Codes of the numbers of the message, and then those of `new`.
    pub(super) numbers: Vec<u64>,
    template: String,
    new: String,
    /// The last time that was formatted, in seconds, and all of it before the fraction.
    second: Option<(u64, String)>,
}

/// Bytes of a time before its fraction.
const SECOND_BYTES: usize = "2026-01-02T03:04:05".len();

impl Scan {
    /// Takes an envelope apart; false where it is not of the form.
    pub(crate) fn read(&mut self, envelope: &[u8]) -> bool {
        let Ok(envelope) = std::str::from_utf8(envelope) else {
            return false;
        };
        self.parts(envelope).is_some()
    }

    fn parts(&mut self, envelope: &str) -> Option<()> {
        let rest = envelope.strip_prefix("{\"event\":{\"action\":\"")?;
        let mut rest = rest.strip_prefix(ACTION)?.strip_prefix('"')?;
        for text in [
            &mut self.actor,
            &mut self.source,
            &mut self.target,
            &mut self.producer,
            &mut self.shape,
            &mut self.message,
            &mut self.template,
            &mut self.new,
        ] {
            text.clear();
        }
        self.words.clear();
        self.numbers.clear();
        self.sequence = 0;
        let (mut status, mut time) = ("", "");
        let mut before = "";
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (name, value) = rest.strip_prefix(",\"")?.split_once("\":\"")?;
            if name <= before {
                return None;
            }
            before = name;
            if name == "message" {
                rest = self.unescape(value)?;
                continue;
            }
            let (value, after) = plain(value)?;
            match name {
                "actor" => self.actor.push_str(value),
                "new" => self.new.push_str(value),
                "source" => self.source.push_str(value),
                "status" => status = value,
                "target" => self.target.push_str(value),
                "timestamp" => time = value,
                _ => return None,
            }
            rest = after;
        }
        if let Some(value) = rest.strip_prefix(",\"producer\":\"") {
            let (producer, after) = plain(value)?;
            self.producer.push_str(producer);
            rest = after;
        }
        let (_, after) = plain(rest.strip_prefix(",\"received_at\":\"")?)?;
        let (_, after) = plain(after.strip_prefix(",\"salt\":\"")?)?;
        rest = after;
        if let Some(number) = rest.strip_prefix(",\"sequence\":") {
            let number = number.strip_suffix('}')?;
            self.sequence = number.parse().ok()?;
            rest = "}";
        }
        if rest != "}" || self.source.is_empty() || status.is_empty() {
            return None;
        }
        if fieldledger_formats::own::is_own(&self.producer) {
            return None;
        }
        if numbering_of(&self.producer).is_none() {
            self.producer.clear();
        }
        self.make_shape(status, time)
    }

    /// Takes the message over, in which quotes are escaped and nothing else may be; returns what comes
    /// after it.
    fn unescape<'a>(&mut self, mut rest: &'a str) -> Option<&'a str> {
        loop {
            let at = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            self.message.push_str(&rest[..at]);
            if rest.as_bytes()[at] == b'"' {
                return Some(&rest[at + 1..]);
            }
            rest = rest[at + 1..].strip_prefix('"')?;
            self.message.push('"');
        }
    }

    fn make_shape(&mut self, status: &str, time: &str) -> Option<()> {
        if memchr::memmem::find(self.message.as_bytes(), b"\"evidence\":").is_some() {
            return None;
        }
        let message = std::mem::take(&mut self.message);
        let read = self.take_apart(&message);
        self.message = message;
        let polled_at = read?;
        if !time.is_empty() && !self.is_time(polled_at?, time) {
            return None;
        }
        if !status
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        {
            return None;
        }
        self.shape.push_str(status);
        self.shape.push(BETWEEN);
        if !time.is_empty() {
            self.shape.push('t');
        }
        self.shape.push(BETWEEN);
        let new = decimal(&self.new)?;
        self.shape.push_str(new.form());
        for run in [new.whole, new.fraction].into_iter().flatten() {
            self.numbers.push(digits::code(run.as_bytes())?);
        }
        self.shape.push(BETWEEN);
        self.shape.push_str(&self.template);
        (self.numbers.len() <= MOST_NUMBERS).then_some(())
    }

    /// Puts the template, the words and the numbers of a message where they belong; returns when it says
    /// it was polled.
    fn take_apart(&mut self, message: &str) -> Option<Option<u64>> {
        let bytes = message.as_bytes();
        let own = Own::of(message);
        let mut polled_at = None;
        let (mut at, mut taken) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            if !is_word_byte(byte) {
                // No text of JSON has such a byte.
                if byte < b' ' {
                    return None;
                }
                at += 1;
                continue;
            }
            let start = at;
            let mut has_digit = false;
            let mut has_other = false;
            while let Some(&byte) = bytes.get(at).filter(|&&byte| is_word_byte(byte)) {
                match byte.is_ascii_digit() {
                    true => has_digit = true,
                    false => has_other = true,
                }
                at += 1;
            }
            // Such a neighbour may belong to the word.
            let is_whole = (start == 0 || bytes[start - 1].is_ascii())
                && bytes.get(at).is_none_or(u8::is_ascii);
            let is_of_sensor = own.texts.iter().any(|text| text.contains(&start));
            let is_own = has_digit || is_of_sensor || own.poll.contains(&start);
            if !is_whole || !is_own {
                continue;
            }
            let run = &bytes[start..at];
            let before = &message[taken..start];
            let is_bare = before.ends_with(':');
            let code = match has_other || is_of_sensor {
                true => None,
                false => digits::code(run),
            };
            if is_bare && (code.is_none() || (run.len() > 1 && run[0] == b'0')) {
                // Would be no number of JSON.
                return None;
            }
            self.template.push_str(before);
            match code {
                Some(code) => {
                    if before.ends_with("\"polled_at\":") {
                        polled_at = Some(digits::parts(code).1);
                    }
                    self.template.push(char::from(NUMBER));
                    self.numbers.push(code);
                }
                None => {
                    self.template.push(char::from(WORD));
                    self.words.push(start..at);
                }
            }
            taken = at;
        }
        self.template.push_str(&message[taken..]);
        Some(polled_at)
    }

    /// Whether the text is this time as an event has it.
    fn is_time(&mut self, micros: u64, text: &str) -> bool {
        let (second, fraction) = (micros / 1_000_000, micros % 1_000_000);
        if self.second.as_ref().is_none_or(|known| known.0 != second) {
            let Some(mut text) = timestamp::from_micros(micros) else {
                return false;
            };
            text.truncate(SECOND_BYTES);
            self.second = Some((second, text));
        }
        let begin = self.second.as_ref().map_or("", |known| known.1.as_str());
        let rest = text
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_prefix('.'));
        let digits = rest.and_then(|rest| rest.strip_suffix('Z'));
        digits.is_some_and(|digits| digits.len() == 6 && digits.parse() == Ok(fraction))
    }
}

/// Where in a message texts stand that a sensor has its own of: they are words however they look.
struct Own {
    texts: [Range<usize>; 3],
    /// In the name of a poll the number is its own.
    poll: Range<usize>,
}

impl Own {
    fn of(message: &str) -> Self {
        let find = |name: &str| member(message, name).unwrap_or(0..0);
        Self {
            texts: [
                find("\"boot\":\""),
                find("\"unit\":\""),
                find("\"device_unit\":\""),
            ],
            poll: find("\"poll\":\""),
        }
    }
}

/// Where the text of a member of a message is that has no escapes.
pub(super) fn member(message: &str, name: &str) -> Option<Range<usize>> {
    let start = memchr::memmem::find(message.as_bytes(), name.as_bytes())? + name.len();
    let length = memchr::memchr(b'"', &message.as_bytes()[start..])?;
    Some(start..start + length)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A text up to its closing quote, and what comes after that; none where it has an escape.
fn plain(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
    (text.as_bytes()[at] == b'"').then(|| (&text[..at], &text[at + 1..]))
}

/// A decimal number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'a> {
    is_negative: bool,
    /// None where the text is empty.
    whole: Option<&'a str>,
    fraction: Option<&'a str>,
}

impl Written<'_> {
    /// Its template.
    fn form(self) -> &'static str {
        match (self.is_negative, self.whole, self.fraction) {
            (_, None, _) => "",
            (false, _, None) => "\u{1}",
            (true, _, None) => "-\u{1}",
            (false, _, Some(_)) => "\u{1}.\u{1}",
            (true, _, Some(_)) => "-\u{1}.\u{1}",
        }
    }
}

/// Takes a decimal number apart, or no text at all; none for any other.
pub(super) fn decimal(text: &str) -> Option<Written<'_>> {
    if text.is_empty() {
        return Some(Written {
            is_negative: false,
            whole: None,
            fraction: None,
        });
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    for run in std::iter::once(whole).chain(fraction) {
        digits::code(run.as_bytes())?;
    }
    Some(Written {
        is_negative,
        whole: Some(whole),
        fraction,
    })
}

impl Scan {
    /// The shape, words and numbers of an event that has nothing but this message; false where no reading
    /// here can have it.
    pub(super) fn read_message(&mut self, message: &str) -> bool {
        self.template.clear();
        self.words.clear();
        self.numbers.clear();
        if message.contains(['\\', '\u{1}', '\u{2}', '\u{3}']) {
            return false;
        }
        self.take_apart(message).is_some()
    }

    /// The template of the message that was read last.
    pub(super) fn template(&self) -> &str {
        &self.template
    }

    /// The codes of a number as it is written, and its template; none where it is none.
    pub(super) fn codes_of(text: &str) -> Option<(&'static str, Vec<u64>)> {
        let written = decimal(text)?;
        let runs = [written.whole, written.fraction].into_iter().flatten();
        let codes = runs
            .filter_map(|run| digits::code(run.as_bytes()))
            .collect();
        Some((written.form(), codes))
    }
}
