//! Processes of a site whose keeper was killed before it could stop them.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// The environment variable that marks a site's processes with the folder of their logs.
pub(crate) const MARK: &str = "FIELDLEDGER_SITE_LOGS";

/// How long a killed process may take to vanish.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills the processes that an earlier keeper of the site in `state` (an absolute path) left
/// behind, and returns their names. Right only for who knows that there is no keeper now.
#[must_use]
pub fn stop_leftovers(state: &Path) -> Vec<String> {
    let mut mark = OsString::from(MARK);
    mark.push("=");
    // The logs of the site itself, and of sites and hosts whose folders are in its own.
    mark.push(state.join(""));
    let mark = mark.as_encoded_bytes();
    let deadline = Instant::now() + PATIENCE;
    let mut names = Vec::new();
    loop {
        let mut system = System::new();
        let what = ProcessRefreshKind::nothing()
            .with_environ(UpdateKind::Always)
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let marked = system.processes().values().filter(|process| {
            let mut variables = process.environ().iter();
            variables.any(|variable| variable.as_encoded_bytes().starts_with(mark))
        });
        let mut found = false;
        for process in marked {
            found = true;
            process.kill();
            let name = process.name().to_string_lossy().into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !found || Instant::now() > deadline {
            return names;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::process::Process;
    use tokio::process::Command;

    #[tokio::test]
    async fn a_process_of_this_site_is_stopped_and_one_of_another_is_not() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = |state: &Path| {
            let mut command = Command::new("sleep");
            command.arg("60");
            Process::start("sleep", command, &state.join("logs")).unwrap()
        };
        let mut left = start(ours.path());
        let mut kept = start(other.path());
        assert_eq!(stop_leftovers(ours.path()), ["sleep"]);
        assert!(left.wait().await.unwrap().code().is_none());
        assert!(kept.ended().is_none());
    }
}
