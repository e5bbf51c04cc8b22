//! The edge before a backend of the test's own, with clients that are plain sockets.
#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use fieldledger_edge::{Backend, BackendError, Calling, Edge, Rules, raise_limit};
use flate2::read::GzDecoder;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// What is known to come is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

const TEXT: &str = "0123456789";

/// Answers by the path, and counts.
#[derive(Clone)]
struct Site {
    called: Arc<AtomicUsize>,
    inside: Arc<AtomicUsize>,
    most_inside: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
    /// A search ends once it gets one of these.
    release: Arc<Semaphore>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            called: Arc::default(),
            inside: Arc::default(),
            most_inside: Arc::default(),
            finished: Arc::default(),
            release: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Backend for Site {
    fn call(&self, request: Request<Bytes>) -> Calling {
        let site = self.clone();
        Box::pin(async move {
            site.called.fetch_add(1, Ordering::SeqCst);
            let inside = site.inside.fetch_add(1, Ordering::SeqCst) + 1;
            site.most_inside.fetch_max(inside, Ordering::SeqCst);
            let answer = site.answer(request).await;
            site.inside.fetch_sub(1, Ordering::SeqCst);
            site.finished.fetch_add(1, Ordering::SeqCst);
            answer
        })
    }
}

impl Site {
    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Body>, BackendError> {
        let response = Response::builder().header("content-type", "text/plain");
        let host = || request.headers()["host"].to_str().unwrap().to_owned();
        let built = match request.uri().path() {
            "/api/logs" => {
                self.release.acquire().await.unwrap().forget();
                response.body(Body::from("found"))
            }
            "/host" => response.body(Body::from(host())),
            "/echo" => response.body(Body::from(request.into_body())),
            "/method" => response.body(Body::from(request.method().to_string())),
            "/kept" => response
                .header("cache-control", "no-cache")
                .header("etag", "\"tag\"")
                .body(Body::from(TEXT)),
            "/long" => response
                .header("cache-control", "no-cache")
                .header("etag", "\"tag\"")
                .body(Body::from(TEXT.repeat(10_000))),
            "/picture" => Response::builder()
                .header("content-type", "image/png")
                .body(Body::from(TEXT.repeat(1_000))),
            "/endless" => {
                let chunks =
                    (0..40).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 20])));
                response.body(Body::from_stream(futures::stream::iter(chunks)))
            }
            "/silent" => {
                std::future::pending::<()>().await;
                response.body(Body::empty())
            }
            "/broken" => {
                return Err(BackendError {
                    never_taken: false,
                    what: "the gateway gave no answer".to_owned(),
                    source: None,
                });
            }
            "/away" => {
                return Err(BackendError {
                    never_taken: true,
                    what: "the gateway cannot be reached".to_owned(),
                    source: None,
                });
            }
            _ => response
                .header("cache-control", "no-store")
                .body(Body::from(format!(
                    "{} {}",
                    request.method(),
                    request.uri()
                ))),
        };
        Ok(built.unwrap())
    }
}

struct Served {
    edge: Edge,
    site: Site,
}

impl Served {
    async fn start(rules: Rules) -> Self {
        let site = Site::default();
        let address = "127.0.0.1:0".parse().unwrap();
        let edge = Edge::start(address, site.clone(), rules).await.unwrap();
        Self { edge, site }
    }

    fn address(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// One request on a connection of its own, after which the server is told to end it.
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut stream, request.starts_with("HEAD")).await
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n"))
            .await
    }

    async fn stop(self) {
        timeout(PATIENCE, self.edge.stop()).await.unwrap().unwrap();
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn is_problem(&self) -> bool {
        self.header("content-type") == Some("application/problem+json")
            && self.text().contains(&format!("\"status\":{}", self.status))
    }
}

/// Reads one answer, and no more than that.
async fn read_answer(stream: &mut TcpStream, head_only: bool) -> Answer {
    timeout(PATIENCE, async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut answer = Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map(|text| text.parse().unwrap());
        answer.body = vec![0; length.filter(|_| !head_only).unwrap_or(0)];
        stream.read_exact(&mut answer.body).await.unwrap();
        answer
    })
    .await
    .unwrap()
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has ended, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn quick() -> Rules {
    Rules {
        head_wait: Duration::from_millis(400),
        body_wait: Duration::from_millis(400),
        write_wait: Duration::from_millis(400),
        place_wait: Duration::from_millis(400),
        answer_wait: Duration::from_millis(800),
        ..Rules::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_half_open_requests_are_not_felt() {
    raise_limit();
    let served = Served::start(Rules::default()).await;
    let mut half_open = Vec::new();
    for number in 0..1_000 {
        let mut stream = served.connect().await;
        let begun: &[u8] = match number % 3 {
            0 => b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nx",
            1 => b"GET /he",
            _ => b"",
        };
        stream.write_all(begun).await.unwrap();
        half_open.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for path in ["/", "/api/sensors", "/healthz", "/metrics"].repeat(25) {
        let started = Instant::now();
        assert_eq!(served.get(path, "").await.status, 200);
        slowest = slowest.max(started.elapsed());
    }
    // Generous, because this machine may do other things at the same time.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(
        served.site.called.load(Ordering::SeqCst),
        100,
        "a half request was handed on"
    );
    drop(half_open);
    served.stop().await;
}

#[tokio::test]
async fn who_waits_longest_makes_room_and_who_is_answered_does_not() {
    let rules = Rules {
        connections: 3,
        ..Rules::default()
    };
    let served = Served::start(rules).await;
    let mut working = served.connect().await;
    working
        .write_all(b"POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    while served.site.called.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let mut oldest = served.connect().await;
    let _second = served.connect().await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(served.get("/", "").await.status, 200);
    assert_eq!(read_to_end(&mut oldest).await, "");
    served.site.release.add_permits(1);
    assert_eq!(read_answer(&mut working, false).await.text(), "found");
    served.stop().await;
}

#[tokio::test]
async fn slow_heads_and_bodies_are_told_so_in_time() {
    let served = Served::start(quick()).await;
    for begin in [
        "GET / HTTP/1.1\r\nhost: x\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n",
    ] {
        let (mut reader, mut writer) = served.connect().await.into_split();
        writer.write_all(begin.as_bytes()).await.unwrap();
        // Slowly, but without a pause as long as the wait.
        let dripping = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = [0; 12];
        timeout(PATIENCE, reader.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408", "{begin}");
        dripping.abort();
    }
    // Who has said nothing is owed nothing.
    let mut idle = served.connect().await;
    assert_eq!(read_to_end(&mut idle).await, "");
    assert_eq!(served.site.called.load(Ordering::SeqCst), 0);
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let served = Served::start(quick()).await;
    let mut stream = served.connect().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let started = Instant::now();
    while served.site.inside.load(Ordering::SeqCst) > 0
        || served.site.finished.load(Ordering::SeqCst) == 0
    {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_secs(1)).await;
    // What the system had taken already comes, and then the end, before the whole.
    assert!(read_to_end(&mut stream).await.len() < 40 << 20);
    served.stop().await;
}

#[tokio::test]
async fn a_large_answer_is_passed_on_as_it_comes() {
    let served = Served::start(Rules::default()).await;
    let mut stream = served.connect().await;
    let request = b"GET /endless HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let whole = read_to_end(&mut stream).await;
    let (_, body) = whole.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.matches('x').count(), 40 << 20);
    assert!(
        whole.ends_with("0\r\n\r\n"),
        "it does not say that it is whole"
    );
    served.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_the_reason() {
    let served = Served::start(Rules::default()).await;
    let long = "x".repeat(9_000);
    let target = served.get(&format!("/{long}"), "").await;
    assert!(target.status == 414 && target.is_problem(), "{target:?}");
    let headers = format!("a: {long}\r\n").repeat(4);
    let head = served.get("/", &headers).await;
    assert!(head.status == 431 && head.is_problem(), "{head:?}");
    // More than is looked at.
    let huge = served
        .get("/", &format!("a: {}\r\n", "x".repeat(70_000)))
        .await;
    assert_eq!(huge.status, 431);
    let many = served.get("/", &"a: b\r\n".repeat(150)).await;
    assert_eq!(many.status, 431);

    let body = "x".repeat(100_000);
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let refused = served.ask(&post("/echo", "", &body)).await;
    assert!(refused.status == 413 && refused.is_problem(), "{refused:?}");
    // One that asks first is not sent.
    let request =
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\nexpect: 100-continue\r\n\r\n";
    assert_eq!(served.ask(request).await.status, 413);
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(served.ask(&chunked).await.status, 413);
    assert_eq!(served.site.called.load(Ordering::SeqCst), 0);
    // Pangea's batches may be larger.
    assert_eq!(
        served.ask(&post("/audit/v2/log", "", &body)).await.status,
        200
    );
    served.stop().await;
}

#[tokio::test]
async fn requests_one_after_another_and_all_at_once() {
    let served = Served::start(Rules::default()).await;
    let mut stream = served.connect().await;
    for number in 0..3 {
        let request = format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(
            read_answer(&mut stream, false).await.text(),
            format!("GET /{number}")
        );
    }
    let pipelined: String = (0..20)
        .map(|number| format!("POST /{number} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nxy"))
        .collect();
    stream.write_all(pipelined.as_bytes()).await.unwrap();
    for number in 0..20 {
        assert_eq!(
            read_answer(&mut stream, false).await.text(),
            format!("POST /{number}")
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn http_1_0_needs_no_host() {
    let served = Served::start(Rules::default()).await;
    let answer = served.ask("GET /host HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, served.address().to_string())
    );
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(
        read_to_end(&mut stream).await.ends_with("GET /"),
        "it is not ended"
    );
    let without = served.ask("GET / HTTP/1.1\r\n\r\n").await;
    assert!(without.status == 400 && without.is_problem(), "{without:?}");
    for strange in [
        "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        assert_eq!(served.ask(strange).await.status, 405, "{strange}");
    }
    assert_eq!(
        served
            .ask("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .status,
        400
    );
    served.stop().await;
}

#[tokio::test]
async fn head_is_as_get_without_the_body() {
    let served = Served::start(Rules::default()).await;
    for (path, headers) in [
        ("/method", ""),
        ("/kept", ""),
        ("/long", "accept-encoding: gzip\r\n"),
        ("/kept", "range: bytes=2-4\r\n"),
        ("/kept", "range: bytes=99-\r\n"),
        ("/broken", ""),
    ] {
        let get = served.get(path, headers).await;
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let mut stream = served.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_answer(&mut stream, true).await;
        // The connection goes on where the head ends, so there was no body.
        stream
            .write_all(b"GET /after HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read_answer(&mut stream, false).await.text(), "GET /after");
        let without_date = |answer: &Answer| {
            let lines = answer.head.lines().filter(|line| !line.starts_with("date"));
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(without_date(&head), without_date(&get), "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str())
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn text_is_compressed_where_it_serves() {
    let served = Served::start(Rules::default()).await;
    let gzip = "accept-encoding: gzip\r\n";
    let long = served.get("/long", gzip).await;
    assert_eq!(long.header("content-encoding"), Some("gzip"));
    assert_eq!(long.header("vary"), Some("accept-encoding"));
    assert_eq!(long.header("etag"), Some("W/\"tag\""));
    assert!(long.body.len() < 10_000);
    let mut text = String::new();
    GzDecoder::new(long.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, TEXT.repeat(10_000));

    let plain = served.get("/long", "").await;
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    assert_eq!(plain.body.len(), 100_000);
    for path in ["/kept", "/picture"] {
        assert_eq!(
            served.get(path, gzip).await.header("content-encoding"),
            None,
            "{path}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn a_part_is_given_of_what_stays_the_same() {
    let served = Served::start(Rules::default()).await;
    let part = |range: &'static str| served.get("/kept", range);
    let answer = part("range: bytes=2-4\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "234"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    let answer = part("range: bytes=-3\r\naccept-encoding: gzip\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "789"));
    let answer = part("range: bytes=10-\r\n").await;
    assert_eq!(answer.status, 416);
    assert_eq!(answer.header("content-range"), Some("bytes */10"));
    let answer = part("range: bytes=2-4\r\nif-range: \"tag\"\r\n").await;
    assert_eq!(answer.status, 206);
    for whole in [
        "range: bytes=2-4\r\nif-range: \"other\"\r\n",
        "range: bytes=0-1,4-5\r\n",
        "range: lines=1-2\r\n",
    ] {
        let answer = part(whole).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, TEXT),
            "{whole}"
        );
    }
    assert_eq!(part("").await.header("accept-ranges"), Some("bytes"));
    // What is made anew each time has no parts.
    assert_eq!(served.get("/", "range: bytes=0-1\r\n").await.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn a_prefix_of_a_proxy_is_taken_off() {
    let served = Served::start(Rules::default()).await;
    let told = "x-forwarded-prefix: /plant\r\n";
    assert_eq!(
        served.get("/plant/api/x?y=1", told).await.text(),
        "GET /api/x?y=1"
    );
    assert_eq!(served.get("/api/x", told).await.text(), "GET /api/x");
    let moved = served.get("/plant", told).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("/plant/"))
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_wait_for_each_other_and_nobody_waits_for_them() {
    let served = Served::start(Rules::default()).await;
    let search = b"POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut searching = Vec::new();
    for _ in 0..50 {
        let mut stream = served.connect().await;
        stream.write_all(search).await.unwrap();
        searching.push(stream);
    }
    while served.site.called.load(Ordering::SeqCst) < 4 {
        sleep(Duration::from_millis(5)).await;
    }
    for path in ["/", "/healthz", "/metrics", "/api/sensors"] {
        assert_eq!(served.get(path, "").await.status, 200);
    }
    served.site.release.add_permits(50);
    for mut stream in searching {
        assert_eq!(read_answer(&mut stream, false).await.status, 200);
    }
    assert!(
        served.site.most_inside.load(Ordering::SeqCst) <= 5,
        "too many searches at a time"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_search_without_a_place_is_told_to_come_again() {
    let served = Served::start(quick()).await;
    let mut searching = Vec::new();
    for _ in 0..4 {
        let mut stream = served.connect().await;
        let search = b"POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(search).await.unwrap();
        searching.push(stream);
    }
    while served.site.called.load(Ordering::SeqCst) < 4 {
        sleep(Duration::from_millis(5)).await;
    }
    let answer = served
        .ask("POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert!(answer.status == 503 && answer.is_problem(), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("2"));
    served.stop().await;
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_hangs_up_and_keeps_its_place_till_then() {
    let served = Served::start(Rules {
        searches: 1,
        ..Rules::default()
    })
    .await;
    let search = b"POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream = served.connect().await;
    stream.write_all(search).await.unwrap();
    while served.site.called.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // Two that wait, of which one goes.
    let mut gone = served.connect().await;
    gone.write_all(search).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let mut waits = served.connect().await;
    waits.write_all(search).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    drop((stream, gone));
    sleep(Duration::from_millis(50)).await;
    assert_eq!(served.site.called.load(Ordering::SeqCst), 1);
    served.site.release.add_permits(2);
    assert_eq!(read_answer(&mut waits, false).await.text(), "found");
    let counts = (&served.site.called, &served.site.finished);
    assert_eq!(
        (
            counts.0.load(Ordering::SeqCst),
            counts.1.load(Ordering::SeqCst)
        ),
        (2, 2)
    );
    served.stop().await;
}

#[tokio::test]
async fn a_backend_that_fails_is_named() {
    let served = Served::start(quick()).await;
    for (path, status) in [("/broken", 502), ("/away", 503), ("/silent", 504)] {
        let answer = served.get(path, "").await;
        assert!(answer.status == status && answer.is_problem(), "{answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_stops_answers_what_is_under_way() {
    let served = Served::start(Rules::default()).await;
    let mut idle = served.connect().await;
    let mut stream = served.connect().await;
    stream
        .write_all(b"POST /api/logs HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    while served.site.called.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let address = served.address();
    let release = Arc::clone(&served.site.release);
    let stopping = tokio::spawn(served.stop());
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
    release.add_permits(1);
    assert_eq!(
        read_answer(&mut stream, false).await.status,
        StatusCode::OK.as_u16()
    );
    stopping.await.unwrap();
}
