//! Where a request comes from, as far as that decides whether it may change something: from this host or another, from a
//! program or a browser, from a page of ours or another site's.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};

use crate::config::ExternalUrl;
use crate::http::entrance::Visitor;

/// What browsers of this decade say of the page that asks; only to HTTPS and to loopback addresses.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a proxy says that asks for somebody else.
const SPEAKING_FOR_OTHERS: [HeaderName; 4] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Whether a program on this host made it, for nobody else.
pub(super) fn is_local(visitor: &Visitor, headers: &HeaderMap) -> bool {
    let by_browser = [header::ORIGIN, SITE].iter().any(|name| headers.contains_key(name));
    is_of_this_host(visitor, headers) && !by_browser
}

/// Whether no other site made a browser ask: a browser adds the password by itself. Newer ones tell by Sec-Fetch-Site, all
/// of them by Origin.
pub(super) fn is_own_wish(headers: &HeaderMap) -> bool {
    match (text(headers, &SITE), text(headers, &header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
        (None, Some(origin)) => is_ours(origin, headers),
    }
}

/// Whether this visitor may have forms on pages. Where nobody shows who they are, that is a browser on this host which
/// calls it by a name of its own. Under any other name it is another site's page, whose name was made to lead here (DNS
/// rebinding): to the browser that page is of our origin, and could read the token in a form.
pub(super) fn may_have_forms(visitor: &Visitor, headers: &HeaderMap) -> bool {
    visitor.is_known || (is_of_this_host(visitor, headers) && names_this_host(headers))
}

/// Whether a page of ours sent a form. A browser always says with one where it comes from, so that silence is refused. By
/// Origin alone it may also be `external_url`'s, because not every proxy passes the Host on.
///
/// Where nobody shows who they are, the page's Origin has to be a name of this host as well. A proxy here that rewrites the
/// Host and doesn't say whom it speaks for looks like a browser on this host, and only the Origin tells.
///
/// Pages have `Referrer-Policy: same-origin` for this: with `no-referrer` a browser that says nothing by Sec-Fetch-Site,
/// as over plain HTTP to another host, would send `Origin: null` with our own forms, as with those of a sandboxed frame.
pub(super) fn sent_by_our_page(visitor: &Visitor, headers: &HeaderMap, url: Option<&ExternalUrl>) -> bool {
    let here = || text(headers, &header::ORIGIN).and_then(host_of).is_some_and(is_this_host);
    if !visitor.is_known && !here() {
        return false;
    }
    match (text(headers, &SITE), text(headers, &header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            is_ours(origin, headers) || url.is_some_and(|url| url.origin().eq_ignore_ascii_case(origin))
        }
        (None, None) => false,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether an origin is the host that was asked.
fn is_ours(origin: &str, headers: &HeaderMap) -> bool {
    let host = host_of(origin);
    host.is_some() && host == text(headers, &header::HOST)
}

/// Host and port of an origin.
fn host_of(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, host)| host)
}

fn is_of_this_host(visitor: &Visitor, headers: &HeaderMap) -> bool {
    visitor.peer.ip().to_canonical().is_loopback()
        && !SPEAKING_FOR_OTHERS.iter().any(|name| headers.contains_key(name))
}

fn names_this_host(headers: &HeaderMap) -> bool {
    text(headers, &header::HOST).is_some_and(is_this_host)
}

/// Whether a host, perhaps with a port, is a name that only this host has for itself.
fn is_this_host(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_names_of_this_host_are_its_own() {
        for host in
            ["localhost", "LocalHost:9948", "127.0.0.1:9948", "127.7.7.7", "[::1]:9948", "[::ffff:127.0.0.1]"]
        {
            assert!(names_this_host(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "evil.example:9948",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:9948",
            "0.0.0.0",
            "",
            "::1",
        ] {
            assert!(!names_this_host(&headers(&[("host", host)])), "{host}");
        }
        assert!(!names_this_host(&HeaderMap::new()));
    }

    #[test]
    fn a_form_says_which_page_it_is_of() {
        let url: ExternalUrl = "https://Net.example.net/vs/".parse().unwrap();
        for (site, origin, ours) in [
            (Some("same-origin"), Some("http://here:9948"), true),
            // Pages that send no referrer.
            (Some("same-origin"), Some("null"), true),
            (Some("same-site"), Some("http://here:9948"), false),
            (Some("cross-site"), Some("http://here:9948"), false),
            (Some("none"), None, false),
            (None, Some("http://here:9948"), true),
            (None, Some("http://here"), false),
            (None, Some("https://net.example.net"), true),
            (None, Some("http://net.example.net"), false),
            (None, Some("https://net.example.net.evil.example"), false),
            (None, Some("null"), false),
            (None, Some(""), false),
            (None, None, false),
        ] {
            let mut sent = headers(&[("host", "here:9948")]);
            let said = [("sec-fetch-site", site), ("origin", origin)];
            for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                sent.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(sent_by_our_page(&visitor(true), &sent, Some(&url)), ours, "{site:?} {origin:?}");
            assert!(!sent_by_our_page(&visitor(false), &sent, Some(&url)), "{site:?} {origin:?}");
        }
        for (origin, ours) in
            [("http://localhost:9948", true), ("https://net.example.net", false), ("null", false)]
        {
            // A proxy on this host that is called by the second of these.
            let sent =
                headers(&[("host", "localhost:9948"), ("sec-fetch-site", "same-origin"), ("origin", origin)]);
            assert_eq!(sent_by_our_page(&visitor(false), &sent, Some(&url)), ours, "{origin}");
        }
    }

    fn visitor(is_known: bool) -> Visitor {
        Visitor { peer: ([127, 0, 0, 1], 40_000).into(), is_known, user: "".into() }
    }
}
