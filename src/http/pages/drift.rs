//! `/drift`: who runs what a policy doesn't approve, and the odd ones out, whom no policy names.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{count, device, maybe, moment, result, share, text};
use super::table::{Column, Kind, Pages, Table};
use crate::http::Desk;
use crate::http::api::{Params, Query};
use crate::http::index::{Direction, Filter, Index, Odd, Sort, compare};
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::known::{DeviceState, PolicyInfo, PolicyResult, PolicyStanding};

/// Devices on a page.
const ROWS: usize = 50;
/// Models with odd ones that are shown, and odd ones of each that are named.
const MODELS: usize = 50;
const NAMED: usize = 8;

/// The results that somebody has to do something about.
const AMISS: [PolicyResult; 2] = [PolicyResult::Drifted, PolicyResult::Banned];

const FIELDS: [&str; 2] = ["policy", "result"];

/// A policy with how many devices have which result.
struct PolicyRow {
    policy: Arc<PolicyInfo>,
    counts: [usize; PolicyResult::ALL.len()],
}

impl PolicyRow {
    fn of(policy: &Arc<PolicyInfo>, index: &Index) -> Self {
        let counts = PolicyResult::ALL.map(|result| index.standing(&policy.name, result));
        Self { policy: Arc::clone(policy), counts }
    }

    fn count(&self, result: PolicyResult) -> usize {
        PolicyResult::ALL
            .iter()
            .zip(self.counts)
            .find(|(one, _)| **one == result)
            .map_or(0, |(_, count)| count)
    }

    fn all(&self) -> usize {
        self.counts.iter().sum()
    }

    fn good(&self) -> usize {
        self.count(PolicyResult::Preferred) + self.count(PolicyResult::Approved)
    }

    /// The count of a result, as the link to its devices.
    fn cell(&self, result: PolicyResult) -> Markup {
        let href =
            Here::at("/devices").with("policy", &self.policy.name).with("result", result.as_str()).href();
        match self.count(result) {
            0 => html! { span.dim { "0" } },
            devices => html! { a href=(href) { (count(devices)) } },
        }
    }
}

macro_rules! result_column {
    ($result:ident, $name:literal, $kind:ident) => {
        Column {
            key: $name,
            title: $name,
            kind: Kind::$kind,
            order: |a, b| a.count(PolicyResult::$result).cmp(&b.count(PolicyResult::$result)),
            cell: |row, _| row.cell(PolicyResult::$result),
        }
    };
}

const POLICIES: Table<PolicyRow> = Table {
    id: "policies",
    caption: "Policies",
    sort: "policies",
    key: |row| row.policy.name.clone(),
    columns: &[
        Column {
            key: "policy",
            title: "policy",
            kind: Kind::Text,
            order: |a, b| compare(&a.policy.name, &b.policy.name),
            cell: |row, _| {
                let href = Here::at("/drift").with("policy", &row.policy.name).href();
                html! { a href=(href) title=(shown(&row.policy.asks)) { (text(&row.policy.name)) } }
            },
        },
        result_column!(Drifted, "drifted", Number),
        result_column!(Banned, "banned", Number),
        result_column!(Preferred, "preferred", NumberAside),
        result_column!(Approved, "approved", NumberAside),
        result_column!(Unknown, "unknown", NumberAside),
        result_column!(Stale, "stale", NumberAside),
        Column {
            key: "share",
            title: "within",
            kind: Kind::Number,
            order: |a, b| (a.good() * b.all()).cmp(&(b.good() * a.all())),
            cell: |row, _| {
                let (good, all) = (row.good(), row.all());
                share(good, all, all, "good")
            },
        },
        Column {
            key: "asks",
            title: "asks for",
            kind: Kind::Aside,
            order: |a, b| a.policy.asks.cmp(&b.policy.asks),
            cell: |row, now| {
                html! {
                    (text(&row.policy.asks)) span.dim { ", since " (moment(now, row.policy.since)) }
                    @if let Some(until) = row.policy.grace_until { span.dim { ", grace until " (moment(now, until)) } }
                }
            },
        },
    ],
};

/// A device by a policy that it doesn't keep.
struct Amiss {
    state: Arc<DeviceState>,
    standing: PolicyStanding,
}

impl Amiss {
    fn version(&self) -> Option<&str> {
        self.state.known.facts.as_ref().map(|facts| facts.reading.facts.version.as_str())
    }
}

const AMISS_TABLE: Table<Amiss> = Table {
    id: "amiss",
    caption: "Devices that a policy doesn't approve",
    sort: "sort",
    key: |row| format!("{} {}", row.state.device.id, row.standing.policy.name),
    columns: &[
        Column {
            key: "device",
            title: "device",
            kind: Kind::Text,
            order: |a, b| compare(a.state.device.id.as_str(), b.state.device.id.as_str()),
            cell: |row, _| device(row.state.device.id.as_str()),
        },
        Column {
            key: "result",
            title: "result",
            kind: Kind::Text,
            order: |a, b| a.standing.verdict.result.cmp(&b.standing.verdict.result),
            cell: |row, _| result(row.standing.verdict.result),
        },
        Column {
            key: "version",
            title: "version",
            kind: Kind::Text,
            order: |a, b| compare(a.version().unwrap_or(""), b.version().unwrap_or("")),
            cell: |row, _| maybe(row.version()),
        },
        Column {
            key: "policy",
            title: "policy",
            kind: Kind::Aside,
            order: |a, b| compare(&a.standing.policy.name, &b.standing.policy.name),
            cell: |row, _| text(&row.standing.policy.name),
        },
        Column {
            key: "why",
            title: "why",
            kind: Kind::Aside,
            order: |a, b| a.standing.verdict.why.cmp(&b.standing.verdict.why),
            cell: |row, _| {
                let grace = row.standing.complies == Some(true);
                html! { (text(&row.standing.verdict.why)) @if grace { span.dim { ", within its grace" } } }
            },
        },
    ],
};

/// A model with odd ones, and the names of some of them.
struct OddRow {
    platform: Arc<str>,
    model: Arc<str>,
    version: Arc<str>,
    devices: usize,
    odd: usize,
    named: Vec<(String, String)>,
}

impl OddRow {
    fn of(odd: &Odd, index: &Index) -> Self {
        let named = odd.places.iter().take(NAMED).map(|&place| {
            let state = &index.snapshot.devices[place as usize];
            let runs = state.known.facts.as_ref().map(|facts| facts.reading.facts.version.as_str());
            (state.device.id.to_string(), shown(runs.unwrap_or("")))
        });
        Self {
            platform: Arc::clone(&odd.platform),
            model: Arc::clone(&odd.model),
            version: Arc::clone(&odd.version),
            devices: odd.devices,
            odd: odd.places.len(),
            named: named.collect(),
        }
    }

    fn alike(&self) -> Here {
        Here::at("/devices").with("platform", &self.platform).with("model", &self.model)
    }
}

const ODD: Table<OddRow> = Table {
    id: "odd",
    caption: "Odd ones out",
    sort: "odd",
    key: |row| format!("{} {}", row.platform, row.model),
    columns: &[
        Column {
            key: "model",
            title: "model",
            kind: Kind::Text,
            order: |a, b| compare(&a.model, &b.model),
            cell: |row, _| html! { a href=(row.alike().with("sort", "version").href()) { (text(&row.model)) } },
        },
        Column {
            key: "platform",
            title: "platform",
            kind: Kind::Aside,
            order: |a, b| compare(&a.platform, &b.platform),
            cell: |row, _| text(&row.platform),
        },
        Column {
            key: "version",
            title: "most run",
            kind: Kind::Text,
            order: |a, b| compare(&a.version, &b.version),
            cell: |row, _| html! { a href=(row.alike().with("version", &row.version).href()) { (text(&row.version)) } },
        },
        Column {
            key: "odd",
            title: "odd",
            kind: Kind::Number,
            order: |a, b| a.odd.cmp(&b.odd),
            cell: |row, _| html! { (count(row.odd)) " of " (count(row.devices)) },
        },
        Column {
            key: "who",
            title: "who, and what they run",
            kind: Kind::Text,
            order: |a, b| a.named.cmp(&b.named),
            cell: |row, _| {
                html! {
                    ul.inline {
                        @for (name, version) in &row.named { li { (device(name)) " " (version) } }
                        @if row.odd > row.named.len() {
                            li { a href=(row.alike().with("sort", "version").href()) { "and " (count(row.odd - row.named.len())) " more" } }
                        }
                    }
                }
            },
        },
    ],
};

/// The policies, the devices that don't keep them, and the odd ones out.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?.without_empty(&FIELDS);
    let here = Here::new("/drift", &query);
    let params = Params::known(query, &["policy", "result", "policies", "sort", "odd", "page"])?;
    let filter = Filter {
        policy: params.all("policy"),
        result: match params.among("result", &PolicyResult::ALL.map(PolicyResult::as_str))? {
            none if none.is_empty() => AMISS.map(|result| result.as_str().to_owned()).to_vec(),
            some => some,
        },
        ..Filter::default()
    };
    let frame = Frame::new(&desk, "Drift", Tab::Drift, 5).await?;
    let index = desk.indexes.now().await?;
    let mut policies: Vec<PolicyRow> =
        index.snapshot.policies.iter().map(|policy| PolicyRow::of(policy, &index)).collect();
    POLICIES.sort(&mut policies, &here)?;
    let mut amiss = amiss(&index, &filter);
    AMISS_TABLE.sort(&mut amiss, &here)?;
    let pages = Pages::read(&params, ROWS, amiss.len())?;
    let mut odd: Vec<OddRow> = index.odd().iter().take(MODELS).map(|odd| OddRow::of(odd, &index)).collect();
    ODD.sort(&mut odd, &here)?;
    let names = index.snapshot.policies.iter().map(|policy| policy.name.as_str());
    let inside = html! {
        (form::choice(&here, "policy", "policy", names))
        (form::choice(&here, "result", "result", PolicyResult::ALL.map(PolicyResult::as_str)))
    };
    let main = html! {
        h1 { "Drift" }
        section { h2 { "Policies" }
            @if policies.is_empty() { p.note { "No policy is configured: docs/policy.md shows how to write one. Below is who differs without any." } }
            @else { (POLICIES.draw(&policies, &here, frame.now)) }
        }
        @if !policies.is_empty() {
            section { h2 { "Devices" }
                (form::form(&here, "/drift", &FIELDS, &inside))
                (form::chosen(&here.without(&["policies", "odd"])))
                (pages.draw("pages", &here, "devices by policy"))
                @if amiss.is_empty() { p.note { "None." } } @else { (AMISS_TABLE.draw(&amiss[pages.range()], &here, frame.now)) }
            }
        }
        section { h2 { "Odd ones out" }
            p.note { "Models of which more than half run one version, and who doesn't." }
            @if odd.is_empty() { p.note { "None: all devices of a model run the same, or no version is usual among them." } }
            @else { (ODD.draw(&odd, &here, frame.now)) }
            @if index.odd().len() > MODELS { p.note { "and " (index.odd().len() - MODELS) " more models" } }
        }
    };
    Ok(frame.around(&main))
}

/// The devices with one of these results, each by each policy that says so, in the order of their names.
fn amiss(index: &Index, filter: &Filter) -> Vec<Amiss> {
    let chosen = index.choose(filter);
    let places =
        index.places_behind(Sort::Name, Direction::Ascending, None).filter(|&place| chosen.has(place));
    let mut rows = Vec::new();
    for place in places {
        let state = &index.snapshot.devices[place];
        let asked = state.known.standings.iter().filter(|standing| {
            (filter.policy.is_empty() || filter.policy.contains(&standing.policy.name))
                && filter.result.iter().any(|result| result == standing.verdict.result.as_str())
        });
        rows.extend(asked.map(|standing| Amiss { state: Arc::clone(state), standing: standing.clone() }));
    }
    rows
}
