//! How many heartbeats are looked at: one device that floods takes none of another's.
//!
//! Below a confined prefix the subject says who speaks, and the NATS server that it is so. There each
//! sensor has a rate of its own, which is asked first; what it refuses costs nobody else anything. Where
//! all share a subject anybody may be anyone, so those have one rate together, and it is not that of the
//! confined.

use std::collections::HashMap;

use uuid::Uuid;

use crate::origin::prefix_of;
use crate::sensor::{HEARTBEAT_BURST, HEARTBEATS_PER_SECOND};
use crate::token_bucket::TokenBucket;

/// Who has sent too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flood {
    /// All together.
    All,
    /// This one.
    Of(Uuid),
}

#[derive(Debug)]
pub(crate) struct HeartbeatRates {
    open: TokenBucket,
    confined: TokenBucket,
    of_sensor: HashMap<Uuid, TokenBucket>,
    /// How many rates are kept at most.
    sensors_max: usize,
}

impl HeartbeatRates {
    pub(crate) fn new(per_second: u32, sensors_max: usize, steady_now: u64) -> Self {
        let burst = u32::try_from(sensors_max.saturating_mul(2)).unwrap_or(u32::MAX);
        let full = TokenBucket::full(per_second, burst, steady_now);
        Self {
            open: full.clone(),
            confined: full,
            of_sensor: HashMap::new(),
            sensors_max,
        }
    }

    /// Whether a heartbeat that came on `subject` is looked at.
    pub(crate) fn take(
        &mut self,
        subject: &str,
        confined: &[String],
        steady_now: u64,
    ) -> Result<(), Flood> {
        let Some(prefix) = prefix_of(subject, confined) else {
            return taken(self.open.take(steady_now), Flood::All);
        };
        let rest = subject.strip_prefix(prefix).unwrap_or_default();
        if let Some(sensor) = rest.split('.').find_map(|token| token.parse().ok()) {
            taken(self.take_of(sensor, steady_now), Flood::Of(sensor))?;
        }
        taken(self.confined.take(steady_now), Flood::All)
    }

    fn take_of(&mut self, sensor: Uuid, steady_now: u64) -> bool {
        if self.of_sensor.len() >= self.sensors_max && !self.of_sensor.contains_key(&sensor) {
            // Those that have been silent for a while start from full again anyway.
            self.of_sensor
                .retain(|_, bucket| !bucket.is_full(steady_now));
            if self.of_sensor.len() >= self.sensors_max {
                // More than can be registered: the rate of all is theirs.
                return true;
            }
        }
        let full = || TokenBucket::full(HEARTBEATS_PER_SECOND, HEARTBEAT_BURST, steady_now);
        let bucket = self.of_sensor.entry(sensor).or_insert_with(full);
        bucket.take(steady_now)
    }
}

fn taken(is_taken: bool, flood: Flood) -> Result<(), Flood> {
    match is_taken {
        true => Ok(()),
        false => Err(flood),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subject(n: u128) -> String {
        format!("field.{}.heartbeat", Uuid::from_u128(n))
    }

    #[test]
    fn a_flood_takes_nothing_of_those_beside_it() {
        let confined = ["field".to_owned()];
        // Bursts of 20 pass, and then 10 a second.
        let mut rates = HeartbeatRates::new(10, 10, 0);
        let mut passed = 0;
        for _ in 0..1_000 {
            match rates.take(&subject(1), &confined, 0) {
                Ok(()) => passed += 1,
                Err(flood) => assert_eq!(flood, Flood::Of(Uuid::from_u128(1))),
            }
        }
        assert_eq!(passed, HEARTBEAT_BURST);
        rates.take(&subject(2), &confined, 0).unwrap();

        for _ in 0..1_000 {
            let _ = rates.take("sim.heartbeat", &confined, 0);
        }
        let refused = rates.take("sim.heartbeat", &confined, 0);
        assert_eq!(refused, Err(Flood::All));
        rates.take(&subject(3), &confined, 0).unwrap();
    }

    #[test]
    fn rates_are_kept_of_so_many_and_the_silent_make_room() {
        let confined = ["field".to_owned()];
        let mut rates = HeartbeatRates::new(1_000, 3, 0);
        for n in 1..=3 {
            rates.take(&subject(n), &confined, 0).unwrap();
        }
        rates.take(&subject(4), &confined, 0).unwrap();
        let is_kept = |rates: &HeartbeatRates| rates.of_sensor.contains_key(&Uuid::from_u128(4));
        assert!(!is_kept(&rates));
        rates.take(&subject(4), &confined, 1_000_000).unwrap();
        assert!(is_kept(&rates) && rates.of_sensor.len() <= 3);
    }
}
