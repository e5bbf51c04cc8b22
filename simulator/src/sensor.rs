//! One simulated sensor: who it is, and what it measures.

use std::net::Ipv4Addr;

use rand::Rng;
use rand_distr::StandardNormal;
use uuid::Uuid;

use crate::catalogue::{FAULTY_MARK, Kind, STATIONS};
use crate::chance::{Purpose, numbers};
use crate::hundredths::Hundredths;

/// Namespace of the sensors' version 5 UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6669_656c_646c_4564_8765_722d_7369_6d00);

/// A simulated sensor. Everything about it follows from the seed and its index.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    seed: u64,
    index: u32,
    id: Uuid,
    alias: String,
    site: &'static str,
    kind: &'static Kind,
}

impl Sensor {
    /// The sensor of an index: those below 40 are the original's, the others are called
    /// `Sim-00041` and so on, and have the sites and kinds of the forty in turn.
    #[must_use]
    pub fn new(seed: u64, index: u32) -> Self {
        let station = &STATIONS[index as usize % STATIONS.len()];
        let alias = match STATIONS.get(index as usize) {
            Some(original) => original.alias.to_owned(),
            None => format!("Sim-{:05}", u64::from(index) + 1),
        };
        Self {
            seed,
            index,
            id: Uuid::new_v5(&NAMESPACE, format!("{seed}/{index}").as_bytes()),
            alias,
            site: station.site,
            kind: station.kind,
        }
    }

    /// The first `count` sensors of a seed.
    #[must_use]
    pub fn fleet(seed: u64, count: u32) -> Vec<Self> {
        (0..count).map(|index| Self::new(seed, index)).collect()
    }

    /// Position in the fleet, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The sensor's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The sensor's name.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// Where it says it is: the original's prefix and the site.
    #[must_use]
    pub fn location(&self) -> String {
        format!("SIMULATION-{}", self.site)
    }

    /// What it measures.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Whether it is the one that drops polls.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.alias.contains(FAULTY_MARK)
    }

    /// The value it measures at its answer number `sequence` (from 1): normally distributed,
    /// clamped to its range, two decimals.
    #[must_use]
    pub fn value(&self, sequence: u64) -> Hundredths {
        let mut numbers = numbers(self.seed, self.index, Purpose::Value, sequence);
        let deviations: f64 = numbers.sample(StandardNormal);
        let value = self.kind.mean + self.kind.deviation * deviations;
        Hundredths::truncated(value.clamp(self.kind.low, self.kind.high))
    }

    /// The value it gives instead when answer number `sequence` is out of range: by 1 % to 100 %
    /// of the range's width, above or below.
    #[must_use]
    pub fn out_of_range_value(&self, sequence: u64) -> Hundredths {
        let mut numbers = numbers(self.seed, self.index, Purpose::OutOfRange, sequence);
        let excess = numbers.random_range(0.01..1.0) * (self.kind.high - self.kind.low);
        // A range's width is at least 1 here, so that an excess is at least one hundredth.
        if numbers.random() {
            Hundredths::truncated(self.kind.high + excess)
        } else {
            Hundredths::truncated(self.kind.low - excess)
        }
    }

    /// An address in 10.0.0.0/8, so that no real machine is named.
    pub(crate) fn ip_address(&self) -> Ipv4Addr {
        let mut numbers = numbers(self.seed, self.index, Purpose::Address, 0);
        Ipv4Addr::new(10, numbers.random(), numbers.random(), numbers.random())
    }

    /// A locally administered unicast address (02:…), which no manufacturer gives out.
    pub(crate) fn mac_address(&self) -> [u8; 6] {
        let mut address = [0; 6];
        numbers(self.seed, self.index, Purpose::Address, 1).fill(&mut address);
        address[0] = 0x02;
        address
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_forty_are_the_originals() {
        let fleet = Sensor::fleet(1, 42);
        assert_eq!(fleet[0].alias(), "TempSensor01");
        assert_eq!(fleet[0].location(), "SIMULATION-Conveyor Belt 1");
        assert_eq!(fleet[39].alias(), "RadiationSensor-R7");
        assert_eq!(fleet[40].alias(), "Sim-00041");
        assert_eq!(fleet[40].kind(), fleet[0].kind());
        assert!(fleet[1].is_faulty());
        assert!(!fleet[41].is_faulty(), "generated sensors are sound");
    }

    #[test]
    fn ids_are_stable_and_unique() {
        // A changed id is a new sensor in every ledger: this one must stay for ever.
        let first = Sensor::new(0, 0).id().to_string();
        assert_eq!(first, "9563ab8c-64a6-5cfe-aa91-c47584025833");
        let seeds = [0, 1];
        let ids: HashSet<Uuid> = seeds
            .into_iter()
            .flat_map(|seed| Sensor::fleet(seed, 1000))
            .map(|sensor| sensor.id())
            .collect();
        assert_eq!(ids.len(), 2000);
    }

    #[test]
    fn values_are_distributed_as_declared() {
        for sensor in Sensor::fleet(5, 40) {
            let values: Vec<f64> = (1..=2000).map(|n| sensor.value(n).as_f64()).collect();
            let mean = values.iter().sum::<f64>() / 2000.0;
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            let deviation = (squares / 2000.0).sqrt();
            let kind = sensor.kind();
            // The error of a mean over 2,000 draws is 0.022 deviations; clamping at 2.5 deviations
            // (smoke) and more narrows the spread by a few per cent.
            assert!(
                (mean - kind.mean).abs() < 0.12 * kind.deviation,
                "{kind:?} {mean}"
            );
            assert!(
                (deviation / kind.deviation - 1.0).abs() < 0.1,
                "{kind:?} {deviation}"
            );
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn values_are_within_the_range_and_repeat(seed: u64, index in 0..100_u32, sequence: u64) {
            let sensor = Sensor::new(seed, index);
            let value = sensor.value(sequence);
            prop_assert!((sensor.kind().low..=sensor.kind().high).contains(&value.as_f64()));
            prop_assert_eq!(value, Sensor::new(seed, index).value(sequence));
        }

        #[test]
        fn out_of_range_values_are_outside(seed: u64, index in 0..40_u32, sequence: u64) {
            let sensor = Sensor::new(seed, index);
            let value = sensor.out_of_range_value(sequence).as_f64();
            prop_assert!(!(sensor.kind().low..=sensor.kind().high).contains(&value));
        }
    }
}
