//! What is kept of a reading that an event has no room for, or that the log does not take.
//!
//! One reading never costs another. Where the log refuses a reading, an entry in its place says so, with
//! what can be kept: the same producer and number, so the log has it once however often it is delivered.

use std::borrow::Cow;

use fieldledger_audit::event::FIELDS;
use fieldledger_audit::{EventColumns, EventRows as _, InvalidField};
use fieldledger_contract::limits;

use crate::quality::{Quality, Severity};
use crate::record::{Recorded, STATUS_VALUE_ERROR};

/// Most characters of each text that is kept of a reading without room. With the reason they are far from
/// what a message may have, also where each character is written as an escape.
const KEPT_CHARACTERS: usize = 256;

/// Bytes of a character that JSON escapes, at most.
const LONGEST_ESCAPE: usize = 6;

/// More than a message has beside its texts: names, numbers and punctuation.
const MEMBERS_BYTES: usize = 1_000;

/// Most characters of the reason.
const REASON_CHARACTERS: usize = 1_000;

/// What [`refused`] changed, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// So many events say now that the log did not take them as they were.
    Changed(usize),
    /// The faults name no event that could be changed.
    Nothing,
}

/// The reading where an event has room for it, and else what it has room for: without a value, with the
/// beginning of each text.
#[must_use]
pub fn within_limits(reading: Recorded<'_>) -> Recorded<'_> {
    let texts = [
        &reading.boot,
        &reading.device_unit,
        &reading.raw,
        &reading.reason,
        &reading.unit,
        &reading.value,
    ];
    let texts = texts.into_iter().flatten().map(|text| text.len());
    let evidence = reading
        .evidence
        .map_or(0, |evidence| evidence.as_str().len());
    let bytes = texts.sum::<usize>() + evidence + reading.poll.len();
    // Nearly all end here, and need not be written to be measured.
    let at_most = bytes.saturating_mul(LONGEST_ESCAPE) + MEMBERS_BYTES;
    if at_most <= limits::TEXT_CHARACTERS
        || limits::fits(&reading.to_message(), limits::TEXT_CHARACTERS)
    {
        return reading;
    }
    beginning(reading, "it is longer than an event may be")
}

/// The reading without a value, with the beginning of each text, and why that is all.
fn beginning<'a>(reading: Recorded<'a>, why: &str) -> Recorded<'a> {
    let cut = |text: Cow<'a, str>, most: usize| match limits::fits(&text, most) {
        true => text,
        false => Cow::Owned(limits::cut(&text, most)),
    };
    let part = |text: Option<Cow<'a, str>>| text.map(|text| cut(text, KEPT_CHARACTERS));
    let quality = match reading.quality.severity() {
        Severity::Bad => reading.quality,
        _ => Quality::BadDecodingError,
    };
    let told = format!("the reading could not be recorded as it was, and is cut: {why}");
    let reason = match &reading.reason {
        Some(reason) => format!("{told}; {reason}"),
        None => told,
    };
    Recorded {
        quality,
        evidence: None,
        device_unit: None,
        value: None,
        boot: part(reading.boot),
        raw: part(reading.raw),
        unit: part(reading.unit),
        poll: cut(reading.poll, KEPT_CHARACTERS),
        reason: Some(Cow::Owned(limits::cut(&reason, REASON_CHARACTERS))),
        ..reading
    }
}

/// Puts in the place of each event that `faults` name what can be kept of it. Its neighbours stay as they
/// are, and so does its number.
pub fn refused(events: &mut EventColumns, faults: &[InvalidField]) -> Kept {
    let mut changed = 0;
    for item in 0..events.len() {
        let named = faults.iter().filter(|fault| {
            usize::try_from(fault.item).is_ok_and(|named| named == item) && !fault.field.is_empty()
        });
        let named: Vec<&InvalidField> = named.collect();
        if !named.is_empty() && replace(events, item, &named) {
            changed += 1;
        }
    }
    match changed {
        0 => Kept::Nothing,
        changed => Kept::Changed(changed),
    }
}

/// Whether the event is another one than before.
fn replace(events: &mut EventColumns, item: usize, faults: &[&InvalidField]) -> bool {
    let Some(row) = events.row(item) else {
        return false;
    };
    let mut event = row.to_event();
    let why: Vec<String> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.field, fault.problem))
        .collect();
    let why = why.join("; ");
    event.message = match Recorded::parse(row.message) {
        Ok(reading) => beginning(reading, &why).to_message(),
        Err(_) => limits::cut(&format!("not recorded as it was: {why}"), REASON_CHARACTERS),
    };
    event.new.clear();
    STATUS_VALUE_ERROR.clone_into(&mut event.status);
    for field in FIELDS {
        let is_named = faults.iter().any(|fault| fault.field == field.name);
        if let Some(text) = event.field_mut(field.name)
            && field.name != "message"
        {
            *text = match is_named && limits::fits(text, field.max_characters) {
                // What is wrong with it is not its length.
                true => String::new(),
                false => limits::cut(text, field.max_characters),
            };
        }
    }
    let is_other = event.row() != row;
    events.replace(item, event);
    is_other
}
