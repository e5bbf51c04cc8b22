//! Runs of digits as numbers: each run of up to eighteen digits has a code of its own, so that zeros in
//! front and behind are kept. Codes of one length follow each other as the numbers do.

use std::fmt::Write as _;

/// Digits that a run has at most: all their codes fit 63 bits.
pub(super) const MOST: usize = 18;

/// `TENS[n]` is ten to the n.
const TENS: [u64; MOST + 1] = {
    let mut tens = [1; MOST + 1];
    let mut at = 1;
    while at <= MOST {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

/// `BEFORE[n]` is how many runs are shorter than n digits.
const BEFORE: [u64; MOST + 2] = {
    let mut before = [0; MOST + 2];
    let mut at = 2;
    while at <= MOST + 1 {
        before[at] = before[at - 1] + TENS[at - 1];
        at += 1;
    }
    before
};

/// The first and the last of the codes that lie between.
pub(super) type Range = (u64, u64);

/// The code of a run; none for other texts and for longer runs.
pub(super) fn code(run: &[u8]) -> Option<u64> {
    if run.is_empty() || run.len() > MOST {
        return None;
    }
    let mut number = 0;
    for byte in run {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(byte - b'0');
    }
    Some(BEFORE[run.len()] + number)
}

/// The code of a number as it is written; none where it has too many digits.
pub(super) fn code_of(number: u64) -> Option<u64> {
    let length = (1..=MOST).find(|&length| number < TENS[length])?;
    Some(BEFORE[length] + number)
}

/// How many digits a run has, and the number that they are.
pub(super) fn parts(code: u64) -> (usize, u64) {
    let length = (1..MOST).find(|&length| code < BEFORE[length + 1]);
    let length = length.unwrap_or(MOST);
    (length, code.wrapping_sub(BEFORE[length]))
}

/// Appends the run.
pub(super) fn write(code: u64, target: &mut String) {
    let (length, number) = parts(code);
    // Writing to a text does not fail.
    let _ = write!(target, "{number:0length$}");
}

/// The codes of the runs that begin with this one.
pub(super) fn beginning(run: &[u8]) -> Vec<Range> {
    let Some(first) = code(run) else {
        return Vec::new();
    };
    let number = first - BEFORE[run.len()];
    let longer = (run.len()..=MOST).map(|length| {
        let ten = TENS[length - run.len()];
        let low = BEFORE[length] + number * ten;
        (low, low + ten - 1)
    });
    longer.collect()
}

/// The codes of the runs that are this one with any zeros before it, or behind it.
pub(super) fn with_zeros(digits: &str, are_before: bool) -> Vec<Range> {
    let mut found = Vec::new();
    for zeros in 0..=MOST.saturating_sub(digits.len()) {
        let zeros = "0".repeat(zeros);
        let run = match are_before {
            true => format!("{zeros}{digits}"),
            false => format!("{digits}{zeros}"),
        };
        found.extend(code(run.as_bytes()).map(|code| (code, code)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn every_run_has_its_code(run in "[0-9]{1,18}", other in "[0-9]{1,18}") {
            let (first, second) = (code(run.as_bytes()), code(other.as_bytes()));
            prop_assert_eq!(first == second, run == other);
            let mut text = String::new();
            write(first.unwrap_or(0), &mut text);
            prop_assert_eq!(text, run);
        }

        #[test]
        fn a_beginning_is_a_few_ranges(run in "[0-9]{1,18}", start in "[0-9]{1,3}") {
            let code = code(run.as_bytes()).unwrap_or(0);
            let ranges = beginning(start.as_bytes());
            let is_in = ranges.iter().any(|&(low, high)| (low..=high).contains(&code));
            prop_assert_eq!(is_in, run.starts_with(&start));
        }

        #[test]
        fn numbers_are_written_without_zeros(number in 0_u64..1_000_000_000_000_000_000) {
            prop_assert_eq!(code_of(number), code(number.to_string().as_bytes()));
        }
    }
}
