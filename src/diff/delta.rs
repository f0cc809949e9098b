//! What differs between two sets of facts, field by field. Nothing is judged here: [`Delta::apply`] on the one gives the
//! other, whatever they are.

use std::time::Duration;

use crate::facts::{Facts, More};
use crate::version::Version;

/// A field as it was and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap<T> {
    /// As it was.
    pub before: T,
    /// As it is.
    pub after: T,
}

/// The fields that differ; those that don't are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delta {
    /// The running version.
    pub version: Option<Swap<Version>>,
    /// The model.
    pub model: Option<Swap<Option<String>>>,
    /// The serial number.
    pub serial: Option<Swap<Option<String>>>,
    /// The host name.
    pub hostname: Option<Swap<Option<String>>>,
    /// The boot image.
    pub image: Option<Swap<Option<String>>>,
    /// The uptime: it differs nearly always and means a change only when it began anew.
    pub uptime: Option<Swap<Option<Duration>>>,
    /// Members, patches and what boots next, as a whole.
    pub more: Option<Swap<Option<Box<More>>>>,
}

impl Delta {
    /// What differs between the two.
    #[must_use]
    pub fn between(before: &Facts, after: &Facts) -> Self {
        Self {
            version: swap(&before.version, &after.version),
            model: swap(&before.model, &after.model),
            serial: swap(&before.serial, &after.serial),
            hostname: swap(&before.hostname, &after.hostname),
            image: swap(&before.image, &after.image),
            uptime: swap(&before.uptime, &after.uptime),
            more: swap(&before.more, &after.more),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The facts with what differs taken over.
    #[must_use]
    pub fn apply(&self, facts: &Facts) -> Facts {
        Facts {
            version: taken(self.version.as_ref(), &facts.version),
            model: taken(self.model.as_ref(), &facts.model),
            serial: taken(self.serial.as_ref(), &facts.serial),
            hostname: taken(self.hostname.as_ref(), &facts.hostname),
            image: taken(self.image.as_ref(), &facts.image),
            uptime: taken(self.uptime.as_ref(), &facts.uptime),
            more: taken(self.more.as_ref(), &facts.more),
        }
    }

    /// The fields that differ other than the uptime, by name, as texts: for people.
    #[must_use]
    pub fn texts(&self) -> Vec<(&'static str, Option<String>, Option<String>)> {
        let text = |name, swap: Option<&Swap<Option<String>>>| {
            swap.map(|swap| (name, swap.before.clone(), swap.after.clone()))
        };
        let version = self
            .version
            .as_ref()
            .map(|swap| ("version", Some(swap.before.to_string()), Some(swap.after.to_string())));
        let more = self.more.as_ref().map(|swap| {
            let shown = |more: &Option<Box<More>>| {
                more.as_ref().map(|more| {
                    format!("{} and {}", members(more.members.len()), patches(more.patches.len()))
                })
            };
            ("parts", shown(&swap.before), shown(&swap.after))
        });
        let fields = [
            version,
            text("model", self.model.as_ref()),
            text("serial", self.serial.as_ref()),
            text("hostname", self.hostname.as_ref()),
            text("image", self.image.as_ref()),
            more,
        ];
        fields.into_iter().flatten().collect()
    }
}

impl<T: PartialEq> Swap<Option<T>> {
    /// Both values, where both are there: a field that one answer doesn't give is no change.
    pub(super) fn both(&self) -> Option<(&T, &T)> {
        self.before.as_ref().zip(self.after.as_ref())
    }
}

fn swap<T: PartialEq + Clone>(before: &T, after: &T) -> Option<Swap<T>> {
    (before != after).then(|| Swap { before: before.clone(), after: after.clone() })
}

fn taken<T: Clone>(swap: Option<&Swap<T>>, old: &T) -> T {
    swap.map_or(old, |swap| &swap.after).clone()
}

fn members(count: usize) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

fn patches(count: usize) -> String {
    format!("{count} patch{}", if count == 1 { "" } else { "es" })
}
