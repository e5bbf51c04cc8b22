//! A device with a token that publishes, is polled, answers and asks.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use fieldledger_bench_firmware::{Registers, run};
use nano_nats::{
    Client, Credentials, Event, Filter, Identity, Introduction, Keepalive, Publish, Session,
    Subject,
};
use panic_halt as _;

#[entry]
fn main() -> ! {
    loop {
        run(device());
    }
}

async fn device() {
    let Ok(inbox) = Subject::new(black_box("_INBOX.a")) else {
        return;
    };
    let Ok(subject) = Subject::new(black_box("plant.a")) else {
        return;
    };
    let Ok(filter) = Filter::new(black_box("plant.*")) else {
        return;
    };
    let Ok(mut session) = Session::<512, 512, 4, 48>::new(inbox, Keepalive::default()) else {
        return;
    };
    session.subscribe(filter, None).ok();
    let introduction = Introduction {
        name: "device",
        echo: false,
        identity: Identity::Fixed(Credentials::Token(black_box("s3cret"))),
        transport_is_encrypted: false,
    };
    let mut input = [0; 128];
    let Ok(mut client) = Client::connect(Registers, &mut session, &mut input, &introduction).await
    else {
        return;
    };
    let headers = [("Unit", "Cel")];
    let publish = Publish {
        headers: &headers,
        ..Publish::new(subject, b"21.37")
    };
    client.publish(&publish).await.ok();
    client
        .request(subject, &[], b"?", |event| {
            black_box(&event);
        })
        .await
        .ok();
    while client.keep_alive(black_box(0)).await.is_ok() {
        let is_asked = matches!(client.next().await, Ok(Event::Message { .. }));
        if is_asked {
            client.respond(&[], b"21.37").await.ok();
        }
    }
}
