//! A log that is served, and the program run against it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fieldledger_ledger::{Config, EventColumns, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use futures::executor::block_on;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A log, its server, and a folder for files.
pub(crate) struct Site {
    pub(crate) runtime: Runtime,
    pub(crate) ledger: Ledger,
    server: Option<Standalone>,
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// A log of `entries` entries.
    pub(crate) fn with(entries: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("ledger"));
        config.index_interval_ms = 5;
        let ledger = Ledger::open(config).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut site = Self {
            runtime,
            ledger,
            server: None,
            folder,
        };
        site.append(0, entries);
        site.serve(SocketAddr::from(([127, 0, 0, 1], 0)));
        site
    }

    /// Serves the log, at the same address again after [`Site::stop`].
    pub(crate) fn serve(&mut self, listen: SocketAddr) {
        self.serve_with(OverLedger::new(self.ledger.clone()), listen);
    }

    /// Serves the log with what goes with it.
    pub(crate) fn serve_with(&mut self, served: OverLedger, listen: SocketAddr) {
        let started = Standalone::start_with(served, listen);
        self.server = Some(self.runtime.block_on(started).unwrap());
    }

    /// Stops serving; where it was.
    pub(crate) fn stop(&mut self) -> SocketAddr {
        let server = self.server.take().unwrap();
        let address = server.local_addr();
        self.runtime.block_on(server.stop()).unwrap();
        address
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().unwrap().url()
    }

    /// The log's public key.
    pub(crate) fn key(&self) -> String {
        self.ledger.checkpoint().verifier_key
    }

    /// A file in the site's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Appends events numbered `from..to`, a few at a time.
    pub(crate) fn append(&self, from: u64, to: u64) {
        let numbers: Vec<u64> = (from..to).collect();
        for numbers in numbers.chunks(97) {
            let each =
                |text: &dyn Fn(u64) -> String| numbers.iter().map(|number| text(*number)).collect();
            let events = EventColumns {
                message: each(&|number| format!("event {number}, \"quoted\"\r\nand = on, ü")),
                action: each(&|number| {
                    if number % 10 == 3 {
                        "VALVE".into()
                    } else {
                        "PUMP".into()
                    }
                }),
                actor: each(&|_| "=HYPERLINK(\"x\")".into()),
                status: each(&|_| "SUCCESS".into()),
                ..EventColumns::default()
            };
            block_on(self.ledger.append(events)).unwrap();
        }
    }

    /// Waits until searches see the whole log.
    pub(crate) fn index(&self) {
        let started = Instant::now();
        loop {
            let status = self.ledger.status();
            if status.indexed_size == status.tree_size {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "{status:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs the program against this site.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        run(&self.url(), arguments)
    }

    /// As [`Site::run`], with `--json`: exit code and result.
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: &[A]) -> (i32, Value) {
        json(&self.url(), arguments)
    }

    /// Checks a file with the log's key: exit code and result.
    pub(crate) fn verify(&self, file: &Path) -> (i32, Value) {
        self.json(&["verify", file.to_str().unwrap(), "--key", &self.key()])
    }
}

/// The program, as a process that is yet to be started.
pub(crate) fn program(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fieldledger"));
    command
        .env_remove("FIELDLEDGER_TOKEN")
        .env("FIELDLEDGER_URL", url);
    command
}

/// Runs the program to its end.
pub(crate) fn run<A: AsRef<OsStr>>(url: &str, arguments: &[A]) -> Run {
    ended(program(url).args(arguments).output().unwrap())
}

/// As [`run`], with `--json`: exit code and result.
pub(crate) fn json<A: AsRef<OsStr>>(url: &str, arguments: &[A]) -> (i32, Value) {
    let ended = ended(program(url).arg("--json").args(arguments).output().unwrap());
    let result = serde_json::from_str(&ended.stdout);
    (
        ended.code,
        result.unwrap_or_else(|error| panic!("{error}: {ended:?}")),
    )
}

/// What is left of a process that ended.
pub(crate) fn ended(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The entries that the problems of a report are in.
pub(crate) fn problem_indices(report: &Value) -> Vec<Option<u64>> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem["index"].as_u64()).collect()
}

/// The problems of a report in words, one on a line.
pub(crate) fn problem_texts(report: &Value) -> String {
    let problems = report["problems"].as_array().unwrap().iter();
    let texts: Vec<&str> = problems
        .map(|problem| problem["problem"].as_str().unwrap())
        .collect();
    texts.join("\n")
}
