//! The files of a radio, as they come into a Pico W.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use fieldledger_record::{Radio, pico_w};

fn radio(folder: &Path, format: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fieldledger-provision"));
    command.args(["radio", "--format", format]);
    for name in ["firmware", "nvram", "clm", "output"] {
        command.arg(format!("--{name}")).arg(folder.join(name));
    }
    command.output().unwrap()
}

#[test]
fn files_become_a_record_where_the_board_looks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let firmware: Vec<u8> = (0..231_077_u32).map(|place| (place % 251) as u8).collect();
    write("firmware", &firmware);
    write("nvram", b"manfid=0x2d0");
    write("clm", &[7; 984]);
    let expected = Radio {
        firmware: &firmware,
        nvram: b"manfid=0x2d0",
        clm: &[7; 984],
    };
    assert!(radio(folder.path(), "bin").status.success());
    let record = std::fs::read(folder.path().join("output")).unwrap();
    assert_eq!(Radio::read(&record), Ok(expected));
    assert!(radio(folder.path(), "uf2").status.success());
    let image = std::fs::read(folder.path().join("output")).unwrap();
    let mut flash = vec![0xff; pico_w::RADIO_BYTES];
    for block in image.chunks(512) {
        let address = u32::from_le_bytes(block[12..16].try_into().unwrap());
        let place = (address - pico_w::RADIO) as usize;
        flash[place..place + 256].copy_from_slice(&block[32..288]);
    }
    assert_eq!(Radio::read(&flash), Ok(expected));
}

#[test]
fn files_that_would_reach_into_the_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["nvram", "clm"] {
        std::fs::write(folder.path().join(name), b"some").unwrap();
    }
    let firmware = folder.path().join("firmware");
    std::fs::write(&firmware, vec![1; pico_w::RADIO_BYTES]).unwrap();
    let output = radio(folder.path(), "uf2");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("leave no room"),
        "{said}"
    );
    assert!(!folder.path().join("output").exists());
}
