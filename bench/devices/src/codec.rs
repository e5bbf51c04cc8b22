//! Parsing and encoding alone, in memory.

use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;
use nano_nats::{ClientOperation, Parser, Publish, ServerOperation, Subject};

use crate::median;

/// Bytes of payload.
const PAYLOADS: [usize; 4] = [16, 128, 1_024, 8_192];

/// Bytes of a stream, about.
const STREAM: usize = 8 << 20;

/// Bytes that a transport gives at a time.
const PIECE: usize = 512;

const SUBJECT: &str = "plant.boiler.temperature";

/// Prints a table.
pub(crate) fn print(turns: u32) -> anyhow::Result<()> {
    println!("\nNATS, parsing in pieces of {PIECE} bytes and encoding, one core");
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12}",
        "payload", "parse MB/s", "messages/s", "encode MB/s", "messages/s"
    );
    for payload in PAYLOADS {
        let mut parsed = Vec::new();
        let mut encoded = Vec::new();
        for _ in 0..turns {
            parsed.push(parse(payload)?);
            encoded.push(encode(payload)?);
        }
        let (parsed, encoded) = (median(parsed), median(encoded));
        let (line, command) = (message(payload).len() as f64, publish(payload).len() as f64);
        println!(
            "{payload:>8} {:>12.0} {parsed:>12.0} {:>12.0} {encoded:>12.0}",
            parsed * line / 1e6,
            encoded * command / 1e6,
        );
    }
    Ok(())
}

fn message(payload: usize) -> Vec<u8> {
    let line = format!("MSG {SUBJECT} 7 {payload}\r\n");
    [line.as_bytes(), &vec![b'x'; payload], b"\r\n"].concat()
}

fn publish(payload: usize) -> Vec<u8> {
    let line = format!("PUB {SUBJECT} {payload}\r\n");
    [line.as_bytes(), &vec![b'x'; payload], b"\r\n"].concat()
}

/// Messages parsed a second.
fn parse(payload: usize) -> anyhow::Result<f64> {
    let message = message(payload);
    let count = STREAM / message.len();
    let stream = message.repeat(count);
    let mut parser = Parser::<9_000>::new();
    let mut seen = 0;
    let start = Instant::now();
    for mut piece in black_box(&stream).chunks(PIECE) {
        while !piece.is_empty() {
            let (taken, operation) = parser.parse(piece)?;
            if let Some(ServerOperation::Message { message, .. }) = operation {
                black_box(message);
                seen += 1;
            }
            piece = &piece[taken..];
        }
    }
    let took = start.elapsed();
    ensure!(seen == count, "{seen} of {count} messages were parsed");
    Ok(count as f64 / took.as_secs_f64())
}

/// Messages encoded a second.
fn encode(payload: usize) -> anyhow::Result<f64> {
    let payload = vec![b'x'; payload];
    let count = STREAM / payload.len();
    let subject = Subject::new(SUBJECT)?;
    let mut buffer = [0; 9_000];
    let start = Instant::now();
    for _ in 0..count {
        let publish = Publish::new(black_box(subject), black_box(&payload));
        let length = ClientOperation::Publish(publish).encode(&mut buffer)?;
        black_box(&buffer[..length]);
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
