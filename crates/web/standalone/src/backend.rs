//! The backend of the API: each call goes to the ledger.

use std::sync::Arc;

use fieldledger_api::backend::{
    Asset, Checkpoint, Entry, Erasure, Freeze, GapPage, GapQuery, KeyChange, LedgerStatus,
    PangeaLogged, PangeaPage, PangeaRoot, PollingStatus, Reading, Restriction, Retained, Retention,
    RetentionScope, SearchPage, SearchQuery, SensorState, Series, Successor, WitnessReply,
    Witnessing,
};
use fieldledger_api::{Backend, BackendError, LogTree, Moment, Tokens};
use fieldledger_cosigning::Cosigning;
use fieldledger_ledger::{Clock, EventColumns, Ledger};
use futures::executor::block_on;

use crate::{convert, gaps};

/// Answers the API from a ledger in this process.
#[derive(Debug)]
pub struct OverLedger {
    ledger: Ledger,
    clock: Clock,
    tokens: Tokens,
    cosigning: Arc<Cosigning>,
}

impl OverLedger {
    /// Answers from this ledger, and tells the system's time. Knows no tokens and no
    /// witnesses.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            clock: Clock::default(),
            tokens: Tokens::default(),
            cosigning: Arc::default(),
        }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same with these tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same with these witnesses, and as the witness that this is.
    #[must_use]
    pub fn with_cosigning(mut self, cosigning: Arc<Cosigning>) -> Self {
        self.cosigning = cosigning;
        self
    }
}

impl Backend for OverLedger {
    fn now(&self) -> Moment {
        Moment(self.clock.now())
    }

    fn tokens(&self) -> Result<Tokens, String> {
        Ok(self.tokens.clone())
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, BackendError> {
        let page = self.ledger.search(&convert::search_query(query));
        page.map(convert::search_page).map_err(convert::query_error)
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, BackendError> {
        let page = self.ledger.page(id, offset, limit);
        page.map(convert::search_page).map_err(convert::query_error)
    }

    fn proof(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        let proof = self.ledger.inclusion(index).map_err(convert::query_error)?;
        Ok((
            convert::entry(proof.entry),
            convert::checkpoint(proof.checkpoint),
        ))
    }

    fn entries(
        &self,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> Result<(Vec<Entry>, Checkpoint), BackendError> {
        let range = self.ledger.entries(first, limit, with_proofs);
        let range = range.map_err(convert::query_error)?;
        Ok((
            range.entries.into_iter().map(convert::entry).collect(),
            convert::checkpoint(range.checkpoint),
        ))
    }

    fn checkpoint(&self) -> Result<Checkpoint, BackendError> {
        Ok(convert::checkpoint(self.ledger.checkpoint()))
    }

    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, BackendError> {
        let erasure = self.ledger.erase(entry, reason, actor);
        erasure
            .map(convert::erasure)
            .map_err(convert::control_error)
    }

    fn retain(
        &self,
        before: Moment,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, BackendError> {
        let scope = convert::retention_scope(scope);
        let retained = self.ledger.retain(before.0, scope, reason, actor);
        retained
            .map(convert::retained)
            .map_err(convert::control_error)
    }

    fn retention(&self) -> Result<Retention, BackendError> {
        Ok(convert::retention(self.ledger.retention_status()))
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        let change = self.ledger.rotate_key(reason, actor);
        change
            .map(convert::key_change)
            .map_err(convert::control_error)
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        let change = self.ledger.retire_key(reason, actor);
        change
            .map(convert::key_change)
            .map_err(convert::control_error)
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, BackendError> {
        let successor = successor.map(convert::successor);
        let freeze = self.ledger.freeze(successor, reason, actor);
        freeze.map(convert::freeze).map_err(convert::control_error)
    }

    fn write(&self, events: EventColumns) -> Result<Vec<Option<u64>>, BackendError> {
        let written = block_on(self.ledger.append(events));
        Ok(written.map_err(convert::append_error)?.indices)
    }

    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, BackendError> {
        let page = self.ledger.pangea_search(&convert::search_query(query));
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, BackendError> {
        let page = self.ledger.pangea_page(id, offset, limit, restriction);
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, BackendError> {
        let root = self.ledger.pangea_root(size);
        root.map(convert::pangea_root).map_err(convert::query_error)
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, BackendError> {
        let logged = self.ledger.pangea_logged(indices, previous_root);
        let logged = logged.map_err(convert::query_error)?;
        Ok(logged.into_iter().map(convert::pangea_logged).collect())
    }

    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), BackendError> {
        self.ledger.span(start, end).map_err(convert::query_error)
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, BackendError> {
        let page = self.ledger.pangea_entries(start, end, published, verbose);
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn keep(&self, content: &str, expires_at: Moment) -> Result<String, BackendError> {
        let kept = self.ledger.keep(content, expires_at.0);
        kept.map_err(convert::query_error)
    }

    fn kept(&self, name: &str) -> Result<String, BackendError> {
        self.ledger.kept(name).map_err(convert::query_error)
    }

    fn sites(&self) -> Result<Vec<String>, BackendError> {
        Err(no_polling())
    }

    fn sensors(
        &self,
        _site: &str,
        _offset: u32,
        _limit: u32,
    ) -> Result<Vec<SensorState>, BackendError> {
        Err(no_polling())
    }

    fn sensor(&self, _site: &str, _id: &str) -> Result<Option<SensorState>, BackendError> {
        Err(no_polling())
    }

    fn approve_key(
        &self,
        _site: &str,
        _sensor: &str,
        _fingerprint: &str,
    ) -> Result<String, BackendError> {
        Err(no_polling())
    }

    fn retire_key_of(&self, _site: &str, _sensor: &str) -> Result<String, BackendError> {
        Err(no_polling())
    }

    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, BackendError> {
        let latest = self.ledger.latest(sensors).map_err(convert::query_error)?;
        Ok(latest.into_iter().map(convert::reading).collect())
    }

    fn series(
        &self,
        sensor: &str,
        start: Moment,
        end: Moment,
        limit: u32,
    ) -> Result<Series, BackendError> {
        let series = self.ledger.series(sensor, start.0, end.0, limit);
        series.map(convert::series).map_err(convert::query_error)
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, BackendError> {
        let page = self.ledger.gaps(&gaps::query(query));
        page.map(gaps::page).map_err(convert::query_error)
    }

    fn ledger_status(&self) -> Result<LedgerStatus, BackendError> {
        Ok(convert::ledger_status(self.ledger.status()))
    }

    fn polling_status(&self, _site: &str) -> Result<PollingStatus, BackendError> {
        Err(no_polling())
    }

    fn published_checkpoint(&self) -> Result<Checkpoint, BackendError> {
        let published = self.cosigning.published(&self.ledger);
        published
            .map(convert::checkpoint)
            .map_err(BackendError::Unavailable)
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, BackendError> {
        let reply = self.cosigning.add_checkpoint(request);
        Ok(convert::witness_reply(reply))
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, BackendError> {
        Ok(self.cosigning.cosigned_checkpoint(origin_hash))
    }

    fn witnessing(&self) -> Result<Witnessing, BackendError> {
        Ok(convert::witnessing(&self.cosigning))
    }

    fn asset(&self, _path: &str) -> Result<Option<Asset>, BackendError> {
        Ok(None)
    }
}

impl LogTree for OverLedger {
    fn head(&self) -> Result<Checkpoint, BackendError> {
        self.checkpoint()
    }

    fn entry(&self, index: u64) -> Result<Entry, BackendError> {
        let entry = self.ledger.entry(index);
        entry.map(convert::entry).map_err(convert::query_error)
    }

    fn inclusion(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        let proof = self.cosigning.published_inclusion(&self.ledger, index);
        let proof = proof.map_err(convert::query_error)?;
        Ok((
            convert::entry(proof.entry),
            convert::checkpoint(proof.checkpoint),
        ))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, BackendError> {
        let proof = self.ledger.consistency(old_size, new_size);
        proof.map_err(convert::query_error)
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        let tile = self.ledger.tile(level, number, width);
        tile.map_err(convert::query_error)
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        let bundle = self.ledger.entry_bundle(number, width);
        bundle.map_err(convert::query_error)
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, BackendError> {
        self.ledger.receipt(index).map_err(convert::query_error)
    }
}

fn no_polling() -> BackendError {
    let reason = "this server has the log alone: no polling provider is linked to it";
    BackendError::Unavailable(reason.to_owned())
}
