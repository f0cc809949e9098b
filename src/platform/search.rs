//! Which platform a device has, found out within one login: cheapest first. Its SSH identification string, its banner and
//! its prompt are hints, which say what to ask first; the answer decides.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Platforms, Profile};
use crate::device::PlatformKey;
use crate::dialogue::{Next, Search, Shown};
use crate::expression::Expression;
use crate::parse;

/// So many answers that no profile recognises are enough: each costs a round trip, and a line in somebody's log.
const TRIES_MAX: usize = 5;

/// What each hint that matches counts. What was remembered counts more than all hints together, unless the device shows itself as
/// another.
const BY_IDENT: u32 = 8;
const BY_BANNER: u32 = 8;
const BY_REFUSAL: u32 = 4;
const BY_PROMPT: u32 = 2;
const REMEMBERED: u32 = 100;

/// SSH servers that are in many systems, as they name themselves.
const ANYBODYS: [&str; 2] = ["OpenSSH", "dropbear"];

/// What tells a platform before its answer does.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    pub(crate) ssh: Vec<Expression>,
    pub(crate) banner: Vec<Expression>,
    pub(crate) prompt: Vec<Expression>,
    pub(crate) refusal: Vec<Expression>,
}

impl Hints {
    fn weight(&self, shown: &Shown, refusals: &str) -> u32 {
        let matching = |hints: &[Expression], text: &str, each: u32| {
            hints.iter().filter(|hint| hint.is_match(text)).map(|_| each).sum::<u32>()
        };
        matching(&self.ssh, &shown.ident, BY_IDENT)
            + matching(&self.banner, &shown.banner, BY_BANNER)
            + matching(&self.prompt, shown.prompt.as_deref().unwrap_or_default(), BY_PROMPT)
            + matching(&self.refusal, refusals, BY_REFUSAL)
    }
}

impl Platforms {
    /// Finds out a device's platform within one login and asks its commands; `remembered` is what the device was the last
    /// time, which is believed until it answers otherwise. The profile that reads the answers is then [`parse::detect`]'s.
    #[must_use]
    pub fn search(self: &Arc<Self>, remembered: Option<&PlatformKey>) -> Search {
        let platforms = Arc::clone(self);
        let remembered = remembered.and_then(|key| self.get(key)).cloned();
        Search::by(move |shown| platforms.next(remembered.as_ref(), shown))
    }

    fn next(&self, remembered: Option<&Arc<Profile>>, shown: &Shown) -> Next {
        let text = shown.text();
        if !shown.answers.is_empty()
            && let Some(found) = parse::detect(self, &text)
        {
            return rest_of(found, shown);
        }
        if shown.answers.len() >= TRIES_MAX {
            return Next::Enough;
        }
        let remembered = remembered.filter(|profile| self.may_still_be(profile, &shown.ident));
        let weight = |profile: &Arc<Profile>| {
            let is_remembered = remembered.is_some_and(|remembered| remembered.key == profile.key);
            profile.hints.weight(shown, &text) + if is_remembered { REMEMBERED } else { 0 }
        };
        let weighed = self.iter().map(|profile| (weight(profile), profile));
        likeliest(weighed.filter(|(_, profile)| !was_asked(&profile.commands[0], shown)).collect())
    }

    /// Whether the identification string doesn't speak against it: it is one other platform's alone. One that several
    /// share, and that of a server that anybody ships, says nothing of others: FRR runs on Debian.
    fn may_still_be(&self, profile: &Arc<Profile>, ident: &str) -> bool {
        let named = |profile: &&Arc<Profile>| profile.hints.ssh.iter().any(|hint| hint.is_match(ident));
        let is_anybodys = ANYBODYS.iter().any(|server| ident.contains(server));
        named(&profile) || is_anybodys || self.iter().filter(named).count() != 1
    }
}

/// What the platform has to be asked beside what it was asked.
fn rest_of(found: &Arc<Profile>, shown: &Shown) -> Next {
    match found.commands.iter().find(|command| !was_asked(command, shown)) {
        Some(command) => Next::Ask { command: command.clone(), as_of: Some(Arc::clone(&found.errand)) },
        None => Next::Enough,
    }
}

fn was_asked(command: &str, shown: &Shown) -> bool {
    shown.answers.iter().any(|(asked, _)| asked == command)
}

/// The first command of the likeliest profile; of several as likely, the command that most of them have.
fn likeliest(weighed: Vec<(u32, &Arc<Profile>)>) -> Next {
    let Some(most) = weighed.iter().map(|(weight, _)| *weight).max() else { return Next::Enough };
    let likely: Vec<&Arc<Profile>> =
        weighed.into_iter().filter(|(weight, _)| *weight == most).map(|(_, profile)| profile).collect();
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for profile in &likely {
        *votes.entry(profile.commands[0].as_str()).or_default() += 1;
    }
    let chosen = votes.into_iter().min_by_key(|(_, votes)| Reverse(*votes));
    let Some((command, _)) = chosen else { return Next::Enough };
    let as_of = match likely[..] {
        [only] => Some(Arc::clone(&only.errand)),
        _ => None,
    };
    Next::Ask { command: command.to_owned(), as_of }
}

#[cfg(test)]
mod tests;
