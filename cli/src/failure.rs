//! Which exit code an error has.

use std::io;

use crate::client::ClientError;
use crate::exit::{Exit, InputError, LogError};

/// The exit code for an error: the first cause that is known decides.
pub(crate) fn exit_code(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return error.exit();
        }
        if cause.is::<LogError>() {
            return Exit::Problems;
        }
        if cause.is::<InputError>() {
            return Exit::Input;
        }
        // Who reads our output has had enough, as `head` does: no failure.
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return Exit::Ok;
        }
    }
    Exit::Failed
}
