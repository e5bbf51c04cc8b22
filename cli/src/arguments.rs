//! The command line: the options of every command, and the list of commands.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands;
use crate::commands::keys::Step;
use crate::context::Context;
use crate::exit::{self, Exit};
use crate::globals::Globals;

/// Reads, checks and keeps a Fieldledger log.
#[derive(Debug, Parser)]
#[command(name = "fieldledger", version, after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
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
    /// Show what devices sent and was refused, and why.
    Refusals(commands::refusals::RefusalsArgs),
    /// List the sensors' keys, approve them, retire them.
    Devices(commands::devices::DevicesArgs),
    /// Show what could not be recorded; have it delivered again, or give it up.
    DeadLetters(commands::dead_letters::DeadLettersArgs),
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
            Self::Refusals(args) => commands::refusals::run(args, context),
            Self::Devices(args) => commands::devices::run(args, context),
            Self::DeadLetters(args) => commands::dead_letters::run(args, context),
            Self::Serve(args) => commands::serve::run(args, context),
            Self::Completions(args) => {
                commands::completions::run(args, &mut Arguments::command(), context)
            }
        }
    }
}
