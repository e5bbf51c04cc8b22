//! Chance that repeats: the same seed, sensor and turn give the same draw on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a draw decides. Each purpose has its own numbers, so that switching a fault on does not
/// change the values measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The value measured.
    Value = 1,
    /// Which fault befalls an answer, if any.
    Fault = 2,
    /// The value given by a sensor that is out of range.
    OutOfRange = 3,
    /// Whether a flapping sensor is off.
    Flap = 4,
    /// Network addresses.
    Address = 5,
}

/// The random numbers of one sensor for one purpose in one turn.
///
/// ChaCha with the turn as its stream number: unlike most generators it can start at any turn
/// without going through those before.
pub(crate) fn numbers(seed: u64, sensor: u32, purpose: Purpose, turn: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&sensor.to_le_bytes());
    key[12] = purpose as u8;
    let mut numbers = ChaCha8Rng::from_seed(key);
    numbers.set_stream(turn);
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::Rng;

    use super::*;

    #[test]
    fn every_coordinate_changes_the_numbers() {
        let draws: HashSet<u64> = [
            numbers(1, 1, Purpose::Value, 1),
            numbers(2, 1, Purpose::Value, 1),
            numbers(1, 2, Purpose::Value, 1),
            numbers(1, 1, Purpose::Fault, 1),
            numbers(1, 1, Purpose::Value, 2),
        ]
        .into_iter()
        .map(|mut numbers| numbers.random())
        .collect();
        assert_eq!(draws.len(), 5);
    }

    #[test]
    fn the_same_coordinates_give_the_same_numbers() {
        let draw = || numbers(7, 3, Purpose::Value, 9).random::<u64>();
        assert_eq!(draw(), draw());
    }
}
