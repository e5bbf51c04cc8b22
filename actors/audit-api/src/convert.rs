//! Between the generated types and those of `fieldledger-audit`. Lists and texts are moved.

use fieldledger_audit::{EventColumns, InvalidField, log};

use crate::bindings::fieldledger::audit::types as wit;

pub(crate) fn columns_in(events: wit::EventColumns) -> EventColumns {
    EventColumns {
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

pub(crate) fn columns_out(events: EventColumns) -> wit::EventColumns {
    wit::EventColumns {
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

pub(crate) fn query_in(query: wit::SearchQuery) -> log::SearchQuery {
    log::SearchQuery {
        query: query.query,
        start: query.start,
        end: query.end,
        order: match query.order {
            wit::Order::Ascending => log::Order::Ascending,
            wit::Order::Descending => log::Order::Descending,
        },
        order_by: query.order_by,
        limit: query.limit,
        max_results: query.max_results,
        restriction: query.restriction,
        verbose: query.verbose,
    }
}

pub(crate) fn query_out(query: log::SearchQuery) -> wit::SearchQuery {
    wit::SearchQuery {
        query: query.query,
        start: query.start,
        end: query.end,
        order: match query.order {
            log::Order::Ascending => wit::Order::Ascending,
            log::Order::Descending => wit::Order::Descending,
        },
        order_by: query.order_by,
        limit: query.limit,
        max_results: query.max_results,
        restriction: query.restriction,
        verbose: query.verbose,
    }
}

pub(crate) fn written(written: log::Written) -> wit::Written {
    wit::Written {
        indices: written.indices,
        appended: written.appended,
        duplicates: written.duplicates,
        tree_size: written.tree_size,
    }
}

pub(crate) fn page(page: log::SearchPage) -> wit::SearchPage {
    wit::SearchPage {
        id: page.id,
        expires_at: page.expires_at,
        count: page.count,
        entries: page.entries.into_iter().map(entry).collect(),
        checkpoint: checkpoint(page.checkpoint),
        indexed_size: page.indexed_size,
    }
}

fn entry(entry: log::Entry) -> wit::Entry {
    wit::Entry {
        index: entry.index,
        envelope: entry.envelope,
        envelope_hash: entry.envelope_hash,
        leaf: entry.leaf,
        proof: entry.proof,
        removed: entry.removed.map(removal),
    }
}

fn removal(removal: log::Removal) -> wit::Removal {
    wit::Removal {
        kind: match removal.kind {
            log::RemovalKind::Erased => wit::RemovalKind::Erased,
            log::RemovalKind::GivenUp => wit::RemovalKind::GivenUp,
        },
        entry: removal.entry,
        reason: removal.reason,
    }
}

pub(crate) fn checkpoint(checkpoint: log::Checkpoint) -> wit::Checkpoint {
    wit::Checkpoint {
        origin: checkpoint.origin,
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        note: checkpoint.note,
        verifier_key: checkpoint.verifier_key,
        verifier_keys: checkpoint.verifier_keys,
    }
}

pub(crate) fn error(error: log::LogError) -> wit::AuditError {
    match error {
        log::LogError::Invalid(faults) => invalid(faults),
        log::LogError::NotFound(text) => wit::AuditError::NotFound(text),
        log::LogError::Expired(text) => wit::AuditError::Expired(text),
        log::LogError::Unsupported(text) => wit::AuditError::Unsupported(text),
        log::LogError::Unavailable(text) => wit::AuditError::Unavailable(text),
    }
}

pub(crate) fn invalid(faults: Vec<InvalidField>) -> wit::AuditError {
    let faults = faults.into_iter().map(|fault| wit::InvalidField {
        item: fault.item,
        field: fault.field,
        problem: fault.problem,
    });
    wit::AuditError::Invalid(faults.collect())
}
