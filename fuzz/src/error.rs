//! As much of the ledger's errors as its parsers need.

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) enum QueryError {
    Invalid(String),
    Expired(String),
}

impl QueryError {
    /// One parameter is wrong.
    pub(crate) fn parameter(name: &str, problem: impl Into<String>) -> Self {
        Self::Invalid(format!("{name} {}", problem.into()))
    }
}
