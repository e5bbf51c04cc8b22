//! What a device makes of what it hears.

use heapless::String;

use super::{CommandAck, Device};
use crate::actuator::Verdict;
use crate::clock::Now;
use crate::incoming::{self, IncomingError};
use crate::sensor::Sensor;
use crate::topics::Purpose;

impl<S: Sensor, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Device<S, SENSORS, RING, MESSAGE>
{
    /// A message arrived, over NATS perhaps with a reply subject. What it brings about is in
    /// [`Device::next`]. A topic that the device does not know is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the message, for a log; the device goes on.
    pub fn message(
        &mut self,
        now: Now,
        topic: &str,
        reply: Option<&str>,
        payload: &[u8],
    ) -> Result<(), IncomingError> {
        // What is left of a connection that is gone; its answers would be too.
        if !self.is_connected {
            return Ok(());
        }
        let topics = self.config.topics();
        if topics.is(topic, self.config.id, Purpose::Command) {
            return self.command(now, payload);
        }
        if topics.is(topic, self.config.id, Purpose::Brokers) {
            let (version, list) = incoming::brokers(payload)?;
            self.has_new_brokers |= self.brokers.replace(&list, version, now.up);
            return Ok(());
        }
        for unit in &mut self.units {
            if topics.is(topic, unit.profile.id, Purpose::Poll) {
                unit.polled(now, &self.boot, reply, payload);
                return Ok(());
            }
            if topics.is(topic, unit.profile.id, Purpose::HistoryAck) {
                let (boot, sequence) = incoming::history_ack(payload)?;
                let is_present = boot == self.boot && unit.acknowledged(sequence);
                if is_present || self.earlier.stored(unit.profile.id, boot, sequence) {
                    self.history.next_at = now.up.saturating_add(self.config.history_pace);
                    self.history.patience = self.config.history_patience;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn command(&mut self, now: Now, payload: &[u8]) -> Result<(), IncomingError> {
        let command = incoming::command(payload)?;
        let channel = String::try_from(command.channel).map_err(|_long| IncomingError::Command)?;
        let mut actuators = self.actuators.iter_mut();
        let actuator = actuators.find(|actuator| actuator.channel().name == channel);
        let verdict = match actuator {
            _ if command.boot != self.boot => Verdict::OtherBoot,
            Some(actuator) => actuator.command(&command, now),
            None => Verdict::NoChannel,
        };
        if self.command_acks.is_full() {
            self.command_acks.pop_front();
        }
        let ack = CommandAck {
            channel,
            epoch: command.epoch,
            seq: command.seq,
            verdict,
        };
        let has_room = self.command_acks.push_back(ack);
        debug_assert!(has_room.is_ok());
        Ok(())
    }
}
