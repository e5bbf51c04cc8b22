//! What is odd about how sensors count: what the polling provider says of it, or else the ledger, which
//! remembers what the provider has forgotten since its start.

use std::collections::HashMap;

use fieldledger_contract::WallTime;
use fieldledger_contract::field::SensorState;
use fieldledger_contract::ledger::{Gap, GapKind, GapQuery, GapState};

use crate::parts::Parts;
use crate::problem::Problem;

/// A sensor that did so last in this time, microseconds, still does: as long as the ledger takes it for one
/// gap.
const RECENT: u64 = 3_600_000_000;

/// Gaps that are looked through.
const MOST_GAPS: u32 = 1_000;

/// What the ledger says of the sensors that use numbers again, by sensor.
#[derive(Default)]
pub(crate) struct Conditions(HashMap<String, (String, WallTime)>);

impl Conditions {
    /// Asks the ledger, about one sensor or all.
    pub(crate) fn ask(parts: &Parts, sensor: Option<String>) -> Result<Self, Problem> {
        let now = parts.environment.now();
        let query = GapQuery {
            sensor,
            start: Some(WallTime::from_micros(now.micros.saturating_sub(RECENT))),
            state: Some(GapState::Unknown),
            limit: MOST_GAPS,
            ..GapQuery::default()
        };
        let gaps = parts.readings.gaps(&query)?.gaps;
        let reused = gaps.into_iter().filter(|gap| gap.kind == GapKind::Reused);
        let told = |gap: Gap| (gap.sensor.clone(), (text(&gap), gap.opened_at));
        Ok(Self(reused.map(told).collect()))
    }

    /// The state with the ledger's word where the provider has none.
    pub(crate) fn complete(&mut self, mut state: SensorState) -> SensorState {
        if state.condition.is_empty()
            && let Some((condition, since)) = self.0.remove(&state.profile.id)
        {
            state.condition = condition;
            state.condition_since = Some(since);
        }
        state
    }
}

fn text(gap: &Gap) -> String {
    format!(
        "{} readings came under numbers that boot {} had used before (gap {})",
        gap.restarts, gap.boot, gap.id
    )
}
