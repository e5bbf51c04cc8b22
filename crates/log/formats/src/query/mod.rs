//! What a search asks for: its language, and the id of its result set.

pub mod cursor;
pub mod language;
pub mod words;

/// Why a search cannot be made, or a result set cannot be paged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// A parameter is invalid.
    #[error("{parameter} {problem}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The result set is too old.
    #[error("the search result is older than an hour; search again")]
    Expired,
}

impl QueryFault {
    fn parameter(parameter: &'static str, problem: &(impl ToString + ?Sized)) -> Self {
        Self::Parameter {
            parameter,
            problem: problem.to_string(),
        }
    }
}
