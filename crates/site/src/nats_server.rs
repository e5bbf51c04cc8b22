//! nats-server with the settings that the application relies on.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::error::SiteError;
use crate::nats_version::NatsVersion;
use crate::ports::is_free;
use crate::process::{Process, file_error};

/// A server with much in its streams reads it all at the start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What a clean stop of JetStream may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How to run a nats-server.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The program.
    pub program: PathBuf,
    /// Where it listens.
    pub listen: IpAddr,
    /// For NATS clients.
    pub port: u16,
    /// For MQTT devices; none if absent.
    pub mqtt_port: Option<u16>,
    /// For the HTTP pages of its own state; none if absent.
    pub monitor_port: Option<u16>,
    /// Folder of its configuration and its streams.
    pub folder: PathBuf,
    /// Folder of its log.
    pub logs: PathBuf,
}

impl NatsOptions {
    /// Where NATS clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }

    /// The configuration file.
    fn configuration(&self) -> String {
        let Self { listen, .. } = self;
        let streams = self.folder.join("jetstream");
        let mut text = format!(
            "# Written at every start.\n\
             server_name: fieldledger\n\
             listen: {address:?}\n\
             jetstream {{\n\
             \x20   store_dir: {streams:?}\n\
             \x20   # A message is acknowledged only once it is on disk.\n\
             \x20   sync_interval: always\n\
             }}\n",
            address = self.address().to_string(),
        );
        for (section, port) in [("mqtt", self.mqtt_port), ("http", self.monitor_port)] {
            let Some(port) = port else { continue };
            let address = SocketAddr::new(*listen, port).to_string();
            let line = match section {
                "mqtt" => format!("mqtt {{ listen: {address:?} }}"),
                _ => format!("http: {address:?}"),
            };
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

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
        let listeners = [
            ("NATS", Some(options.port)),
            ("MQTT", options.mqtt_port),
            ("the pages of nats-server", options.monitor_port),
        ];
        for (purpose, port) in listeners {
            let Some(port) = port else { continue };
            let address = SocketAddr::new(options.listen, port);
            if !is_free(address) {
                return Err(SiteError::PortInUse { purpose, address });
            }
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

    /// Where clients connect, `nats://127.0.0.1:4222`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.options.address())
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

async fn launch(options: &NatsOptions) -> Result<Process, SiteError> {
    let configuration = write_configuration(options)?;
    let mut command = Command::new(&options.program);
    command.arg("--config").arg(configuration);
    let mut process = Process::start("nats-server", command, &options.logs)?;
    let address = options.address();
    let mqtt = options
        .mqtt_port
        .map(|port| SocketAddr::new(options.listen, port));
    let ready = async || {
        let client = async_nats::connect(format!("nats://{address}"))
            .await
            .ok()?;
        jetstream::new(client).query_account().await.ok()?;
        match mqtt {
            Some(mqtt) => TcpStream::connect(mqtt).await.ok().map(drop),
            None => Some(()),
        }
    };
    process.until(START_TIMEOUT, ready).await?;
    Ok(process)
}

fn write_configuration(options: &NatsOptions) -> Result<PathBuf, SiteError> {
    let folder: &Path = &options.folder;
    fs::create_dir_all(folder).map_err(|source| file_error("create", folder, source))?;
    let path = folder.join("nats-server.conf");
    fs::write(&path, options.configuration())
        .map_err(|source| file_error("write", &path, source))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_configuration_syncs_every_message_and_listens_where_told() {
        let options = NatsOptions {
            program: "nats-server".into(),
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 4222,
            mqtt_port: Some(1883),
            monitor_port: None,
            folder: "/state/nats".into(),
            logs: "/state/logs".into(),
        };
        let text = options.configuration();
        assert!(text.contains("listen: \"127.0.0.1:4222\"\n"), "{text}");
        assert!(
            text.contains("store_dir: \"/state/nats/jetstream\"\n"),
            "{text}"
        );
        assert!(text.contains("sync_interval: always\n"), "{text}");
        assert!(
            text.contains("mqtt { listen: \"127.0.0.1:1883\" }\n"),
            "{text}"
        );
        assert!(!text.contains("http"), "{text}");
    }
}
