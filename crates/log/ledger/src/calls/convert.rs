//! From the ledger's own types to those of the contract, until they are the same.

use fieldledger_contract::{Error, WallTime, audit, ledger as contract};

use crate::error::{AppendError, ControlError, QueryError};

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Invalid(fields) => Self::Invalid(fields),
            AppendError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(fields) => Self::Invalid(fields),
            QueryError::NotFound(what) => Self::NotFound(what),
            QueryError::Expired(what) => Self::Expired(what),
            QueryError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<ControlError> for Error {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Invalid(fields) => Self::Invalid(fields),
            ControlError::NotFound(what) => Self::NotFound(what),
            ControlError::Refused(reason) => Self::Refused(reason),
            ControlError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<crate::InclusionProof> for audit::InclusionProof {
    fn from(from: crate::InclusionProof) -> Self {
        Self {
            entry: from.entry,
            checkpoint: from.checkpoint,
        }
    }
}

impl From<crate::EntryRange> for audit::EntryRange {
    fn from(from: crate::EntryRange) -> Self {
        Self {
            entries: from.entries,
            checkpoint: from.checkpoint,
        }
    }
}

impl From<crate::Reading> for contract::Reading {
    fn from(from: crate::Reading) -> Self {
        Self {
            index: from.index,
            sensor: from.sensor,
            status: from.status,
            quality: from.quality,
            value: from.value,
            unit: from.unit,
            polled_at: WallTime::from_micros(from.polled_at),
            received_at: WallTime::from_micros(from.received_at),
        }
    }
}

impl From<crate::Bucket> for contract::Bucket {
    fn from(from: crate::Bucket) -> Self {
        Self {
            start: WallTime::from_micros(from.start),
            count: from.count,
            bad: from.bad,
            min: from.min,
            max: from.max,
            mean: from.mean,
            last: from.last,
        }
    }
}

impl From<crate::Series> for contract::Series {
    fn from(from: crate::Series) -> Self {
        match from {
            crate::Series::Raw(raw) => Self::Raw(raw.into_iter().map(Into::into).collect()),
            crate::Series::Buckets(buckets) => {
                Self::Buckets(buckets.into_iter().map(Into::into).collect())
            }
        }
    }
}

impl From<crate::LedgerStatus> for contract::LedgerStatus {
    fn from(from: crate::LedgerStatus) -> Self {
        Self {
            origin: from.origin,
            tree_size: from.tree_size,
            indexed_size: from.indexed_size,
            bytes_on_disk: from.bytes_on_disk,
            appended: from.appended,
            duplicates: from.duplicates,
            rejected: from.rejected,
            commits: from.commits,
            recovery: from.recovery,
            commit_p50: from.commit_p50,
            commit_p99: from.commit_p99,
            ended: from.ended,
            index_problem: from.index_problem,
            archive: from.archive.map(Into::into),
        }
    }
}

impl From<crate::ArchiveStatus> for contract::ArchiveStatus {
    fn from(from: crate::ArchiveStatus) -> Self {
        Self {
            segments: from.segments,
            entries: from.entries,
            bytes: from.bytes,
            removed: from.removed,
            problem: from.problem,
        }
    }
}

impl From<crate::Erasure> for contract::Erasure {
    fn from(from: crate::Erasure) -> Self {
        Self {
            entry: from.entry,
            marker: from.marker,
            already: from.already,
        }
    }
}

impl From<crate::Retained> for contract::Retained {
    fn from(from: crate::Retained) -> Self {
        Self {
            marker: from.marker,
            below: from.below,
        }
    }
}

impl From<crate::RetentionStatus> for contract::Retention {
    fn from(from: crate::RetentionStatus) -> Self {
        Self {
            readings_below: from.readings_below,
            all_below: from.all_below,
            freed_bytes: from.freed_bytes,
            pending: from.pending,
            problem: from.problem,
        }
    }
}

impl From<contract::RetentionScope> for crate::RetentionScope {
    fn from(from: contract::RetentionScope) -> Self {
        match from {
            contract::RetentionScope::Readings => Self::Readings,
            contract::RetentionScope::All => Self::All,
        }
    }
}

impl From<crate::KeyChange> for contract::KeyChange {
    fn from(from: crate::KeyChange) -> Self {
        Self {
            entry: from.entry,
            old: from.old,
            new: from.new,
            verifier_keys: from.verifier_keys,
        }
    }
}

impl From<crate::Freeze> for contract::Freeze {
    fn from(from: crate::Freeze) -> Self {
        Self {
            entry: from.entry,
            checkpoint: from.checkpoint,
        }
    }
}

impl From<contract::Successor> for crate::Successor {
    fn from(from: contract::Successor) -> Self {
        Self {
            origin: from.origin,
            verifier_key: from.verifier_key,
        }
    }
}

impl From<crate::PangeaRoot> for contract::PangeaRoot {
    fn from(from: crate::PangeaRoot) -> Self {
        Self {
            tree_name: from.tree_name,
            size: from.size,
            root_hash: from.root_hash,
            published_at: from.published_at.map(WallTime::from_micros),
            consistency_proof: from.consistency_proof,
        }
    }
}

impl From<crate::PangeaEvent> for contract::PangeaEvent {
    fn from(from: crate::PangeaEvent) -> Self {
        Self {
            index: from.index,
            envelope: from.envelope,
            hash: from.hash,
            removed: from.removed,
            leaf_index: from.leaf_index,
            membership_proof: from.membership_proof,
        }
    }
}

impl From<crate::PangeaPage> for contract::PangeaPage {
    fn from(from: crate::PangeaPage) -> Self {
        Self {
            id: from.id,
            expires_at: WallTime::from_micros(from.expires_at),
            count: from.count,
            events: from.events.into_iter().map(Into::into).collect(),
            root: from.root.map(Into::into),
            unpublished_root: from.unpublished_root.map(Into::into),
        }
    }
}

impl From<crate::Logged> for contract::PangeaLogged {
    fn from(from: crate::Logged) -> Self {
        Self {
            event: from.event.into(),
            unpublished_root: from.unpublished_root,
            consistency_proof: from.consistency_proof,
        }
    }
}

impl From<contract::GapQuery> for crate::GapQuery {
    fn from(from: contract::GapQuery) -> Self {
        Self {
            sensor: from.sensor,
            start: from.start.map(|start| start.micros),
            end: from.end.map(|end| end.micros),
            state: from.state.map(|state| match state {
                contract::GapState::Open => crate::GapState::Open,
                contract::GapState::Closed => crate::GapState::Closed,
                contract::GapState::Unknown => crate::GapState::Unknown,
            }),
            limit: from.limit,
            cursor: from.cursor,
        }
    }
}

impl From<crate::GapPage> for contract::GapPage {
    fn from(from: crate::GapPage) -> Self {
        Self {
            gaps: from.gaps.into_iter().map(Into::into).collect(),
            next: from.next,
            totals: from.totals.into(),
        }
    }
}

impl From<crate::GapTotals> for contract::GapTotals {
    fn from(from: crate::GapTotals) -> Self {
        Self {
            open: from.open,
            missing: from.missing,
            closed: from.closed,
            unknown: from.unknown,
            forgotten: from.forgotten,
        }
    }
}

impl From<crate::MissingRange> for contract::MissingRange {
    fn from(from: crate::MissingRange) -> Self {
        Self {
            first: from.first,
            last: from.last,
            missing: from.missing,
            start: WallTime::from_micros(from.start),
            end: WallTime::from_micros(from.end),
        }
    }
}

impl From<crate::Gap> for contract::Gap {
    fn from(from: crate::Gap) -> Self {
        let missing = from.missing();
        Self {
            id: from.id,
            sensor: from.sensor,
            boot: from.boot,
            previous_boot: from.previous_boot,
            kind: match from.kind {
                crate::GapKind::Numbers => contract::GapKind::Numbers,
                crate::GapKind::Restart => contract::GapKind::Restart,
            },
            state: match from.state {
                crate::GapState::Open => contract::GapState::Open,
                crate::GapState::Closed => contract::GapState::Closed,
                crate::GapState::Unknown => contract::GapState::Unknown,
            },
            missing,
            lost: from.lost,
            restarts: from.restarts,
            ranges: from.ranges.into_iter().map(Into::into).collect(),
            start: WallTime::from_micros(from.start),
            end: WallTime::from_micros(from.end),
            device_start: from.device_start.map(WallTime::from_micros),
            device_end: from.device_end.map(WallTime::from_micros),
            before: from.before,
            after: from.after,
            opened_at: WallTime::from_micros(from.opened_at),
            closed_at: from.closed_at.map(WallTime::from_micros),
            opened_entry: from.opened_entry,
            closed_entry: from.closed_entry,
        }
    }
}
