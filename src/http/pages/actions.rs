//! What a page may ask for: a visit, a sweep, that a shorter inventory is taken, that a sink is told its dead letters again.
//! Off unless `[web] actions` says otherwise. Each is a plain form with one button, which works without the script, and
//! carries a token that only a page of this process had for this user. Nothing is done here: it is asked for where the API
//! and `/-/` ask, and the daemon does it; only letters have a way of their own.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest as _, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tracing::info;

use super::frame::Refused;
use super::here::Here;
use super::marks::{mark, moment_or};
use crate::activity::{Progress, RequestStatus, Wanted};
use crate::clock::Timestamp;
use crate::config::Web;
use crate::device::DeviceId;
use crate::http::api::{self, Params};
use crate::http::entrance::Visitor;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::http::{Desk, origin};
use crate::observation::SweepId;

/// The keys of a page's address that tell what came of a button. They go with the next link.
pub(super) const OUTCOME: [&str; 2] = ["notice", "asked"];

/// The token in the forms of whoever asks for a page; none where they would be refused.
#[derive(Clone, Default)]
pub(super) struct Asker(Option<Arc<str>>);

impl FromRequestParts<Arc<Desk>> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Infallible> {
        let visitor = permitted(&desk.app.web.load(), parts.extensions.get(), &parts.headers);
        Ok(Self(visitor.ok().map(|visitor| desk.app.keeper.form_token(&visitor.user).into())))
    }
}

/// Whoever asks, where they may have forms.
fn permitted<'a>(
    web: &Web,
    visitor: Option<&'a Visitor>,
    headers: &HeaderMap,
) -> Result<&'a Visitor, Refusal> {
    match visitor {
        _ if !web.actions => Err(Refusal::UnknownPath),
        _ if !web.lifecycle => Err(Refusal::ReadOnly),
        Some(visitor) if origin::may_have_forms(visitor, headers) => Ok(visitor),
        _ => Err(Refusal::NoForms),
    }
}

/// A form that is one button, or nothing for whoever may not press it. `on` tells it from others of its words.
pub(super) fn button(asker: &Asker, fields: &[(&str, &str)], words: &str, on: &str) -> Markup {
    html! {
        @if let Some(token) = &asker.0 {
            form.act method="post" action="/actions" {
                input type="hidden" name="token" value=(token);
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                button aria-label={ (words) ": " (shown(on)) } { (words) }
            }
        }
    }
}

/// What came of a button, by the code of it in the address: a closed set, so that no link puts words on a page.
const NOTICES: [(&str, &str); 5] = [
    ("sweep", "The sweep is asked for."),
    ("running", "The sweep runs already."),
    ("taken", "The list is taken: it is the source's from now on."),
    ("replay", "The sink is told again, within half a minute."),
    ("nothing", "There was nothing to tell the sink again."),
];

/// The notice that the address names.
pub(super) fn notice(params: &Params) -> Result<Markup, Refusal> {
    let code = params.one("notice")?;
    let known = NOTICES.iter().find(|(name, _)| Some(*name) == code);
    Ok(html! { @if let Some((_, words)) = known { p.notice #notice role="status" { (words) } } })
}

/// How far the visit of this device has come that the address names.
pub(super) fn visit(desk: &Desk, params: &Params, device: &str, now: Timestamp) -> Result<Markup, Refusal> {
    let asked: Option<SweepId> = params.read("asked", "the id of a request")?;
    let status = asked.and_then(|id| desk.app.on_demand.status(id));
    let is_of_it =
        |status: &RequestStatus| matches!(&status.wanted, Wanted::Device(id) if id.as_str() == device);
    Ok(html! {
        @if let Some(status) = status.filter(is_of_it) {
            p.notice #notice role="status" data-live { (outcome(&status, device, now)) }
        }
    })
}

fn outcome(status: &RequestStatus, device: &str, now: Timestamp) -> Markup {
    let again = Here::device(device).with("asked", &status.id.to_string()).href();
    html! {
        @match status.progress {
            Progress::Queued | Progress::Running => {
                @if status.busy > 0 { (mark("▶", "run", "being visited")) ", asked for " }
                @else { (mark("…", "dim", "waits for its turn")) ", as every visit does. Asked for " }
                (moment_or(now, Some(status.asked), "")) ". " a href=(again) { "Look again" }
            }
            Progress::Done => {
                @match (status.answered, status.failed) {
                    (1.., _) => (mark("✓", "good", "visited: it answered")),
                    (_, 1..) => (mark("▲", "warn", "visited in vain: why stands below")),
                    _ => (mark("▲", "warn", "not visited: versweep was stopped, or the visit was broken off")),
                }
                ", " (moment_or(now, status.ended, "at an unknown time"))
            }
        }
    }
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Action {
    /// One device now.
    Visit { device: String },
    /// A sweep now.
    Sweep { sweep: String },
    /// The list of a source that waits, by the token of that list.
    Take { source: String, list: String },
    /// A sink's dead letters; or the event with this id, delivered or not.
    Replay { sink: String, id: Option<String> },
}

/// A form as it came. Not to be printed: the token stays out of logs.
#[derive(Deserialize)]
struct Sent {
    token: String,
    #[serde(flatten)]
    action: Action,
}

/// `POST /actions`: does it, and leads back to where it shows what came of it.
pub(super) async fn act(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response, Refused> {
    let web = desk.app.web.load_full();
    let visitor = permitted(&web, request.extensions().get(), request.headers())?.clone();
    if !origin::sent_by_our_page(&visitor, request.headers(), web.external_url.as_ref()) {
        return Err(Refusal::OtherOrigin.into());
    }
    let form: Result<Form<Sent>, FormRejection> = Form::from_request(request, &()).await;
    let Form(Sent { token, action }) = form.map_err(|bad| Refusal::BadBody(bad.body_text()))?;
    if !desk.app.keeper.knows_form(&visitor.user, &token) {
        return Err(Refusal::NoToken.into());
    }
    let what = shown(&format!("{action:?}"));
    // Before it is done: whoever asked may go away, and what is asked for is done all the same.
    // As a text it stands in quotes: a name of a certificate may look like further fields.
    info!(user = &*visitor.user, peer = %visitor.peer, "asked for on a page: {what}");
    let back = done(&desk, action).await?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, back.href())]).into_response())
}

async fn done(desk: &Desk, action: Action) -> Result<Here, Refusal> {
    match action {
        Action::Visit { device } => {
            let id = DeviceId::new(&device).map_err(|_| Refusal::UnknownDevice)?;
            let asked = api::asked_for(desk, Wanted::Device(id)).await?;
            Ok(Here::device(&device).with("asked", &asked.to_string()))
        }
        Action::Sweep { sweep } => {
            let code = match api::asked_for(desk, Wanted::Sweep(sweep)).await {
                Ok(_) => "sweep",
                Err(Refusal::Busy(_)) => "running",
                Err(refusal) => return Err(refusal),
            };
            Ok(Here::at("/sweeps").with("notice", code))
        }
        Action::Take { source, list } => {
            desk.app.confirmed(source, list).await?;
            Ok(Here::at("/sweeps").with("notice", "taken"))
        }
        Action::Replay { sink, id } => {
            let back = Here::at("/events").with("sink", &sink);
            let told = desk.app.replayed(sink, id).await?;
            Ok(back.with("notice", if told > 0 { "replay" } else { "nothing" }))
        }
    }
}
