//! What can go wrong with a simulated sensor, and how often.

use std::time::Duration;

use rand::Rng;

use crate::chance::{Purpose, numbers};

/// What goes wrong with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The poll is not answered.
    Drop,
    /// The answer comes [`Faults::late_by`] later.
    Late,
    /// The answer is no number.
    Garbage,
    /// The value lies outside the range that the sensor declared.
    OutOfRange,
}

/// A sensor that goes off and on again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flapping {
    /// Probability that a sensor is off during a period.
    pub probability: f64,
    /// How long it then is off, and how long on before it may go off again.
    pub period: Duration,
}

/// How often each fault happens. Probabilities are per poll, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// Probability of [`Fault::Drop`].
    pub drop: f64,
    /// Probability of [`Fault::Late`].
    pub late: f64,
    /// How much later a late answer comes.
    pub late_by: Duration,
    /// Probability of [`Fault::Garbage`].
    pub garbage: f64,
    /// Probability of [`Fault::OutOfRange`].
    pub out_of_range: f64,
    /// Sensors that go off and on.
    pub flapping: Option<Flapping>,
    /// Whether the sensor named faulty is so.
    pub faulty_sensor: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            drop: 0.0,
            late: 0.0,
            late_by: Duration::from_millis(800),
            garbage: 0.0,
            out_of_range: 0.0,
            flapping: None,
            faulty_sensor: true,
        }
    }
}

/// The polls that the faulty sensor drops: the original drew a byte and dropped below 25.
const FAULTY_DROP: f64 = 25.0 / 256.0;

/// Rounding error allowed in a sum of probabilities, so that 0.1 + 0.2 + 0.7 is accepted.
const SUM_TOLERANCE: f64 = 1e-9;

/// Why a set of faults is not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FaultsError {
    /// Not a probability.
    #[error("the probability of {fault} is {probability}, it must be from 0 to 1")]
    NotAProbability {
        /// Which one.
        fault: &'static str,
        /// What was given.
        probability: f64,
    },
    /// An answer has one fault at most.
    #[error(
        "the probabilities of drop, late, garbage and out-of-range add up to {sum}, \
         they must not exceed 1: an answer has one of these faults at most"
    )]
    SumAboveOne {
        /// What they add up to.
        sum: f64,
    },
    /// A flapping sensor that never turns.
    #[error("the flapping period is 0, it must be at least 1 ms")]
    NoPeriod,
}

impl Faults {
    /// Says whether these faults are possible.
    ///
    /// # Errors
    /// Names the first probability that is not from 0 to 1, a sum above 1, or a period of 0.
    pub fn check(&self) -> Result<(), FaultsError> {
        for (fault, probability) in [
            ("drop", self.drop),
            ("late", self.late),
            ("garbage", self.garbage),
            ("out-of-range", self.out_of_range),
            ("flapping", self.flapping.map_or(0.0, |f| f.probability)),
        ] {
            if !(0.0..=1.0).contains(&probability) {
                return Err(FaultsError::NotAProbability { fault, probability });
            }
        }
        let sum = self.drop + self.late + self.garbage + self.out_of_range;
        if sum > 1.0 + SUM_TOLERANCE {
            return Err(FaultsError::SumAboveOne { sum });
        }
        if self.flapping.is_some_and(|f| f.period.is_zero()) {
            return Err(FaultsError::NoPeriod);
        }
        Ok(())
    }

    /// The fault that befalls a sensor's answer number `sequence`, if any.
    pub(crate) fn of_answer(
        &self,
        seed: u64,
        sensor: u32,
        faulty: bool,
        sequence: u64,
    ) -> Option<Fault> {
        let drop = if faulty && self.faulty_sensor {
            self.drop.max(FAULTY_DROP)
        } else {
            self.drop
        };
        if drop + self.late + self.garbage + self.out_of_range == 0.0 {
            return None;
        }
        let mut draw: f64 = numbers(seed, sensor, Purpose::Fault, sequence).random();
        for (fault, probability) in [
            (Fault::Drop, drop),
            (Fault::Late, self.late),
            (Fault::Garbage, self.garbage),
            (Fault::OutOfRange, self.out_of_range),
        ] {
            if draw < probability {
                return Some(fault);
            }
            draw -= probability;
        }
        None
    }

    /// Whether a sensor is off at a time, counted from the start of the simulation.
    pub(crate) fn is_off(&self, seed: u64, sensor: u32, elapsed: Duration) -> bool {
        let Some(Flapping {
            probability,
            period,
        }) = self.flapping
        else {
            return false;
        };
        let turn = (elapsed.as_nanos() / period.as_nanos().max(1)) as u64;
        numbers(seed, sensor, Purpose::Flap, turn).random_bool(probability)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    /// How many of 4,000 answers have each fault, out of range last.
    fn tally(faults: &Faults, seed: u64, faulty: bool) -> [f64; 4] {
        let mut tally = [0.0; 4];
        for sequence in 1..=4000 {
            match faults.of_answer(seed, 0, faulty, sequence) {
                Some(Fault::Drop) => tally[0] += 1.0,
                Some(Fault::Late) => tally[1] += 1.0,
                Some(Fault::Garbage) => tally[2] += 1.0,
                Some(Fault::OutOfRange) => tally[3] += 1.0,
                None => {}
            }
        }
        tally.map(|count| count / 4000.0)
    }

    proptest! {
        #![proptest_config(proptest_config())]

        // A rate measured over 4,000 draws is off by 0.008 in the mean at most; 0.05 is six times that.
        #[test]
        fn faults_are_as_frequent_as_asked(
            seed: u64,
            drop in 0.0..0.25_f64,
            late in 0.0..0.25_f64,
            garbage in 0.0..0.25_f64,
            out_of_range in 0.0..0.25_f64,
        ) {
            let faults = Faults { drop, late, garbage, out_of_range, ..Faults::default() };
            prop_assert!(faults.check().is_ok());
            let measured = tally(&faults, seed, false);
            for (measured, asked) in measured.into_iter().zip([drop, late, garbage, out_of_range]) {
                prop_assert!((measured - asked).abs() < 0.05, "{measured} for {asked}");
            }
        }
    }

    #[test]
    fn the_faulty_sensor_drops_a_tenth_unless_switched_off() {
        let on = tally(&Faults::default(), 1, true);
        assert!((on[0] - 0.1).abs() < 0.02, "{on:?}");
        assert_eq!(on[1..], [0.0; 3]);
        let faults = Faults {
            faulty_sensor: false,
            ..Faults::default()
        };
        assert_eq!(tally(&faults, 1, true), [0.0; 4]);
        assert_eq!(tally(&Faults::default(), 1, false), [0.0; 4]);
    }

    #[test]
    fn certain_faults_always_happen() {
        let faults = Faults {
            late: 1.0,
            ..Faults::default()
        };
        assert_eq!(tally(&faults, 3, false), [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_flapping_sensor_keeps_its_state_for_a_period() {
        let faults = Faults {
            flapping: Some(Flapping {
                probability: 0.5,
                period: Duration::from_millis(100),
            }),
            ..Faults::default()
        };
        let is_off = |at: u64| faults.is_off(1, 0, Duration::from_millis(at));
        let mut periods_off = 0;
        for period in 0..1000 {
            let state = is_off(period * 100);
            assert!((1..100).all(|ms| is_off(period * 100 + ms) == state));
            periods_off += u32::from(state);
        }
        assert!((400..600).contains(&periods_off), "{periods_off}");
    }

    #[test]
    fn impossible_faults_are_refused_with_the_reason() {
        let too_often = Faults {
            late: 1.5,
            ..Faults::default()
        };
        assert_eq!(
            too_often.check().unwrap_err().to_string(),
            "the probability of late is 1.5, it must be from 0 to 1"
        );
        let not_a_number = Faults {
            drop: f64::NAN,
            ..Faults::default()
        };
        assert!(not_a_number.check().is_err());
        let sum = Faults {
            drop: 0.6,
            garbage: 0.6,
            ..Faults::default()
        };
        assert_eq!(sum.check(), Err(FaultsError::SumAboveOne { sum: 1.2 }));
        let stuck = Faults {
            flapping: Some(Flapping {
                probability: 0.1,
                period: Duration::ZERO,
            }),
            ..Faults::default()
        };
        assert_eq!(stuck.check(), Err(FaultsError::NoPeriod));
    }
}
