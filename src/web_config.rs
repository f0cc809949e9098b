//! Who may come in over HTTP, and how: TLS, client certificates, passwords and headers, in the format of the Prometheus
//! project's exporter-toolkit, so that one file serves all exporters of a host. The server's side of `rustls`, `bcrypt`
//! and `der` are named here only. Format: <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>

mod certificates;
mod file;
mod forms;
mod keeper;
mod passwords;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio_util::either::Either;

pub use self::keeper::Keeper;
pub use self::passwords::{Check, Passwords, Users};
pub use self::tls::{Greeted, Stream, Tls};
use crate::document::Problems;

/// What one file says. The default is that of no file: plain HTTP, and nobody is asked who they are.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// How connections are secured; absent for plain HTTP.
    pub tls: Option<Tls>,
    /// Who may come in; empty when nobody is asked.
    pub users: Users,
    /// Headers on every answer, in place of versweep's own of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is allowed and yet worth a look, one line each.
    pub warnings: Vec<String>,
}

/// What a file says, until the keeper has taken it: a key or hashes that are renewed later stay in no other memory.
#[derive(Debug, Clone, Default)]
pub struct Handed(Arc<Mutex<Option<WebConfig>>>);

impl Handed {
    /// Takes it; who comes second gets that of no file.
    #[must_use]
    pub fn take(&self) -> WebConfig {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

impl From<WebConfig> for Handed {
    fn from(config: WebConfig) -> Self {
        Self(Arc::new(Mutex::new(Some(config))))
    }
}

/// A file as it was read: what it says or what is wrong with it, and the files that this depends on.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The file itself and those that it names.
    pub files: Vec<PathBuf>,
    /// What it says, or everything that is wrong with it.
    pub result: Result<WebConfig, Problems>,
}

impl Reading {
    /// Reads a file and those that it names. Blocks.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        file::read(path)
    }
}

impl WebConfig {
    /// Takes a connection up: its TLS handshake, if there is one.
    ///
    /// # Errors
    /// Whatever the client got wrong.
    pub async fn greet(&self, stream: TcpStream) -> std::io::Result<Greeted> {
        match &self.tls {
            Some(tls) => tls.greet(stream).await,
            None => Ok(Greeted { stream: Either::Left(stream), certificate: None }),
        }
    }

    /// Whether a connection that was taken up by that one has shown what this one asks of it.
    #[must_use]
    pub fn greets_like(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some(tls), Some(other)) => tls.asks_like(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether fewer are kept out by this one than by that: one of passwords, TLS and certificates is asked for no more, also
    /// where another one still is.
    fn lets_in_more_than(&self, other: &Self) -> bool {
        let is_open = match (&self.tls, &other.tls) {
            (Some(tls), Some(other)) => tls.asks_less_than(other),
            (None, other) => other.is_some(),
            (Some(_), None) => false,
        };
        is_open || (self.users.is_empty() && !other.users.is_empty())
    }

    /// Whether whoever comes in has shown who they are: by a password or by a certificate.
    #[must_use]
    pub fn knows_its_clients(&self) -> bool {
        !self.users.is_empty() || self.tls.as_ref().is_some_and(Tls::wants_certificates)
    }
}
