//! Transport and executor, without NATS.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_io_async::{Read as _, Write as _};
use fieldledger_bench_firmware::{Registers, run};
use panic_halt as _;

#[entry]
fn main() -> ! {
    run(async {
        let mut transport = Registers;
        let mut buffer = [0; 64];
        loop {
            let Ok(count) = transport.read(&mut buffer).await;
            let Ok(()) = transport.write(&buffer[..count]).await.map(|_| ());
        }
    })
}
