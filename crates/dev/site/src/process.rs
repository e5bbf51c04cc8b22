//! A child process: in a process group of its own, with its output in files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

use crate::error::SiteError;
use crate::leftovers::MARK;

/// Pause between two looks whether something has become true.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How many lines of a log an error quotes.
const QUOTED_LINES: usize = 15;

/// A running child process, killed with all it started when this is dropped.
///
/// It is in a process group of its own, so that a terminal's Ctrl-C does not reach it before its
/// turn has come.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
    output: PathBuf,
}

impl Process {
    /// Starts `command`. Standard error is appended to `<logs>/<name>.log`, standard output
    /// replaces `<logs>/<name>.out`.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] for the files, [`SiteError::Start`] for the program.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self, SiteError> {
        let log = logs.join(format!("{name}.log"));
        let output = logs.join(format!("{name}.out"));
        fs::create_dir_all(logs).map_err(|source| file_error("create", logs, source))?;
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|source| file_error("open", &log, source))?;
        let output_file =
            File::create(&output).map_err(|source| file_error("create", &output, source))?;
        let child = command
            .env(MARK, logs)
            .stdin(std::process::Stdio::null())
            .stdout(output_file)
            .stderr(log_file)
            .process_group(0)
            .spawn()
            .map_err(|source| start_error(name, source))?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .ok_or_else(|| start_error(name, io::Error::other("it has no process id")))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            pid,
            log,
            output,
        })
    }

    /// The name of its log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file with its standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The file with its standard output.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if the system cannot tell.
    pub async fn wait(&mut self) -> Result<ExitStatus, SiteError> {
        let status = self.child.wait().await;
        status.map_err(|source| start_error(&self.name, source))
    }

    /// Waits until `ready` yields something, which it is asked every 20 ms.
    ///
    /// # Errors
    ///
    /// [`SiteError::Ended`] if the process ends first, [`SiteError::NotReady`] after `patience`.
    pub async fn until<T>(
        &mut self,
        patience: Duration,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, SiteError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(value) = ready().await {
                return Ok(value);
            }
            if let Some(status) = self.ended() {
                return Err(SiteError::Ended {
                    name: self.name.clone(),
                    status,
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
            if Instant::now() > deadline {
                return Err(SiteError::NotReady {
                    name: self.name.clone(),
                    waited: patience,
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(QUOTED_LINES);
        lines[from..].join("\n")
    }

    /// Asks it to end with SIGTERM; after `patience` kills it and all it started.
    pub async fn stop(&mut self, patience: Duration) {
        if self.ended().is_none() {
            // An error means that it has ended in between.
            let _ = kill_process(self.pid, Signal::TERM);
            if tokio::time::timeout(patience, self.child.wait())
                .await
                .is_err()
            {
                self.kill_group();
                let _ = self.child.wait().await;
            }
        }
    }

    /// Kills it as a crash would: at once, itself alone, no matter what it holds.
    pub async fn kill9(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.child.wait().await;
        }
    }

    /// Waits until nothing it started is left; after `patience` kills what is.
    pub async fn group_gone(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while test_kill_process_group(self.pid).is_ok() {
            if Instant::now() > deadline {
                self.kill_group();
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn kill_group(&self) {
        // An error means that nobody is left.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill_group();
        }
    }
}

pub(crate) fn file_error(operation: &'static str, path: &Path, source: io::Error) -> SiteError {
    SiteError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn start_error(name: &str, source: io::Error) -> SiteError {
    SiteError::Start {
        name: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_process_that_ends_too_early_is_reported_with_its_log() {
        let logs = tempfile::tempdir().unwrap();
        let command = shell("echo no such thing >&2; exit 3");
        let mut process = Process::start("early", command, logs.path()).unwrap();
        let waiting = process.until(PATIENCE, async || None::<()>);
        let error = waiting.await.unwrap_err();
        assert!(matches!(&error, SiteError::Ended { status, tail, .. }
            if status.code() == Some(3) && tail == "no such thing"));
    }

    /// Ignores SIGTERM, and has started another one.
    async fn stubborn(logs: &Path) -> Process {
        let command = shell("trap '' TERM; echo up; while true; do sleep 1; done");
        let mut process = Process::start("stubborn", command, logs).unwrap();
        let output = process.output().to_owned();
        let up = async || {
            fs::read_to_string(&output)
                .unwrap()
                .starts_with("up")
                .then_some(())
        };
        process.until(PATIENCE, up).await.unwrap();
        process
    }

    #[tokio::test]
    async fn one_that_ignores_sigterm_is_killed_with_its_children() {
        let logs = tempfile::tempdir().unwrap();
        let mut process = stubborn(logs.path()).await;
        process.stop(Duration::from_millis(50)).await;
        process.group_gone(PATIENCE).await;
        assert!(test_kill_process_group(process.pid).is_err());
    }

    #[tokio::test]
    async fn one_whose_stop_is_not_waited_for_is_killed_with_its_children() {
        let logs = tempfile::tempdir().unwrap();
        let mut process = stubborn(logs.path()).await;
        let stop = process.stop(PATIENCE);
        let stopped = tokio::time::timeout(Duration::from_millis(50), stop).await;
        assert!(stopped.is_err());
        let group = process.pid;
        drop(process);
        let deadline = Instant::now() + PATIENCE;
        while test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < deadline, "it still runs");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
