//! `/devices/{device}`: all that is known of one device.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::actions::{self, Asker, OUTCOME};
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{many, mark, maybe, moment, moment_or, result, state, text, words};
use super::table::{Column, Kind, Table};
use super::{advice, past, said};
use crate::clock::Timestamp;
use crate::device::{Device, HostKeyPolicy, Route, SshAlgorithms};
use crate::duration::HumanDuration;
use crate::facts::{Member, More, Reading};
use crate::failure::Failure;
use crate::http::Desk;
use crate::http::api::{Name, Params, Query};
use crate::http::index::{Direction, compare};
use crate::http::kept::Kept;
use crate::http::problem::Refusal;
use crate::http::view::{platform, shown};
use crate::known::{DeviceState, Known, KnownFacts, PolicyStanding};
use crate::observation::SshSession;
use crate::platform::Platforms;
use crate::store::{ChangeSort, StoredRaw, Turn};

/// The latest changes that are shown; `/changes` has the rest.
const CHANGES_SHOWN: usize = 25;

/// All that is known of a device of the inventory.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    asker: Asker,
    name: Result<Name, Refusal>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let Name(name) = name?;
    let query = query?;
    let here = Here::new(Here::device(&name).href(), &query).without(&OUTCOME);
    let params = Params::known(query, &["members", "policies", "changes", "asked"])?;
    let frame = Frame::new(&desk, shown(&name), Tab::Devices, 5).await?;
    let snapshot = desk.app.snapshot.load_full();
    let of = snapshot.device(&name).ok_or(Refusal::UnknownDevice)?;
    let (sort, direction) =
        past::CHANGES.order(&here)?.unwrap_or((ChangeSort::Number, Direction::Descending));
    let turn = Turn { sort, direction, behind: None };
    let kept = Kept::read(&desk.readers, of, turn, CHANGES_SHOWN).await?;
    let more = of.known.facts.as_ref().and_then(|facts| facts.reading.facts.more.as_deref());
    let main = html! {
        h1 #name data-live { (shown(&name)) " " (state(of.known.reach())) }
        (actions::button(&asker, &[("do", "visit"), ("device", &name)], "Visit now", &name))
        (actions::visit(&desk, &params, &name, frame.now)?)
        @if let Some(failure) = of.known.visit.as_ref().and_then(|visit| visit.failure.as_ref()) {
            (failed_visit(of, failure, kept.failure.as_ref(), frame.now))
        }
        div.halves {
            section { h2 { "What it runs" } (facts(of, &(desk.app.platforms)(), frame.now)) }
            section { h2 { "How it is reached" } (reached(&of.device, of.known.ssh.as_deref())) }
        }
        @if let Some(more) = more { (parts(more, &here, frame.now)?) }
        div.halves {
            section { h2 { "Versions" } (past::timeline(&kept.history, frame.now)) }
            (policies(&of.known, &here, frame.now)?)
        }
        section { h2 { "Changes" } (past::changes(&kept.changes, &here, &name, frame.now)) }
        p.note {
            "The same as " a href={ "/api/v1" (Here::device(&name).href()) } { "JSON" } ", or on the host: "
            code { "versweep probe " (shown(&name)) } ", " code { "versweep history " (shown(&name)) } "."
        }
    };
    Ok(frame.around(&main))
}

/// The last visit that failed, and what to do.
fn failed_visit(of: &DeviceState, failure: &Failure, raw: Option<&StoredRaw>, now: Timestamp) -> Markup {
    let advice = advice::on(failure.kind);
    let times = of.known.consecutive_failures;
    let at = of.known.visit.as_ref().map(|visit| visit.at);
    html! {
        section.failure #failure data-live aria-labelledby="failure-title" {
            h2 #failure-title {
                (mark("▲", "warn", &format!("Last visit failed: {}, in stage {}", words(failure.kind.as_str()), failure.stage)))
            }
            p { (moment_or(now, at, "never")) ", " (many(times as usize, "times")) " in a row. " (advice.means) }
            p.detail { code { (shown(&failure.detail)) } }
            ul { @for step in advice.steps { li { (step) } } }
            p.note { "Runbook: " code { "docs/runbooks/" (advice.runbook) ".md" }
                @if of.known.facts.is_some() { ". What is shown below is what it last answered" } "." }
            @if let Some(raw) = raw {
                details #failure-said { summary { "What it had said" } (said::whole("failure-output", raw)) }
            }
        }
    }
}

fn facts(of: &DeviceState, platforms: &Platforms, now: Timestamp) -> Markup {
    let Some(known) = &of.known.facts else {
        return html! {
            dl.facts #facts data-live {
                div { dt { "version" } dd { span.dim { "never read" } } }
                div { dt { "platform" } dd { (text(platform(of))) } }
                (labels(&of.device))
            }
        };
    };
    let facts = &known.reading.facts;
    let same = Here::at("/devices")
        .with("platform", &shown(known.reading.platform.as_str()))
        .with("version", &shown(facts.version.as_str()));
    html! {
        dl.facts #facts data-live {
            div { dt { "version" } dd { strong { (text(facts.version.as_str())) } " · " a href=(same.href()) { "who else" } } }
            div { dt { "platform" } dd { (text(known.reading.platform.as_str())) } }
            div { dt { "model" } dd { (maybe(facts.model.as_deref())) } }
            div { dt { "serial" } dd { (maybe(facts.serial.as_deref())) } }
            div { dt { "host name" } dd { (maybe(facts.hostname.as_deref())) } }
            div { dt { "image" } dd { (maybe(facts.image.as_deref())) } }
            (times(of, known, now))
            (read_by(&known.reading, platforms))
            (labels(&of.device))
        }
    }
}

fn times(of: &DeviceState, known: &KnownFacts, now: Timestamp) -> Markup {
    let took = of.known.visit.as_ref().map(|visit| visit.took);
    html! {
        div { dt { "answered" } dd { (moment(now, known.seen_at))
            @if let Some(took) = took { span.dim { ", last visit took " (took.as_millis()) " ms" } } } }
        div { dt { "this version since" } dd { (moment(now, known.version_since)) } }
        div { dt { "version changes" } dd { (of.known.version_changes)
            @if let Some(at) = of.known.last_version_change { ", the last " (moment(now, at)) } } }
        div { dt { "booted" } dd { (moment_or(now, known.boot_time, "not told")) } }
    }
}

fn read_by(reading: &Reading, platforms: &Platforms) -> Markup {
    let profile = platforms.get(&reading.platform);
    let version = &reading.facts.version;
    html! {
        @if let Some(profile) = profile {
            @if let Some(cpe) = profile.cpe_of(version) { div { dt { "CPE" } dd { code { (shown(&cpe)) } } } }
            div { dt { "purl" } dd { code { (shown(&profile.purl_of(version))) } } }
        }
        div { dt { "read by" } dd { "revision " (reading.revision) ", pattern " (text(&reading.pattern)) } }
    }
}

fn labels(device: &Device) -> Markup {
    html! {
        @for (name, value) in device.labels.iter() {
            @let alike = Here::at("/devices").with("label", &format!("{name}={value}"));
            // A longer one would be no address that anybody takes.
            @let is_short = name.len() + value.len() < 512;
            div { dt { (text(name)) } dd { @if is_short { a href=(alike.href()) { (text(value)) } } @else { (text(value)) } } }
        }
    }
}

fn reached(device: &Device, ssh: Option<&SshSession>) -> Markup {
    let timeouts = &device.timeouts;
    let limits = [timeouts.visit, timeouts.connect, timeouts.login, timeouts.command];
    let [visit, connect, login, command] = limits.map(|limit| HumanDuration(limit).to_string());
    let host_keys = match device.host_keys {
        HostKeyPolicy::Strict => "strict: only known keys",
        HostKeyPolicy::Learn => "learn: the first key is kept",
        HostKeyPolicy::Off => "off: any key is taken",
    };
    html! {
        dl.facts #reached data-live {
            div { dt { "address" } dd { (text(&device.endpoint.to_string())) } }
            @if let Route::Via(hosts) = &device.route {
                div { dt { "by way of" } dd { @for host in hosts { (text(&host.name)) " → " } "the device" } }
            }
            div { dt { "credential" } dd { (text(device.credential.as_str())) } }
            div { dt { "host keys" } dd {
                @match device.host_keys {
                    HostKeyPolicy::Off => (mark("▲", "warn", host_keys)),
                    _ => (host_keys),
                }
            } }
            div { dt { "limits" } dd { "visit " (visit) ", connect " (connect) ", login " (login) ", command " (command) } }
            div { dt { "legacy SSH" } dd {
                @if device.algorithms == SshAlgorithms::Legacy { (mark("▲", "warn", "offered")) } @else { "not offered" }
            } }
            @match ssh {
                Some(ssh) => (session(ssh)),
                None => div { dt { "SSH session" } dd { span.dim { "none yet" } } },
            }
        }
    }
}

/// The algorithms of the last session, each with its part in it, and whether it is an old one.
fn session(ssh: &SshSession) -> Markup {
    let legacy: Vec<&str> = ssh.legacy().collect();
    let parts = ["key exchange", "host key", "cipher", "MAC"];
    html! {
        div { dt { "SSH server" } dd { code { (text(&ssh.server)) } } }
        @for (part, name) in parts.iter().zip(ssh.algorithms.split(", ")) {
            div { dt { (part) } dd {
                code { (text(name)) }
                @if legacy.contains(&name) { " " (mark("▲", "warn", "legacy")) }
            } }
        }
    }
}

const MEMBERS: Table<Member> = Table {
    id: "members",
    caption: "Members",
    sort: "members",
    key: |member| member.name.clone(),
    columns: &[
        Column {
            key: "name",
            title: "member",
            kind: Kind::Text,
            order: |a, b| compare(&a.name, &b.name),
            cell: |member, _| text(&member.name),
        },
        Column {
            key: "version",
            title: "version",
            kind: Kind::Text,
            order: |a, b| compare(version_of(a), version_of(b)),
            cell: |member, _| text(version_of(member)),
        },
        Column {
            key: "model",
            title: "model",
            kind: Kind::Text,
            order: |a, b| a.model.cmp(&b.model),
            cell: |member, _| maybe(member.model.as_deref()),
        },
        Column {
            key: "serial",
            title: "serial",
            kind: Kind::Text,
            order: |a, b| a.serial.cmp(&b.serial),
            cell: |member, _| maybe(member.serial.as_deref()),
        },
    ],
};

fn version_of(member: &Member) -> &str {
    member.version.as_ref().map_or("", |version| version.as_str())
}

fn parts(more: &More, here: &Here, now: Timestamp) -> Result<Markup, Refusal> {
    let mut members = more.members.clone();
    MEMBERS.sort(&mut members, here)?;
    let versions: Vec<&str> = members.iter().map(version_of).filter(|version| !version.is_empty()).collect();
    let same = versions.windows(2).all(|two| two[0] == two[1]);
    Ok(html! {
        @if !members.is_empty() {
            section { h2 { "Members" @if !same { " " (mark("≠", "warn", "they run different versions")) } }
                (MEMBERS.draw(&members, here, now)) }
        }
        @if !more.patches.is_empty() {
            section { h2 { "Patches" } ul.inline { @for patch in &more.patches { li { code { (text(patch)) } } } } }
        }
        @if let Some(next) = more.next_boot.as_deref() { p { "Boots next: " code { (text(next)) } } }
    })
}

const POLICIES: Table<PolicyStanding> = Table {
    id: "policies",
    caption: "Policies",
    sort: "policies",
    key: |standing| standing.policy.name.clone(),
    columns: &[
        Column {
            key: "policy",
            title: "policy",
            kind: Kind::Text,
            order: |a, b| compare(&a.policy.name, &b.policy.name),
            cell: |standing, _| {
                let href = Here::at("/drift").with("policy", &standing.policy.name).href();
                html! { a href=(href) { (text(&standing.policy.name)) } }
            },
        },
        Column {
            key: "result",
            title: "result",
            kind: Kind::Text,
            order: |a, b| a.verdict.result.cmp(&b.verdict.result),
            cell: |standing, _| {
                let grace = standing.complies == Some(true)
                    && standing.verdict.result == crate::known::PolicyResult::Drifted;
                html! { (result(standing.verdict.result)) @if grace { " " span.dim { "within its grace" } } }
            },
        },
        Column {
            key: "why",
            title: "why",
            kind: Kind::Text,
            order: |a, b| a.verdict.why.cmp(&b.verdict.why),
            cell: |standing, _| text(&standing.verdict.why),
        },
    ],
};

fn policies(known: &Known, here: &Here, now: Timestamp) -> Result<Markup, Refusal> {
    let mut standings = known.standings.clone();
    POLICIES.sort(&mut standings, here)?;
    Ok(html! {
        section { h2 { "Policies" }
            @if standings.is_empty() { p.note { "No policy covers it." } } @else { (POLICIES.draw(&standings, here, now)) }
        }
    })
}
