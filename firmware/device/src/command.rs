//! What an output is commanded.

/// What an output can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A level in the output's own units.
    Level(i64),
}

impl Value {
    pub(crate) fn is_like(self, other: Self) -> bool {
        core::mem::discriminant(&self) == core::mem::discriminant(&other)
    }
}

/// When a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// So many milliseconds after it arrived.
    For(u64),
    /// At this time, microseconds since the Unix epoch. Better than [`End::For`], which begins anew
    /// however long the command was under way; but the device must know the time.
    Until(u64),
}

/// A command to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// The boot that it is meant for, so that one which was kept somewhere does nothing after a reboot.
    pub boot: &'a str,
    /// Name of the output.
    pub channel: &'a str,
    /// Which owner of the output speaks; a later one has a higher number.
    pub epoch: u64,
    /// Number of the command within the epoch, rising.
    pub seq: u64,
    /// What to set.
    pub value: Value,
    /// Until when.
    pub end: End,
}
