//! The forms in which a log is exported.
//!
//! ```text
//! lines.rs      JSON lines, which `fieldledger verify` can check
//! table.rs      the columns of the other two
//! csv.rs        RFC 4180
//! parquet.rs    Apache Parquet
//! ```

pub(crate) mod csv;
pub(crate) mod lines;
pub(crate) mod parquet;
mod table;

use fieldledger_api::answers::LogEvent;

/// Takes the entries of an export.
pub(crate) trait Sink {
    /// Takes an entry.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    fn entry(&mut self, entry: &LogEvent) -> anyhow::Result<()>;

    /// Takes a signed tree head: the one that the proofs of the entries after it lead to, or that
    /// covers all entries before it.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    fn checkpoint(&mut self, note: &str) -> anyhow::Result<()>;

    /// Writes what is left, so that it outlasts a crash.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}
