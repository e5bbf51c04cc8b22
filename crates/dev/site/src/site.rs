//! A whole site.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::access::users::FieldUsers;
use crate::authority::FieldAuthority;
use crate::error::SiteError;
use crate::host::{Host, HostOptions, Manager};
use crate::lattice::Lattice;
use crate::leaf_site::{LeafSite, start_simulator};
use crate::manifest::Manifest;
use crate::nats_server::NatsServer;
use crate::ports::check_free;
use crate::simulator::Simulator;
use crate::site_options::SiteOptions;

/// Compiling five components on a busy machine takes most of it.
const DEPLOY_TIMEOUT: Duration = Duration::from_secs(120);

/// A site at work. Dropped, all its processes are killed.
#[derive(Debug)]
pub struct Site {
    // Dropped in this order: the host before the servers it speaks to.
    /// The wasmCloud host with wadm, and with it the providers.
    pub host: Host,
    /// The sites that belong to this one's lattice.
    pub leaves: Vec<LeafSite>,
    /// The field's NATS server.
    pub nats: NatsServer,
    /// The lattice's NATS server.
    pub lattice_nats: NatsServer,
    options: SiteOptions,
    manifest: Manifest,
}

impl Site {
    /// Starts the nats-servers, the host with wadm, and the application, and returns once it is
    /// deployed. What an earlier site kept in the same folder is found again.
    ///
    /// # Errors
    ///
    /// That of the part which did not come up; what was started is stopped again.
    pub async fn start(mut options: SiteOptions) -> Result<Self, SiteError> {
        options.state = std::path::absolute(&options.state).map_err(|source| SiteError::File {
            operation: "find",
            path: options.state.clone(),
            source,
        })?;
        let address = SocketAddr::new(options.listen, options.http_port);
        check_free("the page", address)?;
        let gateway = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), options.gateway_port);
        check_free("the HTTP server behind the page", gateway)?;
        let (nats, lattice_nats) = tokio::try_join!(
            NatsServer::start(options.field_server()),
            NatsServer::start(options.lattice_server()),
        )?;
        let manifest = options.manifest()?;
        let lattice = Lattice::new(lattice_nats.connect().await?, &options.lattice);
        lattice.forget().await?;
        let host = Host::start(options.host(Manager::First)).await?;
        let mut leaves = Vec::new();
        for leaf in &options.leaves {
            leaves.push(LeafSite::start(leaf.clone(), &options).await?);
        }
        lattice.deploy(&manifest, DEPLOY_TIMEOUT).await?;
        Ok(Self {
            host,
            leaves,
            nats,
            lattice_nats,
            options,
            manifest,
        })
    }

    /// A further host at the centre, which wadm may run in too. It may take over what another one ran,
    /// the site's polling and all that there is once.
    ///
    /// # Errors
    ///
    /// That of the host.
    pub async fn join_host(&self, name: &str) -> Result<Host, SiteError> {
        let folder = self.options.state.join("hosts").join(name);
        Host::start(HostOptions {
            cache: folder.join("host-cache"),
            logs: folder.join("logs"),
            folder,
            ..self.options.host(Manager::Here)
        })
        .await
    }

    /// Starts the host again, whether it lives or not, and returns once the application is deployed.
    ///
    /// # Errors
    ///
    /// That of the host or of the deployment.
    pub async fn restart_host(&mut self) -> Result<(), SiteError> {
        self.host.stop().await;
        let lattice = self.lattice().await?;
        if self.leaves.is_empty() {
            lattice.forget().await?;
            self.host.restart().await?;
            return lattice.deploy(&self.manifest, DEPLOY_TIMEOUT).await;
        }
        // The hosts of other sites live on, and so does what wadm knows of them and of the application.
        lattice.say_stopped(&self.host).await?;
        self.host = Host::start(self.options.host(Manager::Here)).await?;
        let name = self.manifest.name();
        lattice.until_deployed(name, DEPLOY_TIMEOUT).await
    }

    /// Starts a simulator under a `name` of its own, by which its log and output are found.
    /// `arguments` come after those that name the servers.
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if it cannot be run.
    pub async fn start_simulator(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> Result<Simulator, SiteError> {
        let command = self.options.simulator(&self.nats, self.options.mqtt_port);
        start_simulator(name, command, arguments, &self.options.logs())
    }

    /// Starts a simulator in the field of the site of this number, of which the centre has 0 and its
    /// leaves the next ones; see [`Site::start_simulator`].
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if it cannot be run.
    pub async fn start_simulator_at(
        &self,
        site: usize,
        name: &str,
        arguments: &[&str],
    ) -> Result<Simulator, SiteError> {
        let leaf = site.checked_sub(1).and_then(|leaf| self.leaves.get(leaf));
        match leaf {
            Some(leaf) => leaf.start_simulator(name, arguments).await,
            None => self.start_simulator(name, arguments).await,
        }
    }

    /// What it is made of and where it is.
    #[must_use]
    pub fn options(&self) -> &SiteOptions {
        &self.options
    }

    /// The folder of its state.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.options.state
    }

    /// The users of the field's server.
    #[must_use]
    pub fn users(&self) -> FieldUsers {
        self.nats.options().users()
    }

    /// Where NATS clients of the field connect.
    #[must_use]
    pub fn nats_url(&self) -> String {
        self.nats.url()
    }

    /// The authority that vouches for the field's servers, where they speak TLS only.
    #[must_use]
    pub fn authority(&self) -> Option<&FieldAuthority> {
        self.nats.options().tls.as_ref()
    }

    /// Where MQTT devices connect.
    #[must_use]
    pub fn mqtt_address(&self) -> SocketAddr {
        self.options.reach(self.options.mqtt_port)
    }

    /// The page; the API is below `/api`.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.options.reach(self.options.http_port))
    }

    /// The application's parts, for questions about them.
    ///
    /// # Errors
    ///
    /// [`SiteError::Lattice`] if the NATS server cannot be reached.
    pub async fn lattice(&self) -> Result<Lattice, SiteError> {
        let client = self.lattice_nats.connect().await?;
        Ok(Lattice::new(client, &self.options.lattice))
    }

    /// Stops it all: providers drain, then the host, then the nats-servers.
    pub async fn stop(&mut self) {
        for leaf in &mut self.leaves {
            leaf.stop().await;
        }
        self.host.stop().await;
        self.nats.stop().await;
        self.lattice_nats.stop().await;
    }
}
