//! Tells the linker where the memory of an RP2040 is, and which half of the flash is the program's.

use std::path::PathBuf;
use std::{env, fs};

/// The stack has the lower part for itself: one that grows too far meets the end of memory, which is a
/// fault, and not the values of somebody else. The other half of the flash holds the radio's files,
/// held readings and, in its last sector, the settings.
const MEMORY: &str = "MEMORY
{
  BOOT2 : ORIGIN = 0x10000000, LENGTH = 0x100
  FLASH : ORIGIN = 0x10000100, LENGTH = 1M - 0x100
  STACK : ORIGIN = 0x20000000, LENGTH = 128K
  RAM : ORIGIN = 0x20020000, LENGTH = 136K
}
_stack_start = ORIGIN(STACK) + LENGTH(STACK);
_stack_end = ORIGIN(STACK);
";

fn main() {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(folder.join("memory.x"), MEMORY).expect("the folder can be written to");
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rustc-link-arg=--nmagic");
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=-Tlink-rp.x");
    println!("cargo:rerun-if-changed=build.rs");
}
