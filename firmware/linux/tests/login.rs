//! The program at a nats-server that asks who it is, and at one that has to prove itself.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use common::{PATIENCE, Site, announced};
use fieldledger_site::{Access, FieldAuthority, NewUser, Role};
use uuid::Uuid;

const SENSORS: &str = "\
sensors:
  - { source: !simulated { mean: 21.5, deviation: 0.5, unit: Cel }, poll_interval_ms: 200 }
";

/// Lets the device in by its key and by a password, which it finds in the folder.
fn add_user(site: &Site) {
    let ids = ["device ", "sensor 0 "].map(|name| site.printed(name).parse::<Uuid>().unwrap());
    let user = NewUser {
        name: "boiler".to_owned(),
        role: Role::Device { ids: ids.to_vec() },
        nkey: Some(site.printed("nkey ")),
        has_password: true,
    };
    let password = site.nats.options().users().add(user).unwrap().unwrap();
    let path = site.folder.path().join("password");
    fs::write(&path, password).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn settings(site: &Site, login: &str) -> String {
    let path = site.folder.path().join("password");
    let login = login.replace("<file>", &path.display().to_string());
    format!("prefix: field\nconfined: true\nlogin: {login}\n{SENSORS}")
}

/// It announces itself on a subject of its own, is polled there, and answers.
async fn is_read(site: &Site) {
    let mut heartbeats = site.subscribe("field.*.heartbeat").await;
    let mut answers = site.subscribe("field.*.read").await;
    let heartbeat = site.next(&mut heartbeats).await;
    let device = announced(&heartbeat);
    assert_eq!(
        *heartbeat.subject,
        *format!("field.{}.heartbeat", device.id)
    );
    let reply = site.poll(&device, &mut answers, 1).await;
    assert!(reply.seq.is_some());
}

#[tokio::test]
async fn a_device_shows_its_password_or_its_key() {
    let closed = |options: &mut fieldledger_site::NatsOptions| {
        options.access = Access::Field { open: false };
    };
    for (is_nats, login) in [
        (false, "{ user: boiler, password_file: <file> }"),
        (true, "{ user: boiler, password_file: <file> }"),
        (true, "{ nkey: true }"),
    ] {
        let mut site = Site::start_with(closed).await;
        add_user(&site);
        let broker = match is_nats {
            true => site.nats.url(),
            false => site.mqtt(),
        };
        let settings = settings(&site, login);
        site.start_device(&[broker], &settings);
        is_read(&site).await;
        let password = fs::read_to_string(site.folder.path().join("password")).unwrap();
        assert!(!site.device_says().contains(&password));
        site.stop_device().await;
    }
}

#[tokio::test]
async fn a_device_speaks_to_a_broker_that_its_authority_vouches_for() {
    for is_nats in [false, true] {
        let mut site = Site::start_with(|options| {
            options.access = Access::Field { open: false };
            options.tls = Some(FieldAuthority::of(&options.folder.join("authority")));
        })
        .await;
        let options = site.nats.options();
        let broker = match is_nats {
            true => options.url(),
            false => options.mqtt_url().unwrap(),
        };
        let authority = options.tls.clone().unwrap();
        add_user(&site);
        let authority = format!("tls_ca: {:?}", authority.certificate());
        let settings = settings(&site, "{ user: boiler, password_file: <file> }");
        site.start_device(
            std::slice::from_ref(&broker),
            &format!("{authority}\n{settings}"),
        );
        is_read(&site).await;
        site.stop_device().await;

        // Nobody is told anything by a broker that somebody else vouches for.
        let other = FieldAuthority::of(&site.folder.path().join("other"));
        other.prepare().unwrap();
        let other = other.certificate();
        let mut heartbeats = site.subscribe("field.*.heartbeat").await;
        site.start_device(&[broker], &format!("tls_ca: {other:?}\n{settings}"));
        let refused = async {
            while !site.device_says().contains("no connection") {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            done = tokio::time::timeout(PATIENCE, refused) => done.unwrap(),
            heartbeat = site.next(&mut heartbeats) => panic!("{heartbeat:?}"),
        }
        site.stop_device().await;
    }
}
