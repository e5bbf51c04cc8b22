//! What sites are made of and where they are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tokio::process::Command;

use crate::access::{Access, lattice};
use crate::artifacts::Artifacts;
use crate::authority::FieldAuthority;
use crate::error::SiteError;
use crate::host::{HostOptions, Manager};
use crate::leafnodes::{LATTICE_DOMAIN, Leaf, Place};
use crate::manifest::Manifest;
use crate::nats_options::NatsOptions;
use crate::nats_server::NatsServer;
use crate::placement::{MAIN_SITE, central_label, site_label};
use crate::ports::{free_ports, reachable};
use crate::tools::find_nats_server;

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
    /// Port of the HTTP server behind the edge, which listens on loopback wherever the rest does.
    pub gateway_port: u16,
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
        let [
            http_port,
            gateway_port,
            nats_port,
            mqtt_port,
            lattice_port,
            leaf,
            other_leaf,
        ] = free_ports(listen)?;
        Ok(Self {
            artifacts,
            state,
            nats_program: find_nats_server()?,
            listen,
            http_port,
            gateway_port,
            nats_port,
            mqtt_port,
            lattice_port,
            open_field: true,
            tls: false,
            lattice: "default".to_owned(),
            log_level: "info".to_owned(),
            overrides: Vec::new(),
            leafnode_ports: [leaf, other_leaf],
            leaves: Vec::new(),
        })
    }

    /// Changes a setting of the manifest.
    pub fn set(&mut self, component: &str, property: &str, value: &str) {
        let change = (component.to_owned(), property.to_owned(), value.to_owned());
        self.overrides.push(change);
    }

    pub(crate) fn logs(&self) -> PathBuf {
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
    pub(crate) fn manifest(&self) -> Result<Manifest, SiteError> {
        let mut manifest = Manifest::load(&self.artifacts.manifest())?;
        let (server, address) = (self.field_server(), self.reach(self.nats_port));
        let users = server.users();
        let events = format!("nats://{}@{address}", users.events_login()?);
        let seed = users.polling_seed().display().to_string();
        let http = SocketAddr::new(self.listen, self.http_port).to_string();
        let ledger = self.state.join("ledger").display().to_string();
        let witness = self.state.join("witness").display().to_string();
        let gateway = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.gateway_port).to_string();
        manifest.set("http-edge", "address", &http)?;
        manifest.set("http-edge", "gateway", &gateway)?;
        manifest.set("http-server", "address", &gateway)?;
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

/// Name and ports of a site that belongs to another one's lattice. What is not here is as there.
#[derive(Debug, Clone)]
pub struct LeafSiteOptions {
    /// Its name: a label of its host, and the JetStream domain of its field.
    pub name: String,
    /// Port of its field's NATS.
    pub nats_port: u16,
    /// Port of its field's MQTT.
    pub mqtt_port: u16,
    /// Port of its part of the lattice, on loopback.
    pub lattice_port: u16,
    /// Where it reaches the hub of the lattice, if that is not where the centre listens.
    pub lattice_hub: Option<SocketAddr>,
}

impl LeafSiteOptions {
    /// A site on ports of the interface `listen` that are free now.
    ///
    /// # Errors
    ///
    /// [`SiteError::NoFreePort`].
    pub fn new(name: &str, listen: IpAddr) -> Result<Self, SiteError> {
        let [nats_port, mqtt_port, lattice_port] = free_ports(listen)?;
        Ok(Self {
            name: name.to_owned(),
            nats_port,
            mqtt_port,
            lattice_port,
            lattice_hub: None,
        })
    }

    /// The folder of its state, within the centre's.
    pub(crate) fn folder(&self, centre: &SiteOptions) -> PathBuf {
        centre.state.join("sites").join(&self.name)
    }

    pub(crate) fn field_server(&self, centre: &SiteOptions) -> NatsOptions {
        let hub = centre.field_server();
        let folder = self.folder(centre);
        NatsOptions {
            port: self.nats_port,
            mqtt_port: Some(self.mqtt_port),
            place: self.joins(&hub, None),
            folder: folder.join("nats"),
            logs: folder.join("logs"),
            ..hub
        }
    }

    pub(crate) fn lattice_server(&self, centre: &SiteOptions) -> NatsOptions {
        let hub = centre.lattice_server();
        let folder = self.folder(centre);
        NatsOptions {
            port: self.lattice_port,
            place: self.joins(&hub, self.lattice_hub),
            folder: folder.join("lattice"),
            logs: folder.join("logs"),
            ..hub
        }
    }

    fn joins(&self, hub: &NatsOptions, at: Option<SocketAddr>) -> Place {
        let port = match hub.place {
            Place::Hub { port } => port,
            // A site with leaves has hubs.
            Place::Alone | Place::Leaf(_) => 0,
        };
        Place::Leaf(Leaf {
            site: self.name.clone(),
            hub: at.unwrap_or_else(|| SocketAddr::new(hub.reachable().ip(), port)),
            hub_folder: hub.folder.clone(),
        })
    }

    pub(crate) fn host(&self, centre: &SiteOptions, server: &NatsServer) -> HostOptions {
        let address = server.options().address();
        let folder = self.folder(centre);
        HostOptions {
            nats_host: address.ip().to_string(),
            nats_port: address.port(),
            nats_credentials: lattice::credentials(&server.options().folder),
            labels: vec![site_label(&self.name)],
            cache: folder.join("host-cache"),
            logs: folder.join("logs"),
            folder,
            ..centre.host(Manager::Elsewhere)
        }
    }
}
