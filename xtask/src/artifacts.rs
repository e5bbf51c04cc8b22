//! What cargo says it has built.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::program;

/// The lines of `--message-format=json` that tell of a file.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

/// What a file was built from.
#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// Runs a `cargo build` and returns the programs and wasm files it built by their short names, such
/// as `nats-polling` for `fieldledger-provider-nats-polling`. Cargo is asked, because only it knows its target folder.
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
        if let Some((name, file)) = artifact(&message) {
            files.insert(name, file);
        }
    }
    let status = child.wait().with_context(|| format!("lost `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(files)
}

fn artifact(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let is_wasm = |file: &PathBuf| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    let wasm = message.filenames.into_iter().find(is_wasm);
    let file = message.executable.or(wasm)?;
    let name = message.target?.name.replace('_', "-");
    let name = name
        .trim_start_matches("fieldledger-")
        .trim_start_matches("provider-");
    Some((name.to_owned(), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_a_wasm_file_are_found_and_a_library_is_not() {
        let line = |files: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"fieldledger_ui"}},"filenames":[{files}],"executable":{executable}}}"#
            )
        };
        let found = |path: &str| Some(("ui".to_owned(), PathBuf::from(path)));
        assert_eq!(
            artifact(&line(r#""/t/ui.wasm""#, "null")),
            found("/t/ui.wasm")
        );
        assert_eq!(artifact(&line(r#""/t/ui""#, r#""/t/ui""#)), found("/t/ui"));
        assert_eq!(artifact(&line(r#""/t/libui.rlib""#, "null")), None);
        assert_eq!(artifact("warning: no JSON"), None);
    }
}
