//! The parts of a device: the members of a stack or chassis, and the patches on top of the version.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::change::ChangeKind;
use crate::facts::{Facts, Member};

/// The most parts that one text lists.
const SHOWN_MAX: usize = 8;

fn members(facts: &Facts) -> &[Member] {
    facts.more.as_ref().map_or(&[], |more| &more.members)
}

fn patches(facts: &Facts) -> BTreeSet<&str> {
    facts.more.iter().flat_map(|more| &more.patches).map(String::as_str).collect()
}

/// Whether the serial number that speaks for the device now belonged to one of its members before: then another member
/// took over, and no other device stands in its place.
pub(super) fn took_over(before: &Facts, after: &Facts) -> bool {
    after.serial.is_some() && members(before).iter().any(|member| member.serial == after.serial)
}

/// What changed among the members. When the version changed too, all members running the new one is no news; one that
/// came, went, was exchanged or stayed behind is.
pub(super) fn members_changed(before: &Facts, after: &Facts) -> Option<Found> {
    let (old, new) = (members(before), members(after));
    // A field must stand in both answers to differ: one without any members was read otherwise.
    if old.is_empty() || new.is_empty() {
        return None;
    }
    let implied = before.version != after.version && after.members_consistent() != Some(false);
    let by_name = |members: &[Member]| -> BTreeMap<String, Member> {
        members.iter().map(|member| (member.name.clone(), member.clone())).collect()
    };
    let (was, is) = (by_name(old), by_name(new));
    let mut texts = Texts::default();
    for name in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        let reason = match (was.get(name), is.get(name)) {
            (Some(_), None) => "is gone",
            (None, Some(_)) => "is new",
            (Some(a), Some(b)) if differ(a.serial.as_ref(), b.serial.as_ref()) => "was exchanged",
            (Some(a), Some(b)) if differ(a.model.as_ref(), b.model.as_ref()) => "was exchanged",
            (Some(a), Some(b)) if !implied && differ(a.version.as_ref(), b.version.as_ref()) => {
                "runs another version"
            }
            _ => continue,
        };
        texts.push(name, was.get(name), is.get(name), reason);
    }
    if took_over(before, after) && differ(before.serial.as_ref(), after.serial.as_ref()) {
        texts.why.push("another member speaks for the device".to_owned());
    }
    if after.members_consistent() == Some(false) && !texts.why.is_empty() {
        texts.why.push("its members run different versions".to_owned());
    }
    (!texts.why.is_empty()).then(|| texts.found(before, after))
}

fn differ<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> bool {
    matches!((before, after), (Some(before), Some(after)) if before != after)
}

#[derive(Default)]
struct Texts {
    before: Vec<String>,
    after: Vec<String>,
    why: Vec<String>,
}

impl Texts {
    fn push(&mut self, name: &str, was: Option<&Member>, is: Option<&Member>, reason: &str) {
        self.before.extend(was.map(described));
        self.after.extend(is.map(described));
        self.why.push(format!("member {name} {reason}"));
    }

    fn found(self, before: &Facts, after: &Facts) -> Found {
        let side = |texts: Vec<String>, facts: &Facts| {
            if texts.is_empty() { format!("{} members", members(facts).len()) } else { listed(&texts) }
        };
        Found::new(ChangeKind::Members, side(self.before, before), side(self.after, after), listed(&self.why))
    }
}

fn described(member: &Member) -> String {
    let more = [
        member.model.as_deref(),
        member.serial.as_deref(),
        member.version.as_ref().map(|version| version.as_str()),
    ];
    let more: Vec<_> = more.into_iter().flatten().collect();
    if more.is_empty() { member.name.clone() } else { format!("{} ({})", member.name, more.join(" ")) }
}

/// Patches that came or went beside the same version. The same profile read both answers, so none means none.
pub(super) fn patched(before: &Facts, after: &Facts) -> Option<Found> {
    let (old, new) = (patches(before), patches(after));
    if old == new {
        return None;
    }
    let only = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| -> Vec<String> {
        a.difference(b).map(|patch| (*patch).to_owned()).collect()
    };
    let (gone, come) = (only(&old, &new), only(&new, &old));
    let mut why = Vec::new();
    for (list, word) in [(&come, "new"), (&gone, "gone")] {
        if !list.is_empty() {
            why.push(format!("{word}: {}", listed(list)));
        }
    }
    let all = |patches: &BTreeSet<&str>| {
        let names: Vec<String> = patches.iter().map(|patch| (*patch).to_owned()).collect();
        if names.is_empty() { "no patches".to_owned() } else { listed(&names) }
    };
    Some(Found::new(ChangeKind::Patched, all(&old), all(&new), why.join("; ")))
}

fn listed(texts: &[String]) -> String {
    let shown = texts.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    match texts.len().checked_sub(SHOWN_MAX) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}
