//! Gaps, between the ledger's types and the API's, field by field.

use fieldledger_api::Moment;
use fieldledger_api::backend::{
    Gap, GapKind, GapPage, GapQuery, GapState, GapTotals, MissingRange,
};
use fieldledger_ledger as ledger;

pub(crate) fn query(query: &GapQuery) -> ledger::GapQuery {
    ledger::GapQuery {
        sensor: query.sensor.clone(),
        start: query.start.map(|start| start.0),
        end: query.end.map(|end| end.0),
        state: query.state.map(|state| match state {
            GapState::Open => ledger::GapState::Open,
            GapState::Closed => ledger::GapState::Closed,
            GapState::Unknown => ledger::GapState::Unknown,
        }),
        limit: query.limit,
        cursor: query.cursor,
    }
}

pub(crate) fn page(page: ledger::GapPage) -> GapPage {
    GapPage {
        gaps: page.gaps.into_iter().map(gap).collect(),
        next: page.next,
        totals: GapTotals {
            open: page.totals.open,
            missing: page.totals.missing,
            closed: page.totals.closed,
            unknown: page.totals.unknown,
            forgotten: page.totals.forgotten,
        },
    }
}

fn gap(gap: ledger::Gap) -> Gap {
    let ranges = gap.ranges.iter().map(|range| MissingRange {
        first: range.first,
        last: range.last,
        missing: range.missing,
        start: Moment(range.start),
        end: Moment(range.end),
    });
    Gap {
        id: gap.id,
        kind: match gap.kind {
            ledger::GapKind::Numbers => GapKind::Numbers,
            ledger::GapKind::Restart => GapKind::Restart,
        },
        state: match gap.state {
            ledger::GapState::Open => GapState::Open,
            ledger::GapState::Closed => GapState::Closed,
            ledger::GapState::Unknown => GapState::Unknown,
        },
        missing: gap.missing(),
        ranges: ranges.collect(),
        sensor: gap.sensor,
        boot: gap.boot,
        previous_boot: gap.previous_boot,
        lost: gap.lost,
        restarts: gap.restarts,
        start: Moment(gap.start),
        end: Moment(gap.end),
        device_start: gap.device_start.map(Moment),
        device_end: gap.device_end.map(Moment),
        before: gap.before,
        after: gap.after,
        opened_at: Moment(gap.opened_at),
        closed_at: gap.closed_at.map(Moment),
        opened_entry: gap.opened_entry,
        closed_entry: gap.closed_entry,
    }
}
