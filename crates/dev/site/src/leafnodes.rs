//! How the servers of several sites are one: by leaf nodes, as NATS calls servers that join another
//! one and go on by themselves while it is away.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::access::lattice;
use crate::authority::FieldAuthority;
use crate::error::SiteError;

/// Where a server stands among those of several sites.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// By itself.
    #[default]
    Alone,
    /// Servers of other sites join it on this port.
    Hub {
        /// The port.
        port: u16,
    },
    /// It joins a hub.
    Leaf(Leaf),
}

/// A server that joins a hub.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Name of its site, and of its JetStream domain.
    pub site: String,
    /// Where the hub takes leaf nodes.
    pub hub: SocketAddr,
    /// Folder of the hub's server, which says what to log in with.
    pub hub_folder: PathBuf,
}

/// The JetStream domain of the lattice's buckets, where servers of several sites are joined.
pub(crate) const LATTICE_DOMAIN: &str = "lattice";

/// A connection that is cut without a word is given up after half a minute, not after six: until then
/// calls to the other side end by their own time limit only.
const PINGS: &str = "ping_interval: \"10s\"\nping_max: 2\n";

impl Place {
    /// The site, in names that must differ between servers that are joined.
    pub(crate) fn suffix(&self) -> String {
        match self {
            Self::Alone | Self::Hub { .. } => String::new(),
            Self::Leaf(leaf) => format!("-{}", leaf.site),
        }
    }
}

/// The hub's part of the configuration. With `tls` it takes encrypted connections only.
pub(crate) fn hub(listen: IpAddr, port: u16, tls: &str) -> String {
    let address = SocketAddr::new(listen, port).to_string();
    // Leaf nodes are to come by the address that they were told, not by others of this server's.
    format!("leafnodes {{\n    listen: {address:?}\n    no_advertise: true\n    {tls}\n}}\n{PINGS}")
}

impl Leaf {
    /// The part of the configuration of a server of the lattice whose folder is `folder`.
    pub(crate) fn of_lattice(&self, folder: &std::path::Path) -> Result<String, SiteError> {
        let url = format!("nats-leaf://{}", self.hub);
        let (account, credentials) = (lattice::account(folder)?, lattice::credentials(folder));
        Ok(remote(&format!(
            "url: {url:?}, account: {account:?}, credentials: {credentials:?}"
        )))
    }

    /// The part of the configuration of the field's server at a site that logs in with `login`, at a hub
    /// that must be vouched for where there is an authority.
    pub(crate) fn of_field(&self, login: &str, authority: Option<&FieldAuthority>) -> String {
        let url = format!("nats-leaf://{login}@{}", self.hub);
        let tls = authority.map_or(String::new(), |authority| {
            format!(", tls: {{ ca_file: {:?} }}", authority.certificate())
        });
        remote(&format!("url: {url:?}, account: \"FIELD\"{tls}"))
    }
}

fn remote(what: &str) -> String {
    format!("leafnodes {{\n    remotes: [ {{ {what} }} ]\n}}\n{PINGS}")
}
