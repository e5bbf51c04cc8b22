//! What boards read: the record in their flash, and what a broker sends.

use fieldledger_drive::mqtt::{Incoming, Packet};
use fieldledger_record::settings::SETTINGS_BYTES;
use fieldledger_record::{Radio, Settings};
use sha2::{Digest as _, Sha256};

/// A byte that picks what the record is for and its layout, then its content, under a digest that holds. What is
/// read of it can be written, and reads back.
pub(crate) fn record(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else {
        return;
    };
    let name: &[u8; 4] = if choice & 1 == 0 { b"FLDS" } else { b"FLDR" };
    let layout = 1 + u32::from(choice >> 1 & 1);
    let length = u32::try_from(content.len()).expect("inputs are short");
    let mut place = [name, &layout.to_le_bytes(), &length.to_le_bytes(), content].concat();
    let digest = Sha256::digest(&place);
    place.extend(digest);
    let mut again = [0; 4 * SETTINGS_BYTES];
    if let Ok(settings) = Settings::read(&place) {
        let length = settings.write(&mut again).expect("it has room");
        assert_eq!(Settings::read(&again[..length]), Ok(settings));
    }
    if let Ok(radio) = Radio::read(&place) {
        let length = radio.write(&mut again).expect("it has room");
        assert_eq!(Radio::read(&again[..length]), Ok(radio));
    }
}

/// The size of the pieces in which a broker's bytes arrive, then the bytes. There is always room for
/// more, and the pieces make no difference.
pub(crate) fn mqtt(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let pieces = heard(stream, usize::from(*size).max(1));
    assert_eq!(pieces, heard(stream, usize::MAX));
}

/// What is heard of a stream, in a buffer that most packets fit in and some do not.
fn heard(stream: &[u8], size: usize) -> Vec<String> {
    let mut incoming = Incoming::<256>::new();
    let (mut rest, mut heard) = (stream, Vec::new());
    loop {
        loop {
            match incoming.packet() {
                Ok(None) => break,
                Ok(Some(packet)) => {
                    if let Packet::Message { topic, payload } = packet {
                        assert!(topic.len() + payload.len() < 256);
                    }
                    heard.push(format!("{packet:?}"));
                }
                Err(error) => {
                    heard.push(error.to_string());
                    return heard;
                }
            }
        }
        if rest.is_empty() {
            return heard;
        }
        let room = incoming.room();
        let arriving = size.min(room.len()).min(rest.len());
        assert!(arriving > 0, "there is always room");
        room[..arriving].copy_from_slice(&rest[..arriving]);
        rest = &rest[arriving..];
        incoming.arrived(arriving);
    }
}
