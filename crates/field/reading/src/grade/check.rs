//! Whether a batch holds together: a reader must be able to count on its columns. What is wrong with one
//! result is a finding about that one.

use std::borrow::Cow;

use fieldledger_audit::{timestamp, validate};
use fieldledger_contract::limits;
use fieldledger_wire::batch::{PollBatch, SensorProfile};

use super::findings::Findings;
use crate::quality::Quality;

/// Why nothing of a batch can be told apart. What is wrong with one of its results is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A column does not have one item per result.
    #[error("column {column} has {found} items where sensor has {expected}; it must have as many")]
    Length {
        /// Name of the column, as in WIT.
        column: &'static str,
        /// Its items.
        found: usize,
        /// Results in the batch.
        expected: usize,
    },
    /// The batch does not say which polling run it belongs to.
    #[error("epoch is empty; it must name the polling run")]
    NoEpoch,
}

pub(super) fn check_lengths(batch: &PollBatch) -> Result<(), BatchError> {
    let expected = batch.sensor.len();
    for (column, found) in batch.lengths() {
        if found != expected {
            return Err(BatchError::Length {
                column,
                found,
                expected,
            });
        }
    }
    Ok(())
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
}

/// The sensor of a result, with names that an event has room for.
pub(super) fn sensor_of<'a>(
    batch: &'a PollBatch,
    row: usize,
    findings: &mut Findings,
) -> Cow<'a, SensorProfile> {
    let index = batch.sensor[row];
    let sensor = usize::try_from(index)
        .ok()
        .and_then(|index| batch.sensors.get(index));
    let Some(sensor) = sensor else {
        findings.add(Quality::BadConfigurationError, || {
            format!("the batch has no sensor {index}")
        });
        return Cow::Owned(SensorProfile {
            id: "unknown".to_owned(),
            alias: String::new(),
            location: String::new(),
            unit: String::new(),
            range: None,
            calibration: None,
            unit_sent: String::new(),
        });
    };
    if !is_uuid(&sensor.id) {
        findings.add(Quality::BadConfigurationError, || {
            "the id of the sensor is no UUID in lower-case hyphenated form".to_owned()
        });
    }
    let fits = |text: &str| limits::fits(text, limits::NAME_CHARACTERS);
    if fits(&sensor.id) && fits(&sensor.alias) && fits(&sensor.location) {
        return Cow::Borrowed(sensor);
    }
    findings.add(Quality::UncertainSubNormal, || {
        let most = limits::NAME_CHARACTERS;
        format!("a name of the sensor has more than {most} characters, and was cut")
    });
    let cut = |text: &str| limits::cut(text, limits::NAME_CHARACTERS);
    Cow::Owned(SensorProfile {
        id: cut(&sensor.id),
        alias: cut(&sensor.alias),
        location: cut(&sensor.location),
        ..sensor.clone()
    })
}

/// The device's number of a result, where the log can have it.
pub(super) fn sequence_of(batch: &PollBatch, row: usize, findings: &mut Findings) -> Option<u64> {
    let sequence = batch.sequence[row]?;
    if sequence < validate::SEQUENCE_END {
        return Some(sequence);
    }
    findings.add(Quality::UncertainSubNormal, || {
        format!("the sequence number {sequence} is not below 2^53, and was left out")
    });
    None
}

/// The time of a poll, where the log can have it, and else the last one that it can.
pub(super) fn polled_at(batch: &PollBatch, row: usize, findings: &mut Findings) -> u64 {
    let polled_at = batch.polled_at[row];
    if timestamp::from_micros(polled_at).is_some() {
        return polled_at;
    }
    findings.add(Quality::UncertainSubNormal, || {
        format!("the poll's time of {polled_at} us lies beyond the year 9999")
    });
    validate::SEQUENCE_END - 1
}
