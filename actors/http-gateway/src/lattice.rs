//! The backend of the API: each call goes over the lattice.

use std::time::{SystemTime, UNIX_EPOCH};

use fieldledger_api::backend::{
    Asset, Checkpoint, Entry, Erasure, Freeze, GapPage, GapQuery, KeyChange, LedgerStatus,
    PangeaLogged, PangeaPage, PangeaRoot, PollingStatus, Reading, Restriction, Retained, Retention,
    RetentionScope, SearchPage, SearchQuery, SensorState, Series, Successor, WitnessReply,
    Witnessing,
};
use fieldledger_api::{Backend, BackendError, LogTree, Moment, Tokens};
use fieldledger_audit::EventColumns;
use wasmcloud_component::wasi::config::store as config;

use crate::bindings::fieldledger::audit::log;
use crate::bindings::fieldledger::audit::types::AuditError;
use crate::bindings::fieldledger::field::registry;
use crate::bindings::fieldledger::ledger::{
    completeness, control, pangea, proofs, readings, status, tiles, witness,
};
use crate::bindings::fieldledger::ui::assets;
use crate::bindings::wrpc::rpc::error::Error as RpcError;
use crate::{convert, gaps, sites};

pub(crate) struct Lattice;

impl Backend for Lattice {
    fn now(&self) -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since_epoch.map_or(0, |elapsed| elapsed.as_micros());
        Moment(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn tokens(&self) -> Result<Tokens, String> {
        let setting = config::get("tokens")
            .map_err(|error| format!("the setting tokens cannot be read: {error:?}"))?;
        Tokens::parse(setting.as_deref().unwrap_or_default()).map_err(|error| error.to_string())
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, BackendError> {
        let page = audited("the audit API", log::search(&convert::search_query(query)))?;
        Ok(convert::search_page(page))
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, BackendError> {
        let page = audited("the audit API", log::page(id, offset, limit))?;
        Ok(convert::search_page(page))
    }

    fn proof(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        let proof = audited("the audit API", log::proof(index))?;
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
        let range = audited("the audit API", log::entries(first, limit, with_proofs))?;
        Ok((
            range.entries.into_iter().map(convert::entry).collect(),
            convert::checkpoint(range.checkpoint),
        ))
    }

    fn checkpoint(&self) -> Result<Checkpoint, BackendError> {
        let checkpoint = audited("the audit API", log::root())?;
        Ok(convert::checkpoint(checkpoint))
    }

    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, BackendError> {
        let erasure = changed(control::erase(entry, reason, actor))?;
        Ok(convert::erasure(erasure))
    }

    fn retain(
        &self,
        before: Moment,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, BackendError> {
        let scope = convert::retention_scope(scope);
        let retained = changed(control::retain(before.0, scope, reason, actor))?;
        Ok(convert::retained(retained))
    }

    fn retention(&self) -> Result<Retention, BackendError> {
        let retention = changed(control::get_retention())?;
        Ok(convert::retention(retention))
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        let change = changed(control::rotate_key(reason, actor))?;
        Ok(convert::key_change(change))
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        let change = changed(control::retire_key(reason, actor))?;
        Ok(convert::key_change(change))
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, BackendError> {
        let successor = successor.map(convert::successor);
        let frozen = changed(control::freeze(successor.as_ref(), reason, actor))?;
        Ok(convert::frozen(frozen))
    }

    fn write(&self, events: EventColumns) -> Result<Vec<Option<u64>>, BackendError> {
        let written = log::write(&convert::event_columns(events));
        Ok(audited("the audit API", written)?.indices)
    }

    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, BackendError> {
        let page = pangea::search(&convert::search_query(query));
        Ok(convert::pangea_page(audited("the ledger", page)?))
    }

    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, BackendError> {
        let page = pangea::get_page(id, offset, limit, restriction.map(Vec::as_slice));
        Ok(convert::pangea_page(audited("the ledger", page)?))
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, BackendError> {
        let root = audited("the ledger", pangea::get_root(size))?;
        Ok(convert::pangea_root(root))
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, BackendError> {
        let logged = audited("the ledger", pangea::get_logged(indices, previous_root))?;
        Ok(logged.into_iter().map(convert::pangea_logged).collect())
    }

    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), BackendError> {
        audited("the ledger", pangea::get_span(start, end))
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, BackendError> {
        let page = pangea::get_entries(start, end, published, verbose);
        Ok(convert::pangea_page(audited("the ledger", page)?))
    }

    fn keep(&self, content: &str, expires_at: Moment) -> Result<String, BackendError> {
        audited("the ledger", pangea::keep(content, expires_at.0))
    }

    fn kept(&self, name: &str) -> Result<String, BackendError> {
        audited("the ledger", pangea::get_kept(name))
    }

    fn sites(&self) -> Result<Vec<String>, BackendError> {
        sites::configured()
    }

    fn sensors(
        &self,
        site: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<SensorState>, BackendError> {
        sites::select(site)?;
        let sensors = answered("polling", registry::list_sensors(offset, limit))?;
        Ok(sensors.into_iter().map(convert::sensor_state).collect())
    }

    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, BackendError> {
        sites::select(site)?;
        let sensor = answered("polling", registry::get_sensor(id))?;
        Ok(sensor.map(convert::sensor_state))
    }

    fn approve_key(
        &self,
        site: &str,
        sensor: &str,
        fingerprint: &str,
    ) -> Result<String, BackendError> {
        sites::select(site)?;
        enrolled(registry::approve(sensor, fingerprint))
    }

    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, BackendError> {
        sites::select(site)?;
        enrolled(registry::retire(sensor))
    }

    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, BackendError> {
        let latest = audited("the ledger", readings::latest(sensors))?;
        Ok(latest.into_iter().map(convert::reading).collect())
    }

    fn series(
        &self,
        sensor: &str,
        start: Moment,
        end: Moment,
        limit: u32,
    ) -> Result<Series, BackendError> {
        let series = readings::get_series(sensor, start.0, end.0, limit);
        Ok(convert::series(audited("the ledger", series)?))
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, BackendError> {
        let page = completeness::list_gaps(&gaps::query(query));
        Ok(gaps::page(audited("the ledger", page)?))
    }

    fn ledger_status(&self) -> Result<LedgerStatus, BackendError> {
        let status = answered("the ledger", status::get_status())?;
        Ok(convert::ledger_status(status))
    }

    fn polling_status(&self, site: &str) -> Result<PollingStatus, BackendError> {
        sites::select(site)?;
        let status = answered("polling", registry::get_status())?;
        Ok(convert::polling_status(status))
    }

    fn published_checkpoint(&self) -> Result<Checkpoint, BackendError> {
        let checkpoint = audited("the ledger", witness::published_checkpoint())?;
        Ok(convert::checkpoint(checkpoint))
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, BackendError> {
        let reply = answered("the ledger", witness::add_checkpoint(request))?;
        Ok(convert::witness_reply(reply))
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, BackendError> {
        answered("the ledger", witness::cosigned_checkpoint(origin_hash))
    }

    fn witnessing(&self) -> Result<Witnessing, BackendError> {
        let status = answered("the ledger", witness::get_status())?;
        Ok(convert::witnessing(status))
    }

    fn asset(&self, path: &str) -> Result<Option<Asset>, BackendError> {
        let asset = assets::get(path).map_err(|failed| no_answer("the page", &failed))?;
        Ok(asset.map(convert::asset))
    }
}

impl LogTree for Lattice {
    fn head(&self) -> Result<Checkpoint, BackendError> {
        let head = audited("the ledger", proofs::latest_checkpoint())?;
        Ok(convert::checkpoint(head))
    }

    fn entry(&self, index: u64) -> Result<Entry, BackendError> {
        let entry = audited("the ledger", tiles::entry_at(index))?;
        Ok(convert::entry(entry))
    }

    fn inclusion(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        let proof = audited("the ledger", witness::published_inclusion(index))?;
        Ok((
            convert::entry(proof.entry),
            convert::checkpoint(proof.checkpoint),
        ))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, BackendError> {
        audited("the ledger", proofs::consistency(old_size, new_size))
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        audited("the ledger", tiles::tile(level, number, width))
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        audited("the ledger", tiles::entry_bundle(number, width))
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, BackendError> {
        audited("the ledger", tiles::receipt(index))
    }
}

/// The value of a call whose own error is an audit error.
fn audited<T>(
    part: &str,
    answer: Result<Result<T, AuditError>, RpcError>,
) -> Result<T, BackendError> {
    answer
        .map_err(|failed| no_answer(part, &failed))?
        .map_err(convert::audit_error)
}

/// The value of a call that changes the log.
fn changed<T>(
    answer: Result<Result<T, control::ControlError>, RpcError>,
) -> Result<T, BackendError> {
    answer
        .map_err(|failed| no_answer("the ledger", &failed))?
        .map_err(convert::control_error)
}

/// The value of a call whose own error is a sentence.
fn answered<T>(part: &str, answer: Result<Result<T, String>, RpcError>) -> Result<T, BackendError> {
    answer
        .map_err(|failed| no_answer(part, &failed))?
        .map_err(|reason| BackendError::Unavailable(format!("{part} cannot answer: {reason}")))
}

/// The value of a call that decides about a sensor's key.
fn enrolled<T>(
    answer: Result<Result<T, registry::EnrolError>, RpcError>,
) -> Result<T, BackendError> {
    let answer = answer.map_err(|failed| no_answer("polling", &failed))?;
    answer.map_err(|error| match error {
        registry::EnrolError::NotFound(what) => BackendError::NotFound(what),
        registry::EnrolError::Refused(why) => BackendError::Refused(why),
        registry::EnrolError::Unavailable(why) => BackendError::Unavailable(why),
    })
}

/// The error itself has nothing to say; the host logs why a call failed.
fn no_answer(part: &str, _failed: &RpcError) -> BackendError {
    BackendError::Unavailable(format!("{part} does not answer"))
}
