//! What stands before all routes: who asks, below which prefix, with how large a body; and what every answer carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::lobby::{Busy, Seat};
use super::problem::Refusal;
use super::{App, guard};
use crate::config::Web;
use crate::web_config::{Check, WebConfig};

/// The largest request body, whether its length is told first or not.
pub(super) const BODY_MAX: usize = 64 * 1024;
/// A body comes within this; nothing that is asked for here has more than a few hundred bytes.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Attributes of pages that hold a link.
const LINKS: [&str; 5] = ["href", "src", "action", "formaction", "data-root"];

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// The other end of the connection.
    pub(super) peer: SocketAddr,
    /// Whether a password or a certificate has shown who it is.
    pub(super) is_known: bool,
    /// The name that the password is of; where none was asked for what the certificate calls it, empty without one.
    pub(super) user: Arc<str>,
}

/// The other end of a connection, as it was taken up.
pub(super) struct Caller {
    pub(super) peer: SocketAddr,
    /// What the certificate that it has shown calls it.
    pub(super) certificate: Option<Arc<str>>,
    /// By which rules it was taken up.
    pub(super) greeted: Arc<WebConfig>,
}

/// The way to all routes.
pub(super) struct Entrance {
    pub(super) app: App,
    routes: TowerToHyperService<Router>,
}

impl Entrance {
    pub(super) fn new(app: App, routes: Router) -> Self {
        Self { app, routes: TowerToHyperService::new(routes) }
    }

    /// Answers one request on a connection. Its seat gives way to others until the request has been let in, whole.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        seat: &Arc<Seat>,
    ) -> (Response, Busy) {
        let (config, web) = (self.app.keeper.now().await, self.app.web.load_full());
        let admitted = if config.greets_like(&caller.greeted) {
            self.admit(request, caller, &config, &web).await
        } else {
            Err(Refusal::OldConnection.answer(request.uri().path()))
        };
        let busy = seat.busy();
        let answer = match admitted {
            Ok(request) => {
                let Ok(answer) = self.routes.call(request).await;
                relinked(answer, web.link_prefix()).await
            }
            Err(refusal) => refusal,
        };
        let mut answer = guard(answer).await;
        for (name, value) in &config.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        (answer, busy)
    }

    /// The request as the routes see it, or why they don't.
    async fn admit(
        &self,
        mut request: Request<Incoming>,
        caller: &Caller,
        config: &WebConfig,
        web: &Web,
    ) -> Result<Request<Body>, Response> {
        let below = below(&web.route_prefix, request.uri());
        let path = match &below {
            Below::Inside(uri) => uri.path().to_owned(),
            Below::AtTheGate | Below::Outside => "/".to_owned(),
        };
        let authorization =
            request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let user = match self.app.keeper.check(config, authorization).await {
            Check::Admitted(Some(user)) => user.into(),
            Check::Admitted(None) => caller.certificate.clone().unwrap_or_default(),
            Check::Unknown => return Err(Refusal::NotKnown.answer(&path)),
            Check::Busy => return Err(Refusal::ManyLogins.answer(&path)),
        };
        match below {
            Below::Inside(uri) => *request.uri_mut() = uri,
            Below::AtTheGate => {
                let start = format!("{}/", web.link_prefix());
                return Err((StatusCode::FOUND, [(header::LOCATION, start)]).into_response());
            }
            Below::Outside => return Err(Refusal::UnknownPath.answer(&path)),
        }
        let visitor = Visitor { peer: caller.peer, is_known: config.knows_its_clients(), user };
        request.extensions_mut().insert(visitor);
        with_body(request).await
    }
}

/// The request with its body, which is small and does not keep anybody waiting.
async fn with_body(request: Request<Incoming>) -> Result<Request<Body>, Response> {
    let path = request.uri().path().to_owned();
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(head, Body::empty()));
    }
    let too_large = || Refusal::BodyTooLarge { max: BODY_MAX }.answer(&path);
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, Body::from(body.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::BadBody("the body broke off".to_owned()).answer(&path)),
        Err(_) => Err(Refusal::BodySlow.answer(&path)),
    }
}

/// Where a path lies, seen from a prefix.
#[derive(Debug, PartialEq, Eq)]
enum Below {
    /// Below it: what is left.
    Inside(Uri),
    /// At the prefix itself, or at the root of the server: the way in is shown.
    AtTheGate,
    /// Elsewhere.
    Outside,
}

fn below(prefix: &str, uri: &Uri) -> Below {
    if prefix.is_empty() {
        return Below::Inside(uri.clone());
    }
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if uri.path() == "/" || uri.path() == prefix {
        return Below::AtTheGate;
    }
    let rest = whole.strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
    rest.and_then(|rest| rest.parse().ok()).map_or(Below::Outside, Below::Inside)
}

/// The answer with its links below the prefix. In a page a quotation mark that is not written as an entity is one of the
/// page's own markup, so that nothing that a device says can look like a link here.
async fn relinked(answer: Response, prefix: &str) -> Response {
    if prefix.is_empty() {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    if let Some(location) = head.headers.get(header::LOCATION).and_then(|location| location.to_str().ok())
        && location.starts_with('/')
        && let Ok(location) = HeaderValue::from_str(&format!("{prefix}{location}"))
    {
        head.headers.insert(header::LOCATION, location);
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_page = kind.is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page || head.headers.contains_key(header::CONTENT_ENCODING) {
        return Response::from_parts(head, body);
    }
    // A page is made in memory, so that there is nothing to wait for and nothing to fail.
    let Ok(page) = body.collect().await else { return Refusal::Stopping.answer("/") };
    let mut page = String::from_utf8_lossy(&page.to_bytes()).into_owned();
    for name in LINKS {
        page = page.replace(&format!(" {name}=\"/"), &format!(" {name}=\"{prefix}/"));
    }
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_off_and_nothing_else_passes() {
        let seen = |path: &str| below("/vs", &path.parse().unwrap());
        for (path, rest) in [("/vs/", "/"), ("/vs/metrics?site=a", "/metrics?site=a"), ("/vs//x", "//x")] {
            assert_eq!(seen(path), Below::Inside(rest.parse().unwrap()), "{path}");
        }
        for path in ["/", "/vs", "/vs?q=1"] {
            assert_eq!(seen(path), Below::AtTheGate, "{path}");
        }
        for path in ["/metrics", "/vsx/metrics", "/VS/metrics"] {
            assert_eq!(seen(path), Below::Outside, "{path}");
        }
        assert_eq!(below("", &"/metrics".parse().unwrap()), Below::Inside("/metrics".parse().unwrap()));
    }

    #[tokio::test]
    async fn links_of_a_page_get_the_prefix_and_text_does_not() {
        let page = r#"<a href="/d"> href="/x"</a><form action="/?q=1"><input value="/y" data-href="/z">"#;
        let shown = page.replace(r#"> href="/x"<"#, "> href=&quot;/x&quot;<");
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::LOCATION, "/a")];
        let answer = relinked((kind, shown).into_response(), "/vs").await;
        assert_eq!(answer.headers()[header::LOCATION], "/vs/a");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let wanted = r#"<a href="/vs/d"> href=&quot;/x&quot;</a><form action="/vs/?q=1"><input value="/y" data-href="/z">"#;
        assert_eq!(std::str::from_utf8(&body).unwrap(), wanted);
    }
}
