//! The parts of the API, asked over the lattice.

use fieldledger_api::{Environment, Tokens};
use fieldledger_contract::Error;
use fieldledger_contract::WallTime;
use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Restriction, SearchPage,
    SearchQuery, Written,
};
use fieldledger_contract::calls::{
    Log, LogControl, LogTree, Pages, PangeaLog, Plant, Readings, Witnessing,
};
use fieldledger_contract::field::{DeadLetter, PollingStatus, Refusal, SensorState};
use fieldledger_contract::ledger::{
    self, Erasure, Freeze, Gap, GapPage, GapQuery, KeyChange, LedgerStatus, PangeaLogged,
    PangeaPage, PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor,
    WitnessReply,
};
use fieldledger_contract::packed::Packed as _;
use fieldledger_contract::ui::Asset;
use wasmcloud_component::wasi::config::store as config;

use crate::bindings::fieldledger::audit::log;
use crate::bindings::fieldledger::field::registry;
use crate::bindings::fieldledger::ledger::{
    completeness, control, pangea, proofs, readings, status, tiles, witness,
};
use crate::bindings::fieldledger::ui::assets;
use crate::bindings::wrpc::rpc::error::Error as RpcError;
use crate::sites;

pub(crate) struct Lattice;

/// Parts of the application, by the words that say which of them does not answer.
const AUDIT_API: &str = "the audit API";
const LEDGER: &str = "the ledger";
const POLLING: &str = "polling";
const PAGE: &str = "the page";

impl Environment for Lattice {
    fn tokens(&self) -> Result<Tokens, String> {
        let setting = config::get("tokens")
            .map_err(|error| format!("the setting tokens cannot be read: {error:?}"))?;
        Tokens::parse(setting.as_deref().unwrap_or_default()).map_err(|error| error.to_string())
    }
}

impl Log for Lattice {
    fn write(&self, events: EventColumns) -> Result<Written, Error> {
        let written = of(AUDIT_API, log::write(&events.packed()))?;
        Written::unpacked(&written).map_err(|error| {
            Error::Unavailable(format!("{AUDIT_API}'s answer cannot be read: {error}"))
        })
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error> {
        of(AUDIT_API, log::search(query))
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error> {
        of(AUDIT_API, log::page(id, offset, limit))
    }

    fn proof(&self, index: u64) -> Result<InclusionProof, Error> {
        of(AUDIT_API, log::proof(index))
    }

    fn entries(&self, first: u64, limit: u32, with_proofs: bool) -> Result<EntryRange, Error> {
        of(AUDIT_API, log::entries(first, limit, with_proofs))
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        of(AUDIT_API, log::root())
    }
}

impl LogTree for Lattice {
    fn ledger_status(&self) -> Result<LedgerStatus, Error> {
        of(LEDGER, status::get_status())
    }

    fn head(&self) -> Result<Checkpoint, Error> {
        of(LEDGER, proofs::latest_checkpoint())
    }

    fn entry(&self, index: u64) -> Result<Entry, Error> {
        of(LEDGER, tiles::entry_at(index))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, Error> {
        of(LEDGER, proofs::consistency(old_size, new_size))
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        of(LEDGER, tiles::tile(level, number, width))
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        of(LEDGER, tiles::entry_bundle(number, width))
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, Error> {
        of(LEDGER, tiles::receipt(index))
    }
}

impl LogControl for Lattice {
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, Error> {
        of(LEDGER, control::erase(entry, reason, actor))
    }

    fn retain(
        &self,
        before: WallTime,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, Error> {
        of(LEDGER, control::retain(before, scope, reason, actor))
    }

    fn retention(&self) -> Result<Retention, Error> {
        of(LEDGER, control::get_retention())
    }

    fn close_gap(&self, id: u64, reason: &str, actor: &str) -> Result<Gap, Error> {
        of(LEDGER, control::close_gap(id, reason, actor))
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        of(LEDGER, control::rotate_key(reason, actor))
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        of(LEDGER, control::retire_key(reason, actor))
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, Error> {
        of(LEDGER, control::freeze(successor, reason, actor))
    }
}

impl PangeaLog for Lattice {
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, Error> {
        of(LEDGER, pangea::search(query))
    }

    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, Error> {
        let restriction = restriction.map(Vec::as_slice);
        of(LEDGER, pangea::get_page(id, offset, limit, restriction))
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, Error> {
        of(LEDGER, pangea::get_root(size))
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, Error> {
        of(LEDGER, pangea::get_logged(indices, previous_root))
    }

    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), Error> {
        of(LEDGER, pangea::get_span(start, end))
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, Error> {
        of(LEDGER, pangea::get_entries(start, end, published, verbose))
    }

    fn keep(&self, content: &str, expires_at: WallTime) -> Result<String, Error> {
        of(LEDGER, pangea::keep(content, expires_at))
    }

    fn keep_as(&self, name: &str, content: &str, expires_at: WallTime) -> Result<String, Error> {
        of(LEDGER, pangea::keep_as(name, content, expires_at))
    }

    fn kept(&self, name: &str) -> Result<String, Error> {
        of(LEDGER, pangea::get_kept(name))
    }
}

impl Readings for Lattice {
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, Error> {
        of(LEDGER, readings::latest(sensors))
    }

    fn series(
        &self,
        sensor: &str,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Result<Series, Error> {
        of(LEDGER, readings::get_series(sensor, start, end, limit))
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, Error> {
        of(LEDGER, completeness::list_gaps(query))
    }
}

impl Witnessing for Lattice {
    fn published_checkpoint(&self) -> Result<Checkpoint, Error> {
        of(LEDGER, witness::published_checkpoint())
    }

    fn inclusion(&self, index: u64) -> Result<InclusionProof, Error> {
        of(LEDGER, witness::published_inclusion(index))
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, Error> {
        of(LEDGER, witness::add_checkpoint(request))
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, Error> {
        of(LEDGER, witness::cosigned_checkpoint(origin_hash))
    }

    fn witnessing(&self) -> Result<ledger::Witnessing, Error> {
        of(LEDGER, witness::get_status())
    }
}

impl Plant for Lattice {
    fn sites(&self) -> Result<Vec<String>, Error> {
        sites::configured()
    }

    fn sensors(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<SensorState>, Error> {
        sites::select(site)?;
        of(POLLING, registry::list_sensors(offset, limit))
    }

    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, Error> {
        sites::select(site)?;
        of(POLLING, registry::get_sensor(id))
    }

    fn approve_key(&self, site: &str, sensor: &str, fingerprint: &str) -> Result<String, Error> {
        sites::select(site)?;
        of(POLLING, registry::approve(sensor, fingerprint))
    }

    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, Error> {
        sites::select(site)?;
        of(POLLING, registry::retire(sensor))
    }

    fn refusals(
        &self,
        site: &str,
        sensor: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Refusal>, Error> {
        sites::select(site)?;
        of(POLLING, registry::list_refusals(sensor, limit))
    }

    fn polling_status(&self, site: &str) -> Result<PollingStatus, Error> {
        sites::select(site)?;
        of(POLLING, registry::get_status())
    }

    fn dead_letters(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        sites::select(site)?;
        of(POLLING, registry::list_dead_letters(offset, limit))
    }

    fn dead_letter(&self, site: &str, id: &str) -> Result<DeadLetter, Error> {
        sites::select(site)?;
        of(POLLING, registry::get_dead_letter(id))
    }

    fn retry_dead_letter(&self, site: &str, id: &str) -> Result<(), Error> {
        sites::select(site)?;
        of(POLLING, registry::retry_dead_letter(id))
    }

    fn drop_dead_letter(&self, site: &str, id: &str) -> Result<(), Error> {
        sites::select(site)?;
        of(POLLING, registry::drop_dead_letter(id))
    }
}

impl Pages for Lattice {
    fn asset(&self, path: &str) -> Result<Option<Asset>, Error> {
        of(PAGE, assets::get(path).map(Ok))
    }
}

/// What this part answered, or that it does not. The failure itself has nothing to say; the host logs
/// why a call failed.
fn of<T>(part: &str, answer: Result<Result<T, Error>, RpcError>) -> Result<T, Error> {
    answer.unwrap_or_else(|_failed| Err(Error::Unavailable(format!("{part} does not answer"))))
}
