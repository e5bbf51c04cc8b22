//! From the contracts' types to the API's, field by field.

use fieldledger_api::backend::{
    ArchiveStatus, AsWitness, Asset, Bucket, Calibration, Checkpoint, Entry, Erasure, Freeze,
    KeyChange, LedgerStatus, Liveness, OwnWitnesses, PangeaEvent, PangeaLogged, PangeaPage,
    PangeaRoot, PollingStatus, Range, Reading, Removal, RemovalKind, Retained, Retention,
    RetentionScope, SearchPage, SearchQuery, SensorState, Series, Standing, Successor, WatchedLog,
    WitnessReply, WitnessState, Witnessing,
};
use fieldledger_api::{BackendError, FieldProblem, Moment};
use fieldledger_audit::EventColumns;

use crate::bindings::fieldledger::audit::types as audit;
use crate::bindings::fieldledger::field::registry;
use crate::bindings::fieldledger::ledger::{control, pangea, readings, status, witness};
use crate::bindings::fieldledger::ui::assets;

pub(crate) fn audit_error(error: audit::AuditError) -> BackendError {
    match error {
        audit::AuditError::Invalid(fields) => {
            BackendError::Invalid(fields.into_iter().map(invalid_field).collect())
        }
        audit::AuditError::NotFound(detail) => BackendError::NotFound(detail),
        audit::AuditError::Expired(detail) => BackendError::Expired(detail),
        audit::AuditError::Unsupported(detail) => BackendError::Unsupported(detail),
        audit::AuditError::Unavailable(detail) => BackendError::Unavailable(detail),
    }
}

fn invalid_field(invalid: audit::InvalidField) -> FieldProblem {
    let field = match invalid.item {
        0 => invalid.field,
        item => format!("{}[{item}]", invalid.field),
    };
    FieldProblem::new(field, invalid.problem)
}

pub(crate) fn search_query(query: &SearchQuery) -> audit::SearchQuery {
    audit::SearchQuery {
        query: query.query.clone(),
        start: query.start.clone(),
        end: query.end.clone(),
        order: if query.descending {
            audit::Order::Descending
        } else {
            audit::Order::Ascending
        },
        order_by: query.order_by.clone(),
        limit: query.limit,
        max_results: query.max_results,
        restriction: query.restriction.clone(),
        verbose: query.verbose,
    }
}

pub(crate) fn search_page(page: audit::SearchPage) -> SearchPage {
    SearchPage {
        id: page.id,
        expires_at: (page.expires_at > 0).then_some(Moment(page.expires_at)),
        count: page.count,
        entries: page.entries.into_iter().map(entry).collect(),
        checkpoint: checkpoint(page.checkpoint),
        indexed_size: page.indexed_size,
    }
}

pub(crate) fn entry(entry: audit::Entry) -> Entry {
    Entry {
        index: entry.index,
        envelope: entry.envelope,
        envelope_hash: entry.envelope_hash,
        leaf: entry.leaf,
        proof: entry.proof,
        removed: entry.removed.map(removal),
    }
}

fn removal(removal: audit::Removal) -> Removal {
    Removal {
        kind: match removal.kind {
            audit::RemovalKind::Erased => RemovalKind::Erased,
            audit::RemovalKind::GivenUp => RemovalKind::GivenUp,
        },
        entry: removal.entry,
        reason: removal.reason,
    }
}

pub(crate) fn checkpoint(checkpoint: audit::Checkpoint) -> Checkpoint {
    Checkpoint {
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        note: checkpoint.note,
        verifier_key: checkpoint.verifier_key,
        verifier_keys: checkpoint.verifier_keys,
    }
}

pub(crate) fn event_columns(events: EventColumns) -> audit::EventColumns {
    audit::EventColumns {
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

pub(crate) fn pangea_root(root: pangea::Root) -> PangeaRoot {
    PangeaRoot {
        tree_name: root.tree_name,
        size: root.size,
        root_hash: root.root_hash,
        published_at: root.published_at.map(Moment),
        consistency_proof: root.consistency_proof,
    }
}

fn pangea_event(event: pangea::Event) -> PangeaEvent {
    PangeaEvent {
        index: event.index,
        envelope: event.envelope,
        hash: event.hash,
        removed: event.removed.map(removal),
        leaf_index: event.leaf_index,
        membership_proof: event.membership_proof,
    }
}

pub(crate) fn pangea_page(page: pangea::Page) -> PangeaPage {
    PangeaPage {
        id: page.id,
        expires_at: Moment(page.expires_at),
        count: page.count,
        events: page.events.into_iter().map(pangea_event).collect(),
        root: page.root.map(pangea_root),
        unpublished_root: page.unpublished_root.map(pangea_root),
    }
}

pub(crate) fn pangea_logged(logged: pangea::Logged) -> PangeaLogged {
    PangeaLogged {
        event: pangea_event(logged.event),
        unpublished_root: logged.unpublished_root,
        consistency_proof: logged.consistency_proof,
    }
}

pub(crate) fn sensor_state(state: registry::SensorState) -> SensorState {
    let profile = state.profile;
    SensorState {
        id: profile.id,
        alias: profile.alias,
        location: profile.location,
        unit: profile.unit,
        range: profile.range.map(|range| Range {
            low: range.low,
            high: range.high,
        }),
        calibration: profile.calibration.map(|calibration| Calibration {
            base: calibration.base,
            scale: calibration.scale,
            offset: calibration.offset,
        }),
        liveness: match state.liveness {
            registry::Liveness::Ok => Liveness::Ok,
            registry::Liveness::Stale => Liveness::Stale,
            registry::Liveness::Down => Liveness::Down,
        },
        standing: match state.standing {
            registry::Standing::Unsigned => Standing::Unsigned,
            registry::Standing::Discovered => Standing::Discovered,
            registry::Standing::Approved => Standing::Approved,
            registry::Standing::KeyOffered => Standing::KeyOffered,
            registry::Standing::Retired => Standing::Retired,
        },
        key: state.key,
        offered_key: state.offered_key,
        poll_interval_ms: state.poll_interval_ms,
        ip_address: state.ip_address,
        mac_address: state.mac_address,
        first_seen: Moment(state.first_seen),
        last_heartbeat: Moment(state.last_heartbeat),
        last_poll: state.last_poll.map(Moment),
        last_reply: state.last_reply.map(Moment),
        consecutive_failures: state.consecutive_failures,
        polls: state.polls,
        replies: state.replies,
        timeouts: state.timeouts,
        unparsable: state.unparsable,
        late: state.late,
    }
}

pub(crate) fn reading(reading: readings::Reading) -> Reading {
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

pub(crate) fn series(series: readings::Series) -> Series {
    match series {
        readings::Series::Raw(items) => Series::Raw(items.into_iter().map(reading).collect()),
        readings::Series::Buckets(items) => {
            Series::Buckets(items.into_iter().map(bucket).collect())
        }
    }
}

fn bucket(bucket: readings::Bucket) -> Bucket {
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

pub(crate) fn ledger_status(status: status::LedgerStatus) -> LedgerStatus {
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

fn archive_status(archive: status::ArchiveStatus) -> ArchiveStatus {
    ArchiveStatus {
        segments: archive.segments,
        entries: archive.entries,
        bytes: archive.bytes,
        removed: archive.removed,
        problem: archive.problem,
    }
}

pub(crate) fn polling_status(status: registry::Status) -> PollingStatus {
    PollingStatus {
        epoch: status.epoch,
        started_at: status.started_at,
        sensors_ok: status.sensors_ok,
        sensors_stale: status.sensors_stale,
        sensors_down: status.sensors_down,
        heartbeats: status.heartbeats,
        heartbeats_rejected: status.heartbeats_rejected,
        last_rejection: status.last_rejection,
        polls: status.polls,
        replies: status.replies,
        timeouts: status.timeouts,
        unparsable: status.unparsable,
        late: status.late,
        unsolicited: status.unsolicited,
        history_readings: status.history_readings,
        history_refused: status.history_refused,
        history_deferred: status.history_deferred,
        last_history_refusal: status.last_history_refusal,
        batches_stored: status.batches_stored,
        batches_delivered: status.batches_delivered,
        batches_retried: status.batches_retried,
        batches_dead_lettered: status.batches_dead_lettered,
        last_delivery_error: status.last_delivery_error,
        results_buffered: status.results_buffered,
        batches_pending: status.batches_pending,
        latency_p50: status.latency_p50,
        latency_p99: status.latency_p99,
    }
}

pub(crate) fn asset(asset: assets::Asset) -> Asset {
    Asset {
        content_type: asset.content_type,
        etag: asset.etag,
        body: asset.body,
    }
}

pub(crate) fn control_error(error: control::ControlError) -> BackendError {
    match error {
        control::ControlError::Invalid(fields) => {
            BackendError::Invalid(fields.into_iter().map(invalid_field).collect())
        }
        control::ControlError::NotFound(detail) => BackendError::NotFound(detail),
        control::ControlError::Refused(detail) => BackendError::Refused(detail),
        control::ControlError::Unavailable(detail) => BackendError::Unavailable(detail),
    }
}

pub(crate) fn erasure(erasure: control::Erasure) -> Erasure {
    Erasure {
        entry: erasure.entry,
        marker: erasure.marker,
        already: erasure.already,
    }
}

pub(crate) fn retention_scope(scope: RetentionScope) -> control::RetentionScope {
    match scope {
        RetentionScope::Readings => control::RetentionScope::Readings,
        RetentionScope::All => control::RetentionScope::All,
    }
}

pub(crate) fn retained(retained: control::Retained) -> Retained {
    Retained {
        marker: retained.marker,
        below: retained.below,
    }
}

pub(crate) fn retention(retention: control::Retention) -> Retention {
    Retention {
        readings_below: retention.readings_below,
        all_below: retention.all_below,
        freed_bytes: retention.freed_bytes,
        pending: retention.pending,
        problem: retention.problem,
    }
}

pub(crate) fn key_change(change: control::KeyChange) -> KeyChange {
    KeyChange {
        entry: change.entry,
        old: change.old,
        new: change.new,
        verifier_keys: change.verifier_keys,
    }
}

pub(crate) fn successor(successor: &Successor) -> control::Successor {
    control::Successor {
        origin: successor.origin.clone(),
        verifier_key: successor.verifier_key.clone(),
    }
}

pub(crate) fn frozen(frozen: control::Frozen) -> Freeze {
    Freeze {
        entry: frozen.entry,
        checkpoint: checkpoint(frozen.checkpoint),
    }
}

pub(crate) fn witness_reply(reply: witness::Reply) -> WitnessReply {
    WitnessReply {
        status: reply.status,
        content_type: reply.content_type,
        body: reply.body,
    }
}

pub(crate) fn witnessing(witnessing: witness::Witnessing) -> Witnessing {
    Witnessing {
        own: witnessing.own.map(own_witnesses),
        as_witness: witnessing.as_witness.map(as_witness),
    }
}

fn own_witnesses(own: witness::OwnWitnesses) -> OwnWitnesses {
    OwnWitnesses {
        behaviour: own.behaviour,
        tree_size: own.tree_size,
        published_size: own.published_size,
        witnessed: own.witnessed,
        witnessed_size: own.witnessed_size,
        witnesses: own.witnesses.into_iter().map(witness_state).collect(),
    }
}

fn witness_state(state: witness::WitnessState) -> WitnessState {
    WitnessState {
        name: state.name,
        key: state.key,
        url: state.url,
        cosigned_size: state.cosigned_size,
        cosigned_at: state.cosigned_at,
        lag: state.lag,
        failures: state.failures,
        last_error: state.last_error,
        refuses: state.refuses,
    }
}

fn as_witness(as_witness: witness::AsWitness) -> AsWitness {
    AsWitness {
        key: as_witness.key,
        logs: as_witness.logs.into_iter().map(watched_log).collect(),
    }
}

fn watched_log(log: witness::WatchedLog) -> WatchedLog {
    WatchedLog {
        origin: log.origin,
        size: log.size,
        cosigned_at: log.cosigned_at,
        refused: log.refused,
        problem: log.problem,
    }
}
