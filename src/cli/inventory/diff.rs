//! The difference of two lists of devices: what came, what went, what has another name, what else is otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A device of either list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it is.
    pub(super) address: String,
    /// Its platform; `auto` where nobody says.
    pub(super) platform: String,
    /// What its source knows it by, whatever it is called.
    pub(super) identity: Option<String>,
}

/// Devices by name.
pub(super) type List = BTreeMap<String, Entry>;

/// One thing that differs, of the device of that name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// It is only in the new list, at that address.
    Added(String, String),
    /// It is in the new list under that name, and was in the old one under another.
    Renamed {
        /// Its new name.
        name: String,
        /// Its name in the old list.
        from: String,
        /// What both know it by.
        identity: String,
    },
    /// The address, or the platform, is another one: which, before and now.
    Changed(String, &'static str, [String; 2]),
    /// It is only in the old list, at that address.
    Removed(String, String),
}

/// Compares two lists, by the new one's names and then by what is gone.
pub(super) fn diff(old: &List, new: &List) -> Vec<Difference> {
    let renamed = renamed(old, new);
    let taken: HashSet<&str> = renamed.values().copied().collect();
    let mut left: BTreeSet<&str> = old.keys().map(String::as_str).collect();
    let mut differences = Vec::new();
    for (name, entry) in new {
        let from = match renamed.get(name.as_str()) {
            Some(from) => Some(*from),
            // What another device has moved away with is not compared with one that has its name by now.
            None => Some(name.as_str()).filter(|name| old.contains_key(*name) && !taken.contains(name)),
        };
        let Some((from, before)) = from.and_then(|from| Some((from, old.get(from)?))) else {
            differences.push(Difference::Added(name.clone(), entry.address.clone()));
            continue;
        };
        left.remove(from);
        if from != name {
            let identity = entry.identity.clone().unwrap_or_default();
            differences.push(Difference::Renamed { name: name.clone(), from: from.to_owned(), identity });
        }
        let mut changed = |what, before: &String, now: &String| {
            if before != now {
                differences.push(Difference::Changed(name.clone(), what, [before.clone(), now.clone()]));
            }
        };
        changed("address", &before.address, &entry.address);
        // What a daemon has found out by itself is no difference.
        if before.platform != "auto" && entry.platform != "auto" {
            changed("platform", &before.platform, &entry.platform);
        }
    }
    let removed = left.into_iter().filter_map(|name| Some((name, old.get(name)?)));
    differences
        .extend(removed.map(|(name, entry)| Difference::Removed(name.to_owned(), entry.address.clone())));
    differences
}

/// The old names of devices by their new ones, on the evidence that the daemon takes as well: the identity stands under another
/// name, the old name is gone or another identity's, and the new one was not that of a device without an identity.
fn renamed<'l>(old: &'l List, new: &'l List) -> HashMap<&'l str, &'l str> {
    let identified =
        |(name, entry): (&'l String, &'l Entry)| Some((entry.identity.as_deref()?, name.as_str()));
    let by_identity: HashMap<&str, &str> = old.iter().filter_map(identified).collect();
    let is_nobodys = |list: &List, name: &str| list.get(name).is_some_and(|entry| entry.identity.is_none());
    new.iter()
        .filter_map(identified)
        .filter_map(|(identity, name)| Some((name, *by_identity.get(identity)?)))
        .filter(|(name, from)| name != from && !is_nobodys(new, from) && !is_nobodys(old, name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices as `name address [identity]`.
    fn list(devices: &[&str]) -> List {
        let entry = |text: &&str| {
            let mut words = text.split(' ').map(str::to_owned);
            let (name, address) = (words.next().unwrap(), words.next().unwrap());
            (name, Entry { address, platform: "auto".to_owned(), identity: words.next() })
        };
        devices.iter().map(entry).collect()
    }

    fn told(old: &[&str], new: &[&str]) -> Vec<String> {
        let word = |difference: Difference| match difference {
            Difference::Added(name, address) => format!("+ {name} {address}"),
            Difference::Removed(name, address) => format!("- {name} {address}"),
            Difference::Renamed { name, from, identity } => format!("> {from} {name} {identity}"),
            Difference::Changed(name, what, [before, now]) => format!("~ {name} {what} {before} {now}"),
        };
        diff(&list(old), &list(new)).into_iter().map(word).collect()
    }

    #[test]
    fn a_device_with_another_name_is_renamed_and_neither_gone_nor_new() {
        assert_eq!(told(&["a 1 n:1", "b 2"], &["z 1 n:1", "b 2"]), ["> a z n:1"]);
        assert_eq!(told(&["a 1 n:1"], &["z 9 n:1"]), ["> a z n:1", "~ z address 1 9"]);
        assert_eq!(
            told(&["a 1 n:1", "b 2 n:2"], &["a 2 n:2", "b 1 n:1"]),
            ["> b a n:2", "> a b n:1"],
            "both exchange their names, and no address is another one"
        );
    }

    #[test]
    fn a_name_that_another_device_takes_is_of_two_devices() {
        assert_eq!(told(&["a 1 n:1"], &["a 2 n:2", "z 1 n:1"]), ["+ a 2", "> a z n:1"]);
        assert_eq!(told(&["a 1 n:1", "b 2 n:2"], &["b 1 n:1"]), ["> a b n:1", "- b 2"]);
    }

    #[test]
    fn without_an_identity_names_are_all_there_is() {
        assert_eq!(told(&["a 1"], &["z 1 n:1"]), ["+ z 1", "- a 1"]);
        assert_eq!(told(&["a 1 n:1"], &["a 2 n:7"]), ["~ a address 1 2"], "entered anew");
        assert_eq!(told(&["a 1 n:1"], &["a 1", "z 1 n:1"]), ["+ z 1"], "another source calls it so still");
        assert_eq!(told(&["a 1 n:1", "z 2"], &["z 1 n:1"]), ["~ z address 2 1", "- a 1"]);
    }
}
