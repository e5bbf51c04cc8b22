//! PostgreSQL as Debian ships it, started for the comparison on a socket in a temporary folder.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use fieldledger_ledger::EventColumns;
use postgres::{Client, NoTls, Statement};

use crate::rows::{Row, rows};

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A running server; stopped when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// User and group that it runs as: it refuses to be root.
    identity: Option<(u32, u32)>,
}

impl Server {
    /// Starts one whose data and socket lie in `folder`.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("postgresql");
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let identity = match rustix::process::geteuid().is_root() {
            true => Some(identity_of("postgres")?),
            false => None,
        };
        if let Some((user, group)) = identity {
            chown(&folder, Some(user), Some(group))?;
        }
        let server = Self {
            programs: programs()?,
            folder,
            identity,
        };
        server.run(
            "initdb",
            &[
                "--auth=trust",
                "--username=bench",
                "--encoding=UTF8",
                "--no-locale",
            ],
        )?;
        // As it comes, but for what a machine of this size is usually given, and the address.
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c shared_buffers=256MB \
             -c max_wal_size=4GB",
            server.folder.display()
        );
        server.run("pg_ctl", &["start", "-w", "-l", "log", "-o", &options])?;
        Ok(server)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(arguments)
            .env("PGDATA", self.folder.join("data"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some((user, group)) = self.identity {
            command.uid(user).gid(group);
        }
        let status = command
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        ensure!(status.success(), "{program} failed ({status})");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.run("pg_ctl", &["stop", "-m", "immediate"]) {
            eprintln!("PostgreSQL could not be stopped: {error:#}");
        }
    }
}

/// The folder of the newest version's programs.
fn programs() -> anyhow::Result<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|item| item.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    match versions.last() {
        Some(version) => Ok(Path::new(VERSIONS).join(version.to_string()).join("bin")),
        None => bail!(
            "PostgreSQL is not installed; `apt-get install postgresql` installs it, and \
             --without-postgres leaves it out"
        ),
    }
}

/// User and group of an account.
fn identity_of(name: &str) -> anyhow::Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let account = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name));
    let account = account.with_context(|| format!("there is no user {name}"))?;
    let number = |position: usize| {
        let field = account.get(position).and_then(|field| field.parse().ok());
        field.with_context(|| format!("the account {name} is malformed"))
    };
    Ok((number(2)?, number(3)?))
}

/// A table of entries.
pub(crate) struct Database {
    client: Client,
    insert: Statement,
    chain: [u8; 32],
}

impl Database {
    /// An empty one, in place of that of the run before.
    pub(crate) fn create(server: &Server) -> anyhow::Result<Self> {
        let address = format!(
            "host={} user=bench dbname=postgres",
            server.folder.display()
        );
        let mut client = Client::connect(&address, NoTls).context("cannot reach PostgreSQL")?;
        client.batch_execute(
            "SET synchronous_commit = on;
             DROP TABLE IF EXISTS entries;
             CREATE TABLE entries (
                 id bigserial PRIMARY KEY,
                 producer text NOT NULL,
                 sequence bigint NOT NULL,
                 source text NOT NULL,
                 action text NOT NULL,
                 at text NOT NULL,
                 envelope text NOT NULL,
                 hash bytea NOT NULL
             );
             CREATE UNIQUE INDEX by_origin ON entries (producer, sequence);
             CREATE INDEX by_source ON entries (source, at);
             CREATE INDEX by_action ON entries (action, at);
             CHECKPOINT;",
        )?;
        // One statement for a whole batch: a round trip for each row would measure those.
        let insert = client.prepare(
            "INSERT INTO entries (producer, sequence, source, action, at, envelope, hash)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],
                                  $6::text[], $7::bytea[])",
        )?;
        Ok(Self {
            client,
            insert,
            chain: [0; 32],
        })
    }

    /// In one transaction.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn append(&mut self, events: EventColumns) -> anyhow::Result<()> {
        let rows = rows(&events, &mut self.chain);
        let texts = |of: fn(&Row<'_>) -> String| rows.iter().map(of).collect::<Vec<_>>();
        let producers = texts(|row| row.producer.to_owned());
        let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
        let sources = texts(|row| row.source.to_owned());
        let actions = texts(|row| row.action.to_owned());
        let times = texts(|row| row.timestamp.to_owned());
        let envelopes: Vec<&str> = rows.iter().map(|row| row.envelope.as_str()).collect();
        let hashes: Vec<&[u8]> = rows.iter().map(|row| row.hash.as_slice()).collect();
        self.client.execute(
            &self.insert,
            &[
                &producers, &sequences, &sources, &actions, &times, &envelopes, &hashes,
            ],
        )?;
        Ok(())
    }
}
