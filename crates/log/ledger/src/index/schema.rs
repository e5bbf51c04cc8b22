//! What the index holds of an entry.

use fieldledger_audit::decimal::Decimal;
use fieldledger_audit::event::FIELDS;
use fieldledger_audit::timestamp;
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::query::language::column_position;
use fieldledger_reading::quality::{Quality, Severity};
use sha2::{Digest, Sha256};
use tantivy::TantivyDocument;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};

use super::words;
use crate::claims::digest;
use crate::gaps::numbering_of;
use crate::readings::reading_of;

/// Name of the field with the entry's position in the log.
pub(crate) const INDEX: &str = "index";

/// Name of the field with the time a reading was polled.
pub(crate) const POLLED_AT: &str = "polled_at";

/// Name of the field with the value of a reading.
pub(crate) const VALUE: &str = "value";

/// Name of the field with the unit of a reading's value.
pub(crate) const UNIT: &str = "unit";

/// The tokenizer that leaves a text whole.
const WHOLE: &str = "raw";

/// Name of the field that is there with readings whose quality is Uncertain.
pub(crate) const UNCERTAIN: &str = "uncertain";

/// Name of the field with the event's own time, microseconds since the Unix epoch.
pub(crate) const EVENT_TIME: &str = "event_time";

/// What a field holds that is only there or not.
pub(crate) const OWN: u64 = 1;

/// The columns that hold values, and so numbers: they are compared and ordered as such.
pub(crate) const VALUE_COLUMNS: [&str; 2] = ["new", "old"];

/// Characters up to which a column is in the index whole, so that it can be ordered by.
const SHORT: usize = 128;

/// Name of the field with the number that a column of [`VALUE_COLUMNS`] is; not a number where it is
/// another text.
pub(crate) fn number_name(column: &str) -> String {
    format!("{column}_number")
}

/// The column is in the index whole. The time of an event is a number there.
pub(crate) fn is_short(position: usize) -> bool {
    FIELDS[position].max_characters <= SHORT && FIELDS[position].name != "timestamp"
}

/// The fields of the index. An index with other fields is built anew.
#[derive(Debug, Clone)]
pub(crate) struct IndexSchema {
    pub(crate) schema: Schema,
    pub(crate) index: Field,
    pub(crate) polled_at: Field,
    value: Field,
    unit: Field,
    uncertain: Field,
    event_time: Field,
    /// Of [`VALUE_COLUMNS`], in their order, with their positions in [`FIELDS`].
    numbers: [(usize, Field); VALUE_COLUMNS.len()],
    /// Hashes of every column together with what is known of it, see [`Known`].
    pub(crate) exact: Field,
    /// Of every column, the hash for [`Known::Present`].
    present: [u64; FIELDS.len()],
    /// There with the log's own entries only.
    pub(crate) own: Field,
    /// A hash of producer and sequence of a reading with a number of its device's.
    pub(crate) number: Field,
    /// The words of every column, in the order of [`FIELDS`].
    pub(crate) texts: [Field; FIELDS.len()],
}

/// What the index knows of a column as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known<'a> {
    /// Its whole text.
    Text(&'a str),
    /// It is there.
    Present,
    /// It is a number, as `Decimal` writes it.
    Number(&'a str),
    /// It is some number.
    SomeNumber,
}

impl IndexSchema {
    pub(crate) fn new() -> Self {
        let mut builder = Schema::builder();
        let index = builder.add_u64_field(INDEX, FAST);
        let polled_at = builder.add_u64_field(POLLED_AT, FAST);
        let value = builder.add_f64_field(VALUE, FAST);
        let unit = builder.add_text_field(UNIT, TextOptions::default().set_fast(WHOLE));
        let uncertain = builder.add_u64_field(UNCERTAIN, FAST);
        let event_time = builder.add_u64_field(EVENT_TIME, FAST);
        let numbers = VALUE_COLUMNS.map(|name| {
            let field = builder.add_f64_field(&number_name(name), FAST);
            (column_position(name).unwrap_or_default(), field)
        });
        let exact = builder.add_u64_field("exact", INDEXED);
        let own = builder.add_u64_field("own", INDEXED);
        let number = builder.add_u64_field("number", INDEXED);
        // Positions for phrases; nothing is ranked, so no lengths of fields.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(words::NAME)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        let options = TextOptions::default().set_indexing_options(indexing);
        let mut present = [0; FIELDS.len()];
        for (position, hash) in present.iter_mut().enumerate() {
            *hash = exact_term(position, Known::Present);
        }
        let mut texts = [index; FIELDS.len()];
        for (position, text) in texts.iter_mut().enumerate() {
            let options = match is_short(position) {
                true => options.clone().set_fast(WHOLE),
                false => options.clone(),
            };
            *text = builder.add_text_field(FIELDS[position].name, options);
        }
        Self {
            schema: builder.build(),
            index,
            polled_at,
            value,
            unit,
            uncertain,
            event_time,
            numbers,
            exact,
            present,
            own,
            number,
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
        if let Some((producer, sequence)) = envelope.origin()
            && numbering_of(producer).is_some()
        {
            document.add_u64(self.number, number_term(producer, sequence));
        }
        let event = &envelope.event();
        let values = event.values();
        for (position, text) in values.into_iter().enumerate() {
            if !text.is_empty() {
                document.add_text(self.texts[position], text);
                document.add_u64(self.exact, exact_term(position, Known::Text(text)));
                document.add_u64(self.exact, self.present[position]);
            }
        }
        if let Some(micros) = timestamp::to_micros(event.timestamp) {
            document.add_u64(self.event_time, micros);
        }
        let mut value = None;
        if let Some(reading) = reading_of(event, index, 0) {
            // Zero has one sign.
            value = reading.number().map(|number| number + 0.0);
            document.add_u64(self.polled_at, reading.polled_at.micros);
            if let Some(value) = value {
                document.add_f64(self.value, value);
                if !reading.unit.is_empty() {
                    document.add_text(self.unit, &reading.unit);
                }
            }
            let mut qualities = Quality::ALL.into_iter();
            let quality = qualities.find(|quality| quality.name() == reading.quality);
            if quality.is_some_and(|quality| quality.severity() == Severity::Uncertain) {
                document.add_u64(self.uncertain, OWN);
            }
        }
        for (position, field) in self.numbers {
            let text = values[position];
            let Some(number) = number_of(text) else {
                continue;
            };
            if let Some(decimal) = Decimal::parse(text) {
                let decimal = decimal.to_string();
                document.add_u64(self.exact, exact_term(position, Known::Number(&decimal)));
                document.add_u64(self.exact, exact_term(position, Known::SomeNumber));
            }
            // The value of a reading is there already.
            if FIELDS[position].name != "new" || value != Some(number) {
                document.add_f64(field, number);
            }
        }
        document
    }
}

/// The term for the reading of this producer and sequence. Whoever finds an entry by it looks whether it
/// is that.
pub(crate) fn number_term(producer: &str, sequence: u64) -> u64 {
    digest(&[producer, &sequence.to_string()])
}

/// The number that a column with a value is; not a number for another text, none for no text.
pub(crate) fn number_of(text: &str) -> Option<f64> {
    if text.is_empty() {
        return None;
    }
    let number = Decimal::parse(text).and_then(|_| text.parse().ok());
    let number = number.filter(|number: &f64| number.is_finite());
    // Zero has one sign.
    Some(number.map_or(f64::NAN, |number| number + 0.0))
}

/// The term for what is known of the column at `position`: 64 bits, so that two of a billion
/// different texts are taken for one another with a chance of 3 in 100, and only in a search.
pub(crate) fn exact_term(position: usize, known: Known<'_>) -> u64 {
    let (kind, text) = match known {
        Known::Text(text) => (0, text),
        Known::Present => (1, ""),
        Known::Number(number) => (2, number),
        Known::SomeNumber => (3, ""),
    };
    let hash = Sha256::new()
        .chain_update(FIELDS[position].name)
        .chain_update([kind])
        .chain_update(text)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}
