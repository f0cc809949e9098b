//! `[[policy]]`: in the configuration itself, in the files of a folder, or behind a URL. The same tables everywhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{DAY, tables};
use crate::device::{Selector, check_name};
use crate::document::{Document, Item, Problems, Section};
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

const PATTERNS: &str =
    "a version, the beginning of one with a * behind it, or bounds such as \">=17.9.4, <17.13\"";

/// The policies of the configuration and of its folder, the configuration's first.
pub(super) fn policies(root: &Section<'_>, folder: &Path, references: &References<'_>) -> Vec<Policy> {
    let mut seen = BTreeMap::new();
    let mut all = read(root, references, &mut seen);
    let table = root.section("policies");
    table.only(&["path"]);
    if let Some(item) = table.get("path") {
        for (name, text) in tables::toml_files(&item, folder).unwrap_or_default() {
            let (policies, problems) = of_file(&name, &text, references, &mut seen);
            all.extend(policies);
            problems.0.into_iter().for_each(|problem| root.document().note(problem));
        }
    }
    if all.len() > POLICIES_MAX {
        table.refuse(
            &format!("and [[policy]] make {} policies", all.len()),
            &format!("at most {POLICIES_MAX}"),
        );
    }
    all
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
