//! A server between the program and the log that can change any answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What a proxy makes of an answer: the path that was asked for, status and body.
type Change = dyn Fn(&str, u16, Vec<u8>) -> (u16, Vec<u8>) + Send + Sync;

/// A proxy that serves as long as the process lives.
pub(crate) struct Proxy {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Proxy {
    /// Answers as the server at `url` does, but for what `change` makes of it.
    pub(crate) fn to(
        url: &str,
        change: impl Fn(&str, u16, Vec<u8>) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let url = url.to_owned();
        let change: Arc<Change> = Arc::new(change);
        Self::answering(move |mut stream, method, path, body| {
            let (status, answer) = forward(&url, method, path, body);
            let (status, answer) = change(path, status, answer);
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            // The client may have gone.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&answer));
        })
    }

    /// Leaves the whole answer to `answer`: connection, method, path, body.
    pub(crate) fn answering(
        answer: impl Fn(TcpStream, &str, &str, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let (answer, counted) = (Arc::new(answer), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                thread::spawn(move || {
                    if let Some((method, path, body)) = request(&stream) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        answer(stream, &method, &path, body);
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// Requests that came so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn request(stream: &TcpStream) -> Option<(String, String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

fn forward(url: &str, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let url = format!("{url}{path}");
    let mut response = match method {
        "POST" => agent.post(url).content_type("application/json").send(&body),
        _ => agent.get(url).call(),
    }
    .unwrap();
    let body = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_vec();
    (response.status().as_u16(), body.unwrap())
}
