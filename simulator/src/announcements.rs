//! When which sensor sends its heartbeat.

use std::time::Duration;

/// All sensors announce themselves within this time of the start at most, so that thousands do not
/// come in one burst.
const LONGEST_WINDOW: Duration = Duration::from_secs(2);

/// Time between two first heartbeats; with 40 sensors all are announced after 40 ms.
const SPACING: Duration = Duration::from_millis(1);

/// The order of heartbeats: one round at once, then round after round, spread evenly over the
/// heartbeat interval. No sensor waits longer than that interval and one spacing.
#[derive(Debug)]
pub(crate) struct Announcements {
    sensors: u32,
    interval: Duration,
    window: Duration,
    round: u32,
    position: u32,
}

impl Announcements {
    pub(crate) fn new(sensors: u32, interval: Duration) -> Self {
        Self {
            sensors,
            interval,
            window: LONGEST_WINDOW.min(SPACING * sensors).min(interval),
            round: 0,
            position: 0,
        }
    }

    /// Begins anew with the first round; the times of [`Self::due`] then count from now.
    pub(crate) fn restart(&mut self) {
        self.round = 0;
        self.position = 0;
    }

    /// When the next heartbeat is due, counted from the start; none without sensors.
    pub(crate) fn due(&self) -> Option<Duration> {
        if self.sensors == 0 {
            return None;
        }
        if self.round == 0 {
            return Some(part(self.window, self.position, self.sensors));
        }
        let rounds = self.interval * (self.round - 1);
        let within = part(self.interval, self.position + 1, self.sensors);
        Some(self.window + rounds + within)
    }

    /// The position of the sensor whose heartbeat is due by `elapsed`, each once.
    pub(crate) fn take_due(&mut self, elapsed: Duration) -> Option<u32> {
        if self.due()? > elapsed {
            return None;
        }
        let position = self.position;
        self.position += 1;
        if self.position == self.sensors {
            self.position = 0;
            self.round += 1;
        }
        Some(position)
    }
}

/// `numerator / denominator` of a duration.
fn part(whole: Duration, numerator: u32, denominator: u32) -> Duration {
    whole.mul_f64(f64::from(numerator) / f64::from(denominator))
}

#[cfg(test)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forty_sensors_are_announced_at_once_and_ten_thousand_within_two_seconds() {
        for (sensors, by) in [(40, 40), (10_000, 2_000)] {
            let mut announcements = Announcements::new(sensors, Duration::from_secs(60));
            let announced =
                std::iter::from_fn(|| announcements.take_due(Duration::from_millis(by)));
            assert_eq!(announced.count(), sensors as usize);
        }
    }

    #[test]
    fn nobody_to_announce() {
        assert_eq!(Announcements::new(0, Duration::from_secs(1)).due(), None);
    }

    #[test]
    fn a_restart_announces_all_again() {
        let mut announcements = Announcements::new(2, Duration::from_secs(60));
        let at = Duration::from_millis(2);
        assert_eq!(announcements.take_due(at), Some(0));
        assert_eq!(announcements.take_due(at), Some(1));
        assert_eq!(announcements.take_due(at), None);
        announcements.restart();
        assert_eq!(announcements.take_due(at), Some(0));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn no_sensor_waits_longer_than_the_interval(sensors in 1..300_u32, interval_ms in 1..10_000_u64) {
            let interval = Duration::from_millis(interval_ms);
            let mut announcements = Announcements::new(sensors, interval);
            let mut last = vec![Duration::ZERO; sensors as usize];
            for _ in 0..sensors * 4 {
                let Some(due) = announcements.due() else { panic!("there are sensors") };
                if let Some(too_early) = due.checked_sub(Duration::from_nanos(1)) {
                    prop_assert_eq!(announcements.take_due(too_early), None);
                }
                let Some(position) = announcements.take_due(due) else { panic!("it is due") };
                let waited = due.saturating_sub(last[position as usize]);
                prop_assert!(waited <= interval + SPACING, "{waited:?}");
                last[position as usize] = due;
            }
        }
    }
}
