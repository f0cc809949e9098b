//! Sources that are servers, asked over HTTP.

use std::collections::HashSet;
use std::sync::Arc;

use super::entry::Entry;
use super::{Look, Trouble, netbox, sd};
use crate::fetch::{Answer, Client, FetchError, Peer, Request, Target};
use crate::platform::Platforms;
use crate::source::{Registry, Source, SourceKind};
use crate::status::RefreshFailure;

/// The most devices of one server: beyond it, the pages have no end.
const DEVICES_MAX: usize = 1_000_000;

/// How often the pages are read from the first one on before the last good list stays.
const READINGS: usize = 3;

/// A server that is asked again and again; its connections are kept.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    peer: Peer,
    client: Client,
}

impl Remote {
    pub(super) fn new(peer: &Peer) -> Result<Self, Trouble> {
        let client = Client::new(peer.manners.clone()).map_err(|error| trouble(&error))?;
        Ok(Self { peer: peer.clone(), client })
    }

    /// Asks the server for everything, page by page where it has pages.
    pub(super) async fn look(
        &self,
        source: &Arc<Source>,
        platforms: &Arc<Platforms>,
    ) -> Result<Look, Trouble> {
        let from: Arc<str> = self.peer.target.server().into();
        let entries = match &source.kind {
            SourceKind::HttpSd { .. } => {
                let seconds = source.interval.as_secs().to_string();
                let request =
                    self.get(&self.peer.target).header("x-prometheus-refresh-interval-seconds", &seconds);
                let answer = good(self.client.send(request).await, &from)?;
                let from = Arc::clone(&from);
                aside(move || {
                    let mut entries = Vec::new();
                    sd::read_json(&answer.body, &from, &mut entries).map(|()| entries)
                })
                .await?
            }
            SourceKind::Registry { registry, filter, page, .. } => {
                self.pages(*registry, filter, *page, &from).await?
            }
            // The others are files.
            _ => Vec::new(),
        };
        let (source, platforms) = (Arc::clone(source), Arc::clone(platforms));
        aside(move || Ok(Look::new(entries, &source, &platforms))).await
    }

    async fn pages(
        &self,
        registry: Registry,
        filter: &str,
        limit: usize,
        from: &Arc<str>,
    ) -> Result<Vec<Entry>, Trouble> {
        for _ in 0..READINGS {
            if let Some(entries) = self.all_pages(registry, filter, limit, from).await? {
                return Ok(entries);
            }
        }
        let told = format!("{from}: its devices changed between two pages, {READINGS} times in a row");
        Err(Trouble::garbage(told))
    }

    /// All pages; nothing where devices went meanwhile, which moves those behind them forward, so that one may lie on none
    /// of the pages. So each page begins with the last device of the one before, and is good only where that is still so.
    async fn all_pages(
        &self,
        registry: Registry,
        filter: &str,
        limit: usize,
        from: &Arc<str>,
    ) -> Result<Option<Vec<Entry>>, Trouble> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let mut last = None;
        loop {
            let offset = seen.len().saturating_sub(1);
            let (path, query) = netbox::page(registry, filter, limit.max(2), offset);
            let target = self.peer.target.below(path, &query);
            let answer = good(self.client.send(self.get(&target)).await, from)?;
            let page = netbox::Page::read(&answer.body, from)?;
            let id = |device: &serde_json::Map<_, _>| {
                let id = device.get("id").map(ToString::to_string);
                id.ok_or_else(|| Trouble::garbage(format!("{from}: a device without id")))
            };
            if last.is_some() && page.results.first().map(id).transpose()? != last {
                return Ok(None);
            }
            let before = seen.len();
            for device in &page.results {
                let id = id(device)?;
                last = Some(id.clone());
                if seen.insert(id) {
                    entries.push(netbox::entry(registry, device, from));
                }
            }
            if seen.len() >= page.count {
                return Ok(Some(entries));
            }
            if seen.len() == before || seen.len() > DEVICES_MAX {
                let told = format!("{from}: counts {} devices and gives {}", page.count, seen.len());
                return Err(Trouble::garbage(told));
            }
        }
    }

    fn get<'t>(&self, target: &'t Target) -> Request<'t> {
        Request::get(target).header("accept", "application/json").login(self.peer.login.as_ref())
    }
}

/// Work that would hold up others on a thread that serves visits.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Trouble::garbage(format!("reading it broke off: {error}"))))
}

fn good(answer: Result<Answer, FetchError>, from: &str) -> Result<Answer, Trouble> {
    let answer = answer.map_err(|error| trouble(&error))?;
    match answer.status {
        200..=299 => Ok(answer),
        status @ (401 | 403) => Err(Trouble::new(
            RefreshFailure::Denied,
            format!("{from}: answers {status}: the login is refused"),
        )),
        status @ 300..=399 => Err(Trouble::new(
            RefreshFailure::Status,
            format!(
                "{from}: answers {status}: redirects are not followed, give the address that it leads to"
            ),
        )),
        status => Err(Trouble::new(RefreshFailure::Status, format!("{from}: answers {status}"))),
    }
}

fn trouble(error: &FetchError) -> Trouble {
    let kind = if error.is_timeout() {
        RefreshFailure::Timeout
    } else if error.is_too_large() {
        RefreshFailure::Garbage
    } else {
        RefreshFailure::Unreachable
    };
    Trouble::new(kind, error.to_string())
}
