//! Gaps, between the lattice's types and the ledger's, field by field.

use fieldledger_ledger as ledger;

use crate::bindings::exports::fieldledger::ledger::completeness;

pub(crate) fn query(query: completeness::GapQuery) -> ledger::GapQuery {
    ledger::GapQuery {
        sensor: query.sensor,
        start: query.start,
        end: query.end,
        state: query.state.map(|state| match state {
            completeness::GapState::Open => ledger::GapState::Open,
            completeness::GapState::Closed => ledger::GapState::Closed,
            completeness::GapState::Unknown => ledger::GapState::Unknown,
        }),
        limit: query.limit,
        cursor: query.cursor,
    }
}

pub(crate) fn page(page: ledger::GapPage) -> completeness::GapPage {
    completeness::GapPage {
        gaps: page.gaps.into_iter().map(gap).collect(),
        next: page.next,
        totals: completeness::GapTotals {
            open: page.totals.open,
            missing: page.totals.missing,
            closed: page.totals.closed,
            unknown: page.totals.unknown,
            forgotten: page.totals.forgotten,
        },
    }
}

fn gap(gap: ledger::Gap) -> completeness::Gap {
    let ranges = gap.ranges.iter().map(|range| completeness::MissingRange {
        first: range.first,
        last: range.last,
        missing: range.missing,
        start: range.start,
        end: range.end,
    });
    completeness::Gap {
        id: gap.id,
        kind: match gap.kind {
            ledger::GapKind::Numbers => completeness::GapKind::Numbers,
            ledger::GapKind::Restart => completeness::GapKind::Restart,
        },
        state: match gap.state {
            ledger::GapState::Open => completeness::GapState::Open,
            ledger::GapState::Closed => completeness::GapState::Closed,
            ledger::GapState::Unknown => completeness::GapState::Unknown,
        },
        missing: gap.missing(),
        ranges: ranges.collect(),
        sensor: gap.sensor,
        boot: gap.boot,
        previous_boot: gap.previous_boot,
        lost: gap.lost,
        restarts: gap.restarts,
        start: gap.start,
        end: gap.end,
        device_start: gap.device_start,
        device_end: gap.device_end,
        before: gap.before,
        after: gap.after,
        opened_at: gap.opened_at,
        closed_at: gap.closed_at,
        opened_entry: gap.opened_entry,
        closed_entry: gap.closed_entry,
    }
}
