//! TLS as the file wants it, by rustls and ring: TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    NamedGroup, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use webpki::EndEntityCert;

use super::certificates;
use super::file::{Notes, TlsTable, read_bounded};

/// What is read and written on a connection, secured or not.
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection that was taken up, and what is known of the other end.
pub struct Greeted {
    /// What goes on on it.
    pub stream: Stream,
    /// What the certificate calls the client that it has shown and that was verified; it begins with `cert:`.
    pub certificate: Option<Arc<str>>,
}

/// What a client that speaks plain HTTP is told; Go's servers say it in these words.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
                       Client sent an HTTP request to an HTTPS server.\n";

/// The most that is read of such a client.
const PLAIN_MAX: u64 = 64 * 1024;

/// How connections are secured.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    wants: Wants,
    /// Who vouches for clients, in PEM; empty where nobody is asked.
    authorities: Arc<str>,
    /// Names of which a client's certificate must have one; empty for any.
    allowed: Arc<[ServerName<'static>]>,
}

/// Which certificates clients show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wants {
    Nothing,
    IfGiven,
    Always,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("wants", &self.wants).finish_non_exhaustive()
    }
}

/// Where the parts of TLS are read from.
pub(super) struct Material<'a> {
    /// The folder of the file, where relative paths start.
    pub(super) folder: &'a Path,
}

impl Tls {
    /// Whether nobody comes in without a certificate that was verified.
    #[must_use]
    pub fn wants_certificates(&self) -> bool {
        self.wants == Wants::Always
    }

    /// Whether clients have to show less than there: no certificate, or one of any name.
    pub(super) fn asks_less_than(&self, other: &Self) -> bool {
        self.wants < other.wants || (self.allowed.is_empty() && !other.allowed.is_empty())
    }

    /// Whether clients are asked for the same as there.
    pub(super) fn asks_like(&self, other: &Self) -> bool {
        self.wants == other.wants && self.authorities == other.authorities && self.allowed == other.allowed
    }

    /// The handshake.
    ///
    /// # Errors
    /// Whatever the client got wrong.
    pub(super) async fn greet(&self, mut stream: TcpStream) -> io::Result<Greeted> {
        let mut first = [0];
        // A handshake begins with a record of type 22 (RFC 8446, 5.1); a method of HTTP with a letter.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            // What it has sent is read to its end, or the answer would be lost in a reset.
            let mut request = Vec::new();
            (&mut stream).take(PLAIN_MAX).read_to_end(&mut request).await?;
            return Err(io::Error::other("plain HTTP where TLS is spoken"));
        }
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        if shown.is_some_and(|certificate| !self.allows(certificate)) {
            return Err(io::Error::other("a certificate without one of client_allowed_sans"));
        }
        let certificate = shown.map(|certificate| certificates::name_of(certificate).into());
        Ok(Greeted { stream: Either::Right(Box::new(stream)), certificate })
    }

    fn allows(&self, own: &CertificateDer<'static>) -> bool {
        if self.allowed.is_empty() {
            return true;
        }
        let (Ok(names), Ok(parsed)) = (EndEntityCert::try_from(own), ParsedCertificate::try_from(own)) else {
            return false;
        };
        // A name is compared letter by letter, as exporter-toolkit does: whoever has a certificate for `*.example.net` is not
        // every host of it.
        self.allowed.iter().any(|allowed| match allowed {
            ServerName::DnsName(allowed) => {
                names.valid_dns_names().any(|name| name.eq_ignore_ascii_case(allowed.as_ref()))
            }
            address => verify_server_name(&parsed, address).is_ok(),
        })
    }
}

/// Reads `tls_server_config`.
pub(super) fn tls(table: &TlsTable, material: &Material<'_>, notes: &mut Notes<'_>) -> Option<Tls> {
    let provider = Arc::new(provider(table, notes));
    let versions = versions(table, notes);
    let chain = pem(material, notes, "cert", table.cert.as_deref(), table.cert_file.as_deref());
    let inline = table.key.as_ref().map(|key| key.expose_secret());
    let key = pem(material, notes, "key", inline, table.key_file.as_deref());
    let Clients { wants, authorities, verifier } = clients(table, material, &provider, notes)?;
    let allowed = allowed(table, wants, notes);
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain?.as_bytes()).collect::<Result<_, _>>().unwrap_or_default();
    if chain.is_empty() {
        notes.refuse(
            "tls_server_config.cert_file",
            "has no certificate",
            "a chain in PEM, the server's first",
        );
    }
    let key = PrivateKeyDer::from_pem_slice(key?.as_bytes());
    let key = key
        .map_err(|_| {
            notes.refuse("tls_server_config.key_file", "has no private key", "an unencrypted key in PEM")
        })
        .ok()?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    let config = builder.and_then(|builder| {
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(chain, key)
    });
    match config {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Tls { config: Arc::new(config), wants, authorities, allowed: allowed.into() })
        }
        Err(error) => {
            notes.refuse("tls_server_config", "can't be used", &error.to_string());
            None
        }
    }
}

/// The text of a part that stands in the file itself or in another one.
fn pem(
    material: &Material<'_>,
    notes: &mut Notes<'_>,
    name: &str,
    inline: Option<&str>,
    file: Option<&Path>,
) -> Option<String> {
    let key = format!("tls_server_config.{name}_file");
    match (inline, file) {
        (Some(text), None) => Some(text.to_owned()),
        (None, Some(file)) => {
            let path = material.folder.join(file);
            let text = read_bounded(&path);
            text.map_err(|problem| {
                notes.refuse(&key, "can't be read", &format!("{}: {problem}", path.display()))
            })
            .ok()
        }
        (None, None) => {
            notes.refuse(&key, "is missing", &format!("a file, or {name} with the text itself"));
            None
        }
        (Some(_), Some(_)) => {
            notes.refuse(&key, "is given twice", &format!("{name}_file or {name}, not both"));
            None
        }
    }
}

struct Clients {
    wants: Wants,
    authorities: Arc<str>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// What clients show, and who vouches for it.
fn clients(
    table: &TlsTable,
    material: &Material<'_>,
    provider: &Arc<CryptoProvider>,
    notes: &mut Notes<'_>,
) -> Option<Clients> {
    let key = "tls_server_config.client_auth_type";
    let wants = match table.client_auth_type.as_deref().unwrap_or_default() {
        "" | "NoClientCert" => Wants::Nothing,
        "VerifyClientCertIfGiven" => Wants::IfGiven,
        "RequireAndVerifyClientCert" => Wants::Always,
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            notes.refuse(key, "verifies nothing and is not offered", "RequireAndVerifyClientCert");
            return None;
        }
        _ => {
            let types = "NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";
            notes.refuse(key, "is not a type", types);
            return None;
        }
    };
    let has_authority = table.client_ca.is_some() || table.client_ca_file.is_some();
    if wants == Wants::Nothing {
        if has_authority {
            notes.refuse(key, "is missing", "with client_ca_file it says what clients must show");
        }
        return (!has_authority).then(|| Clients { wants, authorities: Arc::default(), verifier: None });
    }
    let text =
        pem(material, notes, "client_ca", table.client_ca.as_deref(), table.client_ca_file.as_deref())?;
    let ca_file = "tls_server_config.client_ca_file";
    let mut roots = RootCertStore::empty();
    for (number, authority) in (1..).zip(CertificateDer::pem_slice_iter(text.as_bytes())) {
        let added = authority.map_err(|_| ()).and_then(|authority| roots.add(authority).map_err(|_| ()));
        if added.is_err() {
            notes.refuse(ca_file, &format!("certificate {number} can't be read"), "authorities in PEM");
            return None;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if wants == Wants::IfGiven { builder.allow_unauthenticated() } else { builder };
    match builder.build() {
        Ok(verifier) => Some(Clients { wants, authorities: text.into(), verifier: Some(verifier) }),
        Err(_) => {
            notes.refuse(ca_file, "has no certificate", "authorities in PEM");
            None
        }
    }
}

fn allowed(table: &TlsTable, wants: Wants, notes: &mut Notes<'_>) -> Vec<ServerName<'static>> {
    let key = "tls_server_config.client_allowed_sans";
    if wants == Wants::Nothing && !table.client_allowed_sans.is_empty() {
        notes.refuse(
            key,
            "allows nothing without certificates",
            "client_auth_type: RequireAndVerifyClientCert",
        );
    }
    let mut names = Vec::new();
    for name in &table.client_allowed_sans {
        match ServerName::try_from(name.clone()) {
            Ok(name) => names.push(name),
            Err(_) => notes.refuse(key, "can't be compared", "DNS names and IP addresses"),
        }
    }
    names
}

/// The versions between the smallest and the largest that are wanted.
fn versions(table: &TlsTable, notes: &mut Notes<'_>) -> Vec<&'static SupportedProtocolVersion> {
    let mut number = |key: &str, written: Option<&str>, default: u8| match written.unwrap_or_default() {
        "" => default,
        "TLS12" => 2,
        "TLS13" => 3,
        "TLS10" | "TLS11" => {
            let key = format!("tls_server_config.{key}");
            notes.refuse(&key, "is broken and not offered (RFC 8996)", "TLS12 or TLS13");
            default
        }
        _ => {
            notes.refuse(&format!("tls_server_config.{key}"), "is not a version", "TLS12 or TLS13");
            default
        }
    };
    let (min, max) = (
        number("min_version", table.min_version.as_deref(), 2),
        number("max_version", table.max_version.as_deref(), 3),
    );
    if min > max {
        notes.refuse("tls_server_config.min_version", "is above max_version", "TLS12 or TLS13");
    }
    let all = [(2, &version::TLS12), (3, &version::TLS13)];
    all.into_iter().filter(|(number, _)| (min..=max).contains(number)).map(|(_, version)| version).collect()
}

/// ring with the suites and curves of the file. Like in Go, the suites of TLS 1.3 are there in any case.
fn provider(table: &TlsTable, notes: &mut Notes<'_>) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !table.cipher_suites.is_empty() {
        let mut suites: Vec<SupportedCipherSuite> = Vec::new();
        for name in &table.cipher_suites {
            let found = provider.cipher_suites.iter().find(|suite| spelled(suite) == *name);
            match found {
                Some(suite) => suites.push(*suite),
                None => notes.refuse(
                    "tls_server_config.cipher_suites",
                    "names a suite that is unknown or not offered",
                    &provider.cipher_suites.iter().map(spelled).collect::<Vec<_>>().join(", "),
                ),
            }
        }
        let later = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some());
        let missing: Vec<_> = later.filter(|suite| !suites.contains(suite)).copied().collect();
        suites.extend(missing);
        provider.cipher_suites = suites;
    }
    if !table.curve_preferences.is_empty() {
        let mut groups = Vec::new();
        for name in &table.curve_preferences {
            let wanted = match name.as_str() {
                "CurveP256" => Some(NamedGroup::secp256r1),
                "CurveP384" => Some(NamedGroup::secp384r1),
                "X25519" => Some(NamedGroup::X25519),
                _ => None,
            };
            match provider.kx_groups.iter().find(|group| Some(group.name()) == wanted) {
                Some(group) => groups.push(*group),
                None => notes.refuse(
                    "tls_server_config.curve_preferences",
                    "names a curve that is unknown or not offered",
                    "CurveP256, CurveP384 and X25519",
                ),
            }
        }
        provider.kx_groups = groups;
    }
    provider
}

/// A suite as Go, and so the file, spells it: rustls tells those of TLS 1.3 by their prefix.
fn spelled(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}
