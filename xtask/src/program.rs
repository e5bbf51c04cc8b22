//! Runs other programs.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    // Set by the outer cargo for this package; an inner one must not take them for its own.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Where cargo builds, as far as this program is told.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

/// Runs it to its end; its output is the user's to see.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = describe(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// As [`run`], but where the caller stops waiting, the program is killed with all that it has started.
pub(crate) async fn run_to_end(command: Command) -> anyhow::Result<()> {
    let line = describe(&command);
    let status = Group::start(command)?.ended().await?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// A program in a process group of its own, which is killed when this is dropped before the program has
/// ended. A terminal's Ctrl-C does not reach it, so that who waits for it decides what becomes of it.
pub(crate) struct Group {
    pub(crate) child: Child,
    line: String,
    running: Option<Pid>,
}

impl Group {
    /// Starts it, without a standard input.
    pub(crate) fn start(command: Command) -> anyhow::Result<Self> {
        let line = describe(&command);
        let mut command = tokio::process::Command::from(command);
        let spawned = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = spawned.with_context(|| format!("cannot run `{line}`"))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            running: id.and_then(Pid::from_raw),
            child,
            line,
        })
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().await;
        let status = status.with_context(|| format!("lost `{}`", self.line))?;
        self.running = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.running {
            // An error means that nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs it to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let line = describe(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{line}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "`{line}` failed ({}): {}",
        output.status,
        text.trim()
    );
    Ok(text)
}

/// Whether the program is there and ends well with these arguments.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> anyhow::Result<bool> {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) => Ok(status.success()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => bail!("cannot run `{program}`: {error}"),
    }
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut words = vec![program.rsplit('/').next().unwrap_or(&program).to_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustix::process::test_kill_process_group;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn who_is_no_longer_waited_for_is_killed_with_all_it_has_started() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & echo up; wait"]);
        shell.stdout(Stdio::piped());
        let mut group = Group::start(shell).unwrap();
        let mut output = group.child.stdout.take().unwrap();
        let mut said = [0; 3];
        output.read_exact(&mut said).await.unwrap();
        let id = group.running.unwrap();
        test_kill_process_group(id).unwrap();
        drop(group);
        // Its output ends when the last one is gone that has it.
        let rest = output.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(rest, 0);
    }

    #[tokio::test]
    async fn a_failure_names_the_command() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exit 3"]);
        let error = run_to_end(shell).await.unwrap_err().to_string();
        assert_eq!(error, "`sh -c exit 3` failed (exit status: 3)");
    }
}
