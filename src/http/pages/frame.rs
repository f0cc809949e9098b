//! What stands around every page: the way to the others, the search, how old the data is, and the headers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::live::Seen;
use super::marks::{many, moment};
use crate::clock::Timestamp;
use crate::http::problem::Refusal;
use crate::http::{Desk, Readiness};
use crate::metrics::BuildInfo;

/// What a page may do: show itself, by its own style sheet and its own script, and ask this daemon. Nothing inline.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Fleet,
    Devices,
    Changes,
    Sweeps,
    Drift,
    Events,
}

impl Tab {
    const ALL: [Self; 6] =
        [Self::Fleet, Self::Devices, Self::Changes, Self::Sweeps, Self::Drift, Self::Events];

    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Fleet => ("/", "Fleet"),
            Self::Devices => ("/devices", "Devices"),
            Self::Changes => ("/changes", "Changes"),
            Self::Sweeps => ("/sweeps", "Sweeps"),
            Self::Drift => ("/drift", "Drift"),
            Self::Events => ("/events", "Events"),
        }
    }
}

/// One page.
pub(super) struct Frame {
    /// What it is about.
    pub(super) title: String,
    /// Where in the navigation it is.
    pub(super) tab: Tab,
    /// How often, in seconds, it may draw itself anew while something happens.
    pub(super) every: u32,
    /// The instant that it shows.
    pub(super) now: Timestamp,
    fresh: Fresh,
    seen: String,
}

/// How fresh the data is.
struct Fresh {
    newest: Option<Timestamp>,
    devices: usize,
    stopping: bool,
}

impl Frame {
    /// A page about the fleet as it is now: what it shows is to be read after this, so that nothing that comes meanwhile is
    /// missed.
    pub(super) async fn new(
        desk: &Desk,
        title: impl Into<String>,
        tab: Tab,
        every: u32,
    ) -> Result<Self, Refusal> {
        let seen = Seen::now(desk).word();
        let index = desk.indexes.now().await?;
        let stopping = *desk.app.readiness.borrow() == Readiness::Stopping;
        let fresh = Fresh { newest: index.newest_visit(), devices: index.len(), stopping };
        Ok(Self { title: title.into(), tab, every, now: desk.app.clock.now(), fresh, seen })
    }

    /// The page with its content.
    pub(super) fn around(&self, main: &Markup) -> Response {
        let status = html! {
            p.age #age data-live {
                @match self.fresh.newest {
                    Some(newest) => { "newest visit " (moment(self.now, newest)) }
                    None => { "no visit yet" }
                }
                ", " (many(self.fresh.devices, "devices")) ", page drawn " (moment(self.now, self.now))
                @if self.fresh.stopping { " " strong.warn { "▲ versweep is stopping" } }
            }
        };
        let now = self.now.timestamp_millis();
        let body = html! { body data-every=(self.every) data-now=(now) data-seen=(self.seen) { (top(Some(self.tab), &status)) (content(main)) (foot()) } };
        answer(StatusCode::OK, &self.title, &body)
    }
}

/// A refusal as a page: what is wrong, and the way back.
pub(super) struct Refused(pub(super) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let title = self.0.title();
        let main = html! {
            h1 { (title) }
            p { (crate::http::view::shown(&self.0.to_string())) "." }
            p { a href="/" { "The fleet" } " · " a href="/devices" { "All devices" } }
        };
        let body = html! { body { (top(None, &html! {})) (content(&main)) (foot()) } };
        self.0.with_headers(answer(self.0.status(), title, &body))
    }
}

fn answer(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        // Behind a prefix the script finds the way from here.
        html lang="en" data-root="/" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · versweep" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
            }
            (body)
        }
    };
    let mut response = (status, page.into_string()).into_response();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-store"),
        // For our own forms: see `sent_by_our_page`. Nobody else is told an address.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn top(tab: Option<Tab>, status: &Markup) -> Markup {
    html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            a.brand href="/" { img src="/icon.svg" alt="" width="18" height="18"; "versweep" }
            nav aria-label="Pages" {
                @for one in Tab::ALL {
                    @let (href, name) = one.place();
                    @if tab == Some(one) { a href=(href) aria-current="page" { (name) } }
                    @else { a href=(href) { (name) } }
                }
            }
            form.search action="/devices" role="search" {
                input #search type="search" name="q" aria-label="Search devices" aria-keyshortcuts="/"
                    placeholder="search devices ( / )" autocomplete="off" spellcheck="false";
                button { "Search" }
            }
        }
        section.status aria-label="How fresh this is" {
            (status)
            button #pause type="button" hidden aria-pressed="false" { "Pause" }
            p.gone #gone role="status" hidden {}
        }
    }
}

fn content(main: &Markup) -> Markup {
    html! { main #main tabindex="-1" { (main) } }
}

fn foot() -> Markup {
    let build = BuildInfo::default();
    html! {
        footer {
            "versweep " (build.version) " · "
            a href="/metrics" { "metrics" } " · "
            a href="/api/v1/devices" { "devices as JSON" } " · "
            a href="/api/v1/openapi.json" { "API" }
        }
    }
}
