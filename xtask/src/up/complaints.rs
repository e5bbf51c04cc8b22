//! What the host and its providers complain of while the application does not come up.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How many complaints are quoted.
const QUOTED: usize = 5;

/// The log of the host, from where it was when this was made.
#[derive(Debug)]
pub(super) struct Complaints {
    log: PathBuf,
    from: u64,
}

impl Complaints {
    /// From now on, where `logs` is the folder of the site's logs.
    pub(super) fn from_now(logs: &Path) -> Self {
        let log = logs.join("host.log");
        let from = std::fs::metadata(&log).map_or(0, |log| log.len());
        Self { log, from }
    }

    /// Adds the last ones to `error`, if there are any.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let text = self.text().unwrap_or_default();
        let complaints: Vec<&str> = text.lines().filter(|line| is_complaint(line)).collect();
        match complaints.len() {
            0 => error,
            count => {
                let last = complaints[count.saturating_sub(QUOTED)..].join("\n  ");
                let log = self.log.display();
                error.context(format!("{log} has complaints, such as\n  {last}\n"))
            }
        }
    }

    fn text(&self) -> std::io::Result<String> {
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn is_complaint(line: &str) -> bool {
    line.split_whitespace().any(|word| word == "ERROR")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_last_complaints_of_this_run_explain_an_error() {
        let logs = tempfile::tempdir().unwrap();
        let log = logs.path().join("host.log");
        std::fs::write(&log, "1 ERROR of the run before\n").unwrap();
        let complaints = Complaints::from_now(logs.path());
        let unchanged = complaints.explain(anyhow::anyhow!("not deployed"));
        assert_eq!(format!("{unchanged:#}"), "not deployed");

        let mut log = File::options().append(true).open(&log).unwrap();
        for number in 0..10 {
            writeln!(log, "{number} ERROR no room\n{number}  INFO fine").unwrap();
        }
        let text = complaints.explain(anyhow::anyhow!("not deployed"));
        let text = format!("{text:#}");
        assert_eq!(text.matches("ERROR no room").count(), QUOTED, "{text}");
        assert!(text.ends_with("not deployed"), "{text}");
        assert!(
            !text.contains("run before") && !text.contains("INFO"),
            "{text}"
        );
    }
}
