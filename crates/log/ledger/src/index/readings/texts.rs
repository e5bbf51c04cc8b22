//! The different texts of a block, numbered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use fieldledger_formats::query::words::normal;

use super::bytes::{Fault, Reader, put, put_text};

/// So that nobody can make many texts with one hash.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Texts, each once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// One after the other.
    all: String,
    ends: Vec<usize>,
    /// By hash, and how many others with this hash came before.
    known: HashMap<u64, u32>,
    /// Those that are searched in another form than they have.
    abnormal: Vec<u32>,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.all.len() + self.ends.len() * 28
    }

    pub(super) fn get(&self, number: u32) -> Option<&str> {
        let at = number as usize;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.all.get(start..end)
    }

    /// The number of a text; none where it is not there.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        for others in 0_u32.. {
            let number = *self.known.get(&HASHER.hash_one((others, text)))?;
            if self.get(number) == Some(text) {
                return Some(number);
            }
        }
        None
    }

    /// The number of a text, which is added if it is not there.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let new = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        for others in 0_u32.. {
            match self.known.entry(HASHER.hash_one((others, text))) {
                Entry::Vacant(place) => {
                    place.insert(new);
                    break;
                }
                Entry::Occupied(place) => {
                    let number = *place.get();
                    if self.get(number) == Some(text) {
                        return number;
                    }
                }
            }
        }
        self.all.push_str(text);
        self.ends.push(self.all.len());
        if matches!(normal(text), std::borrow::Cow::Owned(_)) {
            self.abnormal.push(new);
        }
        new
    }

    /// The texts that may have one of these words: those in which one of them begins anywhere, and those
    /// that are searched in another form.
    pub(super) fn with_any(&self, words: &[memchr::memmem::Finder<'_>]) -> Vec<u32> {
        let mut found = self.abnormal.clone();
        for word in words {
            let mut from = 0;
            while let Some(at) = word.find(&self.all.as_bytes()[from..]) {
                let number = self.ends.partition_point(|&end| end <= from + at);
                let Some(&end) = self.ends.get(number) else {
                    break;
                };
                // What begins in one text and ends in the next is sorted out by who looks at it.
                found.push(u32::try_from(number).unwrap_or(u32::MAX));
                from = end;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).map_while(|number| Some((number, self.get(number)?)))
    }

    pub(super) fn encode(&self, target: &mut Vec<u8>) {
        put(target, self.ends.len() as u64);
        for (_, text) in self.iter() {
            put_text(target, text);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut texts = Self::default();
        for number in 0..reader.length()? {
            if texts.add(reader.text()?) as usize != number {
                return Err(Fault::Reference);
            }
        }
        Ok(texts)
    }
}
