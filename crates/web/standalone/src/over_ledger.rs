//! The parts of the API, answered from a ledger in this process.

use std::sync::Arc;

use fieldledger_api::{Environment, Parts, Tokens};
use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Restriction, SearchPage,
    SearchQuery, Written,
};
use fieldledger_contract::calls::{
    Log, LogControl, LogTree, Pages, PangeaLog, Plant, Readings, Witnessing,
};
use fieldledger_contract::field::{PollingStatus, SensorState};
use fieldledger_contract::ledger::{
    self, Erasure, Freeze, GapPage, GapQuery, KeyChange, LedgerStatus, PangeaLogged, PangeaPage,
    PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor, WitnessReply,
};
use fieldledger_contract::ui::Asset;
use fieldledger_contract::{Error, WallTime};
use fieldledger_cosigning::Cosigning;
use fieldledger_ledger::{Clock, Ledger};
use futures::executor::block_on;

use crate::convert;

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

impl From<OverLedger> for Parts {
    fn from(served: OverLedger) -> Self {
        Self::of(&Arc::new(served))
    }
}

impl Environment for OverLedger {
    fn now(&self) -> WallTime {
        WallTime::from_micros(self.clock.now())
    }

    fn tokens(&self) -> Result<Tokens, String> {
        Ok(self.tokens.clone())
    }
}

impl Log for OverLedger {
    fn write(&self, events: EventColumns) -> Result<Written, Error> {
        let written = block_on(self.ledger.append(convert::event_columns(events)));
        written.map(convert::written).map_err(convert::append_error)
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error> {
        let page = self.ledger.search(&convert::search_query(query));
        page.map(convert::search_page).map_err(convert::query_error)
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error> {
        let page = self.ledger.page(id, offset, limit);
        page.map(convert::search_page).map_err(convert::query_error)
    }

    fn proof(&self, index: u64) -> Result<InclusionProof, Error> {
        let proof = self.ledger.inclusion(index);
        proof.map(convert::inclusion).map_err(convert::query_error)
    }

    fn entries(&self, first: u64, limit: u32, with_proofs: bool) -> Result<EntryRange, Error> {
        let range = self.ledger.entries(first, limit, with_proofs);
        range
            .map(convert::entry_range)
            .map_err(convert::query_error)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(convert::checkpoint(self.ledger.checkpoint()))
    }
}

impl LogTree for OverLedger {
    fn ledger_status(&self) -> Result<LedgerStatus, Error> {
        Ok(convert::ledger_status(self.ledger.status()))
    }

    fn head(&self) -> Result<Checkpoint, Error> {
        self.checkpoint()
    }

    fn entry(&self, index: u64) -> Result<Entry, Error> {
        let entry = self.ledger.entry(index);
        entry.map(convert::entry).map_err(convert::query_error)
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, Error> {
        let proof = self.ledger.consistency(old_size, new_size);
        proof.map_err(convert::query_error)
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        let tile = self.ledger.tile(level, number, width);
        tile.map_err(convert::query_error)
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        let bundle = self.ledger.entry_bundle(number, width);
        bundle.map_err(convert::query_error)
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, Error> {
        self.ledger.receipt(index).map_err(convert::query_error)
    }
}

impl LogControl for OverLedger {
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, Error> {
        let erasure = self.ledger.erase(entry, reason, actor);
        erasure
            .map(convert::erasure)
            .map_err(convert::control_error)
    }

    fn retain(
        &self,
        before: WallTime,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, Error> {
        let scope = convert::retention_scope(scope);
        let retained = self.ledger.retain(before.micros, scope, reason, actor);
        retained
            .map(convert::retained)
            .map_err(convert::control_error)
    }

    fn retention(&self) -> Result<Retention, Error> {
        Ok(convert::retention(self.ledger.retention_status()))
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        let change = self.ledger.rotate_key(reason, actor);
        change
            .map(convert::key_change)
            .map_err(convert::control_error)
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
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
    ) -> Result<Freeze, Error> {
        let successor = successor.map(convert::successor);
        let freeze = self.ledger.freeze(successor, reason, actor);
        freeze.map(convert::freeze).map_err(convert::control_error)
    }
}

impl PangeaLog for OverLedger {
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, Error> {
        let page = self.ledger.pangea_search(&convert::search_query(query));
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, Error> {
        let page = self.ledger.pangea_page(id, offset, limit, restriction);
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, Error> {
        let root = self.ledger.pangea_root(size);
        root.map(convert::pangea_root).map_err(convert::query_error)
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, Error> {
        let logged = self.ledger.pangea_logged(indices, previous_root);
        let logged = logged.map_err(convert::query_error)?;
        Ok(logged.into_iter().map(convert::pangea_logged).collect())
    }

    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), Error> {
        self.ledger.span(start, end).map_err(convert::query_error)
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, Error> {
        let page = self.ledger.pangea_entries(start, end, published, verbose);
        page.map(convert::pangea_page).map_err(convert::query_error)
    }

    fn keep(&self, content: &str, expires_at: WallTime) -> Result<String, Error> {
        let kept = self.ledger.keep(content, expires_at.micros);
        kept.map_err(convert::query_error)
    }

    fn kept(&self, name: &str) -> Result<String, Error> {
        self.ledger.kept(name).map_err(convert::query_error)
    }
}

impl Readings for OverLedger {
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, Error> {
        let latest = self.ledger.latest(sensors).map_err(convert::query_error)?;
        Ok(latest.into_iter().map(convert::reading).collect())
    }

    fn series(
        &self,
        sensor: &str,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Result<Series, Error> {
        let series = self.ledger.series(sensor, start.micros, end.micros, limit);
        series.map(convert::series).map_err(convert::query_error)
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, Error> {
        let page = self.ledger.gaps(&convert::gap_query(query));
        page.map(convert::gap_page).map_err(convert::query_error)
    }
}

impl Witnessing for OverLedger {
    fn published_checkpoint(&self) -> Result<Checkpoint, Error> {
        let published = self.cosigning.published(&self.ledger);
        published
            .map(convert::checkpoint)
            .map_err(Error::Unavailable)
    }

    fn inclusion(&self, index: u64) -> Result<InclusionProof, Error> {
        let proof = self.cosigning.published_inclusion(&self.ledger, index);
        proof.map(convert::inclusion).map_err(convert::query_error)
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, Error> {
        let reply = self.cosigning.add_checkpoint(request);
        Ok(convert::witness_reply(reply))
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, Error> {
        Ok(self.cosigning.cosigned_checkpoint(origin_hash))
    }

    fn witnessing(&self) -> Result<ledger::Witnessing, Error> {
        Ok(convert::witnessing(&self.cosigning))
    }
}

/// No sensors are polled here.
impl Plant for OverLedger {
    fn sites(&self) -> Result<Vec<String>, Error> {
        Err(no_polling())
    }

    fn sensors(&self, _site: &str, _offset: u32, _limit: u32) -> Result<Vec<SensorState>, Error> {
        Err(no_polling())
    }

    fn sensor(&self, _site: &str, _id: &str) -> Result<Option<SensorState>, Error> {
        Err(no_polling())
    }

    fn approve_key(&self, _site: &str, _sensor: &str, _fingerprint: &str) -> Result<String, Error> {
        Err(no_polling())
    }

    fn retire_key_of(&self, _site: &str, _sensor: &str) -> Result<String, Error> {
        Err(no_polling())
    }

    fn polling_status(&self, _site: &str) -> Result<PollingStatus, Error> {
        Err(no_polling())
    }
}

/// The API alone, without a page.
impl Pages for OverLedger {
    fn asset(&self, _path: &str) -> Result<Option<Asset>, Error> {
        Ok(None)
    }
}

fn no_polling() -> Error {
    let reason = "this server has the log alone: no polling provider is linked to it";
    Error::Unavailable(reason.to_owned())
}
