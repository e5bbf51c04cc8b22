//! Tells the linker where memory is: as much as an RP2040 has, so that what fits here fits there.

use std::path::PathBuf;
use std::{env, fs};

/// The stack has the lower part for itself: one that grows too far meets the end of memory, which is a
/// fault, and not the values of somebody else.
const MEMORY: &str = "MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 1M
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
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
}
