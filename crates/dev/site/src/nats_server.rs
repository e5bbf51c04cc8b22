//! nats-server, as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Client, jetstream};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::access::{Access, secret};
use crate::error::SiteError;
use crate::field_address::FieldAddress;
use crate::leafnodes::Place;
use crate::mqtt_streams;
use crate::nats_options::NatsOptions;
use crate::nats_version::NatsVersion;
use crate::own_names;
use crate::ports::check_free;
use crate::process::Process;

/// A server with much in its streams reads it all at the start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What a clean stop of JetStream may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A running nats-server.
#[derive(Debug)]
pub struct NatsServer {
    /// The process, to be looked at or killed.
    pub process: Process,
    options: NatsOptions,
}

impl NatsServer {
    /// Starts a server and returns once JetStream and all listeners serve.
    ///
    /// # Errors
    ///
    /// [`SiteError::PortInUse`], [`SiteError::NatsTooOld`], or that of the process.
    pub async fn start(options: NatsOptions) -> Result<Self, SiteError> {
        NatsVersion::of_usable(&options.program)?;
        let leafnodes = match options.place {
            Place::Hub { port } => Some(port),
            Place::Alone | Place::Leaf(_) => None,
        };
        let listeners = [
            ("NATS", Some(options.port)),
            ("leaf nodes", leafnodes),
            ("MQTT", options.mqtt_port),
            ("the pages of nats-server", options.monitor_port),
        ];
        for (purpose, port) in listeners {
            let Some(port) = port else { continue };
            check_free(purpose, SocketAddr::new(options.listen, port))?;
        }
        let process = launch(&options).await?;
        Ok(Self { process, options })
    }

    /// Starts the server again, on the same ports, with the streams it had.
    ///
    /// # Errors
    ///
    /// As [`NatsServer::start`].
    pub async fn restart(&mut self) -> Result<(), SiteError> {
        self.process.stop(STOP_TIMEOUT).await;
        self.process = launch(&self.options).await?;
        Ok(())
    }

    /// Where clients connect; see [`NatsOptions::url`].
    #[must_use]
    pub fn url(&self) -> String {
        self.options.url()
    }

    /// A client that may do all that can be done there.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] if its secret cannot be read, [`SiteError::Lattice`] if the server cannot
    /// be reached.
    pub async fn connect(&self) -> Result<Client, SiteError> {
        connect(&self.options).await
    }

    /// How it is run.
    #[must_use]
    pub fn options(&self) -> &NatsOptions {
        &self.options
    }

    /// Kills it as a crash would.
    pub async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// Stops it cleanly.
    pub async fn stop(&mut self) {
        self.process.stop(STOP_TIMEOUT).await;
    }
}

async fn connect(options: &NatsOptions) -> Result<Client, SiteError> {
    let url = options.url();
    let connected = options.client().await?.connect(&url).await;
    connected.map_err(|error| SiteError::Lattice {
        operation: format!("reach the NATS server at {url}"),
        problem: error.to_string(),
    })
}

async fn launch(options: &NatsOptions) -> Result<Process, SiteError> {
    let configuration = write_configuration(options)?;
    let mut command = Command::new(&options.program);
    command.arg("--config").arg(configuration);
    let mut process = Process::start("nats-server", command, &options.logs)?;
    let mqtt = options
        .mqtt_port
        .map(|port| SocketAddr::new(options.listen, port));
    let ready = async || {
        let client = connect(options).await.ok()?;
        if options.has_jetstream() {
            jetstream::new(client).query_account().await.ok()?;
        }
        match mqtt {
            Some(mqtt) => TcpStream::connect(mqtt).await.ok().map(drop),
            None => Some(()),
        }
    };
    process.until(START_TIMEOUT, ready).await?;
    if matches!(options.access, Access::Field { .. }) && options.mqtt_port.is_some() {
        let bounded = mqtt_streams::bound(connect(options).await?).await;
        bounded.map_err(|error| SiteError::Lattice {
            operation: "bound what MQTT devices can have stored".to_owned(),
            problem: error.to_string(),
        })?;
    }
    Ok(process)
}

fn write_configuration(options: &NatsOptions) -> Result<PathBuf, SiteError> {
    let folder: &Path = &options.folder;
    secret::folder(folder)?;
    if let Some(authority) = &options.tls {
        authority.vouch_for(folder, own_names::under(options.listen))?;
    }
    let (access, leafnodes) = (options.prepare_access()?, options.leafnodes()?);
    let path = folder.join("nats-server.conf");
    secret::write(&path, &options.configuration(&access, &leafnodes))?;
    if matches!(options.access, Access::Field { .. }) {
        FieldAddress::of(options).store(folder)?;
    }
    Ok(path)
}
