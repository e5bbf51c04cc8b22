//! What cargo says it has built.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, IsTerminal as _, stderr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};

use crate::program::{self, Group};
use crate::progress::Step;

/// How often it is seen to that the status is up to date.
const LOOK: Duration = Duration::from_millis(500);

/// How wide cargo may make its own progress bar, which has the names of crates at its end.
const BAR: &str = "160";

/// A line of `--message-format=json`.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
    #[serde(default)]
    fresh: bool,
}

/// What a file was built from.
#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// Something that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct Artifact {
    /// Name of the library or program.
    target: String,
    /// Whether it was there already.
    was_there: bool,
    /// The program or wasm file, if it is one.
    file: Option<PathBuf>,
}

impl Artifact {
    fn read(line: &str) -> Option<Self> {
        let message: Message = serde_json::from_str(line).ok()?;
        if message.reason != "compiler-artifact" {
            return None;
        }
        let is_wasm = |file: &PathBuf| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        };
        let wasm = message.filenames.into_iter().find(is_wasm);
        Some(Self {
            target: message.target?.name,
            was_there: message.fresh,
            file: message.executable.or(wasm),
        })
    }

    /// The file with its short name, such as `nats-polling` for `fieldledger-provider-nats-polling`.
    fn named_file(self) -> Option<(String, PathBuf)> {
        let name = self.target.replace('_', "-");
        let name = name
            .trim_start_matches("fieldledger-")
            .trim_start_matches("provider-");
        Some((name.to_owned(), self.file?))
    }
}

/// Runs a `cargo build` and returns the programs and wasm files it built by their short names. Cargo is
/// asked, because only it knows its target folder.
pub(crate) fn build(command: &mut Command) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let line = program::describe(command);
    let mut child = command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut files = BTreeMap::new();
    for message in BufReader::new(stdout).lines() {
        let message = message.with_context(|| format!("cannot read from `{line}`"))?;
        files.extend(Artifact::read(&message).and_then(Artifact::named_file));
    }
    let status = child.wait().with_context(|| format!("lost `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(files)
}

/// As [`build`], but how far it is goes to `step` instead of cargo's own bar and list. Where the caller
/// stops waiting, cargo and its compilers are killed.
pub(crate) async fn build_shown(
    mut command: Command,
    mut step: Step<'_>,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let line = program::describe(&command);
    command
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", BAR)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut cargo = Group::start(command)?;
    let stdout = cargo.child.stdout.take().context("cargo has no output")?;
    let mut messages = tokio::io::BufReader::new(stdout).lines();
    let mut said = cargo.child.stderr.take().context("cargo has no errors")?;
    let mut unread = Vec::new();
    let (mut has_messages, mut has_said) = (true, true);
    let mut files = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOK);
    while has_messages || has_said {
        tokio::select! {
            message = messages.next_line(), if has_messages => {
                let message = message.with_context(|| format!("cannot read from `{line}`"))?;
                has_messages = message.is_some();
                if let Some(artifact) = message.as_deref().and_then(Artifact::read) {
                    step.built(&artifact.target, artifact.was_there);
                    files.extend(artifact.named_file());
                }
            }
            read = said.read_buf(&mut unread), if has_said => {
                has_said = read.with_context(|| format!("cannot read from `{line}`"))? > 0;
                for line in complete_lines(&mut unread) {
                    step.said(&line);
                }
            }
            _ = looks.tick() => step.show(),
        }
    }
    let status = cargo.ended().await?;
    ensure!(status.success(), "`{line}` failed ({status})");
    step.done();
    Ok(files)
}

/// Takes the lines that have an end; that of a progress bar is a carriage return.
fn complete_lines(unread: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(end) = unread.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let line: Vec<u8> = unread.drain(..=end).collect();
        lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_program_and_a_wasm_file_are_found_and_a_library_is_not() {
        let line = |files: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"fieldledger_ui"}},"filenames":[{files}],"executable":{executable}}}"#
            )
        };
        let file = |line: &str| Artifact::read(line).and_then(Artifact::named_file);
        let found = |path: &str| Some(("ui".to_owned(), PathBuf::from(path)));
        assert_eq!(file(&line(r#""/t/ui.wasm""#, "null")), found("/t/ui.wasm"));
        assert_eq!(file(&line(r#""/t/ui""#, r#""/t/ui""#)), found("/t/ui"));
        assert_eq!(file(&line(r#""/t/libui.rlib""#, "null")), None);
        assert_eq!(file("warning: no JSON"), None);
    }

    #[test]
    fn what_was_there_already_is_told_from_what_was_built() {
        let line = |fresh: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"tokio"}},"filenames":[],"executable":null,"fresh":{fresh}}}"#
            )
        };
        assert!(Artifact::read(&line(true)).unwrap().was_there);
        assert!(!Artifact::read(&line(false)).unwrap().was_there);
    }

    #[test]
    fn lines_of_a_progress_bar_come_whole() {
        let mut unread = b"   Compiling a\n Building [=> ] 1/7: a\r Buil".to_vec();
        let lines = ["   Compiling a", " Building [=> ] 1/7: a"];
        assert_eq!(complete_lines(&mut unread), lines);
        unread.extend_from_slice(b"ding [=>] 2/7\r");
        assert_eq!(complete_lines(&mut unread), [" Building [=>] 2/7"]);
        assert_eq!(unread, b"");
    }
}
