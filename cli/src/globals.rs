//! Options of every command.

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, ValueEnum};

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

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}
