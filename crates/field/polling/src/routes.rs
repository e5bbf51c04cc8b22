//! From subjects to sensors, through few subscriptions.
//!
//! Sensors of one kind build their topics alike, so one subscription to `sim.read.*` hears them
//! all; the exact subject then tells which sensor spoke.

use std::collections::{BTreeSet, HashMap};

use fieldledger_wire::heartbeat::Device;
use fieldledger_wire::topic::Subject;
use uuid::Uuid;

/// What a message on a sensor's subject means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The sensor answers a poll.
    Read(Uuid),
    /// The sensor leaves.
    Disconnect(Uuid),
    /// The sensor sends what it had to keep.
    History(Uuid),
}

impl Route {
    fn sensor(self) -> Uuid {
        match self {
            Self::Read(sensor) | Self::Disconnect(sensor) | Self::History(sensor) => sensor,
        }
    }
}

/// Where a device speaks. Only one that signs may send history.
pub(crate) fn routes_of(device: &Device) -> Vec<(Subject, Route)> {
    let id = device.id;
    let mut routes = vec![
        (device.read.clone(), Route::Read(id)),
        (device.disconnect.clone(), Route::Disconnect(id)),
    ];
    if device.identity.is_some() {
        routes.push((device.read.history(), Route::History(id)));
    }
    routes
}

/// Subscriptions to make and to end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) subscribe: Vec<String>,
    pub(crate) unsubscribe: Vec<String>,
}

impl Change {
    /// Drops patterns that would be both ended and made.
    pub(crate) fn cancel_out(&mut self) {
        let Self {
            subscribe,
            unsubscribe,
        } = self;
        unsubscribe.retain(|pattern| {
            let position = subscribe.iter().position(|made| made == pattern);
            position.map(|index| subscribe.swap_remove(index)).is_none()
        });
    }
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_subject: HashMap<String, Route>,
    /// Subscription patterns, and how many subjects need each.
    patterns: HashMap<String, u32>,
}

impl Routes {
    pub(crate) fn find(&self, subject: &str) -> Option<Route> {
        self.by_subject.get(subject).copied()
    }

    /// The sensor other than `device` that already uses one of its subjects. Subjects carry the id
    /// of their sensor, but one subject can carry two ids.
    pub(crate) fn taken_by(&self, device: &Device) -> Option<Uuid> {
        let routes = routes_of(device).into_iter();
        let owners = routes.filter_map(|(subject, _)| self.find(subject.as_str()));
        let mut owners = owners.map(Route::sensor);
        owners.find(|owner| *owner != device.id)
    }

    /// How many patterns that `count` there would be with `device` added.
    pub(crate) fn patterns_with(&self, device: &Device, count: impl Fn(&str) -> bool) -> usize {
        let routes = routes_of(device).into_iter();
        let new: BTreeSet<String> = routes
            .map(|(subject, _)| subject.pattern(device.id))
            .collect();
        let added = new
            .iter()
            .filter(|pattern| !self.patterns.contains_key(*pattern));
        let known = self.patterns.keys().filter(|pattern| count(pattern));
        known.count() + added.filter(|pattern| count(pattern)).count()
    }

    pub(crate) fn add(&mut self, device: &Device, change: &mut Change) {
        for (subject, route) in routes_of(device) {
            self.by_subject.insert(subject.to_string(), route);
            let pattern = subject.pattern(device.id);
            let users = self.patterns.entry(pattern.clone()).or_insert(0);
            *users += 1;
            if *users == 1 {
                change.subscribe.push(pattern);
            }
        }
    }

    pub(crate) fn remove(&mut self, device: &Device, change: &mut Change) {
        for (subject, _) in routes_of(device) {
            self.by_subject.remove(subject.as_str());
            let pattern = subject.pattern(device.id);
            if let Some(users) = self.patterns.get_mut(&pattern) {
                *users -= 1;
                if *users == 0 {
                    self.patterns.remove(&pattern);
                    change.unsubscribe.push(pattern);
                }
            }
        }
    }
}
