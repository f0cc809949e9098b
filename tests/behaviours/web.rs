//! Who may come in over HTTP: passwords, TLS, certificates and prefixes of the web configuration, read again while the
//! server runs; and those who want to keep others out.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use versweep::config::Web;
use versweep::known::Snapshot;
use versweep::web_config::{Keeper, Reading, WebConfig};

use crate::authority::{Authority, Signed};
use crate::fleet;
use crate::http::{Answer, House, send};

/// A folder with a web configuration.
pub(crate) struct Gate(TempDir);

impl Gate {
    pub(crate) fn new(text: &str) -> Self {
        let gate = Self(TempDir::new().unwrap());
        gate.write("web.yml", text);
        gate
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("web.yml")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self) -> WebConfig {
        Reading::of(&self.path()).result.unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A server behind it.
    async fn house(&self) -> House {
        self.house_with(Web::default()).await
    }

    pub(crate) async fn house_with(&self, web: Web) -> House {
        let web = Web { config_file: Some(self.path()), config: self.read().into(), ..web };
        House::with(fleet::snapshot(fleet::noon()), web).await
    }
}

/// A hash at the smallest cost, of bcrypt's own making.
fn hash(password: &str) -> String {
    bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string()
}

pub(crate) fn users(name: &str, password: &str) -> String {
    format!("basic_auth_users:\n  {name}: {}\n", hash(password))
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
}

fn refusals(text: &str) -> String {
    Reading::of(&Gate::new(text).path()).result.unwrap_err().to_string()
}

#[tokio::test]
async fn nobody_comes_in_without_a_password_and_whoever_has_one_may_act() {
    let gate = Gate::new(&users("prometheus", "planted"));
    let house = gate.house().await;
    for headers in [
        String::new(),
        basic("prometheus", "wrong"),
        basic("nobody", "planted"),
        basic("", ""),
        "Authorization: Bearer planted\r\n".to_owned(),
        "Authorization: Basic %%%\r\n".to_owned(),
    ] {
        for path in ["/metrics", "/-/healthy", "/nothing"] {
            let answer = house.ask("GET", path, &headers).await;
            assert_eq!(answer.status, 401, "{path} {headers}");
            assert!(answer.head.contains("www-authenticate: basic realm="), "{}", answer.head);
            assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
        }
    }
    let api = house.get("/api/v1/devices").await;
    assert!(api.body.contains("urn:versweep:problem:not-known"), "{}", api.body);
    let known = basic("prometheus", "planted");
    assert_eq!(house.ask("GET", "/metrics", &known).await.status, 200);
    // A proxy may speak for whoever has the password; another site's page may not.
    let proxied = format!("{known}Via: 1.1 proxy\r\nX-Forwarded-For: 192.0.2.1\r\n");
    for (headers, status) in [
        (format!("{known}Origin: http://evil.example\r\n"), 403),
        (format!("{known}Sec-Fetch-Site: cross-site\r\n"), 403),
        (format!("{known}Origin: http://versweep\r\n"), 404),
        (format!("{known}Sec-Fetch-Site: same-origin\r\nOrigin: https://other.example\r\n"), 404),
        (proxied, 404),
    ] {
        assert_eq!(house.ask("POST", "/-/sweep?sweep=none", &headers).await.status, status, "{headers}");
    }
}

#[tokio::test]
async fn a_password_is_changed_without_a_reload_and_a_broken_file_changes_nothing() {
    let gate = Gate::new(&users("ops", "old"));
    let house = gate.house().await;
    let status = async |password: &str| house.ask("GET", "/metrics", &basic("ops", password)).await.status;
    assert_eq!((status("old").await, status("newer").await), (200, 401));
    gate.write("web.yml", "basic_auth_users: [broken");
    assert_eq!((status("old").await, status("newer").await), (200, 401));
    gate.write("web.yml", &format!("# renewed\n{}", users("ops", "newer")));
    assert_eq!((status("old").await, status("newer").await), (401, 200));
    fs::remove_file(gate.path()).unwrap();
    assert_eq!((status("old").await, status("newer").await), (401, 200));
}

/// A file that is just being written may be empty for a moment.
#[tokio::test]
async fn what_lets_more_in_waits_for_a_reload() {
    let gate = Gate::new(&users("ops", "planted"));
    let house = gate.house().await;
    for text in ["", "# nobody\n", "http_server_config: {}\n"] {
        gate.write("web.yml", text);
        assert_eq!(house.get("/metrics").await.status, 401, "{text}");
    }
    house.keeper.replace(Some(gate.path()), gate.read());
    assert_eq!(house.get("/metrics").await.status, 200);
}

/// Whoever was connected before certificates were asked for has shown none.
#[tokio::test]
async fn an_old_connection_is_not_served_by_new_rules() {
    let ours = Authority::new("ours");
    let gate = Gate::new("");
    serves(&gate, &ours.sign(&["localhost"]));
    gate.write("clients.pem", &ours.pem());
    let house = gate.house().await;
    let mut old = TcpStream::connect(house.address).await.unwrap();
    let mut ask = async |headers: &str| {
        let request = format!(
            "POST /-/sweep?sweep=none HTTP/1.1\r\nHost: versweep\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        old.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.contains("\r\n\r\n") {
            let mut bytes = [0; 4096];
            let read = old.read(&mut bytes).await.unwrap();
            assert!(read > 0, "{text}");
            text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        text
    };
    // Over a proxy it is nobody's to sweep.
    const PROXIED: &str = "Via: 1.1 proxy\r\n";
    assert!(ask(PROXIED).await.starts_with("HTTP/1.1 403 "));
    let with_certificates =
        format!("{TLS}  client_ca_file: clients.pem\n  client_auth_type: RequireAndVerifyClientCert\n");
    gate.write("web.yml", &with_certificates);
    let answer = ask(PROXIED).await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn headers_of_the_file_stand_over_ours() {
    let text = "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    \
                Strict-Transport-Security: max-age=600\n";
    let house = Gate::new(text).house().await;
    for path in ["/", "/nothing"] {
        let head = house.get(path).await.head;
        assert!(head.contains("x-frame-options: sameorigin\r\n"), "{head}");
        assert!(head.contains("strict-transport-security: max-age=600\r\n"), "{head}");
        assert!(!head.contains("x-frame-options: deny"), "{head}");
    }
}

#[tokio::test]
async fn where_nothing_may_be_changed_nobody_changes_anything() {
    let house = House::with(Snapshot::default(), Web { lifecycle: false, ..Web::default() }).await;
    for path in ["/-/reload", "/-/sweep", "/-/inventory/confirm?source=a", "/api/v1/requests"] {
        let answer = house.ask("POST", path, "").await;
        assert!(answer.status == 403 && answer.body.contains("enable_lifecycle"), "{path}: {answer:?}");
    }
    assert_eq!(house.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn everything_lies_below_the_prefix() {
    let web = Web {
        route_prefix: "/vs".to_owned(),
        external_url: Some("https://net.example.net/tools/vs/".parse().unwrap()),
        ..Web::default()
    };
    let house = House::with(fleet::snapshot(fleet::noon()), web).await;
    let start = house.get("/").await;
    assert!(start.status == 302 && start.head.contains("location: /tools/vs/\r\n"), "{}", start.head);
    assert_eq!(house.get("/metrics").await.status, 404);
    assert_eq!(house.get("/vs/metrics?collect[]=self").await.status, 200);
    let page = house.get("/vs/").await.body;
    for link in [
        "href=\"/tools/vs/devices",
        "src=\"/tools/vs/script.js\"",
        "action=\"/tools/vs/devices\"",
        "data-root=\"/tools/vs/\"",
    ] {
        assert!(page.contains(link), "{link}: {page}");
    }
    for own in ["href=\"/d", "src=\"/s", "data-root=\"/\""] {
        assert!(!page.contains(own), "{own}: {page}");
    }
}

/// A TLS client that trusts this authority; with what it shows.
pub(crate) async fn connected(
    address: SocketAddr,
    trusted: &Authority,
    shows: Option<&Signed>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some(signed) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What such a client is told.
async fn tls(house: &House, trusted: &Authority, shows: Option<&Signed>) -> std::io::Result<Answer> {
    let mut stream = connected(house.address, trusted, shows).await?;
    // A request that asks for a change, with the word of a proxy: whether a certificate counts as a password does.
    let request =
        "POST /-/sweep?sweep=none HTTP/1.1\r\nHost: localhost\r\nVia: 1.1 p\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Ok(Answer { status, head: text, body: String::new() })
}

pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

fn serves(gate: &Gate, signed: &Signed) {
    gate.write("server.pem", &signed.certificate);
    gate.write("server.key", &signed.key);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let gate = Gate::new(TLS);
    serves(&gate, &first.sign(&["localhost"]));
    let house = gate.house().await;
    assert_eq!(tls(&house, &first, None).await.unwrap().status, 403);
    assert!(tls(&house, &second, None).await.is_err());
    let plain = house.get("/metrics").await;
    assert!(plain.status == 400 && plain.body.contains("to an HTTPS server"), "{plain:?}");
    // Half of a renewal: the key fits the old certificate only, and the old pair goes on.
    let renewed = second.sign(&["localhost"]);
    gate.write("server.pem", &renewed.certificate);
    assert_eq!(tls(&house, &first, None).await.unwrap().status, 403);
    serves(&gate, &renewed);
    assert_eq!(tls(&house, &second, None).await.unwrap().status, 403);
    assert!(tls(&house, &first, None).await.is_err());
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_may_act() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let text = format!(
        "{TLS}  client_ca_file: clients.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [scraper]\n  \
         min_version: TLS13\n  curve_preferences: [X25519]\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n"
    );
    let gate = Gate::new(&text);
    serves(&gate, &ours.sign(&["localhost"]));
    gate.write("clients.pem", &ours.pem());
    let house = gate.house().await;
    let refused = |answer: std::io::Result<Answer>| answer.is_err() || answer.unwrap().head.is_empty();
    assert_eq!(tls(&house, &ours, Some(&ours.sign(&["scraper"]))).await.unwrap().status, 404);
    assert!(refused(tls(&house, &ours, Some(&ours.sign(&["another"]))).await));
    assert!(refused(tls(&house, &ours, Some(&other.sign(&["scraper"]))).await));
    assert!(refused(tls(&house, &ours, None).await));

    let text = text.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    gate.write("web.yml", &text);
    assert!(refused(tls(&house, &ours, None).await), "what lets more in waits for a reload");
    house.keeper.replace(Some(gate.path()), gate.read());
    // Who shows nothing comes in, and is nobody.
    assert_eq!(tls(&house, &ours, None).await.unwrap().status, 403);
    assert!(refused(tls(&house, &ours, Some(&other.sign(&["scraper"]))).await));
}

#[test]
fn what_is_wrong_with_the_file_is_told_without_its_secrets() {
    for (text, problem) in [
        ("tls_server_conf: {}", "web.yml:1: unknown field"),
        ("tls_server_config:\n  cert_fil: x", "web.yml:2: unknown field"),
        ("basic_auth_users:\n  planted-user: planted", "is not a bcrypt hash: what `htpasswd"),
        (
            "basic_auth_users:\n  a: $2y$20$planted8901234567890u1234567890123456789012345678901",
            "is not a bcrypt hash",
        ),
        ("tls_server_config: {}", "tls_server_config.cert_file: is missing"),
        ("tls_server_config: {cert_file: a.pem, key_file: b.pem}", "a.pem: No such file"),
        ("tls_server_config: {min_version: TLS10}", "min_version: is broken and not offered (RFC 8996)"),
        ("tls_server_config: {min_version: SSL3}", "min_version: is not a version"),
        ("tls_server_config: {min_version: TLS13, max_version: TLS12}", "min_version: is above max_version"),
        ("tls_server_config: {cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]}", "unknown or not offered"),
        (
            "tls_server_config: {curve_preferences: [CurveP521]}",
            "names a curve that is unknown or not offered",
        ),
        (
            "tls_server_config: {client_auth_type: RequireAnyClientCert}",
            "verifies nothing and is not offered",
        ),
        ("tls_server_config: {client_auth_type: Always}", "client_auth_type: is not a type"),
        ("tls_server_config: {client_ca_file: ca.pem}", "client_auth_type: is missing"),
        (
            "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    \
             -----BEGIN CERTIFICATE-----\n    AAAA\n    -----END CERTIFICATE-----\n",
            "client_ca_file: certificate 1 can't be read",
        ),
        ("tls_server_config: {cert_file: a, cert: b}", "cert_file: is given twice"),
        ("http_server_config:\n  headers:\n    Server: x", "headers.Server: can't be set here"),
        ("http_server_config:\n  headers:\n    X-Frame-Options: maybe", "deny or sameorigin"),
        ("basic_auth_users: [", "web.yml:1: "),
    ] {
        let said = refusals(text);
        assert!(said.contains(problem), "{text}:\n{said}");
        assert!(!said.contains(": planted"), "{said}");
    }
    let dear = users("a", "planted").replace("$04$", "$20$");
    assert!(refusals(&dear).contains("has a hash of cost 20, which takes seconds a check"));
    assert!(
        Reading::of(Path::new("/nowhere/web.yml")).result.unwrap_err().to_string().contains("can't be read")
    );
}

#[test]
fn what_deserves_a_look_is_told_and_nothing_shows_a_hash() {
    let gate = Gate::new(&format!("{}http_server_config: {{http2: true}}\n", users("ops", "planted")));
    let config = gate.read();
    let warnings = config.warnings.join("\n");
    assert!(
        warnings.contains("HTTP/2 is not offered") && warnings.contains("passwords can be read"),
        "{warnings}"
    );
    let shown = format!("{config:?}");
    assert!(shown.contains("ops") && !shown.contains("$2"), "{shown}");
    let dearer = bcrypt::hash_with_salt("planted", 5, [7; 16]).unwrap();
    gate.write("web.yml", &format!("{}  other: {dearer}\n", users("ops", "planted")));
    assert!(gate.read().warnings.join("\n").contains("hashes of different costs"));
    assert!(Gate::new("").read().warnings.is_empty());
}

/// Many that never end their request, of the scraper's own address and of another: the scraper comes in all the same, each
/// time, and the limit on all holds.
#[tokio::test]
async fn half_open_requests_keep_nobody_out() {
    let web = Web { connections: 8, connections_per_client: 4, ..Web::default() };
    let house = House::with(fleet::snapshot(fleet::noon()), web).await;
    let mut slow = Vec::new();
    for round in 0..10 {
        for host in ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"] {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(host.parse().unwrap()).unwrap();
            let mut stream = socket.connect(house.address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: versweep\r\nX-Slow: a").await.unwrap();
            slow.push(stream);
        }
        assert_eq!(house.get("/metrics").await.status, 200, "round {round}");
    }
    // Those that gave way were told by the end of their connection.
    let mut open = 0;
    for stream in &mut slow {
        let mut byte = [0];
        open += usize::from(
            stream.try_read(&mut byte).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    assert!(open <= 8, "{open} are still open");
}

/// The same with bodies that never come, which take ten seconds to be given up.
#[tokio::test]
async fn bodies_that_do_not_come_keep_nobody_out() {
    let web = Web { connections: 4, connections_per_client: 4, ..Web::default() };
    let house = House::with(fleet::snapshot(fleet::noon()), web).await;
    let mut slow = Vec::new();
    for round in 0..8 {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let head = b"POST /-/sweep?sweep=all HTTP/1.1\r\nHost: versweep\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(head).await.unwrap();
        slow.push(stream);
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), house.get("/metrics")).await;
        assert_eq!(answer.expect("nobody waits for a body").status, 200, "round {round}");
    }
}

/// Nobody but the clock ends this connection: whoever says nothing whole in ten seconds loses it.
#[tokio::test(start_paused = true)]
async fn a_first_request_comes_soon_or_never() {
    let house = House::small().await;
    let began = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: v").await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let took = began.elapsed().as_secs();
    assert!(bytes.is_empty() && (9..15).contains(&took), "after {took} s: {bytes:?}");
}

#[tokio::test]
async fn a_head_has_its_limits() {
    let house = House::small().await;
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: a\r\n")).collect::<String>();
    assert_eq!(house.ask("GET", "/-/healthy", &lines(90)).await.status, 200);
    assert_eq!(house.ask("GET", "/-/healthy", &lines(110)).await.status, 431);
    let long = format!("X-Long: {}\r\n", "a".repeat(20_000));
    assert_eq!(house.ask("GET", "/-/healthy", &long).await.status, 431);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let body = format!("11170\r\n{}\r\n0\r\n\r\n", "a".repeat(0x11170));
    let answer = send(house.address, "POST", "/api/v1/requests", chunked, body.as_bytes()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn a_wildcard_is_not_every_host_of_its_domain() {
    let ours = Authority::new("ours");
    let text = format!(
        "{TLS}  client_ca_file: clients.pem\n  client_auth_type: RequireAndVerifyClientCert\n  \
         client_allowed_sans: [scraper.example.net, 192.0.2.7]\n"
    );
    let gate = Gate::new(&text);
    serves(&gate, &ours.sign(&["localhost"]));
    gate.write("clients.pem", &ours.pem());
    let house = gate.house().await;
    for (names, comes_in) in [
        (&["*.example.net"][..], false),
        (&["*.example.net", "Scraper.example.net"], true),
        (&["192.0.2.7"], true),
        (&["192.0.2.8"], false),
    ] {
        let answer = tls(&house, &ours, Some(&ours.sign(names))).await;
        assert_eq!(answer.is_ok_and(|answer| answer.status == 404), comes_in, "{names:?}");
    }
}

#[tokio::test]
async fn where_tls_is_spoken_a_full_house_says_nothing_in_plain_text() {
    let ours = Authority::new("ours");
    let gate = Gate::new(TLS);
    serves(&gate, &ours.sign(&["localhost"]));
    let house = gate.house_with(Web { connections_per_client: 1, ..Web::default() }).await;
    let mut busy = connected(house.address, &ours, None).await.unwrap();
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    busy.write_all(request).await.unwrap();
    assert!(busy.read(&mut [0; 64]).await.unwrap() > 0);
    let mut next = TcpStream::connect(house.address).await.unwrap();
    let mut said = Vec::new();
    let _ = next.read_to_end(&mut said).await;
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// Connections to a house with few seats, each with the start of something that is not let in or does not end; after each
/// round somebody who may come in does.
async fn besieged(house: &House, request: &str, known: &str) {
    let mut slow = Vec::new();
    for round in 0..6 {
        for host in ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"] {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(host.parse().unwrap()).unwrap();
            let mut stream = socket.connect(house.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        assert_eq!(house.ask("GET", "/metrics", known).await.status, 200, "round {round}");
    }
}

/// A request whose password is being checked counted as being answered, and a check is slow: all waited for the wrong ones.
#[tokio::test]
async fn wrong_passwords_keep_nobody_out_who_is_known() {
    let slow = bcrypt::hash_with_salt("planted", 10, [7; 16]).unwrap();
    let gate = Gate::new(&format!("basic_auth_users:\n  ops: {slow}\n"));
    let house = gate.house_with(Web { connections: 6, connections_per_client: 4, ..Web::default() }).await;
    let known = basic("ops", "planted");
    assert_eq!(house.ask("GET", "/metrics", &known).await.status, 200);
    let request = format!("GET /metrics HTTP/1.1\r\nHost: versweep\r\n{}\r\n", basic("ops", "wrong"));
    besieged(&house, &request, &known).await;
}

/// One of two kinds of proof that a half-written file lost was asked for no more.
#[tokio::test]
async fn each_proof_counts_by_itself() {
    let ours = Authority::new("ours");
    let certificates = format!(
        "{TLS}  client_ca_file: clients.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n"
    );
    let users = users("ops", "planted");
    let gate = Gate::new("");
    serves(&gate, &ours.sign(&["localhost"]));
    gate.write("clients.pem", &ours.pem());
    for less in [
        certificates.clone(),
        format!("{TLS}{users}"),
        format!("{}{users}", certificates.replace("  client_allowed_sans: [a]\n", "")),
    ] {
        gate.write("web.yml", &format!("{certificates}{users}"));
        let whole = gate.read();
        let keeper = Keeper::new(Some(gate.path()), gate.read()).unwrap();
        keeper.now().await;
        gate.write("web.yml", &less);
        let now = keeper.now().await;
        assert!(now.greets_like(&whole) && !now.users.is_empty(), "{less}");
    }
}

/// The values of the attributes of a page that hold an address.
fn links(page: &str) -> Vec<String> {
    let attributes = ["href", "src", "action", "formaction", "data-root", "poster", "srcset", "cite"];
    let of = |name: &str| {
        let start = format!(" {name}=\"");
        let values = page.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
        values.map(|value| value.replace("&amp;", "&")).collect::<Vec<_>>()
    };
    attributes.iter().flat_map(|name| of(name)).collect()
}

/// From the start, every page that another links to, and every link on each.
#[tokio::test]
async fn no_link_on_any_page_leaves_the_prefix() {
    let web = Web {
        route_prefix: "/vs".to_owned(),
        external_url: Some("https://net.example.net/tools/vs/".parse().unwrap()),
        ..Web::default()
    };
    let house = House::with(fleet::snapshot(fleet::noon()), web).await;
    let (mut seen, mut open) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = open.pop() {
        let answer = house.get(&format!("/vs{path}")).await;
        if !answer.head.contains("content-type: text/html") {
            continue;
        }
        for link in links(&answer.body) {
            if link.starts_with('?') || link.starts_with('#') {
                continue;
            }
            let below = link.strip_prefix("/tools/vs/").unwrap_or_else(|| panic!("{link} on {path}"));
            let kind = below.split(['?', '#']).next().unwrap_or_default().to_owned();
            if seen.insert(kind) && !below.starts_with("live") {
                open.push(format!("/{}", below.split('#').next().unwrap_or_default()));
            }
        }
    }
    for page in ["", "devices", "changes", "sweeps", "drift", "events", "devices/core1.ams"] {
        assert!(seen.contains(page), "no page links to /{page}: {seen:?}");
    }
    let document = house.get("/vs/api/v1/openapi.json").await.body;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["servers"][0]["url"], "/tools/vs/");
}
