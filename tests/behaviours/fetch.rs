//! Going out over HTTP: bounded in time and bytes, straight to where it was told, and to public addresses only unless
//! the operator allows others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use versweep::fetch::{Client, Login, Manners, Reach, Request, Roots, Target};

fn manners() -> Manners {
    Manners {
        timeout: Duration::from_secs(60),
        max_bytes: 1000,
        reach: Reach::Anywhere,
        roots: Roots::System,
    }
}

/// Answers one request with these bytes; gives the request's head and body.
fn answers(bytes: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let (mut text, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some((_, value)) = line.to_lowercase().split_once("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            text.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        text.push_str(std::str::from_utf8(&body).unwrap());
        // A client that has seen enough may have gone.
        let _gone = (&stream).write_all(bytes.as_bytes());
        text
    });
    (address, served)
}

fn target(address: SocketAddr) -> Target {
    Target::parse(&format!("http://{address}/secret-path")).unwrap()
}

#[tokio::test]
async fn what_is_asked_and_what_is_answered_come_through() {
    let (address, served) = answers("HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
    let target = target(address);
    let request = Request::post(&target, b"hello".to_vec())
        .header("content-type", "text/plain")
        .secret("authorization", &"Bearer planted".to_owned().into());
    assert!(!format!("{request:?}").contains("planted"), "{request:?}");
    let answer = Client::new(manners()).unwrap().send(request).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.is_success()), (503, &b"busy"[..], false));
    let now = "2026-11-25T10:00:00Z".parse().unwrap();
    assert_eq!(answer.retry_after(now), Some(Duration::from_secs(7)));
    let asked = served.join().unwrap();
    assert!(asked.starts_with("POST /secret-path HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("authorization: Bearer planted\r\n") && asked.ends_with("\r\n\r\nhello"),
        "{asked}"
    );
}

#[test]
fn a_date_is_as_good_as_seconds_and_it_works_without_a_runtime() {
    let (address, served) =
        answers("HTTP/1.1 429 No\r\nRetry-After: Wed, 25 Nov 2026 10:01:30 GMT\r\nContent-Length: 0\r\n\r\n");
    let answer = Client::fetch_blocking(manners(), Request::get(&target(address))).unwrap();
    let now = "2026-11-25T10:00:00Z".parse().unwrap();
    assert_eq!(answer.retry_after(now), Some(Duration::from_secs(90)));
    assert_eq!(answer.retry_after("2026-11-26T10:00:00Z".parse().unwrap()), Some(Duration::ZERO));
    assert!(served.join().unwrap().starts_with("GET /"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, _served) =
        answers("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    let answer = Client::new(manners()).unwrap().send(Request::get(&target(address))).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (302, Some("http://127.0.0.1:1/")));
}

#[tokio::test]
async fn an_answer_is_bounded_in_bytes_and_in_time() {
    let (address, _served) = answers("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    let small = Manners { timeout: Duration::from_millis(200), ..manners() };
    let error = Client::new(small).unwrap().send(Request::get(&target(address))).await.unwrap_err();
    // The server has gone after its head, or the time is over: both end the wait.
    assert!(error.to_string().starts_with(&format!("http://{address}: ")), "{error}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let short = Manners { timeout: Duration::from_millis(100), ..manners() };
    let error = Client::new(short).unwrap().send(Request::get(&target(address))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("http://{address}: no answer within 100ms"));

    let (address, _served) = answers("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world");
    let tiny = Manners { max_bytes: 11, ..manners() };
    let error = Client::new(tiny).unwrap().send(Request::get(&target(address))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("http://{address}: the answer is larger than 11 bytes"));
}

/// By an address and by a name: a name is checked after the lookup, and the connection goes to what was checked.
#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::new(Manners { reach: Reach::Public, ..manners() }).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        let target = Target::parse(&format!("http://{host}:{port}/")).unwrap();
        let error = client.send(Request::get(&target)).await.unwrap_err().to_string();
        assert!(error.ends_with("not a public address; allow_private = true allows it"), "{host}: {error}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}

#[test]
fn an_address_shows_no_more_than_its_server() {
    let target = Target::parse("https://hooks.example.net:8443/services/planted?key=planted").unwrap();
    assert_eq!(target.to_string(), "https://hooks.example.net:8443");
    assert!(!format!("{target:?}").contains("planted"));
    for (wrong, why) in [
        ("hooks.example.net", "is not a url"),
        ("ftp://hooks.example.net/", "is neither http nor https"),
        (
            "https://me:planted@hooks.example.net/",
            "has a user or a password in it: secrets have keys of their own",
        ),
    ] {
        assert_eq!(Target::parse(wrong).unwrap_err().to_string(), why);
    }
}

#[tokio::test]
async fn who_asks_is_said_as_the_server_wants_it() {
    let secret = || "planted".to_owned().into();
    for (login, header) in [
        (Login::Bearer(secret()), "authorization: Bearer planted\r\n"),
        (Login::Token(secret()), "authorization: Token planted\r\n"),
        // The name and the password of RFC 7617, section 2.
        (
            Login::Basic { username: "Aladdin".to_owned(), password: "open sesame".to_owned().into() },
            "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
        ),
    ] {
        assert!(!format!("{login:?}").contains("planted"));
        let (address, served) = answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let target = target(address);
        let request = Request::get(&target).login(Some(&login));
        Client::new(manners()).unwrap().send(request).await.unwrap();
        let asked = served.join().unwrap();
        assert!(asked.contains(header), "{asked}");
    }
}

/// An authority of our own, written to a file as an operator would, and a server that it vouches for.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn roots(&self) -> Roots {
        Roots::read(&self.folder.path().join("ca.pem")).unwrap()
    }

    /// Answers one request over TLS as the server of that name; ends at once when the client turns away.
    fn serves(&self, name: &str) -> (u16, JoinHandle<()>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate)],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut session = rustls::ServerConnection::new(std::sync::Arc::new(config)).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            let mut head = [0; 1024];
            if stream.read(&mut head).is_ok_and(|n| n > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe").unwrap();
            }
        });
        (port, served)
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_is_named_and_by_its_own_name_only() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (roots, name, outcome) in [
        (ours.roots(), "localhost", Ok("safe")),
        (theirs.roots(), "localhost", Err("UnknownIssuer")),
        (Roots::System, "localhost", Err("UnknownIssuer")),
        (ours.roots(), "hooks.example.net", Err("not valid for name \"localhost\"")),
    ] {
        let (port, served) = ours.serves(name);
        let target = Target::parse(&format!("https://localhost:{port}/")).unwrap();
        let client = Client::new(Manners { roots, ..manners() }).unwrap();
        let told = client.send(Request::get(&target)).await;
        served.join().unwrap();
        match (told, outcome) {
            (Ok(answer), Ok(body)) => assert_eq!(answer.body, body.as_bytes()),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (told, outcome) => panic!("{outcome:?}: {told:?}"),
        }
    }
}
