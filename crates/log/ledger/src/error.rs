//! Why the ledger could not do what it was asked. [`AppendError`], [`QueryError`] and
//! [`ControlError`] each have those variants of the contract's error that can occur.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use fieldledger_contract::{Error as Refusal, InvalidField};
use fieldledger_formats::query::QueryFault;

/// Why events were not appended. Nothing of the call is in the log then, unless the error is
/// [`AppendError::Unavailable`]: then it may be, and the same call can be made again where the
/// events have producer and sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The caller's fault. Do not retry.
    #[error("{} fields of the events are invalid", .0.len())]
    Invalid(Vec<InvalidField>),
    /// The log never takes an event again: it was frozen, or restored read-only. Do not retry; the
    /// reason names the log that goes on, where that is known.
    #[error("the log has ended: {0}")]
    Ended(String),
    /// The log cannot take events now. Retry.
    #[error("the ledger cannot append: {0}")]
    Unavailable(String),
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(fields) => Self::Invalid(fields),
            AppendError::Ended(reason) => Self::Ended(reason),
            AppendError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The caller's fault. Do not retry.
    #[error("{} parameters are invalid", .0.len())]
    Invalid(Vec<InvalidField>),
    /// No such entry, result or tree size.
    #[error("{0}")]
    NotFound(String),
    /// The result set has expired; search again.
    #[error("{0}")]
    Expired(String),
    /// The log cannot answer now. Retry.
    #[error("the ledger cannot answer: {0}")]
    Unavailable(String),
}

impl QueryError {
    /// One parameter is wrong.
    pub(crate) fn parameter(name: &str, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![InvalidField {
            item: 0,
            field: name.to_owned(),
            problem: problem.into(),
        }])
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(fields) => Self::Invalid(fields),
            QueryError::NotFound(what) => Self::NotFound(what),
            QueryError::Expired(what) => Self::Expired(what),
            QueryError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<QueryFault> for QueryError {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::Parameter { parameter, problem } => Self::parameter(parameter, problem),
            QueryFault::Expired => Self::Expired(fault.to_string()),
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(with_causes(&error))
    }
}

/// Why a log was not changed otherwise than by an append.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The caller's fault. Do not retry.
    #[error("{} parameters are invalid", .0.len())]
    Invalid(Vec<InvalidField>),
    /// No such entry.
    #[error("{0}")]
    NotFound(String),
    /// The log is not in a state, or the entry not of a kind, that allows this.
    #[error("refused: {0}")]
    Refused(String),
    /// The log was frozen, or restored read-only. Do not retry.
    #[error("the log has ended: {0}")]
    Ended(String),
    /// The log cannot do this now. Retry.
    #[error("the ledger cannot do this: {0}")]
    Unavailable(String),
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Invalid(fields) => Self::Invalid(fields),
            ControlError::NotFound(what) => Self::NotFound(what),
            ControlError::Refused(reason) => Self::Refused(reason),
            ControlError::Ended(reason) => Self::Ended(reason),
            ControlError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<AppendError> for ControlError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(fields) => Self::Invalid(fields),
            AppendError::Ended(reason) => Self::Ended(reason),
            AppendError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(with_causes(&error))
    }
}

impl From<QueryError> for ControlError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(fields) => Self::Invalid(fields),
            QueryError::NotFound(what) => Self::NotFound(what),
            QueryError::Expired(what) | QueryError::Unavailable(what) => Self::Unavailable(what),
        }
    }
}

/// Why a ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder's files cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process has the folder open.
    #[error(
        "another process holds {}; stop it, or give this ledger a folder of its own",
        .path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A configured value cannot be used.
    #[error("setting {setting} cannot be used: {problem}")]
    Setting {
        /// Its name in [`crate::Config`].
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The log is not the one that was signed: entries are missing, or others are in their place.
    #[error("the log in {} is not the one that was signed: {problem}", .folder.display())]
    Forked {
        /// The ledger's folder.
        folder: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A change of the log that a crash interrupted could not be finished.
    #[error("a change that was begun could not be finished")]
    Unfinished(#[source] ControlError),
    /// The signed tree head was not the one expected when it was to be replaced.
    #[error("{0}")]
    Anchor(String),
    /// A thread could not be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// Whether the same attempt may succeed later, without anybody's doing: an object store could not
    /// be reached.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(StoreError::Object { .. }))
    }
}

/// Why a file of the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {operation} {}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A request to an object store failed.
    #[error("cannot {operation} {url}")]
    Object {
        /// What was tried.
        operation: &'static str,
        /// On which object.
        url: String,
        /// What the object store said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A file does not hold what the ledger wrote there.
    #[error("{} is damaged at byte {offset}: {problem}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
}

impl StoreError {
    /// Whether it says that there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// For `map_err`: what was tried on which file.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// The error's text and those of its causes, for callers that get a string only.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
