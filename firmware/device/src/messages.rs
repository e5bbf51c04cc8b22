//! What a device says, in JSON.

use core::fmt::{self, Write as _};

use fieldledger_attest::SensorId;
use fieldledger_attest::heartbeat;
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_attest::reading::{Clock, Reading, ReadingError};
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_attest::tree::RootBuilder;
use heapless::Vec;

use crate::actuator::Verdict;
use crate::config::Config;
use crate::json::Quoted;
use crate::ring::Waiting;
use crate::sensor::{Fault, MAX_TEXT_BYTES, MAX_UNIT_BYTES, Profile};
use crate::topics::{Hyphenated, Purpose, Topics};

/// The least room for a message: a heartbeat with every name at its longest takes less.
pub(crate) const MIN_MESSAGE_BYTES: usize = 1_536;

/// The longest reading inside a message of history: two texts, two numbers, and what is around them.
/// A quotation mark or backslash in a unit takes two bytes.
const MAX_ENTRY_BYTES: usize = MAX_TEXT_BYTES + 2 * MAX_UNIT_BYTES + 2 * 16 + 48;

/// What follows the last reading of a message of history: the signature.
const END_BYTES: usize = 112;

/// Who speaks, and in which boot.
pub(crate) struct Speaker<'a> {
    pub(crate) config: &'a Config,
    pub(crate) key: &'a DeviceKey,
    pub(crate) public: &'a PublicKey,
    pub(crate) boot: BootId<'a>,
}

/// The time under the name that says of which clock it is: `at` or `up`.
struct Time(Clock);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Clock::Utc(microseconds) => write!(f, "\"at\":{microseconds}"),
            Clock::Uptime(microseconds) => write!(f, "\"up\":{microseconds}"),
        }
    }
}

/// The canonical form of what a sensor read.
pub(crate) fn reading<'a>(
    waiting: &'a Waiting,
    unit: &'a str,
) -> Result<Reading<'a>, ReadingError> {
    Reading::new(waiting.sequence, waiting.clock, &waiting.value, unit)
}

/// What readings are of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) sensor: SensorId,
    pub(crate) unit: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) fn of(profile: &'a Profile) -> Self {
        Self {
            sensor: profile.id,
            unit: &profile.unit,
        }
    }
}

impl Speaker<'_> {
    pub(crate) fn topics(&self) -> Topics<'_> {
        self.config.topics()
    }

    /// A sensor announces itself.
    pub(crate) fn heartbeat<const M: usize>(
        &self,
        profile: &Profile,
        beat: u64,
        lost: u64,
        message: &mut Vec<u8, M>,
    ) -> fmt::Result {
        let topic = |purpose| self.topics().of(profile.id, purpose);
        let Config {
            ip_addr, mac_addr, ..
        } = self.config;
        write!(
            message,
            "{{\"alias\":{},\"id\":\"{}\",\"poll_interval\":{},",
            Quoted(&profile.alias),
            Hyphenated(profile.id),
            profile.poll_interval_ms,
        )?;
        write!(
            message,
            "\"poll_topic\":\"{}\",\"read_topic\":\"{}\",\"disconnect_topic\":\"{}\",",
            topic(Purpose::Poll),
            topic(Purpose::Read),
            topic(Purpose::Disconnect),
        )?;
        write!(
            message,
            "\"ip_addr\":\"{ip_addr}\",\"mac_addr\":{mac_addr:?},\"location\":{},",
            Quoted(&profile.location),
        )?;
        if !profile.unit.is_empty() {
            write!(message, "\"unit\":{},", Quoted(&profile.unit))?;
        }
        if let Some((low, high)) = profile.range {
            write!(message, "\"range\":{{\"low\":{low:e},\"high\":{high:e}}},")?;
        }
        write!(
            message,
            "\"lost\":{lost},\"key\":\"{}\",\"boot\":\"{}\",\"beat\":{beat},",
            self.public, self.boot,
        )?;
        let proof = heartbeat::sign(message, self.key);
        write!(message, "\"key_sig\":\"{proof}\"}}")
    }

    /// A sensor answers a poll.
    pub(crate) fn answer<const M: usize>(
        &self,
        source: Source<'_>,
        waiting: &Waiting,
        poll: Option<u64>,
        message: &mut Vec<u8, M>,
    ) -> fmt::Result {
        let reading = reading(waiting, source.unit).map_err(|_checked_before| fmt::Error)?;
        let signature = Statement::of_one(source.sensor, self.boot, &reading).sign(self.key);
        message.write_char('{')?;
        self.entry(waiting, source.unit, message)?;
        write!(
            message,
            ",\"boot\":\"{}\",\"sig\":\"{signature}\"",
            self.boot
        )?;
        end_with_poll(poll, message)
    }

    fn entry<const M: usize>(
        &self,
        waiting: &Waiting,
        unit: &str,
        message: &mut Vec<u8, M>,
    ) -> fmt::Result {
        write!(
            message,
            "\"value\":\"{}\",\"seq\":{},{}",
            waiting.value,
            waiting.sequence,
            Time(waiting.clock)
        )?;
        if !unit.is_empty() {
            write!(message, ",\"unit\":{}", Quoted(unit))?;
        }
        Ok(())
    }

    /// As many readings as fit, at most `most`, under one signature; the number of the last one.
    pub(crate) fn history<'a, const M: usize>(
        &self,
        source: Source<'_>,
        readings: impl Iterator<Item = &'a Waiting>,
        most: usize,
        message: &mut Vec<u8, M>,
    ) -> Result<u64, fmt::Error> {
        let mut tree = RootBuilder::new();
        let mut last = None;
        write!(message, "{{\"boot\":\"{}\",\"readings\":[", self.boot)?;
        for waiting in readings.take(most) {
            if M - message.len() < MAX_ENTRY_BYTES + END_BYTES {
                break;
            }
            let reading = reading(waiting, source.unit).map_err(|_checked_before| fmt::Error)?;
            tree.push(&reading).map_err(|_full| fmt::Error)?;
            message.write_str(if last.is_none() { "{" } else { ",{" })?;
            self.entry(waiting, source.unit, message)?;
            message.write_char('}')?;
            last = Some(waiting.sequence);
        }
        let statement = Statement::of_tree(source.sensor, self.boot, tree);
        let signature = statement.map_err(|_none| fmt::Error)?.sign(self.key);
        write!(message, "],\"sig\":\"{signature}\"}}")?;
        last.ok_or(fmt::Error)
    }
}

/// An answer without a number: the server records that the sensor failed, and why.
pub(crate) fn fault<const M: usize>(
    fault: Fault,
    poll: Option<u64>,
    message: &mut Vec<u8, M>,
) -> fmt::Result {
    write!(message, "{{\"value\":")?;
    // Shorter than any message, whatever the sensor says.
    let words = fault.0.get(..fault.0.len().min(64)).unwrap_or("fault");
    write!(message, "{}", Quoted(words))?;
    end_with_poll(poll, message)
}

fn end_with_poll<const M: usize>(poll: Option<u64>, message: &mut Vec<u8, M>) -> fmt::Result {
    match poll {
        Some(poll) => write!(message, ",\"poll\":{poll}}}"),
        None => message.write_char('}'),
    }
}

/// What became of a command.
pub(crate) fn command_ack<const M: usize>(
    boot: BootId<'_>,
    channel: &str,
    epoch: u64,
    seq: u64,
    verdict: Verdict,
    message: &mut Vec<u8, M>,
) -> fmt::Result {
    write!(
        message,
        "{{\"boot\":\"{boot}\",\"channel\":{},\"epoch\":{epoch},\"seq\":{seq},\"verdict\":\"{}\"}}",
        Quoted(channel),
        verdict.name()
    )
}
