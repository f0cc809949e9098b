//! `[web]`: where to listen, who may come in, and what the outside calls the place. The command line's `--web.` flags stand
//! over the file's keys, at each reload as at the start.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use hyper::Uri;

use super::Surroundings;
use super::sweeps::non_empty;
use crate::document::{Item, Problem, Section};
use crate::web_config::{Handed, Reading};

/// Connections at once: as many event streams as are served, and as many again for everybody else.
const CONNECTIONS: usize = 512;
/// Of one client: half of them, because a proxy is one client too.
const CONNECTIONS_PER_CLIENT: usize = 256;

/// The web surface.
#[derive(Debug, Clone)]
pub struct Web {
    /// Addresses of the HTTP server.
    pub listen: Vec<SocketAddr>,
    /// Whether systemd hands the sockets over, in place of `listen`.
    pub systemd_socket: bool,
    /// exporter-toolkit's file; absent for plain HTTP.
    pub config_file: Option<PathBuf>,
    /// What that file said when the configuration was read, for its keeper to take.
    pub config: Handed,
    /// How the outside reaches the server.
    pub external_url: Option<ExternalUrl>,
    /// What stands before the path of each request: empty, or such as `/versweep`.
    pub route_prefix: String,
    /// Whether anything can be changed over HTTP.
    pub lifecycle: bool,
    /// Whether pages have buttons for what may be changed over HTTP.
    pub actions: bool,
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// Connections at once of one client.
    pub connections_per_client: usize,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9948))],
            systemd_socket: false,
            config_file: None,
            config: Handed::default(),
            external_url: None,
            route_prefix: String::new(),
            lifecycle: true,
            actions: false,
            connections: CONNECTIONS,
            connections_per_client: CONNECTIONS_PER_CLIENT,
        }
    }
}

impl Web {
    /// What links on pages begin with: a proxy that takes its own prefix off says so by another `route_prefix`.
    #[must_use]
    pub fn link_prefix(&self) -> &str {
        self.external_url.as_ref().map_or(&self.route_prefix, |url| &url.path)
    }
}

/// How the outside reaches the server: scheme, host and perhaps a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUrl {
    /// As it was written, without a slash at its end.
    pub text: String,
    /// Its path, without a slash at its end.
    pub path: String,
}

impl ExternalUrl {
    /// Scheme, host and port, as a browser writes it in `Origin` but for upper case: without the scheme's own port.
    #[must_use]
    pub fn origin(&self) -> &str {
        let origin = self.text.strip_suffix(&self.path).unwrap_or(&self.text);
        let port = if origin.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
            ":443"
        } else {
            ":80"
        };
        origin.strip_suffix(port).unwrap_or(origin)
    }
}

impl std::str::FromStr for ExternalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "wanted is http://HOST/PATH or https://HOST/PATH, without user and query";
        let uri: Uri = text.parse().map_err(|_| WANTED)?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if !is_web || has_user || uri.query().is_some() || text.contains('#') {
            return Err(WANTED);
        }
        let path = prefix(uri.path()).map_err(|_| WANTED)?;
        Ok(Self { text: text.trim_end_matches('/').to_owned(), path })
    }
}

/// What the command line says of the web surface; what is absent is the file's business.
#[derive(Debug, Clone, Default)]
pub struct WebFlags {
    /// `--web.listen-address`
    pub listen: Vec<SocketAddr>,
    /// `--web.systemd-socket`
    pub systemd_socket: bool,
    /// `--web.config.file`
    pub config_file: Option<PathBuf>,
    /// `--web.external-url`
    pub external_url: Option<ExternalUrl>,
    /// `--web.route-prefix`
    pub route_prefix: Option<String>,
    /// `--web.enable-lifecycle`
    pub lifecycle: Option<bool>,
}

/// An address to listen on. `:9948` is every address of the host, as in Go's programs.
///
/// # Errors
/// What is wanted.
pub fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let every = text.strip_prefix(':').and_then(|port| port.parse().ok());
    let every = every.map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    every.or_else(|| text.parse().ok()).ok_or("wanted is an IP address and a port, such as 127.0.0.1:9948")
}

/// A path before all paths, without a slash at its end; `/` is the empty one.
///
/// # Errors
/// What is wanted.
pub fn prefix(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let dots = text.split('/').any(|part| part == "." || part == "..");
    if !text.starts_with('/') || text.contains("//") || dots || !text.chars().all(fits) {
        return Err("wanted is a path such as /versweep, of letters, digits and -._~");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

const KEYS: [&str; 9] = [
    "listen",
    "systemd_socket",
    "web_config",
    "external_url",
    "route_prefix",
    "enable_lifecycle",
    "actions",
    "max_connections",
    "max_connections_per_client",
];

/// `[web]`, with the flags over it.
pub(super) fn web(root: &Section<'_>, around: &Surroundings<'_>, warnings: &mut Vec<String>) -> Web {
    let table = root.section("web");
    table.only(&KEYS);
    let (flags, default) = (around.flags, Web::default());
    let yes = |key: &str| table.get(key).and_then(|item| item.boolean());
    let external_url = table.get("external_url").and_then(|item| parsed(&item, str::parse::<ExternalUrl>));
    let route_prefix = table.get("route_prefix").and_then(|item| parsed(&item, prefix));
    let external_url = flags.external_url.clone().or(external_url);
    let below = external_url.as_ref().map(|url| url.path.clone());
    let route_prefix = flags.route_prefix.clone().or(route_prefix).or(below).unwrap_or_default();
    let listed = listen(&table, default.listen);
    let connections = number(&table, "max_connections", default.connections);
    let mut web = Web {
        listen: if flags.listen.is_empty() { listed } else { flags.listen.clone() },
        systemd_socket: flags.systemd_socket || yes("systemd_socket").unwrap_or(false),
        external_url,
        route_prefix,
        lifecycle: flags.lifecycle.or_else(|| yes("enable_lifecycle")).unwrap_or(default.lifecycle),
        actions: yes("actions").unwrap_or(default.actions),
        connections,
        connections_per_client: number(&table, "max_connections_per_client", default.connections_per_client),
        ..Web::default()
    };
    if web.actions && !web.lifecycle {
        warnings.push("web.actions: pages have no buttons where enable_lifecycle is false".to_owned());
    }
    let item = table.get("web_config");
    let written = item.as_ref().and_then(|item| non_empty(item)).map(|text| around.folder.join(text));
    if let Some(path) = flags.config_file.clone().or(written) {
        match Reading::of(&path).result {
            Ok(config) => {
                warnings.extend(config.warnings.iter().cloned());
                web.config = config.into();
            }
            Err(problems) => {
                problems.0.into_iter().for_each(|problem: Problem| root.document().note(problem))
            }
        }
        web.config_file = Some(path);
    }
    web
}

fn listen(table: &Section<'_>, default: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(item) = table.get("listen") else { return default };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (item, text) in item.texts().unwrap_or_default() {
        match listen_address(text) {
            Ok(address) if addresses.contains(&address) => item.refuse("is named twice", "each address once"),
            Ok(address) => addresses.push(address),
            Err(_) => {
                item.refuse("is not an address", "an IP address and a port, such as \"127.0.0.1:9948\"")
            }
        }
    }
    addresses
}

fn parsed<T>(item: &Item<'_>, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
    let text = item.text()?;
    parse(text).map_err(|wanted| item.refuse("can't be used", wanted)).ok()
}

fn number(table: &Section<'_>, key: &str, default: usize) -> usize {
    let number = table.get(key).and_then(|item| item.number(1..=65_536));
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
}
