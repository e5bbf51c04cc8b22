//! What is wrong with a link's settings.

use fieldledger_wire::topic::TopicError;
use thiserror::Error;

/// What is wrong with a link's settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A setting that does not exist.
    #[error("setting {key:?} does not exist; known are {known}")]
    Unknown {
        /// As it was given.
        key: String,
        /// Those that do.
        known: String,
    },
    /// A setting that is needed is not there.
    #[error("setting {key} is missing; expected {expected}")]
    Missing {
        /// Which.
        key: &'static str,
        /// What belongs there.
        expected: String,
    },
    /// A setting holds something else than it should.
    #[error("setting {key} is {value:?}; expected {expected}")]
    Invalid {
        /// Which.
        key: &'static str,
        /// What it holds, shortened.
        value: String,
        /// What belongs there.
        expected: String,
    },
    /// Devices could not keep within this prefix without reaching a control subject.
    #[error("setting PREFIX (given, or implied by SUBSCRIPTION) is not acceptable")]
    Prefix(#[source] TopicError),
}

pub(super) fn invalid(key: &'static str, value: &str, expected: String) -> ConfigError {
    let value = value.chars().take(80).collect();
    ConfigError::Invalid {
        key,
        value,
        expected,
    }
}
