//! A site that belongs to the lattice of another one, the centre.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use backon::{ConstantBuilder, Retryable as _};

use crate::access::users::FieldUsers;
use crate::error::SiteError;
use crate::host::Host;
use crate::leafnodes::LATTICE_DOMAIN;
use crate::nats_server::NatsServer;
use crate::process::Process;
use crate::simulator::Simulator;
use crate::site_options::{LeafSiteOptions, SiteOptions};

/// How long the way to the lattice's buckets, which are at the centre, may take to open.
const UPLINK_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two looks whether it is open.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A site at work that belongs to another one's lattice. Dropped, its processes are killed.
#[derive(Debug)]
pub struct LeafSite {
    // Dropped in this order: the host before the servers it speaks to.
    /// Its wasmCloud host.
    pub host: Host,
    /// Its field's NATS server.
    pub nats: NatsServer,
    /// Its part of the lattice.
    pub lattice_nats: NatsServer,
    options: LeafSiteOptions,
    centre: SiteOptions,
}

impl LeafSite {
    /// Starts its servers, and once the centre is reached its host.
    pub(crate) async fn start(
        options: LeafSiteOptions,
        centre: &SiteOptions,
    ) -> Result<Self, SiteError> {
        let (nats, lattice_nats) = tokio::try_join!(
            NatsServer::start(options.field_server(centre)),
            NatsServer::start(options.lattice_server(centre)),
        )?;
        uplink(&lattice_nats).await?;
        let host = Host::start(options.host(centre, &lattice_nats)).await?;
        Ok(Self {
            host,
            nats,
            lattice_nats,
            options,
            centre: centre.clone(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The folder of its state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.options.folder(&self.centre)
    }

    /// The users of its field's server.
    #[must_use]
    pub fn users(&self) -> FieldUsers {
        self.nats.options().users()
    }

    /// Where NATS clients of its field connect.
    #[must_use]
    pub fn nats_url(&self) -> String {
        self.nats.url()
    }

    /// Where its MQTT devices connect.
    #[must_use]
    pub fn mqtt_address(&self) -> SocketAddr {
        self.centre.reach(self.options.mqtt_port)
    }

    /// Starts a simulator in its field; see [`crate::Site::start_simulator`].
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if it cannot be run.
    pub async fn start_simulator(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> Result<Simulator, SiteError> {
        let command = self.centre.simulator(&self.nats, self.options.mqtt_port);
        start_simulator(name, command, arguments, &self.state().join("logs"))
    }

    /// Kills all of it, as a loss of power would.
    pub async fn kill9(&mut self) {
        self.nats.kill9().await;
        self.lattice_nats.kill9().await;
        self.host.kill9().await;
    }

    /// Starts all of it again, whether it lives or not.
    ///
    /// # Errors
    ///
    /// That of the part which did not come up.
    pub async fn restart(&mut self) -> Result<(), SiteError> {
        self.host.stop().await;
        self.nats.restart().await?;
        self.lattice_nats.restart().await?;
        self.restart_host().await
    }

    /// Starts its host again, once the centre is reached. It may be a minute until wadm has it poll.
    ///
    /// # Errors
    ///
    /// That of the host.
    pub async fn restart_host(&mut self) -> Result<(), SiteError> {
        uplink(&self.lattice_nats).await?;
        self.host.restart().await
    }

    /// Stops it: its provider drains, then the host, then the servers.
    pub async fn stop(&mut self) {
        self.host.stop().await;
        self.nats.stop().await;
        self.lattice_nats.stop().await;
    }
}

pub(crate) fn start_simulator(
    name: &str,
    mut command: tokio::process::Command,
    arguments: &[&str],
    logs: &Path,
) -> Result<Simulator, SiteError> {
    command.args(arguments);
    Process::start(name, command, logs).map(|process| Simulator { process })
}

/// Waits until the lattice's buckets can be reached through `server`.
async fn uplink(server: &NatsServer) -> Result<(), SiteError> {
    let jetstream = jetstream::with_domain(server.connect().await?, LATTICE_DOMAIN);
    let looks = ConstantBuilder::default()
        .with_delay(LOOK_AGAIN)
        .without_max_times();
    let looking = (async || jetstream.query_account().await).retry(looks);
    let looked = tokio::time::timeout(UPLINK_TIMEOUT, looking).await;
    let answered = looked.ok().and_then(Result::ok).map(drop);
    answered.ok_or_else(|| SiteError::Lattice {
        operation: format!("reach the centre from {}", server.url()),
        problem: format!("its JetStream did not answer within {UPLINK_TIMEOUT:?}"),
    })
}
