//! The one way out over HTTP: inventories and policies are fetched through here, and events posted. `reqwest` and `rustls`
//! are named here only. Redirects are not followed, proxies of the environment are not used, answers are bounded, and no
//! message names more of an address than scheme, host and port: the rest may be a secret.
//!
//! It is a door that other doors may knock at (ARCHITECTURE.md), so it names no room of its own floor.

mod login;
mod reach;
mod signer;
mod target;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

pub use self::login::Login;
pub use self::reach::Reach;
use self::reach::{Refused, Resolver};
pub use self::signer::{BadKey, Signer, message_id};
pub use self::target::{Target, TargetError};
pub use self::trust::{Identity, Roots};
use crate::clock::Timestamp;

/// What all requests of one client keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manners {
    /// The whole of a request, from the name lookup to the last byte of the answer.
    pub timeout: Duration,
    /// The most bytes of an answer; more is an error.
    pub max_bytes: usize,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// Who may vouch for a server.
    pub roots: Roots,
}

/// A server outside: where it is, how it is spoken to and as whom. What one table of the configuration says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub target: Target,
    /// What all requests keep to.
    pub manners: Manners,
    /// As whom; absent for a server that asks nobody who they are.
    pub login: Option<Login>,
}

/// An HTTP client. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    manners: Arc<Manners>,
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    target: &'a Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Vec<u8>>,
    /// Set when a header could not be made; told when the request is sent.
    broken: Option<FetchError>,
}

/// What a server answered, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status code; redirects come as they are.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

/// Why there is no answer. Messages are fragments that begin with the server.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {what}")]
pub struct FetchError {
    server: String,
    what: Trouble,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("no answer within {limit:?}")]
    Timeout { limit: Duration },
    #[error("the answer is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the header {0} can't be sent: it has characters that no header may have")]
    Header(String),
    #[error("{0}")]
    Failed(String),
}

impl Client {
    /// Makes a client. It connects when it is asked to.
    ///
    /// # Errors
    /// When TLS can't be set up, a defect of versweep's own.
    pub fn new(manners: Manners) -> Result<Self, FetchError> {
        Self::with_identity(manners, None)
    }

    /// Makes a client that has a certificate to show.
    ///
    /// # Errors
    /// When TLS can't be set up: the key is another certificate's, for instance.
    pub fn with_identity(manners: Manners, identity: Option<&Identity>) -> Result<Self, FetchError> {
        let failed = |error: &dyn fmt::Display| FetchError {
            server: "http client".to_owned(),
            what: Trouble::Failed(error.to_string()),
        };
        let tls = manners.roots.client_config(identity).map_err(|error| failed(&error))?;
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Resolver::new(manners.reach)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(manners.timeout)
            .user_agent(concat!("versweep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(&error.without_url()))?;
        Ok(Self { inner, manners: Arc::new(manners) })
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer: an address out of reach, no connection, no trust, no time, too many bytes.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        if let Some(broken) = request.broken {
            return Err(broken);
        }
        let server = request.target.server();
        let told = |what: Trouble| FetchError { server: server.clone(), what };
        // An address instead of a name never comes to the resolver.
        request.target.check(self.manners.reach).map_err(|refused| told(refused.into()))?;
        let url = request.target.url().clone();
        let builder = match request.body {
            Some(body) => self.inner.post(url).body(body),
            None => self.inner.get(url),
        };
        let headers = request.headers.into_iter().collect();
        let failed = |error: reqwest::Error| told(self.trouble(error));
        let mut response = builder.headers(headers).send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.manners.max_bytes {
                return Err(told(Trouble::TooLarge { max: self.manners.max_bytes }));
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status().as_u16();
        Ok(Answer { status, body, headers: std::mem::take(response.headers_mut()) })
    }

    /// Like [`Self::send`], from code that is not async, inside a runtime or outside of any. Blocks; connections are not
    /// kept.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn fetch_blocking(manners: Manners, request: Request<'_>) -> Result<Answer, FetchError> {
        let server = request.target.server();
        let fetch = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            Ok(runtime.block_on(async { Self::new(manners)?.send(request).await }))
        };
        // A thread of its own, because a runtime can't be entered from within another one.
        let joined = std::thread::scope(|scope| scope.spawn(fetch).join());
        let result = joined.unwrap_or_else(|_| Err("the request broke off, a defect of versweep".to_owned()));
        result.unwrap_or_else(|what: String| Err(FetchError { server, what: Trouble::Failed(what) }))
    }

    fn trouble(&self, error: reqwest::Error) -> Trouble {
        if error.is_timeout() {
            return Trouble::Timeout { limit: self.manners.timeout };
        }
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = source {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return refused.clone().into();
            }
            source = error.source();
        }
        Trouble::Failed(innermost(&error.without_url()))
    }
}

impl FetchError {
    /// Whether the time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.what, Trouble::Timeout { .. })
    }

    /// Whether the answer was larger than it may be.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self.what, Trouble::TooLarge { .. })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("manners", &self.manners).finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    /// Asks for what is there.
    #[must_use]
    pub fn get(target: &'a Target) -> Self {
        Self { target, headers: Vec::new(), body: None, broken: None }
    }

    /// Posts a body.
    #[must_use]
    pub fn post(target: &'a Target, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..Self::get(target) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(name, value, false)
    }

    /// Adds a header whose value is shown nowhere, such as `Authorization`.
    #[must_use]
    pub fn secret(self, name: &str, value: &SecretString) -> Self {
        self.with(name, value.expose_secret(), true)
    }

    /// Says who asks, when somebody does.
    #[must_use]
    pub fn login(self, login: Option<&Login>) -> Self {
        match login {
            Some(login) => self.secret("authorization", &login.value()),
            None => self,
        }
    }

    fn with(mut self, name: &str, value: &str, sensitive: bool) -> Self {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(header), Ok(mut value)) => {
                value.set_sensitive(sensitive);
                self.headers.push((header, value));
            }
            _ => {
                let what = Trouble::Header(crate::text::tamed(name, 64).into_owned());
                self.broken = Some(FetchError { server: self.target.server(), what });
            }
        }
        self
    }
}

impl Answer {
    /// Whether the status is one of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server wants to be left alone (RFC 9110, 10.2.3): seconds, or a date as seen from `now`.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
        Some((date.and_utc() - now).to_std().unwrap_or_default())
    }
}

/// The last cause in the chain says what happened; those before it only where.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    crate::text::tamed(&last.to_string(), 256).into_owned()
}
