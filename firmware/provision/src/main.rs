//! Makes what is written into a board beside its program: its settings, and its radio's files.
//!
//! | module | holds |
//! |---|---|
//! | `board_file` | the settings as people write them |
//! | `trial` | whether a board will take its settings: the code that it runs at its start decides here too |
//! | `uf2` | the file format that a Pico's USB drive takes |
#![forbid(unsafe_code)]

mod board_file;
mod trial;
mod uf2;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::sensor::{DEVICE_NUMBER, derived_id};
use fieldledger_record::settings::SETTINGS_BYTES;
use fieldledger_record::{MIN_RECORD_BYTES, Radio, pico_w};
use nano_nats::NkeyPair;
use uuid::Uuid;

use crate::board_file::BoardFile;

/// Makes what is written into a board beside its program.
#[derive(Debug, Parser)]
#[command(name = "fieldledger-provision", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Settings and key of one board; prints what to enrol.
    Settings {
        /// The settings, YAML; see board.yaml beside the program's source.
        #[arg(long)]
        config: PathBuf,
        /// The key file, which is made where there is none. Another board needs another key.
        #[arg(long)]
        key: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// The files of a Pico W's radio, the same for every board.
    Radio {
        /// The radio's program, 43439A0.bin.
        #[arg(long)]
        firmware: PathBuf,
        /// What it is to know of its board, nvram_rp2040.bin.
        #[arg(long)]
        nvram: PathBuf,
        /// What it may send in which country, 43439A0_clm.bin.
        #[arg(long)]
        clm: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
struct Output {
    /// The file to write. Whoever reads settings can sign as the device: it is for your eyes only.
    #[arg(long)]
    output: PathBuf,
    /// UF2 for a Pico W's USB drive, or the plain bytes.
    #[arg(long, value_enum, default_value_t = Format::Uf2)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Uf2,
    Bin,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Settings {
            config,
            key,
            output,
        } => settings(&config, &key, &output),
        Command::Radio {
            firmware,
            nvram,
            clm,
            output,
        } => radio(&read(&firmware)?, &read(&nvram)?, &read(&clm)?, &output),
    }
}

fn settings(config: &Path, key: &Path, output: &Output) -> anyhow::Result<()> {
    let text = fs::read_to_string(config);
    let text = text.with_context(|| format!("cannot read {}", config.display()))?;
    let file = BoardFile::parse(&text);
    let file = file.with_context(|| format!("cannot use {}", config.display()))?;
    let seed = fieldledger_key_file::read_or_create(key)?;
    let password = file.password()?;
    let settings = file.settings(seed, &password)?;
    trial::start(&settings).with_context(|| format!("no board can use {}", config.display()))?;
    // A whole sector, so that nothing of an older and longer record stays behind.
    let mut record = vec![0xff; SETTINGS_BYTES];
    settings
        .write(&mut record)
        .context("cannot write the settings")?;
    output.write(pico_w::SETTINGS, &record)?;
    let nkey = NkeyPair::from_secret(&seed);
    let key = DeviceKey::from_seed(&seed).public();
    let id = |number| Uuid::from_bytes(derived_id(&key, number));
    println!("key         {key}");
    println!("fingerprint {}", key.fingerprint());
    println!("nkey        {}", nkey.public_key());
    println!("device      {}", id(DEVICE_NUMBER));
    for number in 0..settings.sensors.len() as u32 {
        println!("sensor {number}    {}", id(number));
    }
    Ok(())
}

fn radio(firmware: &[u8], nvram: &[u8], clm: &[u8], output: &Output) -> anyhow::Result<()> {
    let radio = Radio {
        firmware,
        nvram,
        clm,
    };
    // Three lengths of four bytes, and up to three bytes behind each file.
    let around = MIN_RECORD_BYTES + 3 * (4 + 3);
    let mut record = vec![0; firmware.len() + nvram.len() + clm.len() + around];
    let length = radio.write(&mut record).context("cannot use these files")?;
    record.truncate(length);
    if length > pico_w::RADIO_BYTES {
        bail!("files of {length} bytes leave no room for the settings");
    }
    output.write(pico_w::RADIO, &record)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

impl Output {
    fn write(&self, address: u32, record: &[u8]) -> anyhow::Result<()> {
        let bytes = match self.format {
            Format::Uf2 => uf2::image(address, record),
            Format::Bin => record.to_vec(),
        };
        let context = || format!("cannot write {}", self.output.display());
        let mut options = OpenOptions::new();
        // The mode is that of a new file; an old one that others can read is replaced.
        match fs::remove_file(&self.output) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.output);
        let mut file = file.with_context(context)?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .with_context(context)
    }
}
