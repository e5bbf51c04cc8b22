//! Pangea's own SDKs and command lines, unmodified, against a real log behind a real socket. What
//! they must find is in the scripts in `tests/interop/pangea/`.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fieldledger_api::{Scope, Tokens};
use fieldledger_ledger::{Config, Ledger, Publication};
use fieldledger_site::tools_dir;
use fieldledger_standalone::{OverLedger, Standalone};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// For one script. Generous: the machines are shared.
const PATIENCE: Duration = Duration::from_secs(600);

const TOKEN: &str = "pts_thatonlythetestknows";

/// A served log.
struct Site {
    server: Standalone,
    ledger: Ledger,
    /// Goes last.
    folder: TempDir,
}

impl Site {
    async fn start(publication: Option<Publication>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("ledger"));
        config.publication = publication;
        config.index_interval_ms = 10;
        let ledger = Ledger::open(config).unwrap();
        let tokens = Tokens::parse(&Tokens::setting("test", &Scope::ALL, TOKEN)).unwrap();
        let served = OverLedger::new(ledger.clone()).with_tokens(tokens);
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Standalone::start_with(served, listen).await.unwrap();
        Self {
            server,
            ledger,
            folder,
        }
    }

    /// Nothing is published.
    async fn at_rest() -> Self {
        Self::start(None).await
    }

    /// Roots come by count, and soon by age.
    async fn publishing(entries: u64) -> Self {
        let interval_ms = 500;
        let publication = Publication {
            interval_ms,
            entries,
        };
        Self::start(Some(publication)).await
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("signing-key.pem")
    }

    async fn stop(self) {
        self.server.stop().await.unwrap();
        self.ledger.close();
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../tests/interop/pangea")
        .join(name)
}

/// Runs a script; it must succeed.
async fn run<I, S>(program: &Path, arguments: I)
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output())
        .await
        .expect("the script does not end")
        .unwrap_or_else(|error| {
            let program = program.display();
            panic!("{program} cannot be run: {error}; `cargo xtask setup` installs it")
        });
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("all as it should be"), "{said}\n{complained}");
}

async fn python(site: &Site, arguments: &[&str]) {
    let program = tools_dir().join("pangea-python/bin/python");
    assert!(
        program.exists(),
        "{} is missing; `cargo xtask setup` installs it",
        program.display()
    );
    let url = site.server.url();
    let key_file = site.key_file();
    let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    all.extend([OsStr::new(&url), OsStr::new(TOKEN), key_file.as_os_str()]);
    run(&program, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_logs_and_proves_what_is_not_published() {
    let site = Site::at_rest().await;
    let program = script("use_sdk.py");
    python(&site, &[program.to_str().unwrap(), "log"]).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_finds_and_proves_what_is_published() {
    let site = Site::publishing(10).await;
    let program = script("use_sdk.py");
    python(&site, &[program.to_str().unwrap(), "search"]).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_refused_in_its_own_terms() {
    let site = Site::at_rest().await;
    let program = script("use_sdk.py");
    python(&site, &[program.to_str().unwrap(), "errors"]).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lines_verify_a_log_and_find_what_was_changed() {
    let site = Site::publishing(100).await;
    let program = script("use_tools.py");
    python(&site, &[program.to_str().unwrap()]).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_logs_finds_and_proves() {
    let site = Site::publishing(10).await;
    let modules = tools_dir().join("pangea-node");
    assert!(
        modules.join("node_modules").exists(),
        "{} is missing; `cargo xtask setup` installs it",
        modules.display()
    );
    let program = script("use_sdk.mjs");
    let url = site.server.url();
    let arguments = [
        program.as_os_str(),
        modules.as_os_str(),
        OsStr::new(&url),
        OsStr::new(TOKEN),
    ];
    run(Path::new("node"), arguments).await;
    site.stop().await;
}
