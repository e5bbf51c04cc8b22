//! SQLite, as durable as the ledger: WAL, `synchronous=FULL`, three indexes, a hash chain.

use std::path::Path;

use fieldledger_ledger::EventColumns;
use rusqlite::{Connection, params};

use crate::rows::rows;

/// A table of entries.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    chain: [u8; 32],
}

impl Database {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             CREATE TABLE entries (
                 id INTEGER PRIMARY KEY,
                 producer TEXT NOT NULL,
                 sequence INTEGER NOT NULL,
                 source TEXT NOT NULL,
                 action TEXT NOT NULL,
                 at TEXT NOT NULL,
                 envelope TEXT NOT NULL,
                 hash BLOB NOT NULL
             );
             CREATE UNIQUE INDEX by_origin ON entries (producer, sequence);
             CREATE INDEX by_source ON entries (source, at);
             CREATE INDEX by_action ON entries (action, at);",
        )?;
        Ok(Self {
            connection,
            chain: [0; 32],
        })
    }

    /// In one transaction.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn append(&mut self, events: EventColumns) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO entries (producer, sequence, source, action, at, envelope, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for row in rows(&events, &mut self.chain) {
            insert.execute(params![
                row.producer,
                row.sequence,
                row.source,
                row.action,
                row.timestamp,
                row.envelope,
                row.hash
            ])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }
}
