//! `/devices`: the devices that are chosen, in any order, page by page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{device, maybe, moment, moment_or, none, result, state, text, words};
use super::table::{Kind, Pages, framed, heading};
use crate::clock::Timestamp;
use crate::failure::FailureKind;
use crate::http::Desk;
use crate::http::api::{FILTER, Params, Query, filter, sort};
use crate::http::index::{Filter, Sort};
use crate::http::problem::Refusal;
use crate::http::view::{platform, shown};
use crate::known::{DeviceState, PolicyResult, Reach};

/// Rows on a page.
const ROWS: usize = 100;

const COLUMNS: [(Sort, &str, Kind); 9] = [
    (Sort::Name, "device", Kind::Text),
    (Sort::State, "state", Kind::Text),
    (Sort::Version, "version", Kind::Text),
    (Sort::Platform, "platform", Kind::Aside),
    (Sort::Model, "model", Kind::Aside),
    (Sort::LastSuccess, "answered", Kind::NumberAside),
    (Sort::LastVersionChange, "changed", Kind::NumberAside),
    (Sort::Failures, "failed", Kind::NumberAside),
    (Sort::Failure, "last failure", Kind::Aside),
];

/// The devices that the query chooses.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?.without_empty(&form::FIELDS);
    let here = Here::new("/devices", &query);
    let params = Params::known(query, &[&FILTER[..], &["sort", "page"]].concat())?;
    let filter = filter(&params)?;
    let (sort, direction) = sort(params.one("sort")?)?;
    let frame = Frame::new(&desk, "Devices", Tab::Devices, 5).await?;
    let index = desk.indexes.now().await?;
    let chosen = index.choose(&filter);
    let pages = Pages::read(&params, ROWS, chosen.count())?;
    let range = pages.range();
    let places = index.places_behind(sort, direction, None).filter(|&place| chosen.has(place));
    let states = places.skip(range.start).take(range.len()).map(|place| &index.snapshot.devices[place]);
    let judged = !(filter.policy.is_empty() && filter.result.is_empty());
    let head = html! {
        @for (sort, title, kind) in COLUMNS {
            (heading(&here, "sort", sort.as_str(), title, kind, Some(Sort::Name.as_str())))
        }
        @if judged { th scope="col" { "policy" } }
    };
    let body = html! { @for state in states { (row(state, judged.then_some(&filter), frame.now)) } };
    let inside = html! {
        (form::search(&here, "q", "search", "name, version, model …"))
        (form::choice(&here, "state", "state", Reach::ALL.map(Reach::as_str)))
        (form::platforms(&here, &index))
        (form::choice(&here, "failure", "failure", FailureKind::ALL.map(FailureKind::as_str)))
        (form::choice(&here, "result", "policy", PolicyResult::ALL.map(PolicyResult::as_str)))
        (form::search(&here, "label", "label", "site=ams"))
    };
    let main = html! {
        h1 { "Devices" }
        (form::form(&here, "/devices", &form::FIELDS, &inside))
        (form::chosen(&here))
        (pages.draw("pages", &here, "devices"))
        @if index.len() == 0 { p.note { "The inventory has no device." } }
        @else if chosen.count() == 0 { p.note { "No device is like that. " a href="/devices" { "All devices" } } }
        @else { (framed("devices", "Devices", &head, &body)) }
        @if pages.range().len() > 20 { (pages.draw("pages-below", &here, "devices, again")) }
    };
    Ok(frame.around(&main))
}

fn row(of: &DeviceState, judged: Option<&Filter>, now: Timestamp) -> Markup {
    let known = &of.known;
    let facts = known.facts.as_ref();
    let failure = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
    let name = of.device.id.as_str();
    html! {
        tr data-key=(shown(name)) {
            td { (device(name)) }
            td { (state(known.reach())) }
            td { (maybe(facts.map(|facts| facts.reading.facts.version.as_str()))) }
            td.aside { (text(platform(of))) }
            td.aside { (maybe(facts.and_then(|facts| facts.reading.facts.model.as_deref()))) }
            td.number.aside { (moment_or(now, facts.map(|facts| facts.seen_at), "never")) }
            td.number.aside {
                @match known.last_version_change { Some(at) => (moment(now, at)), None => (none()) }
            }
            td.number.aside { @match known.consecutive_failures { 0 => (none()), times => { (times) "×" } } }
            td.aside {
                @match failure {
                    Some(failure) => span title=(shown(&failure.detail)) { (words(failure.kind.as_str())) },
                    None => (none()),
                }
            }
            @if let Some(filter) = judged { td { (standings(of, filter)) } }
        }
    }
}

/// What the policies that are asked about say.
fn standings(of: &DeviceState, filter: &Filter) -> Markup {
    let among = |texts: &[String], text: &str| texts.is_empty() || texts.iter().any(|one| one == text);
    let asked = of.known.standings.iter().filter(|standing| {
        among(&filter.policy, &standing.policy.name)
            && among(&filter.result, standing.verdict.result.as_str())
    });
    html! {
        @for standing in asked {
            div { (result(standing.verdict.result)) " " (text(&standing.policy.name)) ": " (text(&standing.verdict.why)) }
        }
    }
}
