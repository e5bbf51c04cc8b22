//! `fieldledger dead-letters`: what could not be recorded in any form, and what is to become of it.

use std::fmt::{self, Write as _};

use clap::{Args, Subcommand};
use fieldledger_api::answers::{DecidedLetter, LetterList, SiteLetter};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{pairs, plain, table};

/// Options of `dead-letters`.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Option<DeadLettersCommand>,
}

/// What to do with dead letters. Without one they are listed.
#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List them, oldest first.
    List,
    /// Show one with what it holds.
    Show(ShowArgs),
    /// Have one delivered once more. The log takes each of its readings once, however often they come.
    Retry(DecideArgs),
    /// Give one up for good. What it holds goes into the log, as far as an event has room.
    Drop(DecideArgs),
}

/// Options of `dead-letters show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Its id, as the list has it.
    id: String,

    /// Its site; needed where two sites have one of that id.
    #[arg(long)]
    site: Option<String>,
}

/// Options of `dead-letters retry` and `drop`.
#[derive(Debug, Args)]
struct DecideArgs {
    /// Its id, as the list has it.
    id: String,

    /// Its site; needed where two sites have one of that id.
    #[arg(long)]
    site: Option<String>,

    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Letters {
    dead_letters: Vec<SiteLetter>,
}

impl fmt::Display for Letters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dead_letters.is_empty() {
            return formatter.write_str("there are no dead letters");
        }
        let rows = self.dead_letters.iter().map(|found| {
            let letter = &found.letter;
            [
                plain(&letter.id),
                plain(&found.site),
                letter.stored_at.to_string(),
                letter.results.to_string(),
                letter.attempts.to_string(),
                plain(&letter.reason),
            ]
        });
        let names = ["id", "site", "put aside", "results", "attempts", "reason"];
        formatter.write_str(&table(names, rows))
    }
}

/// One of them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shown(SiteLetter);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = &self.0.letter;
        formatter.write_str(&pairs([
            ("id", plain(&letter.id)),
            ("site", plain(&self.0.site)),
            ("put aside", letter.stored_at.to_string()),
            ("reason", plain(&letter.reason)),
            ("attempts", letter.attempts.to_string()),
            ("results", letter.results.to_string()),
            ("sensors", plain(&letter.sensors.join(", "))),
            ("bytes", letter.bytes.to_string()),
            ("content", plain(&letter.content)),
        ]))
    }
}

/// What was decided.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Decided(DecidedLetter);

impl fmt::Display for Decided {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.0.entry;
        let entry = entry.map_or("unknown".to_owned(), |entry| entry.to_string());
        formatter.write_str(&pairs([
            ("id", plain(&self.0.id)),
            ("site", plain(&self.0.site)),
            ("recorded by entry", entry),
        ]))
    }
}

/// Lists dead letters, shows one, or decides about one.
pub(crate) fn run(args: &DeadLettersArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let (args, what) = match &args.command {
        None | Some(DeadLettersCommand::List) => {
            let mut dead_letters = Vec::new();
            let mut offset = Some(0);
            while let Some(from) = offset {
                let page: LetterList = client.get(&format!("/api/dead-letters?offset={from}"))?;
                dead_letters.extend(page.dead_letters);
                offset = page.next_offset;
            }
            context.output.show(&Letters { dead_letters })?;
            return Ok(Exit::Ok);
        }
        Some(DeadLettersCommand::Show(args)) => {
            let mut path = path_of(&args.id);
            if let Some(site) = &args.site {
                path = format!("{path}?site={}", percent_encoded(site));
            }
            context.output.show(&Shown(client.get(&path)?))?;
            return Ok(Exit::Ok);
        }
        Some(DeadLettersCommand::Retry(args)) => (args, "retry"),
        Some(DeadLettersCommand::Drop(args)) => (args, "drop"),
    };
    let mut params = json!({"reason": args.reason});
    if let Some(site) = &args.site {
        params["site"] = json!(site);
    }
    let decided = client.post(&format!("{}/{what}", path_of(&args.id)), &params)?;
    context.output.show(&Decided(decided))?;
    Ok(Exit::Ok)
}

fn path_of(id: &str) -> String {
    format!("/api/dead-letters/{}", percent_encoded(id))
}

/// As part of a URL, whatever somebody typed.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            // A text takes whatever is written to it.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
