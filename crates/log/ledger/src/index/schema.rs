//! What the index holds of an entry.

use fieldledger_audit::event::FIELDS;
use fieldledger_formats::envelope::Envelope;
use sha2::{Digest, Sha256};
use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use super::words;
use crate::readings::reading_of;

/// Name of the field with the entry's position in the log.
pub(crate) const INDEX: &str = "index";

/// Name of the field with the time a reading was polled.
pub(crate) const POLLED_AT: &str = "polled_at";

/// Name of the field with the value of a reading.
pub(crate) const VALUE: &str = "value";

/// What that field holds where there is something to hold.
pub(crate) const OWN: u64 = 1;

/// The fields of the index. An index with other fields is built anew.
#[derive(Debug, Clone)]
pub(crate) struct IndexSchema {
    pub(crate) schema: Schema,
    pub(crate) index: Field,
    pub(crate) polled_at: Field,
    value: Field,
    /// A hash of every column together with its whole text.
    pub(crate) exact: Field,
    /// There with the log's own entries only.
    pub(crate) own: Field,
    /// The words of every column, in the order of [`FIELDS`].
    pub(crate) texts: [Field; FIELDS.len()],
}

impl IndexSchema {
    pub(crate) fn new() -> Self {
        let mut builder = Schema::builder();
        let index = builder.add_u64_field(INDEX, FAST);
        let polled_at = builder.add_u64_field(POLLED_AT, FAST);
        let value = builder.add_f64_field(VALUE, FAST);
        let exact = builder.add_u64_field("exact", INDEXED);
        let own = builder.add_u64_field("own", INDEXED);
        // Positions for phrases; nothing is ranked, so no lengths of fields.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(words::NAME)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        let options = TextOptions::default().set_indexing_options(indexing);
        let texts = FIELDS.map(|column| builder.add_text_field(column.name, options.clone()));
        Self {
            schema: builder.build(),
            index,
            polled_at,
            value,
            exact,
            own,
            texts,
        }
    }

    /// What the index holds of an entry.
    pub(crate) fn document(&self, index: u64, envelope: &Envelope<'_>) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_u64(self.index, index);
        if envelope.is_own() {
            document.add_u64(self.own, OWN);
        }
        let event = &envelope.event();
        for (position, text) in event.values().into_iter().enumerate() {
            if !text.is_empty() {
                document.add_text(self.texts[position], text);
                document.add_u64(self.exact, exact_term(position, text));
            }
        }
        if let Some(reading) = reading_of(event, index, 0) {
            document.add_u64(self.polled_at, reading.polled_at.micros);
            if let Some(value) = reading.value {
                document.add_f64(self.value, value);
            }
        }
        document
    }
}

/// The term for "the column at `position` is exactly `text`": 64 bits, so that two of a billion
/// different texts are taken for one another with a chance of 3 in 100, and only in a search.
pub(crate) fn exact_term(position: usize, text: &str) -> u64 {
    let hash = Sha256::new()
        .chain_update(FIELDS[position].name)
        .chain_update([0])
        .chain_update(text)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}
