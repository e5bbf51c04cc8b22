//! `cargo xtask up` where it goes wrong before a site runs, as whoever starts it sees it: with real
//! processes, and in place of cargo a script that does what a test needs.
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fieldledger_site::{Artifacts, find_nats_server, free_ports};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// The machines are shared; a test that passes never waits this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A checkout of which nothing is built.
struct Checkout {
    folder: TempDir,
    ports: [u16; 4],
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("xtask")).unwrap();
        fs::write(folder.path().join("wadm.yaml"), "").unwrap();
        let ports = free_ports(Ipv4Addr::LOCALHOST.into()).unwrap();
        Self { folder, ports }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let script = self.path(name);
        fs::write(&script, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    /// `up`, which finds the script `cargo` in place of cargo, and has all tools.
    fn up(&self, cargo: &str) -> Command {
        let cargo = self.script("cargo", cargo);
        // Has every target.
        self.script("rustc", "echo /");
        let nats_server = self.script("nats-server", "echo nats-server: v2.15.1");
        let mut path = OsString::from(self.folder.path());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut up = Command::new(env!("CARGO_BIN_EXE_xtask"));
        up.arg("up").stdin(Stdio::null());
        let options = ["--port", "--nats-port", "--mqtt-port", "--lattice-port"];
        for (option, port) in options.iter().zip(self.ports) {
            up.args([*option, &port.to_string()]);
        }
        up.current_dir(self.folder.path())
            .env("PATH", path)
            .env("CARGO", cargo)
            .env("FIELDLEDGER_NATS_SERVER", nats_server)
            .env("CARGO_MANIFEST_DIR", self.path("xtask"))
            .env("CARGO_TARGET_DIR", self.path("target"));
        up
    }

    fn ports_are_free(&self) -> bool {
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        self.ports.iter().all(is_free)
    }

    fn refused(&self) -> String {
        let Output { status, stderr, .. } = self.up("exit 1").output().unwrap();
        assert_eq!(status.code(), Some(1));
        String::from_utf8(stderr).unwrap()
    }
}

/// Waits until `file` has a line with `text`, and returns all of it.
fn until_said(file: &Path, text: &str) -> String {
    let start = Instant::now();
    loop {
        let said = fs::read_to_string(file).unwrap_or_default();
        if said.contains(text) {
            return said;
        }
        assert!(start.elapsed() < PATIENCE, "no {text:?} in {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

#[test]
fn a_port_that_is_taken_is_named_before_anything_is_built() {
    let checkout = Checkout::new();
    let port = checkout.ports[1];
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let error = checkout.refused();
    assert!(
        error.contains(&format!("127.0.0.1:{port} for NATS")),
        "{error}"
    );
    assert!(error.contains("instead: --nats-port"), "{error}");
    assert!(!checkout.path("build").exists());
}

#[test]
fn state_of_a_later_version_is_refused_in_words() {
    let checkout = Checkout::new();
    fs::create_dir(checkout.path("state")).unwrap();
    fs::write(checkout.path("state/format"), "9\n").unwrap();
    let error = checkout.refused();
    assert!(error.contains("later version"), "{error}");
    assert!(error.contains("--fresh"), "{error}");
}

#[test]
fn a_build_that_fails_is_told_once_and_leaves_the_state_alone() {
    let checkout = Checkout::new();
    fs::create_dir_all(checkout.path("state/ledger")).unwrap();
    let mut up = checkout.up("echo 'error: no such crate' >&2; exit 101");
    let output = up.arg("--fresh").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.matches("no such crate").count(), 1, "{error}");
    assert_eq!(
        error.matches("failed (exit status: 101)").count(),
        1,
        "{error}"
    );
    assert!(checkout.path("state/ledger").is_dir());
}

#[test]
fn a_log_file_shows_what_a_build_waits_for_and_a_signal_leaves_nothing_running() {
    for signal in [Signal::TERM, Signal::INT] {
        let checkout = Checkout::new();
        let log = checkout.path("up.log");
        let cargo = "echo $$ > cargo.pid\n\
                     sleep 600 &\n\
                     echo $! > compiler.pid\n\
                     echo '    Blocking waiting for file lock on build directory' >&2\n\
                     wait";
        let mut up = checkout.up(cargo);
        up.stdout(fs::File::create(&log).unwrap());
        let mut up = up.spawn().unwrap();
        let said = until_said(&log, "for another cargo (build directory)");
        assert!(
            said.contains("step 2 of 4, host and providers: waits"),
            "{said}"
        );
        assert!(!said.contains('\x1b') && !said.contains('\r'), "{said:?}");
        let started = ["cargo.pid", "compiler.pid"]
            .map(|file| pid(&fs::read_to_string(checkout.path(file)).unwrap()));

        kill_process(pid(&up.id().to_string()), signal).unwrap();
        assert!(up.wait().unwrap().success());
        until_said(&log, "nothing is left running");
        let start = Instant::now();
        // Killed ones vanish when whoever they belong to by then has seen it.
        while started.iter().any(|pid| is_running(*pid)) {
            assert!(start.elapsed() < PATIENCE, "{started:?} still run");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_start_that_is_stopped_leaves_no_server_and_no_host_running() {
    let checkout = Checkout::new();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wadm.yaml");
    fs::copy(manifest, checkout.path("wadm.yaml")).unwrap();
    fs::create_dir(checkout.path("build")).unwrap();
    // A host that never says that it is ready, and has a provider running.
    let log = checkout.path("up.log");
    let (host, provider) = (checkout.path("host.pid"), checkout.path("provider.pid"));
    let mut up = checkout.up("exit 1");
    for file in Artifacts::at(checkout.folder.path()).files() {
        if file != checkout.path("wadm.yaml") {
            let name = file.strip_prefix(checkout.folder.path()).unwrap();
            let script = format!(
                "sleep 600 & echo $! > {}; echo $$ > {}; wait",
                provider.display(),
                host.display()
            );
            checkout.script(name.to_str().unwrap(), &script);
        }
    }
    up.arg("--no-build")
        .env("FIELDLEDGER_NATS_SERVER", find_nats_server().unwrap())
        .stdout(fs::File::create(&log).unwrap());
    let mut up = up.spawn().unwrap();
    let started = [&provider, &host].map(|file| pid(&until_said(file, "\n")));
    let said = fs::read_to_string(&log).unwrap();
    assert!(
        said.contains("step 1 of 1, start of 2 nats-servers"),
        "{said}"
    );

    kill_process(pid(&up.id().to_string()), Signal::INT).unwrap();
    assert!(up.wait().unwrap().success());
    until_said(&log, "nothing is left running");
    let start = Instant::now();
    while started.iter().any(|pid| is_running(*pid)) || !checkout.ports_are_free() {
        assert!(
            start.elapsed() < PATIENCE,
            "{started:?} or a server still run"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether it runs: one that has ended, and that nobody has waited for, does not.
fn is_running(pid: Pid) -> bool {
    let status = format!("/proc/{}/status", pid.as_raw_nonzero());
    match fs::read_to_string(status) {
        Ok(status) => !status.contains("State:\tZ"),
        Err(_) => !cfg!(target_os = "linux") && test_kill_process(pid).is_ok(),
    }
}
