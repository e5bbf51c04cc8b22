//! Outputs: valves, relays, dimmers.
//!
//! An output is at its neutral value from the start of the device, whenever a command ends, and
//! whenever nobody commands it. Every command has an end, so whatever crashes, the valve closes. A
//! command is obeyed where it is meant for this boot, its owner epoch is not below the highest that
//! was obeyed, its sequence number is above the last one of that epoch, and it has not ended yet.
//! Every command is answered, also where it is refused.

use heapless::String;

use crate::clock::Now;
pub use crate::command::Value;
use crate::command::{Command, End};

/// The longest name of an output, in bytes.
pub const MAX_CHANNEL_BYTES: usize = 32;

/// What an output is, before anyone commands it.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name, printable ASCII without spaces, quotation marks and backslashes.
    pub name: String<MAX_CHANNEL_BYTES>,
    /// Its harmless value, which also says of which kind it is.
    pub neutral: Value,
    /// The lowest and highest level that it takes; of no meaning for a switch.
    pub levels: (i64, i64),
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was obeyed.
    Done,
    /// It is meant for another run of the device.
    OtherBoot,
    /// There is no such output.
    NoChannel,
    /// A later owner has spoken.
    OldEpoch,
    /// Its number, or a later one, was obeyed already.
    Repeated,
    /// It ended before it arrived.
    Expired,
    /// It ends at a time of day, and the device has no clock.
    NoClock,
    /// The output takes no such value.
    BadValue,
}

impl Verdict {
    /// Its name in the answer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::OtherBoot => "other-boot",
            Self::NoChannel => "no-channel",
            Self::OldEpoch => "old-epoch",
            Self::Repeated => "repeated",
            Self::Expired => "expired",
            Self::NoClock => "no-clock",
            Self::BadValue => "bad-value",
        }
    }
}

/// One output and who commands it.
#[derive(Debug, Clone)]
pub struct Actuator {
    channel: Channel,
    /// The highest epoch that was obeyed, and its last number.
    last: Option<(u64, u64)>,
    /// Time since boot at which the output becomes neutral again.
    ends_at: Option<u64>,
    /// What the program is still to set.
    pending: Option<Value>,
}

impl Actuator {
    /// An output that is to be made neutral first of all.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self {
            pending: Some(channel.neutral),
            channel,
            last: None,
            ends_at: None,
        }
    }

    /// What it is.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Judges a command for this output, and obeys it.
    pub(crate) fn command(&mut self, command: &Command<'_>, now: Now) -> Verdict {
        match self.last {
            Some((epoch, _)) if command.epoch < epoch => return Verdict::OldEpoch,
            Some((epoch, seq)) if command.epoch == epoch && command.seq <= seq => {
                return Verdict::Repeated;
            }
            _ => {}
        }
        if !self.takes(command.value) {
            return Verdict::BadValue;
        }
        let remaining = match (command.end, now.utc) {
            (End::For(milliseconds), _) => milliseconds.saturating_mul(1_000),
            (End::Until(_), None) => return Verdict::NoClock,
            (End::Until(time), Some(utc)) => time.saturating_sub(utc),
        };
        if remaining == 0 {
            return Verdict::Expired;
        }
        self.last = Some((command.epoch, command.seq));
        self.ends_at = Some(now.up.saturating_add(remaining));
        self.pending = Some(command.value);
        Verdict::Done
    }

    fn takes(&self, value: Value) -> bool {
        let (low, high) = self.channel.levels;
        let is_within = match value {
            Value::Switch(_) => true,
            Value::Level(level) => (low..=high).contains(&level),
        };
        value.is_like(self.channel.neutral) && is_within
    }

    /// What the program must set now, if anything.
    pub(crate) fn next(&mut self, up: u64) -> Option<Value> {
        if self.ends_at.is_some_and(|end| end <= up) {
            self.ends_at = None;
            self.pending = Some(self.channel.neutral);
        }
        self.pending.take()
    }

    /// When [`Actuator::next`] has something to say.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        match self.pending {
            Some(_) => Some(0),
            None => self.ends_at,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn valve() -> Actuator {
        Actuator::new(Channel {
            name: String::try_from("valve").unwrap(),
            neutral: Value::Switch(false),
            levels: (0, 0),
        })
    }

    fn on(epoch: u64, seq: u64, end: End) -> Command<'static> {
        let value = Value::Switch(true);
        Command {
            boot: "b",
            channel: "valve",
            epoch,
            seq,
            value,
            end,
        }
    }

    fn at(up: u64) -> Now {
        Now {
            up,
            utc: Some(1_000_000 + up),
        }
    }

    #[test]
    fn it_is_neutral_at_boot_and_when_a_command_ends() {
        let mut valve = valve();
        assert_eq!(valve.next(0), Some(Value::Switch(false)));
        assert_eq!(valve.next(0), None);
        assert_eq!(valve.command(&on(1, 0, End::For(5)), at(10)), Verdict::Done);
        assert_eq!(valve.wake_at(), Some(0));
        assert_eq!(valve.next(10), Some(Value::Switch(true)));
        assert_eq!(valve.wake_at(), Some(5_010));
        assert_eq!(valve.next(5_009), None);
        assert_eq!(valve.next(5_010), Some(Value::Switch(false)));
        assert_eq!(valve.wake_at(), None);
    }

    #[test]
    fn a_command_that_ended_before_it_was_carried_out_is_not() {
        let mut valve = valve();
        assert_eq!(valve.command(&on(1, 0, End::For(5)), at(0)), Verdict::Done);
        assert_eq!(valve.next(5_000), Some(Value::Switch(false)));
    }

    #[test]
    fn old_owners_and_repetitions_are_refused() {
        let mut valve = valve();
        for (epoch, seq, verdict) in [
            (3, 5, Verdict::Done),
            (3, 5, Verdict::Repeated),
            (3, 4, Verdict::Repeated),
            (2, 9, Verdict::OldEpoch),
            (3, 6, Verdict::Done),
            (4, 0, Verdict::Done),
            (3, 7, Verdict::OldEpoch),
        ] {
            assert_eq!(valve.command(&on(epoch, seq, End::For(1)), at(0)), verdict);
        }
    }

    #[test]
    fn the_time_of_day_needs_a_clock() {
        let mut valve = valve();
        let blind = Now { up: 0, utc: None };
        let until = |time| on(1, 0, End::Until(time));
        assert_eq!(valve.command(&until(2_000_000), blind), Verdict::NoClock);
        assert_eq!(valve.command(&until(1_000_000), at(0)), Verdict::Expired);
        assert_eq!(valve.command(&until(1_000_007), at(0)), Verdict::Done);
        assert_eq!(valve.next(0), Some(Value::Switch(true)));
        assert_eq!(valve.wake_at(), Some(7));
    }

    #[test]
    fn only_values_that_fit_are_taken() {
        let mut valve = valve();
        let level = Command {
            value: Value::Level(1),
            ..on(1, 0, End::For(1))
        };
        assert_eq!(valve.command(&level, at(0)), Verdict::BadValue);
        let mut dimmer = Actuator::new(Channel {
            name: String::try_from("dimmer").unwrap(),
            neutral: Value::Level(0),
            levels: (0, 100),
        });
        let level = |level, seq| Command {
            value: Value::Level(level),
            ..on(1, seq, End::For(1))
        };
        assert_eq!(dimmer.command(&level(101, 0), at(0)), Verdict::BadValue);
        assert_eq!(dimmer.command(&level(100, 0), at(0)), Verdict::Done);
        assert_eq!(
            dimmer.command(&on(1, 1, End::For(1)), at(0)),
            Verdict::BadValue
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        // Whatever happens, an output that is on was switched on by a command that has not ended.
        #[test]
        fn it_is_never_on_past_the_end(
            steps in proptest::collection::vec((0..4_u64, 0..4_u64, 1..20_u64, 0..30_000_u64), 1..40),
        ) {
            let mut valve = valve();
            let (mut up, mut allowed_until, mut is_on) = (0, 0, false);
            let mut obeyed = std::vec::Vec::new();
            for (epoch, seq, milliseconds, step) in steps {
                let command = on(epoch, seq, End::For(milliseconds));
                if valve.command(&command, at(up)) == Verdict::Done {
                    prop_assert!(obeyed.last().is_none_or(|last| *last < (epoch, seq)));
                    obeyed.push((epoch, seq));
                    allowed_until = up + milliseconds * 1_000;
                }
                up += step;
                if let Some(value) = valve.next(up) {
                    is_on = value == Value::Switch(true);
                }
                prop_assert!(!is_on || up < allowed_until);
            }
        }
    }
}
