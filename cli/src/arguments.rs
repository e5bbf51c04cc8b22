//! Options of every command, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::commands::keys::Step;
use crate::context::Context;
use crate::exit::{self, Exit};

/// Reads, checks and keeps a Fieldledger log.
#[derive(Debug, Parser)]
#[command(name = "fieldledger", version, after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Where the log is served.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "FIELDLEDGER_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,

    /// File whose first line is the bearer token (or set `FIELDLEDGER_TOKEN`).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// The bearer token. Set the variable rather than the option: others see a command line.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "FIELDLEDGER_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,

    /// Seconds to wait for an answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,

    /// Print results as JSON, and errors as a line of JSON on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results and errors only: no notes, no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the log and the sensors are.
    Status(commands::status::StatusArgs),
    /// Check that a proof, an export or the live log is what was signed.
    Verify(commands::verify::VerifyArgs),
    /// Find entries.
    Search(commands::search::SearchArgs),
    /// Show the newest entries, and those that follow.
    Tail(commands::tail::TailArgs),
    /// Write the log, or a part of it, to a file.
    Export(commands::export::ExportArgs),
    /// Remove the payload of an entry for good; its proofs stay.
    Erase(commands::erase::EraseArgs),
    /// Give up the payloads of old entries to free disk; their proofs stay.
    Retain(commands::retain::RetainArgs),
    /// Let a new key sign the log, beside the one that signs now.
    RotateKey(commands::keys::KeyArgs),
    /// End the overlap of a rotation: the new key signs alone.
    RetireKey(commands::keys::KeyArgs),
    /// End the log: nothing is ever appended to it again.
    Freeze(commands::freeze::FreezeArgs),
    /// Check a whole log where it lies, without a server.
    Fsck(commands::fsck::FsckArgs),
    /// Copy a log to a folder, while it goes on.
    Backup(commands::backup::BackupArgs),
    /// Make a ledger's folder from a backup, and never a fork of its log.
    Restore(commands::restore::RestoreArgs),
    /// Show which readings are missing.
    Gaps(commands::gaps::GapsArgs),
    /// List the sensors' keys, approve them, retire them.
    Devices(commands::devices::DevicesArgs),
    /// Serve a ledger's folder over HTTP, without a lattice.
    Serve(commands::serve::ServeArgs),
    /// Print a script that teaches a shell to complete this program's arguments.
    Completions(commands::completions::CompletionsArgs),
}

impl Command {
    /// Runs the command that was named.
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<Exit> {
        match self {
            Self::Status(args) => commands::status::run(args, context),
            Self::Verify(args) => commands::verify::run(args, context),
            Self::Search(args) => commands::search::run(args, context),
            Self::Tail(args) => commands::tail::run(args, context),
            Self::Export(args) => commands::export::run(args, context),
            Self::Erase(args) => commands::erase::run(args, context),
            Self::Retain(args) => commands::retain::run(args, context),
            Self::RotateKey(args) => commands::keys::run(Step::Rotate, args, context),
            Self::RetireKey(args) => commands::keys::run(Step::Retire, args, context),
            Self::Freeze(args) => commands::freeze::run(args, context),
            Self::Fsck(args) => commands::fsck::run(args, context),
            Self::Backup(args) => commands::backup::run(args, context),
            Self::Restore(args) => commands::restore::run(args, context),
            Self::Gaps(args) => commands::gaps::run(args, context),
            Self::Devices(args) => commands::devices::run(args, context),
            Self::Serve(args) => commands::serve::run(args, context),
            Self::Completions(args) => commands::completions::run(args, context),
        }
    }
}
