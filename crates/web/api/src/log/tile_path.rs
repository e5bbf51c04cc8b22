//! Where a tile is, C2SP tlog-tiles: `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`.

/// Highest level that a path can name.
const HIGHEST_LEVEL: u8 = 63;

/// Width of a tile that is not partial.
const FULL: u16 = 256;

/// A tile, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TilePath {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    /// 1 to 256.
    pub(crate) width: u16,
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Hashes of one level of the tree.
    Hashes { level: u8 },
    /// What the hashes of level 0 were made of.
    Entries,
}

impl TilePath {
    /// Reads a path that is written in the one way there is.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes {
                level: decimal(level).filter(|level| *level <= HIGHEST_LEVEL)?,
            },
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width: u8 = decimal(width).filter(|width| *width > 0)?;
                (number, u16::from(width))
            }
            None => (rest, FULL),
        };
        Some(Self {
            kind,
            number: grouped(number)?,
            width,
        })
    }
}

/// A decimal number without zeros before it.
fn decimal(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_shortest)
}

/// A number in groups of three digits, all but the last with an `x` before them, the first not zero
/// unless it is the last.
fn grouped(text: &str) -> Option<u64> {
    let (before, last) = match text.rsplit_once('/') {
        Some((before, last)) => (Some(before), last),
        None => (None, text),
    };
    let mut number: u64 = 0;
    for group in before.into_iter().flat_map(|before| before.split('/')) {
        let group = three_digits(group.strip_prefix('x')?)?;
        if number == 0 && group == 0 {
            return None;
        }
        number = number.checked_mul(1_000)?.checked_add(group)?;
    }
    number.checked_mul(1_000)?.checked_add(three_digits(last)?)
}

fn three_digits(text: &str) -> Option<u64> {
    let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use fieldledger_tlog::{entries_path, tile_path};
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = TilePath::parse("0/x001/x234/067").unwrap();
        let kind = Kind::Hashes { level: 0 };
        assert_eq!((path.kind, path.number, path.width), (kind, 1_234_067, 256));
        let path = TilePath::parse("entries/000.p/255").unwrap();
        assert_eq!(
            (path.kind, path.number, path.width),
            (Kind::Entries, 0, 255)
        );
        assert!(TilePath::parse("63/999").is_some());
    }

    #[test]
    fn a_tile_has_one_path() {
        for path in [
            "",
            "0",
            "0/",
            "/000",
            "64/000",
            "00/000",
            "01/000",
            "-1/000",
            "+1/000",
            "0/0",
            "0/00",
            "0/0000",
            "0/x000",
            "0/000/",
            "0//000",
            "0/000/000",
            "0/x000/000",
            "0/x000/x001/000",
            "0/001/x000",
            "0/x1/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "0/000.p/1/",
            "0/000.p/+1",
            "0/%30%30%30",
            "0/٠٠٠",
            "entry/000",
            "Entries/000",
            "0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TilePath::parse(path), None, "{path:?}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_the_tree_calls_a_tile_is_understood(level in 0_u8..=63, number: u64, width in 1_usize..=256) {
            let path = tile_path(level, number, width);
            let read = TilePath::parse(path.strip_prefix("tile/").unwrap()).unwrap();
            let kind = Kind::Hashes { level };
            prop_assert_eq!((read.kind, read.number, usize::from(read.width)), (kind, number, width));
            let path = entries_path(number, width);
            let read = TilePath::parse(path.strip_prefix("tile/").unwrap()).unwrap();
            prop_assert_eq!((read.kind, read.number, usize::from(read.width)), (Kind::Entries, number, width));
        }

        #[test]
        fn whatever_is_understood_is_written_back_the_same(path in "(0|1|63|64|entries)/(x[0-9]{3}/){0,3}[0-9]{2,3}(\\.p/[0-9]{1,3})?") {
            if let Some(TilePath { kind, number, width }) = TilePath::parse(&path) {
                let written = match kind {
                    Kind::Hashes { level } => tile_path(level, number, width.into()),
                    Kind::Entries => entries_path(number, width.into()),
                };
                prop_assert_eq!(written, format!("tile/{path}"));
            }
        }
    }
}
