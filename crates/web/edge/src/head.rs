//! Whether a request's head will do, and the head that is handed on.

use std::net::SocketAddr;

use fieldledger_api::largest_body;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, IF_RANGE,
    RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::http::{HeaderValue, Uri};
use hyper::{Method, StatusCode, Version};

use crate::class::Class;
use crate::prefix::{Prefix, Seen};
use crate::refusal::Refusal;
use crate::rules::{LARGEST_HEAD, LONGEST_TARGET};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Headers that concern this connection alone, and those that the edge answers to itself.
const NOT_HANDED_ON: [HeaderName; 13] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    IF_RANGE,
    KEEP_ALIVE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    RANGE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Addresses of earlier proxies are kept up to this many bytes.
const LONGEST_TRAIL: usize = 512;

/// What a client wants of the form of its answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wishes {
    /// HEAD: everything but the body.
    pub(crate) head_only: bool,
    pub(crate) gzip: bool,
    pub(crate) range: Option<HeaderValue>,
    pub(crate) if_range: Option<HeaderValue>,
}

/// A head that will do.
#[derive(Debug)]
pub(crate) struct Head {
    /// As it is handed on.
    pub(crate) parts: Parts,
    pub(crate) class: Class,
    /// Bytes that the body may have.
    pub(crate) largest_body: usize,
    /// Whether the client waits for leave to send the body.
    pub(crate) asks_first: bool,
    pub(crate) wishes: Wishes,
}

/// Checks a head that came to `local` from `peer`.
pub(crate) fn read(
    mut parts: Parts,
    local: SocketAddr,
    peer: SocketAddr,
    configured: Option<&Prefix>,
) -> Result<Head, Refusal> {
    check_sizes(&parts)?;
    let method = parts.method.clone();
    if method == Method::CONNECT || method == Method::TRACE {
        let detail = format!("{method} is not for a server such as this");
        return Err(Refusal::last(StatusCode::METHOD_NOT_ALLOWED, detail));
    }
    let host = host(&parts, local)?;
    let headers = &parts.headers;
    let wishes = Wishes {
        head_only: method == Method::HEAD,
        gzip: accepts_gzip(headers),
        range: headers.get(RANGE).cloned(),
        if_range: headers.get(IF_RANGE).cloned(),
    };
    let asks_first = headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));

    let sent = first(headers, &FORWARDED_PREFIX).and_then(|text| text.parse().ok());
    let prefix: Option<Prefix> = sent.or_else(|| configured.cloned());
    parts.uri = target(&parts.uri, prefix.as_ref())?;
    if wishes.head_only {
        parts.method = Method::GET;
    }
    parts.version = Version::HTTP_11;
    hand_on(&mut parts.headers, &host, peer, prefix.as_ref());
    let path = parts.uri.path();
    Ok(Head {
        class: Class::of(&parts.method, path),
        largest_body: largest_body(path),
        asks_first,
        wishes,
        parts,
    })
}

fn check_sizes(parts: &Parts) -> Result<(), Refusal> {
    let target = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > LONGEST_TARGET {
        let detail =
            format!("path and query have {target} bytes; at most {LONGEST_TARGET} are taken");
        return Err(Refusal::last(StatusCode::URI_TOO_LONG, detail));
    }
    let headers = parts.headers.iter();
    let size: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if size > LARGEST_HEAD {
        let detail = format!("the headers have {size} bytes; at most {LARGEST_HEAD} are taken");
        return Err(Refusal::last(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            detail,
        ));
    }
    Ok(())
}

/// The name by which the client knows this server. HTTP/1.0 knows no such name.
fn host(parts: &Parts, local: SocketAddr) -> Result<HeaderValue, Refusal> {
    let refused = |detail: &str| Refusal::last(StatusCode::BAD_REQUEST, detail);
    let own = || {
        HeaderValue::from_str(&local.to_string())
            .map_err(|_| refused("this server has no address that a header can carry"))
    };
    let mut named = parts.headers.get_all(HOST).iter();
    let given = named.next();
    if named.next().is_some() {
        return Err(refused("there is more than one Host header"));
    }
    if let Some(authority) = parts.uri.authority() {
        return HeaderValue::from_str(authority.as_str())
            .map_err(|_| refused("the request's address has a host that no header can carry"));
    }
    match given {
        Some(value) if value.is_empty() => own(),
        Some(value) => match Authority::try_from(value.as_bytes()) {
            Ok(_) => Ok(value.clone()),
            Err(_) => Err(refused(
                "the Host header is no host, with or without a port",
            )),
        },
        None if parts.version == Version::HTTP_11 => {
            Err(refused("there is no Host header, which HTTP/1.1 requires"))
        }
        None => own(),
    }
}

/// The path and query within the site.
fn target(uri: &Uri, prefix: Option<&Prefix>) -> Result<Uri, Refusal> {
    let path = uri.path();
    if !path.starts_with('/') {
        let detail = format!("the request is for {path:?}, which is no path");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
    }
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let inner = match prefix.map(|prefix| (prefix, prefix.see(path))) {
        None | Some((_, Seen::Elsewhere)) => path,
        Some((_, Seen::Below(inner))) => inner,
        Some((prefix, Seen::Itself)) => {
            let to = format!("{}/{query}", prefix.as_str());
            let to = HeaderValue::from_str(&to).map_err(|_| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "the query has bytes that no header can carry",
                )
            })?;
            return Err(Refusal::Moved(to));
        }
    };
    let target = PathAndQuery::try_from(format!("{inner}{query}"));
    target.map(Uri::from).map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the path cannot be read: {error}"),
        )
    })
}

/// The headers that go on: those for us are gone, those of proxies are ones that can be trusted to be what
/// they say they are in form, if not in content.
fn hand_on(headers: &mut HeaderMap, host: &HeaderValue, peer: SocketAddr, prefix: Option<&Prefix>) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&NOT_HANDED_ON) {
        headers.remove(name);
    }
    headers.insert(HOST, host.clone());

    let forwarded_host = first(headers, &FORWARDED_HOST)
        .filter(|text| Authority::try_from(*text).is_ok())
        .and_then(|text| HeaderValue::from_str(text).ok());
    let proto = match first(headers, &FORWARDED_PROTO) {
        Some("https") => Some(HeaderValue::from_static("https")),
        Some("http") => Some(HeaderValue::from_static("http")),
        _ => None,
    };
    let trail = headers
        .get(FORWARDED_FOR)
        .and_then(|value| value.to_str().ok());
    let trail = match trail {
        Some(trail) if trail.len() <= LONGEST_TRAIL => format!("{trail}, {}", peer.ip()),
        _ => peer.ip().to_string(),
    };
    let prefix = prefix.and_then(|prefix| HeaderValue::from_str(prefix.as_str()).ok());
    for (name, value) in [
        (FORWARDED_HOST, forwarded_host),
        (FORWARDED_PROTO, proto),
        (FORWARDED_FOR, HeaderValue::from_str(&trail).ok()),
        (FORWARDED_PREFIX, prefix),
    ] {
        headers.remove(&name);
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// What the proxy nearest to the client has put in.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?;
    text.split(',').next().map(str::trim)
}

/// Whether gzip will do: it is named, or everything is, and not with `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    let listed = headers.get_all(ACCEPT_ENCODING).iter();
    for item in listed
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return !refused;
        }
        any |= name == "*" && !refused;
    }
    any
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hyper::Request;

    use super::*;

    const LOCAL: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

    fn read_with(
        version: Version,
        target: &str,
        headers: &[(&str, &str)],
        prefix: Option<&str>,
    ) -> Result<Head, Refusal> {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let prefix = prefix.map(|prefix| prefix.parse().unwrap());
        read(parts, LOCAL, LOCAL, prefix.as_ref())
    }

    fn status(refusal: Result<Head, Refusal>) -> u16 {
        refusal.unwrap_err().answer("/").status().as_u16()
    }

    #[test]
    fn a_host_is_one_name_or_none_at_all_in_http_1_0() {
        let host = |version, headers: &[(&str, &str)]| {
            let head = read_with(version, "/", headers, None)?;
            Ok::<_, Refusal>(head.parts.headers[HOST].to_str().unwrap().to_owned())
        };
        assert_eq!(host(Version::HTTP_10, &[]).unwrap(), "127.0.0.1:8080");
        assert_eq!(
            host(Version::HTTP_11, &[("host", "")]).unwrap(),
            "127.0.0.1:8080"
        );
        assert_eq!(host(Version::HTTP_11, &[("host", "a:1")]).unwrap(), "a:1");
        let absolute = read_with(Version::HTTP_11, "http://b/x?y", &[("host", "a")], None).unwrap();
        assert_eq!(absolute.parts.headers[HOST], "b");
        assert_eq!(absolute.parts.uri, "/x?y");
        for wrong in [&[][..], &[("host", "a b")], &[("host", "a"), ("host", "a")]] {
            assert_eq!(
                status(read_with(Version::HTTP_11, "/", wrong, None)),
                400,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let long = format!("/{}", "x".repeat(LONGEST_TARGET));
        assert_eq!(status(read_with(Version::HTTP_10, &long, &[], None)), 414);
        let large = "x".repeat(LARGEST_HEAD);
        assert_eq!(
            status(read_with(
                Version::HTTP_10,
                "/",
                &[("cookie", &large)],
                None
            )),
            431
        );
    }

    #[test]
    fn what_concerns_the_connection_stays_here_and_proxies_are_read() {
        let head = read_with(
            Version::HTTP_11,
            "/api/logs?x=1",
            &[
                ("host", "a"),
                ("connection", "keep-alive, x-own"),
                ("x-own", "1"),
                ("accept-encoding", "br, gzip"),
                ("range", "bytes=0-1"),
                ("x-forwarded-host", "plant.example, inner"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-prefix", "/north/"),
                ("authorization", "Bearer x"),
            ],
            None,
        )
        .unwrap();
        let mut names: Vec<_> = head.parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "authorization",
                "host",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-prefix",
                "x-forwarded-proto"
            ]
        );
        assert_eq!(head.parts.headers[&FORWARDED_HOST], "plant.example");
        assert_eq!(head.parts.headers[&FORWARDED_PREFIX], "/north");
        assert_eq!(head.parts.headers[&FORWARDED_FOR], "192.0.2.1, 127.0.0.1");
        assert!(head.wishes.gzip && head.wishes.range.is_some());
        let strange = [
            ("host", "a"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-prefix", "//x"),
        ];
        let head = read_with(Version::HTTP_11, "/", &strange, None).unwrap();
        assert!(!head.parts.headers.contains_key(&FORWARDED_HOST));
        assert!(!head.parts.headers.contains_key(&FORWARDED_PREFIX));
    }

    #[test]
    fn a_prefix_is_taken_off() {
        for (target, inner) in [
            ("/plant/", "/"),
            ("/plant/api/logs?a=b", "/api/logs?a=b"),
            ("/api/logs", "/api/logs"),
        ] {
            let head = read_with(Version::HTTP_10, target, &[], Some("/plant")).unwrap();
            assert_eq!(head.parts.uri.to_string(), inner);
        }
        let moved = read_with(Version::HTTP_10, "/plant?a", &[], Some("/plant"));
        let moved = moved.unwrap_err().answer("/plant");
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()["location"]),
            (308, &"/plant/?a".parse().unwrap())
        );
    }

    #[test]
    fn gzip_is_accepted_where_it_is_named_and_not_refused() {
        for (accepts, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("gzip; q=0.0, *", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepts.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{accepts}");
        }
    }
}
