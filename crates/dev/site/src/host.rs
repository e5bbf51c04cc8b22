//! The wasmCloud host with wadm, as a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use tokio::process::Command;

use crate::error::SiteError;
use crate::process::{Process, file_error};

/// wadm creates seven streams before the host takes commands.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The host gives each of its two providers 10 s to drain, and itself 5.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long providers may outlive a host that was killed; they look for it five times a second.
const ORPHANS: Duration = Duration::from_secs(15);

/// How to run a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The program.
    pub program: PathBuf,
    /// NATS server, host name or address.
    pub nats_host: String,
    /// Its port.
    pub nats_port: u16,
    /// File with a JWT and the seed of its key.
    pub nats_credentials: PathBuf,
    /// The lattice.
    pub lattice: String,
    /// JetStream domain of its buckets, if they are in one.
    pub js_domain: Option<String>,
    /// Whether wadm runs in it, and what that makes of what it finds.
    pub manager: Manager,
    /// What the manifest's spreads ask of a host: key and value.
    pub labels: Vec<(String, String)>,
    /// What it and its providers log, such as `info`.
    pub log_level: String,
    /// Folder it works in; relative paths in provider settings start here.
    pub folder: PathBuf,
    /// Folder where it unpacks providers; emptied at every start.
    pub cache: PathBuf,
    /// Folder of its log.
    pub logs: PathBuf,
}

/// Whether wadm, which places the application's parts, runs in a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// It runs in another one.
    Elsewhere,
    /// It runs here, beside others perhaps.
    Here,
    /// It runs here and forgets earlier hosts, which it would take to be alive for 70 s. Right only for
    /// the first host of a lattice.
    First,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    /// The process, to be looked at or killed.
    pub process: Process,
    options: HostOptions,
    id: String,
}

/// What the host prints once it serves.
#[derive(Debug, Deserialize)]
struct ReadyLine {
    ready: bool,
    host_id: String,
}

impl Host {
    /// Starts a host and wadm, and returns once both serve.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] for its folders, or that of the process.
    pub async fn start(options: HostOptions) -> Result<Self, SiteError> {
        let (process, id) = launch(&options).await?;
        Ok(Self {
            process,
            options,
            id,
        })
    }

    /// Starts the host again, once nothing of the former is left. Applications are not deployed
    /// then; see [`crate::Site::restart_host`].
    ///
    /// # Errors
    ///
    /// As [`Host::start`].
    pub async fn restart(&mut self) -> Result<(), SiteError> {
        self.stop().await;
        (self.process, self.id) = launch(&self.options).await?;
        Ok(())
    }

    /// Its public key, by which the lattice knows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its labels.
    pub(crate) fn labels(&self) -> BTreeMap<&str, &str> {
        let labels = self.options.labels.iter();
        labels.map(|(key, value)| (&**key, &**value)).collect()
    }

    /// The process id of the provider in `providers/<name>`, if one runs.
    #[must_use]
    pub fn provider_process(&self, name: &str) -> Option<u32> {
        // The host unpacks `…/build/nats-polling.par.gz` to `…_build_nats_polling_par_gz`.
        let ending = format!("_{}_par_gz", name.replace('-', "_"));
        let mut system = System::new();
        let what = ProcessRefreshKind::nothing()
            .with_exe(UpdateKind::Always)
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        system
            .processes()
            .values()
            .filter(|process| process.parent().map(sysinfo::Pid::as_u32) == Some(self.process.id()))
            .find(|process| {
                let program = process.exe().unwrap_or_else(|| "".as_ref());
                program.to_string_lossy().ends_with(&ending)
            })
            .map(|process| process.pid().as_u32())
    }

    /// Kills the host as a crash would. Its providers find out by themselves.
    pub async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// Stops it: providers drain, then it leaves the lattice.
    pub async fn stop(&mut self) {
        self.process.stop(STOP_TIMEOUT).await;
        self.process.group_gone(ORPHANS).await;
    }
}

async fn launch(options: &HostOptions) -> Result<(Process, String), SiteError> {
    if options.cache.exists() {
        fs::remove_dir_all(&options.cache)
            .map_err(|source| file_error("empty", &options.cache, source))?;
    }
    for folder in [&options.folder, &options.cache] {
        fs::create_dir_all(folder).map_err(|source| file_error("create", folder, source))?;
    }
    let mut command = Command::new(&options.program);
    match options.manager {
        Manager::Elsewhere => {}
        Manager::Here => drop(command.arg("--with-wadm")),
        Manager::First => drop(command.args(["--with-wadm", "--sole-owner"])),
    }
    if let Some(domain) = &options.js_domain {
        command.args(["--js-domain", domain]);
    }
    for (key, value) in &options.labels {
        command.arg("--label").arg(format!("{key}={value}"));
    }
    command
        .args(["--exit-with-parent", "--allow-file-load"])
        .args(["--nats-host", &options.nats_host])
        .args(["--nats-port", &options.nats_port.to_string()])
        .arg("--nats-creds")
        .arg(&options.nats_credentials)
        .args(["--lattice", &options.lattice])
        .args(["--log-level", &options.log_level])
        .env("TMPDIR", &options.cache)
        .current_dir(&options.folder);
    let mut process = Process::start("host", command, &options.logs)?;
    let output = process.output().to_owned();
    let ready = async || {
        let text = fs::read_to_string(&output).ok()?;
        let (line, _) = text.split_once('\n')?;
        let line: ReadyLine = serde_json::from_str(line).ok()?;
        line.ready.then_some(line.host_id)
    };
    let id = process.until(START_TIMEOUT, ready).await?;
    Ok((process, id))
}
