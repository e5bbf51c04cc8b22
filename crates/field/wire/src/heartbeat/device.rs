//! A sensor as its heartbeat describes it.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::address::MacAddr;
use super::error::HeartbeatError;
use super::members::Members;
use super::message::{Heartbeat, Identity};
use crate::batch::SensorProfile;
use crate::topic::{Subject, TopicRules};

/// What a heartbeat may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Which topics it may name.
    pub topics: TopicRules,
    /// Poll intervals it may ask for, in milliseconds.
    pub poll_interval_ms: RangeInclusive<u64>,
}

/// A sensor as its heartbeat describes it, every member checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The sensor's id.
    pub id: Uuid,
    /// What travels on with its readings.
    pub profile: SensorProfile,
    /// Milliseconds between polls.
    pub poll_interval_ms: u64,
    /// Where to poll it.
    pub poll: Subject,
    /// Where it answers, unless it answers the reply subject.
    pub read: Subject,
    /// Where it says that it leaves.
    pub disconnect: Subject,
    /// IP address it gave, or what it gave for one; empty where nothing could be kept.
    pub ip_addr: String,
    /// MAC address it gave, or what it gave for one.
    pub mac_addr: MacAddr,
    /// How long it says that it may need for an answer, in milliseconds.
    pub answer_within_ms: Option<u64>,
    /// The key that it proved to have, or none for a device that does not sign.
    pub identity: Option<Identity>,
    /// Readings of this boot that were dropped before anyone acknowledged them, as far as it says.
    pub lost: Option<u64>,
    /// What of the heartbeat was left out, or is shown otherwise than it was sent, and why.
    pub remarks: Vec<String>,
}

impl Device {
    pub(super) fn from_members(
        members: &Members<'_>,
        limits: &Limits,
    ) -> Result<Self, HeartbeatError> {
        let id = members.id()?;
        let mut remarks = Vec::new();
        let poll = members.topic("poll_topic", id, &limits.topics)?;
        let read = members.topic("read_topic", id, &limits.topics)?;
        let disconnect = members.topic("disconnect_topic", id, &limits.topics)?;
        // Otherwise the provider would take its own poll for an answer, or for a farewell.
        if poll == read || poll == disconnect || read == disconnect {
            return Err(HeartbeatError::SameTopics);
        }
        let alias = members.name("alias", &mut remarks);
        let location = members.name("location", &mut remarks);
        let (unit, unit_sent) = members.unit(&mut remarks);
        let shown = members.shown_name(alias, id, &mut remarks);
        let profile = SensorProfile {
            id: id.hyphenated().to_string(),
            alias: shown,
            location,
            unit,
            range: members.range()?,
            calibration: members.calibration()?,
            unit_sent,
        };
        Ok(Self {
            id,
            profile,
            poll_interval_ms: members.poll_interval(&limits.poll_interval_ms)?,
            poll,
            read,
            disconnect,
            ip_addr: members.ip_addr(&mut remarks),
            mac_addr: members.mac_addr(&mut remarks),
            answer_within_ms: members.answer_within(&mut remarks),
            identity: members.identity()?,
            lost: members.lost(&mut remarks),
            remarks,
        })
    }

    /// True where `later` says nothing new of the sensor: it may differ in what every heartbeat of a
    /// device that signs brings, the count, and in what was lost.
    #[must_use]
    pub fn declares_the_same(&self, later: &Self) -> bool {
        let mut aligned = later.clone();
        aligned.lost = self.lost;
        if let (Some(own), Some(other)) = (&self.identity, &mut aligned.identity) {
            other.beat = own.beat;
        }
        *self == aligned
    }

    /// The heartbeat that describes this sensor, with its topics as NATS subjects.
    #[must_use]
    pub fn to_heartbeat(&self) -> Heartbeat {
        let SensorProfile {
            alias,
            location,
            unit,
            range,
            calibration,
            unit_sent,
            id: _,
        } = self.profile.clone();
        let unit = match unit_sent.is_empty() {
            true => unit,
            false => unit_sent,
        };
        Heartbeat {
            alias,
            id: self.id,
            poll_interval: self.poll_interval_ms,
            poll_topic: self.poll.to_string(),
            read_topic: self.read.to_string(),
            disconnect_topic: self.disconnect.to_string(),
            ip_addr: self.ip_addr.clone(),
            mac_addr: self.mac_addr.clone(),
            location,
            unit: Some(unit).filter(|unit| !unit.is_empty()),
            answer_within: self.answer_within_ms,
            range,
            calibration,
            identity: self.identity.clone(),
            lost: self.lost,
        }
    }
}
