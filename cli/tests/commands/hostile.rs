//! Servers that are not there, refuse, or lie; and how the program says so.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::site::{Site, run};

/// Commands that ask the server.
const COMMANDS: [&[&str]; 5] = [
    &["status"],
    &["search", "x"],
    &["tail"],
    &["export", "-o", "-"],
    &["verify"],
];

fn answering(head: &'static str, body: &'static [u8]) -> Proxy {
    Proxy::answering(move |mut stream: TcpStream, _, _, _| {
        let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
        // The client may have gone.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
    })
}

/// Runs each command and checks its exit code and that the error says `words`.
fn each_fails(url: &str, code: i32, words: &str) {
    for command in COMMANDS {
        let ended = run(url, command);
        assert_eq!(ended.code, code, "{command:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{command:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{command:?}: {ended:?}");
        assert!(
            ended.stderr.starts_with("error: "),
            "{command:?}: {ended:?}"
        );
    }
}

#[test]
fn no_server() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    each_fails(
        &format!("http://{free}"),
        3,
        "is a server running there? name another with --url",
    );
    let ended = run(&format!("http://{free}"), &["status", "--json"]);
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);
    assert_eq!(ended.stdout, "");
    for url in ["127.0.0.1:8080", "ftp://x", "http://", ""] {
        assert_eq!(run(url, &["status"]).code, 2, "{url}");
    }
}

#[test]
fn a_wrong_token() {
    let body = br#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"no such token","instance":"/","errors":[]}"#;
    let server = answering("401 Unauthorized", body);
    each_fails(&server.url, 4, "no such token");
    each_fails(&answering("403 Forbidden", b"").url, 4, "--token-file");
}

#[test]
fn the_token_is_sent_and_not_shown() {
    let site = Site::with(1);
    let file = site.file("token");
    std::fs::write(&file, "secret-token\n").unwrap();
    let (sender, received) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::Read as _;
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        sender.send(String::from_utf8(request).unwrap()).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n");
    });
    let ended = run(&url, &["status", "--token-file", file.to_str().unwrap()]);
    let request = received.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(
        request
            .to_lowercase()
            .contains("authorization: bearer secret-token\r\n"),
        "{request}"
    );
    assert_eq!(ended.code, 4);
    assert!(!ended.stderr.contains("secret-token"), "{ended:?}");
    assert_eq!(run(&url, &["status", "--token-file", "/nowhere"]).code, 2);
}

#[test]
fn garbage() {
    for body in [
        &b"garbage"[..],
        b"",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        b"{\"entries\":7}",
    ] {
        for command in COMMANDS {
            let server = answering("200 OK", body);
            let ended = run(&server.url, command);
            // Without a key `verify` has nothing to hold a checkpoint against.
            let expected = if command == ["verify"] { 2 } else { 3 };
            assert_eq!(ended.code, expected, "{command:?}, {body:?}: {ended:?}");
        }
    }
    each_fails(
        &answering("302 Found\r\nlocation: http://127.0.0.1:9/", b"").url,
        2,
        "found",
    );
    each_fails(&answering("500 x", b"\x1b[2Jboom").url, 3, "try again");
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let endless = Proxy::answering(|mut stream, _, _, _| {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let block = [b' '; 65_536];
        let mut open = stream.write_all(head).is_ok();
        while open {
            open = stream.write_all(&block).is_ok();
        }
    });
    let key = Site::with(1).key();
    for command in [&["verify", "--key", &key][..], &["status"], &["tail"]] {
        let ended = run(&endless.url, command);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.stderr.contains("answers with more than"), "{ended:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = Proxy::answering(|stream, _, _, _| {
        // Held open until the process ends.
        std::mem::forget(stream);
    });
    let ended = run(&silent.url, &["status", "--timeout", "1"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let cut = answering("200 OK\r\ncontent-length: 1000", b"{\"origin\":");
    assert_eq!(run(&cut.url, &["status"]).code, 3);
}

#[test]
fn entries_that_were_not_asked_for_are_refused() {
    let site = Site::with(30);
    let shifted = Proxy::to(&site.url(), |path, status, body| {
        let Ok(mut range) = serde_json::from_slice::<Value>(&body) else {
            return (status, body);
        };
        if path.starts_with("/api/entries?from=20") {
            range["entries"][3]["leaf_index"] = json!(4);
        }
        (status, range.to_string().into_bytes())
    });
    let ended = run(&shifted.url, &["tail"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("gave entry 4 where entry 23 was asked for"),
        "{ended:?}"
    );
    assert!(shifted.requests() >= 2);

    // A search that promises more than it gives, for ever.
    let empty = Proxy::to(&site.url(), |_, status, body| {
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
            return (status, body);
        };
        answer["result"]["events"] = json!([]);
        answer["result"]["count"] = json!(1_000_000);
        (status, answer.to_string().into_bytes())
    });
    let ended = run(&empty.url, &["search"]);
    assert_eq!(ended.code, 3, "{ended:?}");
}

#[test]
fn text_from_outside_does_not_speak_to_the_terminal() {
    let site = Site::with(1);
    let proxy = Proxy::to(&site.url(), |_, status, body| {
        let text = String::from_utf8(body).unwrap();
        (
            status,
            text.replace("event 0", "\\u001b[2Jevent 0").into_bytes(),
        )
    });
    for command in [&["tail"][..], &["search", "--color", "always"]] {
        let ended = run(&proxy.url, command);
        assert!(ended.stdout.contains("\\u{1b}[2Jevent 0"), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
    }
}

#[test]
fn usage() {
    for arguments in [
        &["stat"][..],
        &[],
        &["tail", "--interval", "0"],
        &["search", "-n", "0"],
    ] {
        let ended = run("http://127.0.0.1:9", arguments);
        assert_eq!(ended.code, 2, "{ended:?}");
    }
    let ended = run("http://127.0.0.1:9", &["stat", "--json"]);
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 2);
    let help = run("http://127.0.0.1:9", &["--help"]);
    assert!(help.stdout.contains("Exit codes:"), "{help:?}");
    assert_eq!(run("http://127.0.0.1:9", &["--version"]).code, 0);
}
