//! What the exit codes mean.

use std::process::ExitCode;

/// How a command ended. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; whatever was checked holds.
    Ok = 0,
    /// What was checked does not hold: a proof fails, a log was changed, something is missing.
    Problems = 1,
    /// The command line, a file, or a request to the server is wrong.
    Input = 2,
    /// The server cannot be reached, or says that it cannot serve now: try again.
    Unavailable = 3,
    /// The token is missing, or does not allow this.
    Denied = 4,
    /// Anything else, such as a full disk.
    Failed = 5,
}

/// The same list, at the end of `fieldledger --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; whatever was checked holds
  1  what was checked does not hold
  2  the command line, a file, or the request is wrong
  3  the server cannot be reached or cannot serve now; try again
  4  the token is missing or does not allow this
  5  anything else, such as a full disk";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a user gave cannot be used. Becomes exit code 2 wherever it stands in an error's chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InputError(pub(crate) String);

/// The log is not as it must be. Becomes exit code 1 wherever it stands in an error's chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}; check the log with `fieldledger verify`")]
pub(crate) struct LogError(pub(crate) String);
