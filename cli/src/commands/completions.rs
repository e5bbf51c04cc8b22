//! `fieldledger completions`: a script that teaches a shell this program's arguments.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::context::Context;
use crate::exit::Exit;

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to print it for.
    shell: Shell,
}

/// Prints the script for the command line that `program` describes.
pub(crate) fn run(
    args: &CompletionsArgs,
    program: &mut Command,
    context: &Context,
) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, program, "fieldledger", &mut script);
    context.output.write(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}
