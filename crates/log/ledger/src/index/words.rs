//! The tokenizer: the words of the search language.

use std::borrow::Cow;
use std::ops::Range;

use fieldledger_formats::query::words::{next_word, normal, parts};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The name by which the schema refers to the tokenizer. It has the version of the words: an index
/// with another is built anew.
pub(crate) const NAME: &str = "words-2";

/// Splits a text into words, as [`fieldledger_formats::query::words`] does. What a word is found by
/// besides itself has the same position, so that phrases need not know of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text: normal(text),
            next: 0,
            parts: Vec::new(),
            token: &mut self.token,
        }
    }
}

/// The words of one text.
pub(crate) struct WordStream<'a> {
    text: Cow<'a, str>,
    /// Where to look for the next word.
    next: usize,
    /// Of the word before, what it is found by besides itself.
    parts: Vec<Range<usize>>,
    token: &'a mut Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let range = match self.parts.pop() {
            Some(part) => part,
            None => {
                let Some(word) = next_word(&self.text, self.next) else {
                    return false;
                };
                let runs = parts(&self.text[word.clone()]);
                self.parts
                    .extend(runs.map(|run| word.start + run.start..word.start + run.end));
                self.next = word.end;
                self.token.position = self.token.position.wrapping_add(1);
                word
            }
        };
        self.token.offset_from = range.start;
        self.token.offset_to = range.end;
        self.token.text.clear();
        self.token.text.push_str(&self.text[range]);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use fieldledger_formats::query::words::words;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<(usize, String)> {
        let mut tokenizer = Words::default();
        let mut stream = tokenizer.token_stream(text);
        let mut found = Vec::new();
        while stream.advance() {
            found.push((stream.token().position, stream.token().text.clone()));
        }
        found
    }

    #[test]
    fn parts_stand_where_their_word_does() {
        let mut found = tokens("boiler_1 Ku\u{308}hler");
        found.sort();
        let expected = [(0, "1"), (0, "boiler"), (0, "boiler_1"), (1, "K\u{fc}hler")];
        assert_eq!(
            found,
            expected.map(|(position, text)| (position, text.to_owned()))
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn index_and_query_agree_on_words(text in "[a-zA-Ze\u{301}\u{e9}0-9_ :/.\\-\"]{0,60}") {
            let found = tokens(&text);
            let text = normal(&text);
            for (position, word) in words(&text).enumerate() {
                prop_assert!(found.contains(&(position, word.to_owned())), "{word}");
            }
            let positions = found.iter().map(|(position, _)| position + 1).max();
            prop_assert_eq!(positions.unwrap_or(0), words(&text).count());
        }
    }
}
