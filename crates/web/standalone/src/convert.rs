//! Between the ledger's types and the API's: same names, same units, moved field by field.

use fieldledger_api::backend::{
    ArchiveStatus, AsWitness, Bucket, Checkpoint, Entry, Erasure, Freeze, KeyChange, LedgerStatus,
    OwnWitnesses, PangeaEvent, PangeaLogged, PangeaPage, PangeaRoot, Reading, Removal, RemovalKind,
    Retained, Retention, RetentionScope, SearchPage, SearchQuery, Series, Successor, WatchedLog,
    WitnessReply, WitnessState, Witnessing,
};
use fieldledger_api::{BackendError, FieldProblem, Moment};
use fieldledger_cosigning::{self as cosigning, Cosigning};
use fieldledger_ledger as ledger;

pub(crate) fn query_error(error: ledger::QueryError) -> BackendError {
    match error {
        ledger::QueryError::Invalid(fields) => {
            BackendError::Invalid(fields.into_iter().map(invalid_field).collect())
        }
        ledger::QueryError::NotFound(what) => BackendError::NotFound(what),
        ledger::QueryError::Expired(what) => BackendError::Expired(what),
        ledger::QueryError::Unavailable(reason) => BackendError::Unavailable(reason),
    }
}

fn invalid_field(invalid: ledger::InvalidField) -> FieldProblem {
    let field = match invalid.item {
        0 => invalid.field,
        item => format!("{}[{item}]", invalid.field),
    };
    FieldProblem::new(field, invalid.problem)
}

pub(crate) fn append_error(error: ledger::AppendError) -> BackendError {
    match error {
        ledger::AppendError::Invalid(fields) => {
            BackendError::Invalid(fields.into_iter().map(invalid_field).collect())
        }
        ledger::AppendError::Ended(reason) => BackendError::Refused(reason),
        ledger::AppendError::Unavailable(reason) => BackendError::Unavailable(reason),
    }
}

pub(crate) fn search_query(query: &SearchQuery) -> ledger::SearchQuery {
    ledger::SearchQuery {
        query: query.query.clone(),
        start: query.start.clone(),
        end: query.end.clone(),
        order: if query.descending {
            ledger::Order::Descending
        } else {
            ledger::Order::Ascending
        },
        order_by: query.order_by.clone(),
        limit: query.limit,
        max_results: query.max_results,
        restriction: query.restriction.clone(),
        verbose: query.verbose,
    }
}

pub(crate) fn search_page(page: ledger::SearchPage) -> SearchPage {
    SearchPage {
        id: page.id,
        expires_at: (page.expires_at > 0).then_some(Moment(page.expires_at)),
        count: page.count,
        entries: page.entries.into_iter().map(entry).collect(),
        checkpoint: checkpoint(page.checkpoint),
        indexed_size: page.indexed_size,
    }
}

pub(crate) fn entry(entry: ledger::Entry) -> Entry {
    Entry {
        index: entry.index,
        envelope: entry.envelope,
        envelope_hash: entry.envelope_hash,
        leaf: entry.leaf,
        proof: entry.proof,
        removed: entry.removed.map(removal),
    }
}

fn removal(removal: ledger::Removal) -> Removal {
    Removal {
        kind: match removal.kind {
            ledger::RemovalKind::Erased => RemovalKind::Erased,
            ledger::RemovalKind::GivenUp => RemovalKind::GivenUp,
        },
        entry: removal.entry,
        reason: removal.reason,
    }
}

pub(crate) fn checkpoint(checkpoint: ledger::Checkpoint) -> Checkpoint {
    Checkpoint {
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        note: checkpoint.note,
        verifier_key: checkpoint.verifier_key,
        verifier_keys: checkpoint.verifier_keys,
    }
}

pub(crate) fn pangea_root(root: ledger::PangeaRoot) -> PangeaRoot {
    PangeaRoot {
        tree_name: root.tree_name,
        size: root.size,
        root_hash: root.root_hash,
        published_at: root.published_at.map(Moment),
        consistency_proof: root.consistency_proof,
    }
}

fn pangea_event(event: ledger::PangeaEvent) -> PangeaEvent {
    PangeaEvent {
        index: event.index,
        envelope: event.envelope,
        hash: event.hash,
        removed: event.removed.map(removal),
        leaf_index: event.leaf_index,
        membership_proof: event.membership_proof,
    }
}

pub(crate) fn pangea_page(page: ledger::PangeaPage) -> PangeaPage {
    PangeaPage {
        id: page.id,
        expires_at: Moment(page.expires_at),
        count: page.count,
        events: page.events.into_iter().map(pangea_event).collect(),
        root: page.root.map(pangea_root),
        unpublished_root: page.unpublished_root.map(pangea_root),
    }
}

pub(crate) fn pangea_logged(logged: ledger::Logged) -> PangeaLogged {
    PangeaLogged {
        event: pangea_event(logged.event),
        unpublished_root: logged.unpublished_root,
        consistency_proof: logged.consistency_proof,
    }
}

pub(crate) fn reading(reading: ledger::Reading) -> Reading {
    Reading {
        index: reading.index,
        sensor: reading.sensor,
        status: reading.status,
        quality: reading.quality,
        value: reading.value,
        unit: reading.unit,
        polled_at: Moment(reading.polled_at),
        received_at: Moment(reading.received_at),
    }
}

pub(crate) fn series(series: ledger::Series) -> Series {
    match series {
        ledger::Series::Raw(items) => Series::Raw(items.into_iter().map(reading).collect()),
        ledger::Series::Buckets(items) => Series::Buckets(items.iter().map(bucket).collect()),
    }
}

fn bucket(bucket: &ledger::Bucket) -> Bucket {
    Bucket {
        start: Moment(bucket.start),
        count: bucket.count,
        bad: bucket.bad,
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean,
        last: bucket.last,
    }
}

pub(crate) fn ledger_status(status: ledger::LedgerStatus) -> LedgerStatus {
    LedgerStatus {
        origin: status.origin,
        tree_size: status.tree_size,
        indexed_size: status.indexed_size,
        bytes_on_disk: status.bytes_on_disk,
        appended: status.appended,
        duplicates: status.duplicates,
        rejected: status.rejected,
        commits: status.commits,
        recovery: status.recovery,
        commit_p50: status.commit_p50,
        commit_p99: status.commit_p99,
        ended: status.ended,
        index_problem: status.index_problem,
        archive: status.archive.map(archive_status),
    }
}

fn archive_status(archive: ledger::ArchiveStatus) -> ArchiveStatus {
    ArchiveStatus {
        segments: archive.segments,
        entries: archive.entries,
        bytes: archive.bytes,
        removed: archive.removed,
        problem: archive.problem,
    }
}

pub(crate) fn control_error(error: ledger::ControlError) -> BackendError {
    match error {
        ledger::ControlError::Invalid(fields) => {
            BackendError::Invalid(fields.into_iter().map(invalid_field).collect())
        }
        ledger::ControlError::NotFound(what) => BackendError::NotFound(what),
        ledger::ControlError::Refused(reason) => BackendError::Refused(reason),
        ledger::ControlError::Unavailable(reason) => BackendError::Unavailable(reason),
    }
}

pub(crate) fn erasure(erasure: ledger::Erasure) -> Erasure {
    Erasure {
        entry: erasure.entry,
        marker: erasure.marker,
        already: erasure.already,
    }
}

pub(crate) fn retention_scope(scope: RetentionScope) -> ledger::RetentionScope {
    match scope {
        RetentionScope::Readings => ledger::RetentionScope::Readings,
        RetentionScope::All => ledger::RetentionScope::All,
    }
}

pub(crate) fn retained(retained: ledger::Retained) -> Retained {
    Retained {
        marker: retained.marker,
        below: retained.below,
    }
}

pub(crate) fn retention(status: ledger::RetentionStatus) -> Retention {
    Retention {
        readings_below: status.readings_below,
        all_below: status.all_below,
        freed_bytes: status.freed_bytes,
        pending: status.pending,
        problem: status.problem,
    }
}

pub(crate) fn key_change(change: ledger::KeyChange) -> KeyChange {
    KeyChange {
        entry: change.entry,
        old: change.old,
        new: change.new,
        verifier_keys: change.verifier_keys,
    }
}

pub(crate) fn successor(successor: &Successor) -> ledger::Successor {
    ledger::Successor {
        origin: successor.origin.clone(),
        verifier_key: successor.verifier_key.clone(),
    }
}

pub(crate) fn freeze(freeze: ledger::Freeze) -> Freeze {
    Freeze {
        entry: freeze.entry,
        checkpoint: checkpoint(freeze.checkpoint),
    }
}

pub(crate) fn witness_reply(reply: cosigning::Reply) -> WitnessReply {
    WitnessReply {
        status: reply.status,
        content_type: reply.content_type.to_owned(),
        body: reply.body,
    }
}

pub(crate) fn witnessing(cosigning: &Cosigning) -> Witnessing {
    Witnessing {
        own: cosigning.collector_status().map(own_witnesses),
        as_witness: cosigning.witness_status().map(as_witness),
    }
}

fn own_witnesses(status: cosigning::CollectorStatus) -> OwnWitnesses {
    OwnWitnesses {
        behaviour: status.behaviour.to_string(),
        tree_size: status.tree_size,
        published_size: status.published_size,
        witnessed: status.witnessed,
        witnessed_size: status.witnessed_size,
        witnesses: status.witnesses.into_iter().map(witness_state).collect(),
    }
}

fn witness_state(witness: cosigning::WitnessProgress) -> WitnessState {
    WitnessState {
        name: witness.name,
        key: witness.key,
        url: witness.url,
        cosigned_size: witness.cosigned_size,
        cosigned_at: witness.cosigned_at,
        lag: witness.lag,
        failures: witness.failures,
        last_error: witness.last_error,
        refuses: witness.refuses,
    }
}

fn as_witness(status: cosigning::WitnessStatus) -> AsWitness {
    AsWitness {
        key: status.key,
        logs: status.logs.into_iter().map(watched_log).collect(),
    }
}

fn watched_log(log: cosigning::WatchedStatus) -> WatchedLog {
    WatchedLog {
        origin: log.origin,
        size: log.size,
        cosigned_at: log.cosigned_at,
        refused: log.refused,
        problem: log.problem,
    }
}
