//! A whole site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::access::users::FieldUsers;
use crate::access::{Access, lattice};
use crate::artifacts::Artifacts;
use crate::authority::FieldAuthority;
use crate::error::SiteError;
use crate::host::{Host, HostOptions, Manager};
use crate::lattice::Lattice;
use crate::leaf_site::{LeafSite, LeafSiteOptions, start_simulator};
use crate::leafnodes::{LATTICE_DOMAIN, Place};
use crate::manifest::Manifest;
use crate::nats_server::{NatsOptions, NatsServer};
use crate::placement::{MAIN_SITE, central_label, site_label};
use crate::ports::{free_port, is_free};
use crate::simulator::Simulator;
use crate::tools::find_nats_server;

/// Compiling five components on a busy machine takes most of it.
const DEPLOY_TIMEOUT: Duration = Duration::from_secs(120);

/// Nobody but this machine has business on the lattice.
const LATTICE_LISTENS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a site is made of and where it is. [`SiteOptions::new`] gives one on free ports of the
/// loopback interface.
#[derive(Debug, Clone)]
pub struct SiteOptions {
    /// What to run.
    pub artifacts: Artifacts,
    /// The folder that holds all its state: `nats`, `lattice`, `ledger`, `witness`, `logs`,
    /// `host-cache`, and with TLS `authority`.
    pub state: PathBuf,
    /// The nats-server to run.
    pub nats_program: PathBuf,
    /// Where everything listens.
    pub listen: IpAddr,
    /// Port of the page and the API.
    pub http_port: u16,
    /// Port of the field's NATS.
    pub nats_port: u16,
    /// Port of the field's MQTT.
    pub mqtt_port: u16,
    /// Port of the lattice's NATS, which listens on loopback wherever the rest does.
    pub lattice_port: u16,
    /// Whether devices without a user may speak on the subjects of the open field.
    pub open_field: bool,
    /// Whether the field's servers speak TLS only, and vouched for by an authority of the site's own.
    pub tls: bool,
    /// Name of the lattice.
    pub lattice: String,
    /// What host and providers log, such as `info`.
    pub log_level: String,
    /// Settings of the manifest to change: component, property, value.
    pub overrides: Vec<(String, String, String)>,
    /// Ports on which the servers of other sites join the lattice's and the field's.
    pub leafnode_ports: [u16; 2],
    /// Those sites.
    pub leaves: Vec<LeafSiteOptions>,
}

impl SiteOptions {
    /// A site with its state in `state`, on ports that are free now.
    ///
    /// # Errors
    ///
    /// [`SiteError::NoNatsServer`], [`SiteError::NatsTooOld`] or [`SiteError::NoFreePort`].
    pub fn new(artifacts: Artifacts, state: PathBuf) -> Result<Self, SiteError> {
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Self {
            artifacts,
            state,
            nats_program: find_nats_server()?,
            listen,
            http_port: free_port(listen)?,
            nats_port: free_port(listen)?,
            mqtt_port: free_port(listen)?,
            lattice_port: free_port(listen)?,
            open_field: true,
            tls: false,
            lattice: "default".to_owned(),
            log_level: "info".to_owned(),
            overrides: Vec::new(),
            leafnode_ports: [free_port(listen)?, free_port(listen)?],
            leaves: Vec::new(),
        })
    }

    /// Changes a setting of the manifest.
    pub fn set(&mut self, component: &str, property: &str, value: &str) {
        let change = (component.to_owned(), property.to_owned(), value.to_owned());
        self.overrides.push(change);
    }

    fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The address to reach what listens on `listen`, which may be "all interfaces".
    pub(crate) fn reach(&self, port: u16) -> SocketAddr {
        reachable(SocketAddr::new(self.listen, port))
    }

    fn authority(&self) -> Option<FieldAuthority> {
        let folder = self.state.join("authority");
        self.tls.then(|| FieldAuthority::of(&folder))
    }

    fn place(&self, port: u16) -> Place {
        match self.leaves.is_empty() {
            true => Place::Alone,
            false => Place::Hub { port },
        }
    }

    /// The field's server.
    pub(crate) fn field_server(&self) -> NatsOptions {
        NatsOptions {
            program: self.nats_program.clone(),
            listen: self.listen,
            port: self.nats_port,
            mqtt_port: Some(self.mqtt_port),
            monitor_port: None,
            access: Access::Field {
                open: self.open_field,
            },
            tls: self.authority(),
            place: self.place(self.leafnode_ports[1]),
            folder: self.state.join("nats"),
            logs: self.logs(),
        }
    }

    /// The lattice's server. Devices have no way to it: it listens on loopback, and not for MQTT.
    pub(crate) fn lattice_server(&self) -> NatsOptions {
        NatsOptions {
            listen: LATTICE_LISTENS,
            port: self.lattice_port,
            mqtt_port: None,
            access: Access::Lattice,
            tls: None,
            place: self.place(self.leafnode_ports[0]),
            folder: self.state.join("lattice"),
            ..self.field_server()
        }
    }

    /// The application, told how its providers get into the field.
    fn manifest(&self) -> Result<Manifest, SiteError> {
        let mut manifest = Manifest::load(&self.artifacts.manifest())?;
        let (server, address) = (self.field_server(), self.reach(self.nats_port));
        let users = server.users();
        let events = format!("nats://{}@{address}", users.events_login()?);
        let seed = users.polling_seed().display().to_string();
        let http = SocketAddr::new(self.listen, self.http_port).to_string();
        let ledger = self.state.join("ledger").display().to_string();
        let witness = self.state.join("witness").display().to_string();
        manifest.set("http-server", "address", &http)?;
        manifest.set("messaging", "cluster_uris", &events)?;
        manifest.set("event-logger", "cluster_uris", &events)?;
        manifest.set("nats-polling", "URI", &server.url())?;
        manifest.set("nats-polling", "CLIENT_SEED_FILE", &seed)?;
        if let Some(authority) = &server.tls {
            let authority = authority.pem()?;
            manifest.set("nats-polling", "TLS_CA", &authority)?;
            for part in ["messaging", "event-logger"] {
                manifest.add_beside(part, "cluster_uris", "tls_ca", &authority)?;
            }
        }
        manifest.set("ledger", "data_dir", &ledger)?;
        manifest.set("ledger", "witness_dir", &witness)?;
        for (component, property, value) in &self.overrides {
            manifest.set(component, property, value)?;
        }
        // After the overrides: what they say of polling is for all sites.
        for leaf in &self.leaves {
            let server = leaf.field_server(self);
            let polling = manifest.add_site(&leaf.name)?;
            let seed = server.users().polling_seed().display().to_string();
            manifest.set(&polling, "URI", &server.url())?;
            manifest.set(&polling, "CLIENT_SEED_FILE", &seed)?;
        }
        Ok(manifest)
    }

    /// A host at the centre's part of the lattice.
    pub(crate) fn host(&self, manager: Manager) -> HostOptions {
        let server = self.lattice_server();
        HostOptions {
            program: self.artifacts.host(),
            nats_host: server.listen.to_string(),
            nats_port: server.port,
            nats_credentials: lattice::credentials(&server.folder),
            lattice: self.lattice.clone(),
            js_domain: (!self.leaves.is_empty()).then(|| LATTICE_DOMAIN.to_owned()),
            manager,
            labels: vec![central_label(), site_label(MAIN_SITE)],
            log_level: self.log_level.clone(),
            folder: self.state.clone(),
            cache: self.state.join("host-cache"),
            logs: self.logs(),
        }
    }

    /// The simulator, told where its field is.
    pub(crate) fn simulator(&self, server: &NatsServer, mqtt_port: u16) -> Command {
        let server = server.options();
        let mut command = Command::new(self.artifacts.simulator());
        command
            .args(["--url", &server.url()])
            .args(["--mqtt-url", &self.reach(mqtt_port).to_string()]);
        if let Some(authority) = &server.tls {
            command.arg("--tls-ca").arg(authority.certificate());
        }
        if !self.open_field {
            command.arg("--login").arg(server.users().simulator_login());
        }
        command
    }
}

/// The address to reach what listens on `address`, which may be "all interfaces".
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

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
        if !is_free(address) {
            let purpose = "the page";
            return Err(SiteError::PortInUse { purpose, address });
        }
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
