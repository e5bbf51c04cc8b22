//! The interfaces of `fieldledger:ledger`, each function asked of the ledger.

use bytes::Bytes;
use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Restriction, SearchPage,
    SearchQuery,
};
use fieldledger_contract::calls::{
    self, Log, LogControl, LogTree, PangeaLog, Readings, Witnessing as _,
};
use fieldledger_contract::ledger::{
    Erasure, Freeze, Gap, GapPage, GapQuery, KeyChange, LedgerStatus, PangeaLogged, PangeaPage,
    PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor, WitnessReply,
    Witnessing,
};
use fieldledger_contract::packed::Packed as _;
use fieldledger_contract::{Error, WallTime};
use fieldledger_cosigning::WitnessedLog;
use fieldledger_ledger::Ledger;
use wasmcloud_provider_sdk::Context;

use crate::bindings::exports::fieldledger::ledger::{
    completeness, control, pangea, proofs, readings, search, sink, status, tiles, witness,
};
use crate::provider::LedgerProvider;

/// What a call answers: outside a failure of the lattice, inside the contract's own.
type Answer<T> = anyhow::Result<Result<T, Error>>;

impl LedgerProvider {
    /// Asks the ledger something that may read or write files.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Ledger) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        Ok(match self.ledger() {
            Ok(ledger) => off_the_runtime(move || question(&ledger)).await,
            Err(error) => Err(error),
        })
    }

    /// Asks the ledger and its witnesses something that may read or write files.
    async fn ask_witnesses<T: Send + 'static>(
        &self,
        question: impl FnOnce(&WitnessedLog) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        Ok(match self.witnessed_log() {
            Ok(log) => off_the_runtime(move || question(&log)).await,
            Err(error) => Err(error),
        })
    }
}

/// Does what may block on a thread that may.
async fn off_the_runtime<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let answered = tokio::task::spawn_blocking(question).await;
    answered.unwrap_or_else(|panicked| Err(Error::Unavailable(panicked.to_string())))
}

type Caller = Option<Context>;

impl sink::Handler<Caller> for LedgerProvider {
    async fn append(&self, _caller: Caller, events: String) -> Answer<String> {
        let ledger = match self.ledger() {
            Ok(ledger) => ledger,
            Err(error) => return Ok(Err(error)),
        };
        let events = match EventColumns::unpacked(&events) {
            Ok(events) => events,
            Err(error) => return Ok(Err(Error::unreadable_events(error))),
        };
        let written = ledger.append(events).await;
        Ok(written.map(|written| written.packed()).map_err(Error::from))
    }
}

impl search::Handler<Caller> for LedgerProvider {
    async fn search(&self, _caller: Caller, query: SearchQuery) -> Answer<SearchPage> {
        self.ask(move |ledger| Log::search(ledger, &query)).await
    }

    async fn page(
        &self,
        _caller: Caller,
        id: String,
        offset: u32,
        limit: u32,
    ) -> Answer<SearchPage> {
        self.ask(move |ledger| Log::page(ledger, &id, offset, limit))
            .await
    }
}

impl proofs::Handler<Caller> for LedgerProvider {
    async fn latest_checkpoint(&self, _caller: Caller) -> Answer<Checkpoint> {
        Ok(self.ledger().map(|ledger| ledger.checkpoint()))
    }

    async fn inclusion(&self, _caller: Caller, index: u64) -> Answer<InclusionProof> {
        self.ask(move |ledger| ledger.proof(index)).await
    }

    async fn entries(
        &self,
        _caller: Caller,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> Answer<EntryRange> {
        self.ask(move |ledger| Log::entries(ledger, first, limit, with_proofs))
            .await
    }

    async fn consistency(
        &self,
        _caller: Caller,
        old_size: u64,
        new_size: u64,
    ) -> Answer<Vec<String>> {
        self.ask(move |ledger| LogTree::consistency(ledger, old_size, new_size))
            .await
    }
}

impl tiles::Handler<Caller> for LedgerProvider {
    async fn tile(&self, _caller: Caller, level: u8, number: u64, width: u16) -> Answer<Bytes> {
        self.ask(move |ledger| Ok(LogTree::tile(ledger, level, number, width)?.into()))
            .await
    }

    async fn entry_bundle(&self, _caller: Caller, number: u64, width: u16) -> Answer<Bytes> {
        self.ask(move |ledger| Ok(LogTree::entry_bundle(ledger, number, width)?.into()))
            .await
    }

    async fn entry_at(&self, _caller: Caller, index: u64) -> Answer<Entry> {
        self.ask(move |ledger| LogTree::entry(ledger, index)).await
    }

    async fn receipt(&self, _caller: Caller, index: u64) -> Answer<Bytes> {
        self.ask(move |ledger| Ok(LogTree::receipt(ledger, index)?.into()))
            .await
    }
}

impl readings::Handler<Caller> for LedgerProvider {
    async fn latest(&self, _caller: Caller, sensors: Vec<String>) -> Answer<Vec<Reading>> {
        self.ask(move |ledger| Readings::latest(ledger, &sensors))
            .await
    }

    async fn get_series(
        &self,
        _caller: Caller,
        sensor: String,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Answer<Series> {
        self.ask(move |ledger| Readings::series(ledger, &sensor, start, end, limit))
            .await
    }
}

impl completeness::Handler<Caller> for LedgerProvider {
    async fn list_gaps(&self, _caller: Caller, query: GapQuery) -> Answer<GapPage> {
        self.ask(move |ledger| Readings::gaps(ledger, &query)).await
    }
}

impl status::Handler<Caller> for LedgerProvider {
    async fn get_status(&self, _caller: Caller) -> Answer<LedgerStatus> {
        self.ask(LogTree::ledger_status).await
    }
}

impl control::Handler<Caller> for LedgerProvider {
    async fn erase(
        &self,
        _caller: Caller,
        entry: u64,
        reason: String,
        actor: String,
    ) -> Answer<Erasure> {
        self.ask(move |ledger| LogControl::erase(ledger, entry, &reason, &actor))
            .await
    }

    async fn retain(
        &self,
        _caller: Caller,
        before: WallTime,
        scope: RetentionScope,
        reason: String,
        actor: String,
    ) -> Answer<Retained> {
        self.ask(move |ledger| LogControl::retain(ledger, before, scope, &reason, &actor))
            .await
    }

    async fn get_retention(&self, _caller: Caller) -> Answer<Retention> {
        self.ask(LogControl::retention).await
    }

    async fn close_gap(
        &self,
        _caller: Caller,
        id: u64,
        reason: String,
        actor: String,
    ) -> Answer<Gap> {
        self.ask(move |ledger| LogControl::close_gap(ledger, id, &reason, &actor))
            .await
    }

    async fn rotate_key(
        &self,
        _caller: Caller,
        reason: String,
        actor: String,
    ) -> Answer<KeyChange> {
        self.ask(move |ledger| LogControl::rotate_key(ledger, &reason, &actor))
            .await
    }

    async fn retire_key(
        &self,
        _caller: Caller,
        reason: String,
        actor: String,
    ) -> Answer<KeyChange> {
        self.ask(move |ledger| LogControl::retire_key(ledger, &reason, &actor))
            .await
    }

    async fn freeze(
        &self,
        _caller: Caller,
        successor: Option<Successor>,
        reason: String,
        actor: String,
    ) -> Answer<Freeze> {
        self.ask(move |ledger| LogControl::freeze(ledger, successor.as_ref(), &reason, &actor))
            .await
    }
}

impl pangea::Handler<Caller> for LedgerProvider {
    async fn search(&self, _caller: Caller, query: SearchQuery) -> Answer<PangeaPage> {
        self.ask(move |ledger| PangeaLog::pangea_search(ledger, &query))
            .await
    }

    async fn get_page(
        &self,
        _caller: Caller,
        id: String,
        offset: u32,
        limit: u32,
        restriction: Option<Restriction>,
    ) -> Answer<PangeaPage> {
        self.ask(move |ledger| {
            PangeaLog::pangea_page(ledger, &id, offset, limit, restriction.as_ref())
        })
        .await
    }

    async fn get_root(&self, _caller: Caller, size: Option<u64>) -> Answer<PangeaRoot> {
        self.ask(move |ledger| PangeaLog::pangea_root(ledger, size))
            .await
    }

    async fn get_logged(
        &self,
        _caller: Caller,
        indices: Vec<u64>,
        previous_root: Option<String>,
    ) -> Answer<Vec<PangeaLogged>> {
        self.ask(move |ledger| PangeaLog::pangea_logged(ledger, &indices, previous_root.as_deref()))
            .await
    }

    async fn get_span(
        &self,
        _caller: Caller,
        start: Option<String>,
        end: Option<String>,
    ) -> Answer<(u64, u64)> {
        self.ask(move |ledger| PangeaLog::span(ledger, start.as_deref(), end.as_deref()))
            .await
    }

    async fn get_entries(
        &self,
        _caller: Caller,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Answer<PangeaPage> {
        self.ask(move |ledger| PangeaLog::pangea_entries(ledger, start, end, published, verbose))
            .await
    }

    async fn keep(&self, _caller: Caller, content: String, expires_at: WallTime) -> Answer<String> {
        self.ask(move |ledger| PangeaLog::keep(ledger, &content, expires_at))
            .await
    }

    async fn keep_as(
        &self,
        _caller: Caller,
        name: String,
        content: String,
        expires_at: WallTime,
    ) -> Answer<String> {
        self.ask(move |ledger| PangeaLog::keep_as(ledger, &name, &content, expires_at))
            .await
    }

    async fn get_kept(&self, _caller: Caller, name: String) -> Answer<String> {
        self.ask(move |ledger| PangeaLog::kept(ledger, &name)).await
    }
}

impl witness::Handler<Caller> for LedgerProvider {
    async fn published_checkpoint(&self, _caller: Caller) -> Answer<Checkpoint> {
        self.ask_witnesses(calls::Witnessing::published_checkpoint)
            .await
    }

    async fn published_inclusion(&self, _caller: Caller, index: u64) -> Answer<InclusionProof> {
        self.ask_witnesses(move |log| log.inclusion(index)).await
    }

    async fn add_checkpoint(&self, _caller: Caller, request: Bytes) -> Answer<WitnessReply> {
        self.ask_witnesses(move |log| log.add_checkpoint(&request))
            .await
    }

    async fn cosigned_checkpoint(
        &self,
        _caller: Caller,
        origin_hash: String,
    ) -> Answer<Option<String>> {
        self.ask_witnesses(move |log| log.cosigned_checkpoint(&origin_hash))
            .await
    }

    async fn get_status(&self, _caller: Caller) -> Answer<Witnessing> {
        self.ask_witnesses(calls::Witnessing::witnessing).await
    }
}
