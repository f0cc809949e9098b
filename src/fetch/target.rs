//! An address to fetch from or to post to, checked once at the border.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::reach::{Reach, Refused};

/// A checked `http://` or `https://` address. Its text may be a secret (chat services put the key into the path), so
/// neither `Display` nor `Debug` shows more than the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a text is no address to fetch from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No URL.
    #[error("is not a url")]
    Url,
    /// Another scheme.
    #[error("is neither http nor https")]
    Scheme,
    /// A user name or a password stands in it.
    #[error("has a user or a password in it: secrets have keys of their own")]
    Secret,
}

impl Target {
    /// Checks an address.
    ///
    /// # Errors
    /// [`TargetError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text).map_err(|_| TargetError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Secret);
        }
        Ok(Self(url))
    }

    /// The address of something below this one, on the same server: `path` behind its own, and a query in place of its own.
    #[must_use]
    pub fn below(&self, path: &str, query: &str) -> Self {
        let mut url = self.0.clone();
        let own = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{own}/{path}"));
        url.set_query(Some(query));
        Self(url)
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Scheme, host and port: what may be shown.
    #[must_use]
    pub fn server(&self) -> String {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }

    /// The address itself where it is one, so that the resolver is never asked.
    fn literal(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether a host that is written as an address is within reach; names are checked when they are resolved.
    pub(super) fn check(&self, reach: Reach) -> Result<(), Refused> {
        self.literal().map_or(Ok(()), |address| reach.check(address))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.server())
    }
}
