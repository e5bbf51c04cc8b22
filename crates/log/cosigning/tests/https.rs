//! Witnesses behind HTTPS, whose certificates an authority of the site's own has signed.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{Site, append, config, eventually, ledger, watching};
use fieldledger_cosigning::{Authorities, Behaviour, Collector};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// An authority that nobody else knows.
struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Ends TLS in front of the server at `to`, with a certificate for `name`. Where it does.
    async fn in_front_of(&self, to: SocketAddr, name: &str) -> SocketAddr {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let signed = params
            .signed_by(&key, &self.certificate, &self.key)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![signed.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not believe the certificate leaves.
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        address
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_is_believed_if_the_sites_own_authority_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["one", "two"]);
    let site = Site::new("w.example/witness", watching(&ledger)).await;
    let own = Authority::new("the plant");
    let plain = site.url.strip_prefix("http://").unwrap();
    let (address, path) = plain.split_once('/').unwrap();
    let address = own.in_front_of(address.parse().unwrap(), "127.0.0.1").await;
    let policy = format!(
        "witness w0 {} https://{address}/{path}\nquorum w0\n",
        site.key()
    );
    let start = |authorities: Authorities, name: &str| {
        let mut config = config(&policy, Behaviour::Hold, &folder.path().join(name));
        config.authorities = authorities;
        Collector::start(ledger.clone(), config).unwrap()
    };
    let parse = |pem: &str| Authorities::parse(pem.as_bytes()).unwrap();

    let stranger = Authority::new("somebody else").pem();
    for (name, authorities) in [
        ("none", Authorities::default()),
        ("wrong", parse(&stranger)),
    ] {
        let collector = start(authorities, name);
        let error = || collector.status().witnesses[0].last_error.clone();
        eventually("it is refused", || !error().is_empty()).await;
        let error = error();
        assert!(
            error.contains("UnknownIssuer") && error.contains("witness_ca"),
            "{name}: {error}"
        );
        assert!(collector.published().is_err(), "{name}");
        collector.stop();
    }

    // Two authorities, one after the other, as when one takes over from the other.
    let collector = start(parse(&format!("{stranger}{}", own.pem())), "right");
    eventually("it has cosigned", || {
        collector.status().witnessed_size == Some(2)
    })
    .await;
    assert_eq!(collector.status().witnesses[0].last_error, "");
    collector.stop();
    ledger.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["one"]);
    let site = Site::new("w.example/witness", watching(&ledger)).await;
    let own = Authority::new("the plant");
    let plain = site.url.strip_prefix("http://").unwrap();
    let (address, path) = plain.split_once('/').unwrap();
    let address = own
        .in_front_of(address.parse().unwrap(), "other.example")
        .await;
    let policy = format!(
        "witness w0 {} https://{address}/{path}\nquorum w0\n",
        site.key()
    );
    let mut config = config(&policy, Behaviour::Hold, folder.path());
    config.authorities = Authorities::parse(own.pem().as_bytes()).unwrap();
    let collector = Collector::start(ledger.clone(), config).unwrap();
    let error = || collector.status().witnesses[0].last_error.clone();
    eventually("it is refused", || !error().is_empty()).await;
    let error = error();
    assert!(error.contains("certificate not valid for name"), "{error}");
    collector.stop();
    ledger.close();
}
