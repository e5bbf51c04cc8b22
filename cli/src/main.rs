//! `fieldledger`: the log on the command line.
//!
//! ```text
//! arguments.rs     the command line, and the list of commands
//! globals.rs       options of every command
//! commands/        one file for each command
//! context.rs       what a command is given: output, and a way to the server
//! client.rs        the one HTTP client
//! ledger_target.rs the ledger that a command changes: a server's, or a folder
//! entries.rs       entries by position, from the server
//! found.rs         entries by search, from the server
//! event.rs         the columns of an envelope
//! shown.rs         an entry as it is shown
//! export/          the forms in which a log is exported
//! files.rs         small files that must be whole
//! output.rs        results as text or JSON, notes, progress, errors
//! exit.rs          what the exit codes mean
//! failure.rs       which exit code an error has
//! ```
//!
//! To add a command, copy `commands/status.rs`: a struct of arguments, a result that is both
//! `Serialize` and `Display`, and `run(&Args, &Context) -> anyhow::Result<Exit>`. Then name it in
//! `arguments.rs`.
#![forbid(unsafe_code)]

mod arguments;
mod client;
mod commands;
mod context;
mod entries;
mod event;
mod exit;
mod export;
mod failure;
mod files;
mod found;
mod globals;
mod ledger_target;
mod output;
mod shown;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::exit::Exit;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let context = Context::new(&arguments.globals);
    let exit = arguments.command.run(&context).unwrap_or_else(|error| {
        let exit = failure::exit_code(&error);
        if exit != Exit::Ok {
            context.output.error(&error, exit);
        }
        exit
    });
    exit.into()
}

/// Arguments that cannot be understood, help, and the version.
fn refuse(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        output::json_error(text, &[], Exit::Input);
    } else {
        // Nobody may be reading.
        let _ = error.print();
    }
    match error.use_stderr() {
        true => Exit::Input.into(),
        false => ExitCode::SUCCESS,
    }
}
