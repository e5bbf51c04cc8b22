//! How a nats-server is run: the configuration that the application relies on.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use async_nats::ConnectOptions;

use crate::access::users::FieldUsers;
use crate::access::{Access, lattice};
use crate::adopted::adopt_streams;
use crate::authority::{self, FieldAuthority};
use crate::error::SiteError;
use crate::leafnodes::{self, LATTICE_DOMAIN, Place};
use crate::ports::reachable;
use crate::process::file_error;

/// Seconds that a client may take to agree on TLS. nats-server gives two, which a small device, or a busy
/// machine where all come back at once, can miss.
const TLS_PATIENCE: u32 = 10;

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
    /// Whom it lets in.
    pub access: Access,
    /// Who vouches for it, where it speaks TLS only; connections are not encrypted if absent.
    pub tls: Option<FieldAuthority>,
    /// Where it stands among those of several sites.
    pub place: Place,
    /// Folder of its configuration, its streams and its users' secrets.
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

    /// Where to reach what may listen on all interfaces.
    #[must_use]
    pub fn reachable(&self) -> SocketAddr {
        reachable(self.address())
    }

    /// Where clients connect, `nats://127.0.0.1:4222`, or with TLS `tls://`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.tls {
            Some(_) => "tls",
            None => "nats",
        };
        format!("{scheme}://{}", self.reachable())
    }

    /// Where MQTT devices connect, `mqtt://127.0.0.1:1883`, or with TLS `mqtts://`.
    #[must_use]
    pub fn mqtt_url(&self) -> Option<String> {
        let scheme = match self.tls {
            Some(_) => "mqtts",
            None => "mqtt",
        };
        let address = reachable(SocketAddr::new(self.listen, self.mqtt_port?));
        Some(format!("{scheme}://{address}"))
    }

    /// The users, where this is the field's server.
    #[must_use]
    pub fn users(&self) -> FieldUsers {
        FieldUsers::of(&self.folder)
    }

    /// What the NATS client has to say to be let in as one who may do all that can be done there.
    pub(crate) async fn client(&self) -> Result<ConnectOptions, SiteError> {
        let login = self.login().await?;
        Ok(match &self.tls {
            Some(authority) => authority.required_by(login),
            None => login,
        })
    }

    async fn login(&self) -> Result<ConnectOptions, SiteError> {
        match self.access {
            Access::Anyone => Ok(ConnectOptions::new()),
            Access::Lattice => {
                let path = lattice::credentials(&self.folder);
                let options = ConnectOptions::with_credentials_file(&path).await;
                options.map_err(|source| file_error("read", &path, source))
            }
            Access::Field { .. } => {
                let path = self.users().operator_seed();
                let seed = fs::read_to_string(&path);
                let seed = seed.map_err(|source| file_error("read", &path, source))?;
                Ok(ConnectOptions::with_nkey(seed))
            }
        }
    }

    /// Makes what it needs beside its configuration, and says what belongs into that.
    pub(crate) fn prepare_access(&self) -> Result<String, SiteError> {
        match self.access {
            Access::Anyone => Ok(String::new()),
            Access::Lattice => {
                if let Place::Leaf(leaf) = &self.place {
                    lattice::join(&self.folder, &leaf.hub_folder)?;
                }
                lattice::configuration(&self.folder)
            }
            Access::Field { open } => {
                let users = self.users();
                users.prepare(open)?;
                adopt_streams(&self.streams())?;
                Ok(users.configuration(open))
            }
        }
    }

    /// What belongs into its configuration for the servers of other sites.
    pub(crate) fn leafnodes(&self) -> Result<String, SiteError> {
        match (&self.place, self.access) {
            (Place::Alone, _) => Ok(String::new()),
            (Place::Hub { port }, _) => Ok(leafnodes::hub(self.listen, *port, &self.tls_block())),
            (Place::Leaf(leaf), Access::Lattice) => leaf.of_lattice(&self.folder),
            (Place::Leaf(leaf), Access::Field { .. } | Access::Anyone) => {
                let login = FieldUsers::of(&leaf.hub_folder).site_login(&leaf.site)?;
                Ok(leaf.of_field(&login, self.tls.as_ref()))
            }
        }
    }

    /// The lattice is one, and so are its buckets: the hub has them. What is stored of the field is
    /// stored at its site.
    fn jetstream(&self) -> String {
        let domain = match (&self.place, self.access) {
            (Place::Leaf(_), Access::Lattice) => return String::new(),
            (Place::Leaf(leaf), _) => Some(leaf.site.as_str()),
            // A leaf node reaches streams that are elsewhere only by the name of their domain.
            (Place::Hub { .. }, Access::Lattice) => Some(LATTICE_DOMAIN),
            (Place::Alone | Place::Hub { .. }, _) => None,
        };
        let domain = domain.map_or(String::new(), |name| format!("    domain: {name:?}\n"));
        let streams = self.streams();
        format!(
            "jetstream {{\n\
             \x20   store_dir: {streams:?}\n\
             \x20   # A message is acknowledged only once it is on disk.\n\
             \x20   sync_interval: always\n\
             {domain}}}\n"
        )
    }

    pub(crate) fn has_jetstream(&self) -> bool {
        !self.jetstream().is_empty()
    }

    /// What makes a listener speak TLS only.
    fn tls_block(&self) -> String {
        if self.tls.is_none() {
            return String::new();
        }
        let (certificate, key) = authority::server_files(&self.folder);
        format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, timeout: {TLS_PATIENCE} }}")
    }

    fn streams(&self) -> PathBuf {
        self.folder.join("jetstream")
    }

    /// The configuration file, with what `access` and `leafnodes` say.
    pub(crate) fn configuration(&self, access: &str, leafnodes: &str) -> String {
        let Self { listen, .. } = self;
        let name = match self.access {
            Access::Lattice => "fieldledger-lattice",
            Access::Anyone | Access::Field { .. } => "fieldledger",
        };
        let tls = self.tls_block();
        let mut text = format!(
            "# Written at every start.\n\
             server_name: {name}{suffix}\n\
             listen: {address:?}\n\
             {jetstream}{leafnodes}{access}{tls}\n",
            suffix = self.place.suffix(),
            address = self.address().to_string(),
            jetstream = self.jetstream(),
        );
        for (section, port) in [("mqtt", self.mqtt_port), ("http", self.monitor_port)] {
            let Some(port) = port else { continue };
            let address = SocketAddr::new(*listen, port).to_string();
            let line = match section {
                "mqtt" => format!("mqtt {{\n    listen: {address:?}\n    {tls}\n}}"),
                _ => format!("http: {address:?}"),
            };
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::path::Path;

    #[test]
    fn the_configuration_syncs_every_message_and_listens_where_told() {
        let options = NatsOptions {
            program: "nats-server".into(),
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 4222,
            mqtt_port: Some(1883),
            monitor_port: None,
            access: Access::Anyone,
            tls: None,
            place: Place::Alone,
            folder: "/state/nats".into(),
            logs: "/state/logs".into(),
        };
        let text = options.configuration("", "");
        assert!(text.contains("listen: \"127.0.0.1:4222\"\n"), "{text}");
        assert!(
            text.contains("store_dir: \"/state/nats/jetstream\"\n"),
            "{text}"
        );
        assert!(text.contains("sync_interval: always\n"), "{text}");
        assert!(
            text.contains("mqtt {\n    listen: \"127.0.0.1:1883\"\n"),
            "{text}"
        );
        assert!(!text.contains("http") && !text.contains("tls"), "{text}");
        assert_eq!(options.url(), "nats://127.0.0.1:4222");
    }

    #[test]
    fn with_an_authority_no_listener_speaks_without_tls() {
        let options = NatsOptions {
            program: "nats-server".into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            port: 4222,
            mqtt_port: Some(1883),
            monitor_port: None,
            access: Access::Field { open: true },
            tls: Some(FieldAuthority::of(Path::new("/state/authority"))),
            place: Place::Hub { port: 7423 },
            folder: "/state/nats".into(),
            logs: "/state/logs".into(),
        };
        let text = options.configuration("", &options.leafnodes().unwrap_or_default());
        let listeners = text.matches("listen: ").count();
        let certificates = text
            .matches("cert_file: \"/state/nats/server.pem\"")
            .count();
        assert_eq!((listeners, certificates), (3, 3), "{text}");
        assert_eq!(options.url(), "tls://127.0.0.1:4222");
        let mqtt = options.mqtt_url();
        assert_eq!(mqtt.as_deref(), Some("mqtts://127.0.0.1:1883"));
    }
}
