//! The tokenizer: the words of the search language.

use fieldledger_formats::query::language::is_word_letter;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The name by which the schema refers to the tokenizer.
pub(crate) const NAME: &str = "words";

/// Splits a text into words, as [`fieldledger_formats::query::language::words`] does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text,
            next: 0,
            token: &mut self.token,
        }
    }
}

/// The words of one text.
pub(crate) struct WordStream<'a> {
    text: &'a str,
    /// Where to look for the next word.
    next: usize,
    token: &'a mut Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(skipped) = self.text[self.next..].find(is_word_letter) else {
            return false;
        };
        let start = self.next + skipped;
        let word = &self.text[start..];
        let length = word
            .find(|letter| !is_word_letter(letter))
            .unwrap_or(word.len());
        self.next = start + length;
        self.token.offset_from = start;
        self.token.offset_to = self.next;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        self.token.text.push_str(&word[..length]);
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
    use fieldledger_formats::query::language::words;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn index_and_query_agree_on_words(text in "[a-zA-Zé0-9_ :/.\\-\"]{0,60}") {
            let mut tokenizer = Words::default();
            let mut stream = tokenizer.token_stream(&text);
            let mut found = Vec::new();
            while stream.advance() {
                prop_assert_eq!(stream.token().position, found.len());
                found.push(stream.token().text.clone());
            }
            prop_assert_eq!(found, words(&text).collect::<Vec<_>>());
        }
    }
}
