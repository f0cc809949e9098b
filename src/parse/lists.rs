//! What an answer has several of: patches, and the members of a stack or chassis.

use super::finds::Finds;
use super::printable;
use crate::expression::Captures;
use crate::facts::{LIST_MAX, Member, More};
use crate::platform::{Field, Pattern, Profile};
use crate::version::Version;

/// All that only some devices tell; nothing where this one doesn't.
pub(super) fn more(finds: &Finds<'_, '_>, next_boot: Option<String>) -> Option<Box<More>> {
    let more = More { members: members(finds.profile, finds.answer), patches: patches(finds), next_boot };
    (more != More::default()).then(|| Box::new(more))
}

/// Each patch once, in the order of the answer.
fn patches(finds: &Finds<'_, '_>) -> Vec<String> {
    let mut patches: Vec<String> = Vec::new();
    let found = finds
        .by_pattern(Field::Patch)
        .flat_map(|(pattern, values)| values.filter(move |value| !pattern.may_be_cut(value, finds.answer)));
    for patch in found.filter_map(printable) {
        if patches.len() < LIST_MAX && !patches.contains(&patch) {
            patches.push(patch);
        }
    }
    patches
}

/// Each member once; a later pattern adds what the ones before it didn't tell of the member.
fn members(profile: &Profile, answer: &str) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for pattern in profile.patterns.iter().filter(|pattern| pattern.fields.contains(&Field::Member)) {
        for captures in pattern.regex.captures_iter(answer) {
            let Some(new) = member(pattern, &captures, answer) else { continue };
            if let Some(known) = members.iter_mut().find(|member| member.name == new.name) {
                known.version = known.version.take().or(new.version);
                known.model = known.model.take().or(new.model);
                known.serial = known.serial.take().or(new.serial);
            } else if members.len() < LIST_MAX {
                members.push(new);
            }
        }
    }
    members
}

fn member(pattern: &Pattern, captures: &Captures<'_>, answer: &str) -> Option<Member> {
    let read = |field: Field| {
        let value = captures.name(field.as_str())?.trim();
        if value.is_empty() || pattern.may_be_cut(value, answer) { None } else { printable(value) }
    };
    Some(Member {
        name: read(Field::Member)?,
        version: read(Field::MemberVersion).map(Version::new),
        model: read(Field::MemberModel),
        serial: read(Field::MemberSerial),
    })
}
