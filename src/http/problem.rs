//! Every reason for which a request is refused: one type, each with its status and a URI that stays. Under `/api` an
//! answer is `application/problem+json` (RFC 9457), elsewhere a line of text.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What stands before the name of a refusal in its `type`. These URIs name, they are not to be fetched.
const TYPES: &str = "urn:versweep:problem:";

/// How long a client is asked to wait where waiting helps, in seconds.
const RETRY_AFTER: &str = "5";

/// Why a request is refused. The text of each is its `detail`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A query that can't be read, or asks for what there is not.
    #[error("{0}")]
    BadQuery(String),
    /// A cursor that this query did not give: a page that it doesn't have.
    #[error("this cursor is not one that the same filter and sort gave; begin again without it")]
    UnknownCursor,
    /// A body that can't be read, or asks for what there is not.
    #[error("{0}")]
    BadBody(String),
    /// A body of another type than JSON.
    #[error("the body is to be JSON, with Content-Type: application/json")]
    NotJson,
    /// A body over the limit, whether it says so first or not.
    #[error("a request's body has at most {max} bytes")]
    BodyTooLarge {
        /// The limit.
        max: usize,
    },
    /// Something that changes state, asked for from elsewhere.
    #[error("only this host itself may ask for that: use curl on it, without a browser or a proxy")]
    NotFromHere,
    /// Something that changes state, asked for by another site's page.
    #[error("the browser says that another site's page asks for that")]
    OtherOrigin,
    /// A form of a page, sent from where nobody gets one.
    #[error(
        "buttons are for those who have shown a password or a certificate, and for a browser on this host that calls it \
         localhost or by a loopback address"
    )]
    NoForms,
    /// A form without the token that this process gave to this user.
    #[error(
        "this form is not one that versweep gave you since it was started: go back, load that page again, and try again"
    )]
    NoToken,
    /// A list of the inventory that can't be taken.
    #[error("{0}")]
    NotTaken(String),
    /// Something that changes state, where nothing may be changed over HTTP.
    #[error("nothing can be changed over HTTP here: [web] enable_lifecycle = false")]
    ReadOnly,
    /// Nobody that may come in.
    #[error("name and password, please: [web] web_config lists who may come in")]
    NotKnown,
    /// So many are showing who they are that this one can't be checked now.
    #[error("too many logins are being checked")]
    ManyLogins,
    /// A connection from before the web configuration asked for TLS or for other certificates.
    #[error("the web configuration has changed since this connection was opened: open another one")]
    OldConnection,
    /// A body that does not come.
    #[error("the body did not come within 10 seconds")]
    BodySlow,
    /// A device that the inventory doesn't have.
    #[error("the inventory has no device of this name")]
    UnknownDevice,
    /// A sweep that the configuration doesn't have.
    #[error("no such sweep; there are: {there_are}")]
    UnknownSweep {
        /// The names of those that there are.
        there_are: String,
    },
    /// A run that the store doesn't have.
    #[error("the store has no run of this id, or no longer")]
    UnknownRun,
    /// A change that the store doesn't have. Only pages ask for one.
    #[error("the store has no change of this number, or no longer")]
    UnknownChange,
    /// A request for visits that never was, or was done long ago.
    #[error("there is no request of this id, or no longer")]
    UnknownRequest,
    /// A path at which nothing is.
    #[error("nothing is served here; / links to what is")]
    UnknownPath,
    /// A path that is served, by another method.
    #[error("this path takes another method")]
    WrongMethod,
    /// The sweep runs, or is asked for already.
    #[error("{0}")]
    Busy(String),
    /// A selection that chooses no device.
    #[error("no device of the inventory matches")]
    NothingSelected,
    /// As many requests for visits as are taken are open.
    #[error("{max} requests are open, ask again when one of them is done")]
    TooManyRequests {
        /// The limit.
        max: usize,
    },
    /// The daemon takes nothing any more.
    #[error("versweep is stopping")]
    Stopping,
    /// The state is not loaded yet.
    #[error("versweep is loading its state")]
    Loading,
    /// As many streams as are served are open.
    #[error("{max} event streams are open, no more are served at once")]
    TooManyStreams {
        /// The limit.
        max: usize,
    },
    /// The store could not be read; the log says why.
    #[error("the store can't be read now; the log says why")]
    Store,
}

impl Refusal {
    /// The status, the last part of the `type`, and the title: the same for every refusal of a kind, for good.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadQuery(_) => (StatusCode::BAD_REQUEST, "bad-query", "The query can't be answered"),
            Self::UnknownCursor => (StatusCode::NOT_FOUND, "unknown-cursor", "No such page"),
            Self::BadBody(_) => (StatusCode::BAD_REQUEST, "bad-body", "The body can't be read"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body is not JSON"),
            Self::BodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            }
            Self::NotFromHere => (StatusCode::FORBIDDEN, "not-from-here", "Only this host may do that"),
            Self::OtherOrigin => {
                (StatusCode::FORBIDDEN, "other-origin", "Another site's page may not do that")
            }
            Self::NoForms => (StatusCode::FORBIDDEN, "no-forms", "No buttons from there"),
            Self::NoToken => (StatusCode::FORBIDDEN, "no-token", "This form is out of date"),
            Self::NotTaken(_) => (StatusCode::CONFLICT, "not-taken", "The list was not taken"),
            Self::ReadOnly => (StatusCode::FORBIDDEN, "read-only", "Nothing can be changed over HTTP"),
            Self::NotKnown => (StatusCode::UNAUTHORIZED, "not-known", "Who is asking?"),
            Self::ManyLogins => (StatusCode::SERVICE_UNAVAILABLE, "many-logins", "Too many logins at once"),
            Self::OldConnection => {
                (StatusCode::MISDIRECTED_REQUEST, "old-connection", "This connection is not served any more")
            }
            Self::BodySlow => (StatusCode::REQUEST_TIMEOUT, "body-slow", "The body did not come"),
            Self::UnknownDevice => (StatusCode::NOT_FOUND, "unknown-device", "No such device"),
            Self::UnknownSweep { .. } => (StatusCode::NOT_FOUND, "unknown-sweep", "No such sweep"),
            Self::UnknownRun => (StatusCode::NOT_FOUND, "unknown-run", "No such run"),
            Self::UnknownChange => (StatusCode::NOT_FOUND, "unknown-change", "No such change"),
            Self::UnknownRequest => (StatusCode::NOT_FOUND, "unknown-request", "No such request"),
            Self::NothingSelected => (StatusCode::NOT_FOUND, "nothing-selected", "No device matches"),
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests for visits")
            }
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "versweep is stopping"),
            Self::UnknownPath => (StatusCode::NOT_FOUND, "unknown-path", "Nothing is served here"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Another method is needed"),
            Self::Busy(_) => (StatusCode::CONFLICT, "busy", "It is under way already"),
            Self::Loading => (StatusCode::SERVICE_UNAVAILABLE, "loading", "versweep is starting"),
            Self::TooManyStreams { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many event streams")
            }
            Self::Store => (StatusCode::SERVICE_UNAVAILABLE, "store", "The store can't be read"),
        }
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// What happened, for people.
    pub(super) fn title(&self) -> &'static str {
        self.kind().2
    }

    /// The answer to a request for that path.
    pub(super) fn answer(&self, path: &str) -> Response {
        match path.starts_with("/api/") || path == "/api" {
            true => self.problem(),
            false => self.with_headers((self.kind().0, format!("{self}\n")).into_response()),
        }
    }

    fn problem(&self) -> Response {
        let (status, name, title) = self.kind();
        let problem = Problem {
            kind: format!("{TYPES}{name}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
        };
        let mut response = (status, Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.with_headers(response)
    }

    /// The answer with what every refusal of its kind says beside it.
    pub(super) fn with_headers(&self, mut response: Response) -> Response {
        if matches!(self.kind().0, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if matches!(self, Self::OldConnection) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.kind().0 == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"versweep\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Handlers of the API refuse by `?`; whatever else refuses takes [`Refusal::answer`].
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.problem()
    }
}

#[derive(Debug, Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_name_of_its_own() {
        let all = [
            Refusal::BadQuery(String::new()),
            Refusal::UnknownCursor,
            Refusal::BadBody(String::new()),
            Refusal::NotJson,
            Refusal::BodyTooLarge { max: 1 },
            Refusal::NotFromHere,
            Refusal::OtherOrigin,
            Refusal::NoForms,
            Refusal::NoToken,
            Refusal::NotTaken(String::new()),
            Refusal::ReadOnly,
            Refusal::NotKnown,
            Refusal::BodySlow,
            Refusal::UnknownDevice,
            Refusal::UnknownSweep { there_are: String::new() },
            Refusal::UnknownRun,
            Refusal::UnknownChange,
            Refusal::UnknownRequest,
            Refusal::NothingSelected,
            Refusal::TooManyRequests { max: 1 },
            Refusal::Stopping,
            Refusal::UnknownPath,
            Refusal::WrongMethod,
            Refusal::Busy(String::new()),
            Refusal::Loading,
            Refusal::TooManyStreams { max: 1 },
            Refusal::Store,
        ];
        let names: std::collections::BTreeSet<_> = all.iter().map(|refusal| refusal.kind().1).collect();
        assert_eq!(names.len(), all.len());
        let documented = include_str!("../../docs/api.md");
        for name in names {
            assert!(documented.contains(&format!("`{name}`")), "docs/api.md doesn't tell of {name}");
        }
    }
}
