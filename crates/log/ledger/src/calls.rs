//! What can be asked of the log, `fieldledger_contract::calls`, asked of a ledger.

use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Restriction, SearchPage,
    SearchQuery, Written,
};
use fieldledger_contract::calls::{Log, LogControl, LogTree, PangeaLog, Readings};
use fieldledger_contract::ledger::{
    Erasure, Freeze, Gap, GapPage, GapQuery, KeyChange, LedgerStatus, PangeaLogged, PangeaPage,
    PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor,
};
use fieldledger_contract::{Error, WallTime};
use futures::executor::block_on;

use crate::Ledger;

impl Log for Ledger {
    fn write(&self, events: EventColumns) -> Result<Written, Error> {
        Ok(block_on(self.append(events))?)
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error> {
        Ok(Self::search(self, query)?)
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error> {
        Ok(Self::page(self, id, offset, limit)?)
    }

    fn proof(&self, index: u64) -> Result<InclusionProof, Error> {
        Ok(self.inclusion(index)?)
    }

    fn entries(&self, first: u64, limit: u32, with_proofs: bool) -> Result<EntryRange, Error> {
        Ok(Self::entries(self, first, limit, with_proofs)?)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(Self::checkpoint(self))
    }
}

impl LogTree for Ledger {
    fn ledger_status(&self) -> Result<LedgerStatus, Error> {
        Ok(self.status())
    }

    fn head(&self) -> Result<Checkpoint, Error> {
        Ok(Self::checkpoint(self))
    }

    fn entry(&self, index: u64) -> Result<Entry, Error> {
        Ok(Self::entry(self, index)?)
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, Error> {
        Ok(Self::consistency(self, old_size, new_size)?)
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        Ok(Self::tile(self, level, number, width)?)
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        Ok(Self::entry_bundle(self, number, width)?)
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, Error> {
        Ok(Self::receipt(self, index)?)
    }
}

impl LogControl for Ledger {
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, Error> {
        Ok(Self::erase(self, entry, reason, actor)?)
    }

    fn retain(
        &self,
        before: WallTime,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, Error> {
        Ok(Self::retain(self, before.micros, scope, reason, actor)?)
    }

    fn retention(&self) -> Result<Retention, Error> {
        Ok(self.retention_status())
    }

    fn close_gap(&self, id: u64, reason: &str, actor: &str) -> Result<Gap, Error> {
        Ok(Self::close_gap(self, id, reason, actor)?)
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        Ok(Self::rotate_key(self, reason, actor)?)
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        Ok(Self::retire_key(self, reason, actor)?)
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, Error> {
        Ok(Self::freeze(self, successor.cloned(), reason, actor)?)
    }
}

impl PangeaLog for Ledger {
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, Error> {
        Ok(Self::pangea_search(self, query)?)
    }

    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, Error> {
        Ok(Self::pangea_page(self, id, offset, limit, restriction)?)
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, Error> {
        Ok(Self::pangea_root(self, size)?)
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, Error> {
        Ok(Self::pangea_logged(self, indices, previous_root)?)
    }

    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), Error> {
        Ok(Self::span(self, start, end)?)
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, Error> {
        Ok(Self::pangea_entries(self, start, end, published, verbose)?)
    }

    fn keep(&self, content: &str, expires_at: WallTime) -> Result<String, Error> {
        Ok(Self::keep(self, content, expires_at.micros)?)
    }

    fn keep_as(&self, name: &str, content: &str, expires_at: WallTime) -> Result<String, Error> {
        Ok(Self::keep_as(self, name, content, expires_at.micros)?)
    }

    fn kept(&self, name: &str) -> Result<String, Error> {
        Ok(Self::kept(self, name)?)
    }
}

impl Readings for Ledger {
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, Error> {
        Ok(Self::latest(self, sensors)?)
    }

    fn series(
        &self,
        sensor: &str,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Result<Series, Error> {
        Ok(Self::series(self, sensor, start.micros, end.micros, limit)?)
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, Error> {
        Ok(Self::gaps(self, query)?)
    }
}
