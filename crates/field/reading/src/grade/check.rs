//! Whether a batch holds together: a reader must be able to count on its columns.

use fieldledger_audit::validate;
use fieldledger_wire::batch::{PollBatch, SensorProfile};

/// Why a batch can never be accepted.
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
    /// One item is wrong.
    #[error("column {column}, row {row}: {problem}")]
    Item {
        /// Name of the column, as in WIT.
        column: &'static str,
        /// Position in it, from 0.
        row: usize,
        /// What is wrong and what would be right.
        problem: String,
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

pub(super) fn check_sensors(sensors: &[SensorProfile]) -> Result<(), BatchError> {
    for (row, sensor) in sensors.iter().enumerate() {
        if !is_uuid(&sensor.id) {
            let problem = "id is no UUID in lower-case hyphenated form".to_owned();
            return Err(BatchError::Item {
                column: "sensors",
                row,
                problem,
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

pub(super) fn sensor_of(batch: &PollBatch, row: usize) -> Result<&SensorProfile, BatchError> {
    let index = batch.sensor[row];
    let sensor = usize::try_from(index)
        .ok()
        .and_then(|index| batch.sensors.get(index));
    sensor.ok_or_else(|| BatchError::Item {
        column: "sensor",
        row,
        problem: format!(
            "is {index}; it must be below {}, the number of sensors",
            batch.sensors.len()
        ),
    })
}

pub(super) fn check_number(
    column: &'static str,
    row: usize,
    number: u64,
) -> Result<(), BatchError> {
    if number < validate::SEQUENCE_END {
        return Ok(());
    }
    Err(BatchError::Item {
        column,
        row,
        problem: format!("is {number}; it must be below 2^53"),
    })
}
