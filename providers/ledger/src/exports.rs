//! The interfaces of `fieldledger:ledger`, each function handed to the ledger.

use bytes::Bytes;
use wasmcloud_provider_sdk::Context;

use crate::{
    bindings::exports::fieldledger::ledger::{
        completeness, control, pangea, proofs, readings, search, sink, status, tiles, witness,
    },
    convert, gaps,
    provider::LedgerProvider,
};
use bindings_types::{
    AuditError, Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, SearchPage,
    SearchQuery, Written,
};
use fieldledger_cosigning::Cosigning;
use fieldledger_ledger::{ControlError, Ledger, QueryError};

use crate::bindings::fieldledger::audit::types as bindings_types;

impl LedgerProvider {
    /// Asks the ledger something that may read files.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Ledger) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let ledger = self.ledger().map_err(AuditError::Unavailable)?;
        tokio::task::spawn_blocking(move || question(&ledger))
            .await
            .map_err(|panicked| AuditError::Unavailable(panicked.to_string()))?
            .map_err(convert::query_error)
    }
}

impl LedgerProvider {
    /// Has the ledger changed, which writes files.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Ledger) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<T, control::ControlError> {
        let ledger = self.ledger().map_err(control::ControlError::Unavailable)?;
        tokio::task::spawn_blocking(move || change(&ledger))
            .await
            .map_err(|panicked| control::ControlError::Unavailable(panicked.to_string()))?
            .map_err(convert::control_error)
    }
}

impl control::Handler<Option<Context>> for LedgerProvider {
    async fn erase(
        &self,
        _context: Option<Context>,
        entry: u64,
        reason: String,
        actor: String,
    ) -> anyhow::Result<Result<control::Erasure, control::ControlError>> {
        let erased = self
            .change(move |ledger| ledger.erase(entry, &reason, &actor))
            .await;
        Ok(erased.map(convert::erasure))
    }

    async fn retain(
        &self,
        _context: Option<Context>,
        before: u64,
        scope: control::RetentionScope,
        reason: String,
        actor: String,
    ) -> anyhow::Result<Result<control::Retained, control::ControlError>> {
        let scope = convert::retention_scope(&scope);
        let retained = self
            .change(move |ledger| ledger.retain(before, scope, &reason, &actor))
            .await;
        Ok(retained.map(convert::retained))
    }

    async fn get_retention(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<control::Retention, control::ControlError>> {
        let ledger = self.ledger().map_err(control::ControlError::Unavailable);
        Ok(ledger.map(|ledger| convert::retention(ledger.retention_status())))
    }

    async fn rotate_key(
        &self,
        _context: Option<Context>,
        reason: String,
        actor: String,
    ) -> anyhow::Result<Result<control::KeyChange, control::ControlError>> {
        let changed = self
            .change(move |ledger| ledger.rotate_key(&reason, &actor))
            .await;
        Ok(changed.map(convert::key_change))
    }

    async fn retire_key(
        &self,
        _context: Option<Context>,
        reason: String,
        actor: String,
    ) -> anyhow::Result<Result<control::KeyChange, control::ControlError>> {
        let changed = self
            .change(move |ledger| ledger.retire_key(&reason, &actor))
            .await;
        Ok(changed.map(convert::key_change))
    }

    async fn freeze(
        &self,
        _context: Option<Context>,
        successor: Option<control::Successor>,
        reason: String,
        actor: String,
    ) -> anyhow::Result<Result<control::Frozen, control::ControlError>> {
        let successor = successor.map(convert::successor);
        let frozen = self
            .change(move |ledger| ledger.freeze(successor, &reason, &actor))
            .await;
        Ok(frozen.map(convert::frozen))
    }
}

impl sink::Handler<Option<Context>> for LedgerProvider {
    async fn append(
        &self,
        _context: Option<Context>,
        events: EventColumns,
    ) -> anyhow::Result<Result<Written, AuditError>> {
        let ledger = match self.ledger() {
            Ok(ledger) => ledger,
            Err(reason) => return Ok(Err(AuditError::Unavailable(reason))),
        };
        let appended = ledger.append(convert::events(events)).await;
        Ok(appended
            .map(convert::written)
            .map_err(convert::append_error))
    }
}

impl search::Handler<Option<Context>> for LedgerProvider {
    async fn search(
        &self,
        _context: Option<Context>,
        query: SearchQuery,
    ) -> anyhow::Result<Result<SearchPage, AuditError>> {
        let query = convert::query(query);
        Ok(self
            .ask(move |ledger| ledger.search(&query))
            .await
            .map(convert::page))
    }

    async fn page(
        &self,
        _context: Option<Context>,
        id: String,
        offset: u32,
        limit: u32,
    ) -> anyhow::Result<Result<SearchPage, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.page(&id, offset, limit))
            .await
            .map(convert::page))
    }
}

impl proofs::Handler<Option<Context>> for LedgerProvider {
    async fn latest_checkpoint(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<Checkpoint, AuditError>> {
        Ok(self
            .ledger()
            .map(|ledger| convert::checkpoint(ledger.checkpoint()))
            .map_err(AuditError::Unavailable))
    }

    async fn inclusion(
        &self,
        _context: Option<Context>,
        index: u64,
    ) -> anyhow::Result<Result<InclusionProof, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.inclusion(index))
            .await
            .map(convert::inclusion))
    }

    async fn entries(
        &self,
        _context: Option<Context>,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> anyhow::Result<Result<EntryRange, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.entries(first, limit, with_proofs))
            .await
            .map(convert::entry_range))
    }

    async fn consistency(
        &self,
        _context: Option<Context>,
        old_size: u64,
        new_size: u64,
    ) -> anyhow::Result<Result<Vec<String>, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.consistency(old_size, new_size))
            .await)
    }
}

impl tiles::Handler<Option<Context>> for LedgerProvider {
    async fn tile(
        &self,
        _context: Option<Context>,
        level: u8,
        number: u64,
        width: u16,
    ) -> anyhow::Result<Result<Bytes, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.tile(level, number, width))
            .await
            .map(Bytes::from))
    }

    async fn entry_bundle(
        &self,
        _context: Option<Context>,
        number: u64,
        width: u16,
    ) -> anyhow::Result<Result<Bytes, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.entry_bundle(number, width))
            .await
            .map(Bytes::from))
    }

    async fn entry_at(
        &self,
        _context: Option<Context>,
        index: u64,
    ) -> anyhow::Result<Result<Entry, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.entry(index))
            .await
            .map(convert::entry))
    }

    async fn receipt(
        &self,
        _context: Option<Context>,
        index: u64,
    ) -> anyhow::Result<Result<Bytes, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.receipt(index))
            .await
            .map(Bytes::from))
    }
}

impl readings::Handler<Option<Context>> for LedgerProvider {
    async fn latest(
        &self,
        _context: Option<Context>,
        sensors: Vec<String>,
    ) -> anyhow::Result<Result<Vec<readings::Reading>, AuditError>> {
        let found = self.ask(move |ledger| ledger.latest(&sensors)).await;
        Ok(found.map(|readings| readings.into_iter().map(convert::reading).collect()))
    }

    async fn get_series(
        &self,
        _context: Option<Context>,
        sensor: String,
        start: u64,
        end: u64,
        limit: u32,
    ) -> anyhow::Result<Result<readings::Series, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.series(&sensor, start, end, limit))
            .await
            .map(convert::series))
    }
}

impl completeness::Handler<Option<Context>> for LedgerProvider {
    async fn list_gaps(
        &self,
        _context: Option<Context>,
        query: completeness::GapQuery,
    ) -> anyhow::Result<Result<completeness::GapPage, AuditError>> {
        let query = gaps::query(query);
        Ok(self
            .ask(move |ledger| ledger.gaps(&query))
            .await
            .map(gaps::page))
    }
}

impl pangea::Handler<Option<Context>> for LedgerProvider {
    async fn search(
        &self,
        _context: Option<Context>,
        query: SearchQuery,
    ) -> anyhow::Result<Result<pangea::Page, AuditError>> {
        let query = convert::query(query);
        let page = self.ask(move |ledger| ledger.pangea_search(&query)).await;
        Ok(page.map(convert::pangea_page))
    }

    async fn get_page(
        &self,
        _context: Option<Context>,
        id: String,
        offset: u32,
        limit: u32,
        restriction: Option<Vec<(String, Vec<String>)>>,
    ) -> anyhow::Result<Result<pangea::Page, AuditError>> {
        let page = self
            .ask(move |ledger| ledger.pangea_page(&id, offset, limit, restriction.as_ref()))
            .await;
        Ok(page.map(convert::pangea_page))
    }

    async fn get_root(
        &self,
        _context: Option<Context>,
        size: Option<u64>,
    ) -> anyhow::Result<Result<pangea::Root, AuditError>> {
        let root = self.ask(move |ledger| ledger.pangea_root(size)).await;
        Ok(root.map(convert::pangea_root))
    }

    async fn get_logged(
        &self,
        _context: Option<Context>,
        indices: Vec<u64>,
        previous_root: Option<String>,
    ) -> anyhow::Result<Result<Vec<pangea::Logged>, AuditError>> {
        let logged = self
            .ask(move |ledger| ledger.pangea_logged(&indices, previous_root.as_deref()))
            .await;
        Ok(logged.map(|logged| logged.into_iter().map(convert::pangea_logged).collect()))
    }

    async fn get_span(
        &self,
        _context: Option<Context>,
        start: Option<String>,
        end: Option<String>,
    ) -> anyhow::Result<Result<(u64, u64), AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.span(start.as_deref(), end.as_deref()))
            .await)
    }

    async fn get_entries(
        &self,
        _context: Option<Context>,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> anyhow::Result<Result<pangea::Page, AuditError>> {
        let page = self
            .ask(move |ledger| ledger.pangea_entries(start, end, published, verbose))
            .await;
        Ok(page.map(convert::pangea_page))
    }

    async fn keep(
        &self,
        _context: Option<Context>,
        content: String,
        expires_at: u64,
    ) -> anyhow::Result<Result<String, AuditError>> {
        Ok(self
            .ask(move |ledger| ledger.keep(&content, expires_at))
            .await)
    }

    async fn get_kept(
        &self,
        _context: Option<Context>,
        name: String,
    ) -> anyhow::Result<Result<String, AuditError>> {
        Ok(self.ask(move |ledger| ledger.kept(&name)).await)
    }
}

impl status::Handler<Option<Context>> for LedgerProvider {
    async fn get_status(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<status::LedgerStatus, String>> {
        Ok(self.ledger().map(|ledger| convert::status(ledger.status())))
    }
}

impl LedgerProvider {
    /// Does something with the ledger and its witnesses that may read and write files.
    async fn with_witnesses<T: Send + 'static>(
        &self,
        action: impl FnOnce(&Ledger, &Cosigning) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (ledger, cosigning) = self.open_parts()?;
        tokio::task::spawn_blocking(move || action(&ledger, &cosigning))
            .await
            .map_err(|panicked| panicked.to_string())
    }
}

impl witness::Handler<Option<Context>> for LedgerProvider {
    async fn published_checkpoint(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<Checkpoint, AuditError>> {
        let published = self
            .with_witnesses(|ledger, cosigning| cosigning.published(ledger))
            .await
            .flatten();
        Ok(published
            .map(convert::checkpoint)
            .map_err(AuditError::Unavailable))
    }

    async fn published_inclusion(
        &self,
        _context: Option<Context>,
        index: u64,
    ) -> anyhow::Result<Result<InclusionProof, AuditError>> {
        let proof = self
            .with_witnesses(move |ledger, cosigning| cosigning.published_inclusion(ledger, index))
            .await;
        Ok(match proof {
            Ok(proof) => proof.map(convert::inclusion).map_err(convert::query_error),
            Err(reason) => Err(AuditError::Unavailable(reason)),
        })
    }

    async fn add_checkpoint(
        &self,
        _context: Option<Context>,
        request: Bytes,
    ) -> anyhow::Result<Result<witness::Reply, String>> {
        let reply = self
            .with_witnesses(move |_, cosigning| cosigning.add_checkpoint(&request))
            .await;
        Ok(reply.map(|reply| witness::Reply {
            status: reply.status,
            content_type: reply.content_type.to_owned(),
            body: reply.body,
        }))
    }

    async fn cosigned_checkpoint(
        &self,
        _context: Option<Context>,
        origin_hash: String,
    ) -> anyhow::Result<Result<Option<String>, String>> {
        Ok(self
            .with_witnesses(move |_, cosigning| cosigning.cosigned_checkpoint(&origin_hash))
            .await)
    }

    async fn get_status(
        &self,
        _context: Option<Context>,
    ) -> anyhow::Result<Result<witness::Witnessing, String>> {
        Ok(self
            .with_witnesses(|_, cosigning| convert::witnessing(cosigning))
            .await)
    }
}
