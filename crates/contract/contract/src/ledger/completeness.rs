//! Readings that are missing: devices that count theirs make it visible.

use fieldledger_contract_derive::Wire;

use crate::base::WallTime;

/// Which gaps, checked: the limit is in range, the start before the end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
pub struct GapQuery {
    /// Of this sensor only.
    pub sensor: Option<String>,
    /// Those that reach beyond this time.
    pub start: Option<WallTime>,
    /// Those that begin before this time.
    pub end: Option<WallTime>,
    /// In this state only.
    pub state: Option<GapState>,
    /// Gaps on the page.
    pub limit: u32,
    /// [`GapPage::next`] of the page before.
    pub cursor: Option<u64>,
}

/// Some gaps, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Wire)]
pub struct GapPage {
    /// The gaps.
    pub gaps: Vec<Gap>,
    /// Cursor of the next page, if there is one.
    pub next: Option<u64>,
    /// Of all sensors and times.
    pub totals: GapTotals,
}

/// How complete the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct GapTotals {
    /// Open gaps.
    pub open: u64,
    /// Readings missing in them.
    pub missing: u64,
    /// Closed gaps that are still listed.
    pub closed: u64,
    /// Gaps in state [`GapState::Unknown`] that are still listed.
    pub unknown: u64,
    /// Gaps no longer followed or listed; the log's own entries about them stay.
    pub forgotten: u64,
}

/// Why readings are missing, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum GapKind {
    /// The device's numbers within one boot lack some.
    Numbers,
    /// The device began to count anew; what it lost around that nobody can count.
    Restart,
    /// Its numbers leapt further than it could have counted in the time; none of them is counted.
    Jump,
    /// It used numbers of a boot again, for other readings.
    Reused,
}

/// Whether readings are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum GapState {
    /// They are.
    Open,
    /// They came later, or somebody closed the gap with a reason.
    Closed,
    /// Nobody can tell: all kinds but [`GapKind::Numbers`].
    Unknown,
}

/// Numbers that follow each other, and are not in the log; of a jump, those that it leapt over.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct MissingRange {
    /// First number.
    pub first: u64,
    /// Last number.
    pub last: u64,
    /// How many of them: all, unless the gap has too many holes to tell apart; none of a jump.
    pub missing: u64,
    /// When the device was polled for the reading before.
    pub start: WallTime,
    /// When it was polled for the reading after.
    pub end: WallTime,
}

/// Readings that a device numbered, or may have, and that are not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Gap {
    /// The entry that showed it.
    pub id: u64,
    /// UUID of the sensor.
    pub sensor: String,
    /// The device's boot id.
    pub boot: String,
    /// The boot before; empty unless it is a restart.
    pub previous_boot: String,
    /// Why readings are missing.
    pub kind: GapKind,
    /// Whether they still are.
    pub state: GapState,
    /// Readings missing now; none where nobody can tell.
    pub missing: Option<u64>,
    /// Readings that were found missing, those that came later included.
    pub lost: u64,
    /// Boots that began in it, leaps, or readings under a number used before.
    pub restarts: u64,
    /// The numbers that are missing now.
    pub ranges: Vec<MissingRange>,
    /// When the device was polled for the last reading before the gap.
    pub start: WallTime,
    /// When it was polled for the first reading after the gap.
    pub end: WallTime,
    /// The device's own time of the last reading before the gap, where it gave one.
    pub device_start: Option<WallTime>,
    /// The device's own time of the first reading after the gap, where it gave one.
    pub device_end: Option<WallTime>,
    /// Entry of the last reading before the gap.
    pub before: u64,
    /// Entry of the first reading after the gap.
    pub after: u64,
    /// When the ledger received the entry that showed it.
    pub opened_at: WallTime,
    /// When the ledger received the last missing reading.
    pub closed_at: Option<WallTime>,
    /// The log's own entry about the gap, once it has stayed open for the time of grace.
    pub opened_entry: Option<u64>,
    /// The log's own entry about its end.
    pub closed_entry: Option<u64>,
    /// Who closed it; empty unless somebody did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub closed_by: String,
    /// Why they did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub closed_reason: String,
}
