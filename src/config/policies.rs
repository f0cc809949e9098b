//! `[[policy]]`: in the configuration itself, in the files of a folder, or behind a URL. The same tables everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{DAY, HOUR, Surroundings, peer, read_text, tables};
use crate::device::{Selector, check_name};
use crate::document::{Document, Item, Problem, Problems, Section};
use crate::fetch::Peer;
use crate::policy::{Ban, ModelPattern, POLICIES_MAX, Pattern, Policy};
use crate::settings::{References, selector_of};
use crate::version::Version;

const KEYS: [&str; 10] = [
    "name",
    "select",
    "approved",
    "preferred",
    "minimum",
    "banned",
    "valid_from",
    "valid_until",
    "grace",
    "max_age",
];

/// Facts of a week ago say little of today; a device that is down over a holiday is not yet forgotten.
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

/// A thousand policies are some 300 KB.
const MAX_BYTES: usize = 4 << 20;

/// How the URL is asked where the table doesn't say.
const PEER: peer::Defaults = peer::Defaults { timeout: Duration::from_secs(30), max_bytes: MAX_BYTES };

const PATTERNS: &str =
    "a version, the beginning of one with a * behind it, or bounds such as \">=17.9.4, <17.13\"";

/// A URL that gives policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// The server, and how it is asked.
    pub peer: Peer,
    /// How often.
    pub refresh: Duration,
    /// Where the last good answer lies: it is in force until there is another one, also across restarts.
    pub copy: PathBuf,
}

/// All policies of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// Those of the configuration and of its folder, the configuration's first.
    pub own: Vec<Policy>,
    /// Those of the URL's last good answer.
    pub fetched: Vec<Policy>,
    /// The URL.
    pub source: Option<PolicySource>,
}

impl Policies {
    /// All of them. A name that the configuration has is not the URL's to give.
    #[must_use]
    pub fn all(&self) -> Arc<[Policy]> {
        let taken: BTreeSet<&str> = self.own.iter().map(|policy| policy.name.as_str()).collect();
        let fetched = self.fetched.iter().filter(|policy| !taken.contains(policy.name.as_str()));
        self.own.iter().chain(fetched).cloned().collect()
    }
}

/// Reads what a URL answered.
///
/// # Errors
/// All that is wrong with it: then nothing of it is taken.
pub fn fetched_policies(
    name: &str,
    text: &str,
    references: &References<'_>,
) -> Result<Vec<Policy>, Problems> {
    let (policies, problems) = of_file(name, text, references, &mut BTreeMap::new());
    if policies.len() > POLICIES_MAX {
        let problem = format!("has {} policies, more than {POLICIES_MAX}", policies.len());
        return Err(Problems(vec![Problem { file: name.to_owned(), problem, ..Problem::default() }]));
    }
    if problems.is_empty() { Ok(policies) } else { Err(problems) }
}

/// The policies of the configuration, of its folder and of the copy of what its URL last gave.
pub(super) fn policies(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    references: &References<'_>,
    store: &Path,
    warnings: &mut Vec<String>,
) -> Policies {
    let mut seen = BTreeMap::new();
    let mut own = read(root, references, &mut seen);
    let table = root.section("policies");
    let keys: Vec<&str> = ["path", "refresh"].into_iter().chain(peer::KEYS).collect();
    table.only(&keys);
    if let Some(item) = table.get("path") {
        for (name, text) in tables::toml_files(&item, around.folder).unwrap_or_default() {
            let (policies, problems) = of_file(&name, &text, references, &mut seen);
            own.extend(policies);
            problems.0.into_iter().for_each(|problem| root.document().note(problem));
        }
    }
    if own.len() > POLICIES_MAX {
        table.refuse(
            &format!("and [[policy]] make {} policies", own.len()),
            &format!("at most {POLICIES_MAX}"),
        );
    }
    let source = source(&table, around, store, warnings);
    let fetched = source.as_ref().map(|source| copy(source, references, warnings)).unwrap_or_default();
    let policies = Policies { own, fetched, source };
    for twice in policies.fetched.iter().filter(|policy| seen.contains_key(&policy.name)) {
        warnings.push(format!(
            "policy {}: the URL's is left out, the configuration has one of this name",
            twice.name
        ));
    }
    policies
}

fn source(
    table: &Section<'_>,
    around: &Surroundings<'_>,
    store: &Path,
    warnings: &mut Vec<String>,
) -> Option<PolicySource> {
    if table.get("url").is_none() {
        for key in ["refresh"].iter().chain(&peer::KEYS) {
            if let Some(item) = table.get(key) {
                item.refuse_hidden("has no meaning here", "it goes with url");
            }
        }
        return None;
    }
    let mut copy = store.as_os_str().to_owned();
    copy.push("-policies.toml");
    Some(PolicySource {
        peer: peer::read(table, &PEER, around, warnings)?,
        refresh: tables::duration(table, "refresh", HOUR, [Duration::from_secs(10), 30 * DAY]),
        copy: copy.into(),
    })
}

/// The last good answer. It was good when it was written; what a newer profile or hand made of it since is told.
fn copy(source: &PolicySource, references: &References<'_>, warnings: &mut Vec<String>) -> Vec<Policy> {
    if !source.copy.exists() {
        return Vec::new();
    }
    let name = source.copy.display().to_string();
    let text = read_text(&source.copy, MAX_BYTES as u64);
    let policies =
        text.and_then(|text| fetched_policies(&name, &text, references).map_err(|all| all.to_string()));
    policies.unwrap_or_else(|problem| {
        warnings.push(format!(
            "{name}: the URL's policies are out of force until it is fetched again: {problem}"
        ));
        Vec::new()
    })
}

/// A file of nothing but `[[policy]]` tables.
fn of_file(
    name: &str,
    text: &str,
    references: &References<'_>,
    seen: &mut BTreeMap<String, String>,
) -> (Vec<Policy>, Problems) {
    let document = Document::new(name, text);
    let table = document.parse();
    let policies = {
        let root = document.root(table.as_ref());
        root.only(&["policy"]);
        read(&root, references, seen)
    };
    (policies, document.into_problems())
}

fn read(root: &Section<'_>, references: &References<'_>, seen: &mut BTreeMap<String, String>) -> Vec<Policy> {
    root.sections("policy").iter().filter_map(|section| policy(section, references, seen)).collect()
}

fn policy(
    section: &Section<'_>,
    references: &References<'_>,
    seen: &mut BTreeMap<String, String>,
) -> Option<Policy> {
    section.only(&KEYS);
    let name = section.require("name", "a name of its own, which becomes a metric label").and_then(|item| {
        let name = item.text()?;
        if let Err(error) = check_name(name) {
            item.refuse("is not a name", &error.to_string());
            return None;
        }
        unique(section, &item, name, seen)
    });
    let (select, models) = match section.get("select") {
        Some(item) => select(&item, references)?,
        None => (Selector::default(), Vec::new()),
    };
    let patterns = |key: &str| section.get(key).map_or(Some(Vec::new()), |item| patterns(&item));
    let (approved, preferred) = (patterns("approved"), patterns("preferred"));
    let minimum = section.get("minimum").map_or(Some(None), |item| minimum(&item).map(Some));
    let banned = section.get("banned").map_or(Some(Vec::new()), |item| bans(&item));
    let instant = |key: &str| section.get(key).map_or(Some(None), |item| item.instant().map(Some));
    let (valid_from, valid_until) = (instant("valid_from"), instant("valid_until"));
    let policy = Policy {
        name: name?,
        select,
        models,
        approved: approved?,
        preferred: preferred?,
        minimum: minimum?,
        banned: banned?,
        valid_from: valid_from?,
        valid_until: valid_until?,
        grace: tables::duration(section, "grace", Duration::ZERO, [Duration::ZERO, 3660 * DAY]),
        max_age: Some(tables::duration(section, "max_age", MAX_AGE, [Duration::from_secs(60), 3660 * DAY])),
    };
    check(section, &policy, references).then_some(policy)
}

/// The name, unless another table of any of the files has it already.
fn unique(
    section: &Section<'_>,
    item: &Item<'_>,
    name: &str,
    seen: &mut BTreeMap<String, String>,
) -> Option<String> {
    if let Some(first) = seen.get(name) {
        item.refuse("is named twice", &format!("the first one stands at {first}"));
        return None;
    }
    seen.insert(name.to_owned(), format!("{}:{}", section.document().name(), item.line()));
    Some(name.to_owned())
}

/// What no key shows by itself.
fn check(section: &Section<'_>, policy: &Policy, references: &References<'_>) -> bool {
    if policy.approved.is_empty()
        && policy.preferred.is_empty()
        && policy.minimum.is_none()
        && policy.banned.is_empty()
    {
        section.refuse("asks for nothing", "approved, preferred, minimum or banned");
        return false;
    }
    if let (Some(from), Some(until)) = (policy.valid_from, policy.valid_until)
        && until <= from
    {
        section.refuse("is never valid", "valid_until after valid_from");
        return false;
    }
    readable(section, policy, references)
}

/// A bound that a selected platform can't order would put every device out of the range, or no device under the ban.
fn readable(section: &Section<'_>, policy: &Policy, references: &References<'_>) -> bool {
    let minimum = policy.minimum.iter().cloned().map(Pattern::at_least);
    let all: Vec<Pattern> = policy
        .approved
        .iter()
        .chain(&policy.preferred)
        .chain(policy.banned.iter().map(|ban| &ban.versions))
        .cloned()
        .chain(minimum)
        .collect();
    let mut readable = true;
    for name in policy.select.0.get("platform").into_iter().flatten() {
        let Some(profile) = references.platforms.find(name) else { continue };
        for version in all.iter().flat_map(|pattern| pattern.unreadable(profile.scheme)) {
            let problem = format!("has the bound {:?}, which has no order on {name}", version.as_str());
            section.refuse(&problem, "a version as the platform writes it");
            readable = false;
        }
    }
    readable
}

/// The selector and, out of the same table, the models.
fn select(item: &Item<'_>, references: &References<'_>) -> Option<(Selector, Vec<ModelPattern>)> {
    let (models, rest): (Vec<_>, Vec<_>) =
        item.section()?.items().into_iter().partition(|(key, _)| *key == "model");
    let mut patterns = Vec::new();
    for (item, text) in models.iter().flat_map(|(_, item)| item.texts().unwrap_or_default()) {
        match ModelPattern::new(text) {
            Some(pattern) => patterns.push(pattern),
            None => item.refuse("is not a model", "1 to 200 characters; * stands for any text"),
        }
    }
    let selector = selector_of(rest, references);
    if selector.0.get("platform").is_some_and(|platforms| platforms.iter().any(|name| name == "auto")) {
        item.refuse_hidden("selects the platform auto", "one that devices answer as");
        return None;
    }
    Some((selector, patterns))
}

fn patterns(item: &Item<'_>) -> Option<Vec<Pattern>> {
    let texts = item.texts()?;
    let read: Vec<Option<Pattern>> = texts.iter().map(|(item, text)| pattern(item, text)).collect();
    read.into_iter().collect()
}

fn pattern(item: &Item<'_>, text: &str) -> Option<Pattern> {
    match Pattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            item.refuse(&format!("means no versions ({error})"), PATTERNS);
            None
        }
    }
}

fn minimum(item: &Item<'_>) -> Option<Version> {
    match Pattern::parse(item.text()?) {
        Ok(Pattern::Exact(version)) => Some(version),
        _ => {
            item.refuse("is not a version", "one version, without * or signs");
            None
        }
    }
}

/// Versions, and tables of a version with its reason.
fn bans(item: &Item<'_>) -> Option<Vec<Ban>> {
    let wanted = "a list of versions, or of tables such as { version = \"17.9.*\", reason = \"CVE-2026-1\" }";
    let bans: Vec<Option<Ban>> = item.elements(wanted)?.iter().map(ban).collect();
    bans.into_iter().collect()
}

fn ban(item: &Item<'_>) -> Option<Ban> {
    if !item.is_table() {
        return pattern(item, item.text()?).map(|versions| Ban { versions, reason: String::new() });
    }
    let section = item.section()?;
    section.only(&["version", "reason"]);
    let version = section.require("version", PATTERNS)?;
    let versions = pattern(&version, version.text()?);
    let reason = section.get("reason").map_or(Some(""), |item| item.text())?;
    if reason.chars().count() > 200 || reason.chars().any(char::is_control) {
        section.refuse(
            "has a reason that fits no line",
            "at most 200 characters, none of them a control character",
        );
        return None;
    }
    Some(Ban { versions: versions?, reason: reason.to_owned() })
}
