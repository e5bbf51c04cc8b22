//! Between the lattice's types and the ledger's: same names, same units, moved field by field.

use fieldledger_cosigning::{self as cosigning, Cosigning};
use fieldledger_ledger as ledger;

use crate::bindings::{
    exports::fieldledger::ledger::{control, pangea, readings, status as lattice_status, witness},
    fieldledger::audit::types as lattice,
};

pub(crate) fn events(events: lattice::EventColumns) -> ledger::EventColumns {
    ledger::EventColumns {
        producer: events.producer,
        sequence: events.sequence,
        message: events.message,
        actor: events.actor,
        action: events.action,
        new: events.new,
        old: events.old,
        source: events.source,
        status: events.status,
        target: events.target,
        tenant_id: events.tenant_id,
        timestamp: events.timestamp,
        signature: events.signature,
        public_key: events.public_key,
    }
}

pub(crate) fn written(written: ledger::Written) -> lattice::Written {
    lattice::Written {
        indices: written.indices,
        appended: written.appended,
        duplicates: written.duplicates,
        tree_size: written.tree_size,
    }
}

pub(crate) fn query(query: lattice::SearchQuery) -> ledger::SearchQuery {
    ledger::SearchQuery {
        query: query.query,
        start: query.start,
        end: query.end,
        order: match query.order {
            lattice::Order::Ascending => ledger::Order::Ascending,
            lattice::Order::Descending => ledger::Order::Descending,
        },
        order_by: query.order_by,
        limit: query.limit,
        max_results: query.max_results,
        restriction: query.restriction,
        verbose: query.verbose,
    }
}

pub(crate) fn checkpoint(checkpoint: ledger::Checkpoint) -> lattice::Checkpoint {
    lattice::Checkpoint {
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        note: checkpoint.note,
        verifier_key: checkpoint.verifier_key,
        verifier_keys: checkpoint.verifier_keys,
    }
}

pub(crate) fn entry(entry: ledger::Entry) -> lattice::Entry {
    lattice::Entry {
        index: entry.index,
        envelope: entry.envelope,
        envelope_hash: entry.envelope_hash,
        leaf: entry.leaf,
        proof: entry.proof,
        removed: entry.removed.map(removal),
    }
}

fn removal(removal: ledger::Removal) -> lattice::Removal {
    lattice::Removal {
        kind: match removal.kind {
            ledger::RemovalKind::Erased => lattice::RemovalKind::Erased,
            ledger::RemovalKind::GivenUp => lattice::RemovalKind::GivenUp,
        },
        entry: removal.entry,
        reason: removal.reason,
    }
}

pub(crate) fn page(page: ledger::SearchPage) -> lattice::SearchPage {
    lattice::SearchPage {
        id: page.id,
        expires_at: page.expires_at,
        count: page.count,
        entries: page.entries.into_iter().map(entry).collect(),
        checkpoint: checkpoint(page.checkpoint),
        indexed_size: page.indexed_size,
    }
}

pub(crate) fn inclusion(proof: ledger::InclusionProof) -> lattice::InclusionProof {
    lattice::InclusionProof {
        entry: entry(proof.entry),
        checkpoint: checkpoint(proof.checkpoint),
    }
}

pub(crate) fn entry_range(range: ledger::EntryRange) -> lattice::EntryRange {
    lattice::EntryRange {
        entries: range.entries.into_iter().map(entry).collect(),
        checkpoint: checkpoint(range.checkpoint),
    }
}

pub(crate) fn pangea_root(root: ledger::PangeaRoot) -> pangea::Root {
    pangea::Root {
        tree_name: root.tree_name,
        size: root.size,
        root_hash: root.root_hash,
        published_at: root.published_at,
        consistency_proof: root.consistency_proof,
    }
}

fn pangea_event(event: ledger::PangeaEvent) -> pangea::Event {
    pangea::Event {
        index: event.index,
        envelope: event.envelope,
        hash: event.hash,
        removed: event.removed.map(removal),
        leaf_index: event.leaf_index,
        membership_proof: event.membership_proof,
    }
}

pub(crate) fn pangea_page(page: ledger::PangeaPage) -> pangea::Page {
    pangea::Page {
        id: page.id,
        expires_at: page.expires_at,
        count: page.count,
        events: page.events.into_iter().map(pangea_event).collect(),
        root: page.root.map(pangea_root),
        unpublished_root: page.unpublished_root.map(pangea_root),
    }
}

pub(crate) fn pangea_logged(logged: ledger::Logged) -> pangea::Logged {
    pangea::Logged {
        event: pangea_event(logged.event),
        unpublished_root: logged.unpublished_root,
        consistency_proof: logged.consistency_proof,
    }
}

pub(crate) fn reading(reading: ledger::Reading) -> readings::Reading {
    readings::Reading {
        index: reading.index,
        sensor: reading.sensor,
        status: reading.status,
        quality: reading.quality,
        value: reading.value,
        unit: reading.unit,
        polled_at: reading.polled_at,
        received_at: reading.received_at,
    }
}

pub(crate) fn series(series: ledger::Series) -> readings::Series {
    match series {
        ledger::Series::Raw(raw) => readings::Series::Raw(raw.into_iter().map(reading).collect()),
        ledger::Series::Buckets(buckets) => {
            readings::Series::Buckets(buckets.iter().map(bucket).collect())
        }
    }
}

fn bucket(bucket: &ledger::Bucket) -> readings::Bucket {
    readings::Bucket {
        start: bucket.start,
        count: bucket.count,
        bad: bucket.bad,
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean,
        last: bucket.last,
    }
}

pub(crate) fn status(status: ledger::LedgerStatus) -> lattice_status::LedgerStatus {
    lattice_status::LedgerStatus {
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

fn archive_status(archive: ledger::ArchiveStatus) -> lattice_status::ArchiveStatus {
    lattice_status::ArchiveStatus {
        segments: archive.segments,
        entries: archive.entries,
        bytes: archive.bytes,
        removed: archive.removed,
        problem: archive.problem,
    }
}

pub(crate) fn witnessing(cosigning: &Cosigning) -> witness::Witnessing {
    witness::Witnessing {
        own: cosigning.collector_status().map(own_witnesses),
        as_witness: cosigning.witness_status().map(as_witness),
    }
}

fn own_witnesses(status: cosigning::CollectorStatus) -> witness::OwnWitnesses {
    witness::OwnWitnesses {
        behaviour: status.behaviour.to_string(),
        tree_size: status.tree_size,
        published_size: status.published_size,
        witnessed: status.witnessed,
        witnessed_size: status.witnessed_size,
        witnesses: status.witnesses.into_iter().map(witness_state).collect(),
    }
}

fn witness_state(witness: cosigning::WitnessProgress) -> witness::WitnessState {
    witness::WitnessState {
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

fn as_witness(status: cosigning::WitnessStatus) -> witness::AsWitness {
    witness::AsWitness {
        key: status.key,
        logs: status.logs.into_iter().map(watched_log).collect(),
    }
}

fn watched_log(log: cosigning::WatchedStatus) -> witness::WatchedLog {
    witness::WatchedLog {
        origin: log.origin,
        size: log.size,
        cosigned_at: log.cosigned_at,
        refused: log.refused,
        problem: log.problem,
    }
}

fn invalid_fields(fields: Vec<ledger::InvalidField>) -> Vec<lattice::InvalidField> {
    let fields = fields.into_iter().map(|invalid| lattice::InvalidField {
        item: invalid.item,
        field: invalid.field,
        problem: invalid.problem,
    });
    fields.collect()
}

fn invalid(fields: Vec<ledger::InvalidField>) -> lattice::AuditError {
    lattice::AuditError::Invalid(invalid_fields(fields))
}

pub(crate) fn append_error(error: ledger::AppendError) -> lattice::AuditError {
    match error {
        ledger::AppendError::Invalid(fields) => invalid(fields),
        // The contract has no word yet for what never comes back.
        ledger::AppendError::Ended(reason) | ledger::AppendError::Unavailable(reason) => {
            lattice::AuditError::Unavailable(reason)
        }
    }
}

pub(crate) fn query_error(error: ledger::QueryError) -> lattice::AuditError {
    match error {
        ledger::QueryError::Invalid(fields) => invalid(fields),
        ledger::QueryError::NotFound(what) => lattice::AuditError::NotFound(what),
        ledger::QueryError::Expired(what) => lattice::AuditError::Expired(what),
        ledger::QueryError::Unavailable(reason) => lattice::AuditError::Unavailable(reason),
    }
}

pub(crate) fn control_error(error: ledger::ControlError) -> control::ControlError {
    match error {
        ledger::ControlError::Invalid(fields) => {
            control::ControlError::Invalid(invalid_fields(fields))
        }
        ledger::ControlError::NotFound(what) => control::ControlError::NotFound(what),
        ledger::ControlError::Refused(reason) => control::ControlError::Refused(reason),
        ledger::ControlError::Unavailable(reason) => control::ControlError::Unavailable(reason),
    }
}

pub(crate) fn erasure(erasure: ledger::Erasure) -> control::Erasure {
    control::Erasure {
        entry: erasure.entry,
        marker: erasure.marker,
        already: erasure.already,
    }
}

pub(crate) fn retention_scope(scope: &control::RetentionScope) -> ledger::RetentionScope {
    match scope {
        control::RetentionScope::Readings => ledger::RetentionScope::Readings,
        control::RetentionScope::All => ledger::RetentionScope::All,
    }
}

pub(crate) fn retained(retained: ledger::Retained) -> control::Retained {
    control::Retained {
        marker: retained.marker,
        below: retained.below,
    }
}

pub(crate) fn retention(status: ledger::RetentionStatus) -> control::Retention {
    control::Retention {
        readings_below: status.readings_below,
        all_below: status.all_below,
        freed_bytes: status.freed_bytes,
        pending: status.pending,
        problem: status.problem,
    }
}

pub(crate) fn key_change(change: ledger::KeyChange) -> control::KeyChange {
    control::KeyChange {
        entry: change.entry,
        old: change.old,
        new: change.new,
        verifier_keys: change.verifier_keys,
    }
}

pub(crate) fn successor(successor: control::Successor) -> ledger::Successor {
    ledger::Successor {
        origin: successor.origin,
        verifier_key: successor.verifier_key,
    }
}

pub(crate) fn frozen(freeze: ledger::Freeze) -> control::Frozen {
    control::Frozen {
        entry: freeze.entry,
        checkpoint: checkpoint(freeze.checkpoint),
    }
}
