//! What goes into the log, what is asked of it, and what lies in its folder.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fieldledger_audit::decimal::Decimal;
use fieldledger_audit::{pangea, parse, times};
use fieldledger_contract::WallTime;
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::erasing::ErasurePlan;
use fieldledger_formats::frame::{Frame, HEADER_BYTES, erased_frame, read_frame, write_frame};
use fieldledger_formats::packed::{Directory, END_LENGTH, header};
use fieldledger_formats::query::cursor::Cursor;
use fieldledger_formats::query::{language, words};
use fieldledger_formats::{canonical, own};

/// Events as programs publish them: what is an event comes out the same when it is written.
pub(crate) fn event(data: &[u8]) {
    let Ok(events) = parse::parse_events(data, 100) else {
        return;
    };
    for event in events.into_iter().flatten() {
        let canonical = event.row().canonical();
        let again = parse::parse_events(canonical.as_bytes(), 1).expect("it is one event");
        let again = again.into_iter().next().expect("it is one event");
        assert_eq!(
            again.expect("it was within the limits").row().canonical(),
            canonical
        );
    }
}

/// Answers of a Pangea-shaped service.
pub(crate) fn pangea_answer(data: &[u8]) {
    let (status, body) = match data {
        [choice, body @ ..] => ([200, 202, 400, 503][usize::from(choice % 4)], body),
        [] => return,
    };
    let _ = pangea::read_log_answer(status, body, 1);
    let _ = pangea::read_page(status, body, None);
    let _ = pangea::read_page(status, body, Some("id"));
    let _ = pangea::read_root(status, body);
}

/// A time for the searches here, microseconds since the Unix epoch.
const NOW: u64 = 1_767_323_045_000_006;

/// The search language, and the times in a search.
pub(crate) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = times::parse(text, WallTime::from_micros(NOW));
    let _ = Decimal::parse(text);
    let normal = words::normal(text);
    for word in words::words(&normal) {
        assert!(words::parts(word).all(|part| part.len() < word.len()));
    }
    let Ok(clauses) = language::parse(text) else {
        return;
    };
    for clause in &clauses {
        assert!(!clause.words.is_empty() || clause.column.is_some());
        let unsigned = clause.words.iter().map(|word| word.trim_start_matches('-'));
        assert!(unsigned.flat_map(str::chars).all(words::is_word_letter));
    }
}

/// The id of a search result: as it is, and with the bytes as its content and a good checksum.
pub(crate) fn cursor(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read_cursor(text);
    }
    let checksum = crc32c::crc32c(data).to_be_bytes();
    read_cursor(&BASE64_URL_SAFE_NO_PAD.encode([&checksum, data].concat()));
}

fn read_cursor(id: &str) {
    let Ok(cursor) = Cursor::decode(id, 0) else {
        return;
    };
    assert!(cursor.from <= cursor.to);
    let _ = (cursor.filter(), cursor.order_column(), cursor.order());
    let again = Cursor::decode(&cursor.encode(), 0);
    assert_eq!(again.ok(), Some(cursor));
}

/// An envelope.
pub(crate) fn envelope(data: &[u8]) {
    let _ = canonical::problem_with(data);
    if let Ok(envelope) = Envelope::parse(data) {
        let _ = (envelope.origin(), envelope.received_at(), envelope.is_own());
        let _ = own::details_in(envelope.event().message);
        let canonical = envelope.event().canonical();
        let _ = parse::parse_events(canonical.as_bytes(), 1);
    }
}

/// A packed segment: as it is, and with its bytes as envelopes that are packed.
pub(crate) fn packed(data: &[u8]) {
    unpack(data);
    let mut frames = Vec::new();
    let envelopes = data.chunks(97).zip(7..);
    envelopes.for_each(|(envelope, entry)| write_frame(&mut frames, entry, envelope));
    let mut directory = Directory::new(7);
    let mut packed = header(7).to_vec();
    if !frames.is_empty() {
        packed.extend(directory.pack(&frames).expect("these are good frames"));
    }
    packed.extend(directory.encode().expect("it has one block"));
    assert_eq!(unpack(&packed), Some(frames));
}

fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let end: [u8; END_LENGTH] = *bytes.last_chunk()?;
    let encoded = usize::try_from(Directory::encoded_length(end)).ok()?;
    let encoded = bytes.get(bytes.len().checked_sub(encoded)?..)?;
    let beginning = *bytes.first_chunk()?;
    let directory = Directory::decode(7, beginning, encoded, bytes.len() as u64).ok()?;
    let mut frames = Vec::new();
    for block in directory.blocks() {
        let stored = block.stored.start as usize..block.stored.end as usize;
        frames.extend(block.unpack(&bytes[stored]).ok()?);
    }
    assert_eq!(frames.len() as u64, directory.plain_bytes());
    Some(frames)
}

/// The frame of an entry in a segment: as it is, and with a good length and checksum, as an envelope
/// and as what is left of an erased entry.
pub(crate) fn frame(data: &[u8]) {
    read(data);
    let mut framed = Vec::new();
    write_frame(&mut framed, 3, data);
    assert_eq!(read_frame(&framed, 3).is_ok(), !data.is_empty());
    assert!(read_frame(&framed, 4).is_err());
    let length = (1 << 31 | data.len() as u32).to_le_bytes();
    let header = [3_u64.to_le_bytes().as_slice(), &length].concat();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header), data);
    read(&[&length, checksum.to_le_bytes().as_slice(), data].concat());
}

fn read(bytes: &[u8]) {
    let Ok((frame, length)) = read_frame(bytes, 3) else {
        return;
    };
    let again = match frame {
        Frame::Envelope(envelope) => {
            let mut again = Vec::new();
            write_frame(&mut again, 3, envelope);
            again
        }
        Frame::Erased(erased) => {
            let body_bytes = length - HEADER_BYTES;
            erased_frame(3, body_bytes, &erased).expect("it fits where it was")
        }
    };
    assert_eq!(read_frame(&again, 3), Ok((frame, length)));
    let _ = frame.leaf(3);
    let plan = ErasurePlan {
        entry: 3,
        segment: 0,
        offset: 77,
        frame: &again,
    };
    let is_of_erased = matches!(frame, Frame::Erased(_));
    let encoded = plan.encode();
    assert_eq!(ErasurePlan::decode(&encoded), is_of_erased.then_some(plan));
}
