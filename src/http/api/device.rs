//! `/api/v1/devices/{device}`: all that is known of one device.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::entry::{ChangeEntry, DeviceEntry};
use super::params::{Name, Params, Query};
use super::policies::StandingEntry;
use crate::clock::Timestamp;
use crate::device::{Device, HostKeyPolicy, Route, SshAlgorithms};
use crate::facts::{Member, Reading};
use crate::http::Desk;
use crate::http::index::Direction;
use crate::http::kept::Kept;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::known::DeviceState;
use crate::observation::SshSession;
use crate::platform::Platforms;
use crate::store::{ChangeSort, HistoryRange, StoredRaw, Turn};
use crate::text::tamed;

/// The latest changes and versions that are shown of a device; `/api/v1/changes` has the rest.
const CHANGES_SHOWN: usize = 50;
const HISTORY_SHOWN: usize = 100;

/// How much is shown of what a device said when its visit failed.
const LINES_SHOWN: usize = 100;
const LINE_SHOWN: usize = 256;

/// One device with all that is known of it.
#[derive(Debug, Serialize)]
pub(super) struct DeviceDetail {
    #[serde(flatten)]
    device: DeviceEntry,
    login: Login,
    /// The SSH session of the last visit that came to one.
    ssh: Option<SshEntry>,
    /// How the version was read; `null` before the first answer.
    reading: Option<ReadingEntry>,
    members: Vec<MemberEntry>,
    members_consistent: Option<bool>,
    patches: Vec<String>,
    next_boot: Option<String>,
    last_visit_seconds: Option<f64>,
    /// What the device had said when the last visit failed, line by line; empty where it failed earlier, or not at all.
    failure_output: Vec<String>,
    /// Whether there was more of it.
    failure_output_cut: bool,
    /// How it stands by the policies that cover it.
    policies: Vec<StandingEntry>,
    /// The versions that it was seen to run, newest first.
    history: Vec<HistoryEntry>,
    /// Its latest changes, newest first.
    changes: Vec<ChangeEntry>,
}

/// How it is logged in to; never with what.
#[derive(Debug, Serialize)]
struct Login {
    credential: String,
    host_keys: HostKeyPolicy,
    legacy_ssh: bool,
    /// The jump hosts on the way, the nearest first.
    jump: Vec<String>,
    timeout_seconds: f64,
}

impl Login {
    fn of(device: &Device) -> Self {
        Self {
            credential: shown(device.credential.as_str()),
            host_keys: device.host_keys,
            legacy_ssh: device.algorithms == SshAlgorithms::Legacy,
            jump: match &device.route {
                Route::Direct => Vec::new(),
                Route::Via(hosts) => hosts.iter().map(|host| shown(&host.name)).collect(),
            },
            timeout_seconds: device.timeouts.visit.as_secs_f64(),
        }
    }
}

#[derive(Debug, Serialize)]
struct SshEntry {
    /// The server's identification line.
    server: String,
    /// Key exchange, host key, cipher and MAC.
    algorithms: String,
    /// Those of them that only `legacy_ssh` offers: what the device could not do without.
    legacy: Vec<String>,
}

impl SshEntry {
    fn of(session: &SshSession) -> Self {
        Self {
            server: shown(&session.server),
            algorithms: shown(&session.algorithms),
            legacy: session.legacy().map(shown).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ReadingEntry {
    platform: String,
    revision: u32,
    pattern: String,
    /// The names by which the version is looked up in lists of vulnerabilities, where the profile knows them.
    cpe: Option<String>,
    purl: Option<String>,
}

impl ReadingEntry {
    fn of(reading: &Reading, platforms: &Platforms) -> Self {
        let profile = platforms.get(&reading.platform);
        let version = &reading.facts.version;
        Self {
            platform: shown(reading.platform.as_str()),
            revision: reading.revision,
            pattern: shown(&reading.pattern),
            cpe: profile.and_then(|profile| profile.cpe_of(version)).map(|cpe| shown(&cpe)),
            purl: profile.map(|profile| shown(&profile.purl_of(version))),
        }
    }
}

#[derive(Debug, Serialize)]
struct MemberEntry {
    name: String,
    version: Option<String>,
    model: Option<String>,
    serial: Option<String>,
}

impl MemberEntry {
    fn of(member: &Member) -> Self {
        let text = |text: Option<&String>| text.map(|text| shown(text));
        Self {
            name: shown(&member.name),
            version: member.version.as_ref().map(|version| shown(version.as_str())),
            model: text(member.model.as_ref()),
            serial: text(member.serial.as_ref()),
        }
    }
}

#[derive(Debug, Serialize)]
struct HistoryEntry {
    platform: String,
    version: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    current: bool,
}

impl HistoryEntry {
    fn of(range: &HistoryRange) -> Self {
        Self {
            platform: shown(range.platform.as_str()),
            version: shown(&range.version),
            first_seen: range.first_seen,
            last_seen: range.last_seen,
            current: range.current,
        }
    }
}

/// All that is known of a device of the inventory.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    Name(name): Name,
    query: Query,
) -> Result<Json<DeviceDetail>, Refusal> {
    Params::known(query, &[])?;
    let snapshot = desk.app.snapshot.load_full();
    let state = snapshot.device(&name).ok_or(Refusal::UnknownDevice)?;
    let turn = Turn { sort: ChangeSort::Number, direction: Direction::Descending, behind: None };
    let kept = Kept::read(&desk.readers, state, turn, CHANGES_SHOWN).await?;
    let platforms = (desk.app.platforms)();
    Ok(Json(DeviceDetail::of(state, &kept, &platforms)))
}

impl DeviceDetail {
    fn of(state: &DeviceState, kept: &Kept, platforms: &Platforms) -> Self {
        let known = state.known.facts.as_ref();
        let more = known.and_then(|known| known.reading.facts.more.as_deref());
        let (failure_output, failure_output_cut) = kept.failure.as_ref().map(said).unwrap_or_default();
        Self {
            device: DeviceEntry::of(state),
            login: Login::of(&state.device),
            ssh: state.known.ssh.as_deref().map(SshEntry::of),
            reading: known.map(|known| ReadingEntry::of(&known.reading, platforms)),
            members: more.map(|more| more.members.iter().map(MemberEntry::of).collect()).unwrap_or_default(),
            members_consistent: known.and_then(|known| known.reading.facts.members_consistent()),
            patches: more.map(|more| more.patches.iter().map(|p| shown(p)).collect()).unwrap_or_default(),
            next_boot: more.and_then(|more| more.next_boot.as_deref()).map(shown),
            last_visit_seconds: state.known.visit.as_ref().map(|visit| visit.took.as_secs_f64()),
            failure_output,
            failure_output_cut,
            policies: state.known.standings.iter().map(StandingEntry::of).collect(),
            history: kept.history.iter().rev().take(HISTORY_SHOWN).map(HistoryEntry::of).collect(),
            changes: kept.changes.iter().map(|row| ChangeEntry::of(&row.stored.change)).collect(),
        }
    }
}

/// The lines of what a device said, tame, and whether there was more.
fn said(raw: &StoredRaw) -> (Vec<String>, bool) {
    let lines = raw.text.lines().take(LINES_SHOWN).map(|line| tamed(line, LINE_SHOWN).into_owned()).collect();
    let cut = raw.size > raw.text.len() as u64 || raw.text.lines().nth(LINES_SHOWN).is_some();
    (lines, cut)
}
