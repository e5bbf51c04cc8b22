//! A NATS server, and who to be there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A NATS server and the right to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Addresses of one cluster, or of several servers, best first.
    pub servers: Vec<String>,
    /// The address that names a user and a password, if any does.
    pub login: Option<String>,
    /// How often a better server is looked for.
    pub return_after: Duration,
    /// Servers that each store what is stored.
    pub replicas: usize,
    /// Who to be there; whoever a server's URL names if absent.
    pub credentials: Option<Credentials>,
    /// Who vouches for the servers. Where somebody must, they are spoken to over TLS only.
    pub authorities: Option<Authorities>,
}

/// Certificates in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Themselves.
    Text(String),
    /// A file that holds them.
    File(PathBuf),
}

/// A user of a NATS server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its JWT; without one the server knows its public key.
    pub jwt: Option<String>,
    /// The seed of its key.
    pub seed: Seed,
}

/// A secret, or where it is. A file's content does not travel through the lattice.
#[derive(Clone, PartialEq, Eq)]
pub enum Seed {
    /// The seed itself.
    Text(String),
    /// A file that holds it.
    File(PathBuf),
}

impl Connection {
    /// The same user at other servers.
    #[must_use]
    pub fn at(&self, servers: &[String]) -> Self {
        Self {
            servers: servers.to_vec(),
            ..self.clone()
        }
    }

    /// The addresses as logs may hold them: a URL can carry a user and a password.
    #[must_use]
    pub fn without_passwords(&self) -> Vec<String> {
        let cleaned = |server: &String| match server.rsplit_once('@') {
            Some((_, address)) => format!("…@{address}"),
            None => server.clone(),
        };
        self.servers.iter().map(cleaned).collect()
    }

    /// Each address as it is, and as logs may hold it.
    pub fn servers_without_passwords(&self) -> impl Iterator<Item = (&str, String)> {
        let servers = self.servers.iter().map(String::as_str);
        servers.zip(self.without_passwords())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.credentials.as_ref().map(|_| "…");
        f.debug_struct("Connection")
            .field("servers", &self.without_passwords())
            .field("credentials", &credentials)
            .finish()
    }
}
