//! Many changes of one sweep that are alike, told as one: "412 x C9300 17.09.04 -> 17.12.03 (site ams: 200, ...)".

use std::collections::{BTreeMap, HashMap};

use super::{Event, clean};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::device::{DeviceId, PlatformKey};
use crate::observation::SweepId;

/// The most devices that a digest names; the store has them all.
pub const DEVICES_MAX: usize = 100;

/// The most values of the label that a message counts.
const PLACES_IN_MESSAGE: usize = 5;

/// Many changes of one sweep that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The place of the first of them.
    pub sequence: i64,
    /// The sweep that found them.
    pub sweep: SweepId,
    /// Their kind.
    pub kind: ChangeKind,
    /// What they are about, as in a change.
    pub subject: String,
    /// The platform of all.
    pub platform: Option<PlatformKey>,
    /// The model of all.
    pub model: Option<String>,
    /// What was there before.
    pub before: String,
    /// What is there now.
    pub after: String,
    /// How many devices.
    pub count: usize,
    /// When the last of them was found.
    pub at: Timestamp,
    /// The label that they are counted by, such as `site`.
    pub label: String,
    /// How many devices have which value of the label, the most first; those without it are not counted.
    pub places: Vec<(String, usize)>,
    /// The first [`DEVICES_MAX`] of them, by name.
    pub devices: Vec<DeviceId>,
}

impl Digest {
    /// The stable identity. The first event's sequence stands for the group: within one store it never changes.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:digest:{}:{}", self.sweep, self.kind, self.sequence)
    }

    /// One sentence for people, safe for logs and terminals.
    #[must_use]
    pub fn message(&self) -> String {
        let what = match (&self.model, &self.platform) {
            (Some(model), _) => clean(model),
            (None, Some(platform)) => platform.to_string(),
            (None, None) => "devices".to_owned(),
        };
        let (before, after) = (clean(&self.before), clean(&self.after));
        let change = match (before.as_str(), after.as_str()) {
            ("", "") => String::new(),
            ("", after) => format!(": {after}"),
            (before, "") => format!(": {before}"),
            (before, after) => format!(" {before} -> {after}"),
        };
        let subject = match self.subject.as_str() {
            "" => String::new(),
            subject => format!(" [{}]", clean(subject)),
        };
        format!("{} x {what} {}{subject}{change}{}", self.count, self.kind, self.where_they_are())
    }

    fn where_they_are(&self) -> String {
        if self.places.is_empty() {
            return String::new();
        }
        let counted = self.places.iter().take(PLACES_IN_MESSAGE);
        let mut parts: Vec<_> = counted.map(|(place, count)| format!("{}: {count}", clean(place))).collect();
        let others = self.places.len() - parts.len();
        if others > 0 {
            parts.push(format!("and {others} more"));
        }
        format!(" ({} {})", clean(&self.label), parts.join(", "))
    }
}

/// How one sweep's events are told: which stand for many, and which are told with those.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// By the sequence of the first event of each group.
    pub digests: HashMap<i64, Digest>,
    /// The other events of those groups.
    pub folded: std::collections::HashSet<i64>,
}

/// What makes two changes of a sweep alike.
type Alike<'a> = (ChangeKind, &'a str, Option<&'a str>, Option<&'a str>, &'a str, &'a str);

/// Folds the events of one sweep, in their order: of more than `more_than` alike, one digest, counted by that label.
#[must_use]
pub fn fold(sweep: SweepId, events: &[Event], more_than: usize, label: &str) -> Fold {
    let mut groups: BTreeMap<Alike<'_>, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let change = &event.change;
        let alike = (
            change.kind,
            change.subject.as_str(),
            event.platform.as_ref().map(PlatformKey::as_str),
            event.model.as_deref(),
            change.before.as_str(),
            change.after.as_str(),
        );
        groups.entry(alike).or_default().push(event);
    }
    let mut fold = Fold::default();
    for group in groups.into_values().filter(|group| group.len() > more_than) {
        let digest = digest(sweep, &group, label);
        fold.folded.extend(group.iter().skip(1).map(|event| event.sequence));
        fold.digests.extend(digest.map(|digest| (digest.sequence, digest)));
    }
    fold
}

fn digest(sweep: SweepId, group: &[&Event], label: &str) -> Option<Digest> {
    let (first, last) = (group.first()?, group.last()?);
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for place in group.iter().filter_map(|event| event.labels.get(label)) {
        *places.entry(place).or_default() += 1;
    }
    let mut places: Vec<_> = places.into_iter().map(|(place, count)| (place.to_owned(), count)).collect();
    places.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut devices: Vec<_> = group.iter().filter_map(|event| event.change.device().cloned()).collect();
    devices.sort_unstable();
    devices.truncate(DEVICES_MAX);
    Some(Digest {
        sequence: first.sequence,
        sweep,
        kind: first.change.kind,
        subject: first.change.subject.clone(),
        platform: first.platform.clone(),
        model: first.model.clone(),
        before: first.change.before.clone(),
        after: first.change.after.clone(),
        count: group.len(),
        at: last.change.at,
        label: label.to_owned(),
        places,
        devices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::device::Labels;

    fn sweep() -> SweepId {
        "01900000-0000-7000-8000-000000000001".parse().unwrap()
    }

    fn event(sequence: i64, site: &str, after: &str) -> Event {
        let change = Change {
            of: DeviceId::new(&format!("sw{sequence}.{site}")).unwrap().into(),
            sweep: Some(sweep()),
            at: Timestamp::from_timestamp(1_790_000_000 + sequence, 0).unwrap(),
            kind: ChangeKind::Upgrade,
            subject: String::new(),
            before: "17.09.04".into(),
            after: after.into(),
            why: String::new(),
            confirmed: true,
        };
        let labels = [("site".to_owned(), site.to_owned())].into_iter().collect::<Labels>();
        Event {
            sequence,
            change,
            platform: Some(PlatformKey::new("cisco_xe")),
            model: Some("C9300".into()),
            labels,
        }
    }

    #[test]
    fn more_than_so_many_alike_are_one_and_the_others_stay() {
        let mut events: Vec<_> =
            (1..=7).map(|n| event(n, if n < 5 { "ams" } else { "lon" }, "17.12.03")).collect();
        events.push(event(8, "ams", "17.12.04"));
        let folded = fold(sweep(), &events, 6, "site");
        let digest = &folded.digests[&1];
        assert_eq!(digest.message(), "7 x C9300 upgrade 17.09.04 -> 17.12.03 (site ams: 4, lon: 3)");
        assert_eq!(digest.id(), format!("{}:digest:upgrade:1", sweep()));
        assert_eq!((digest.devices.len(), digest.at), (7, events[6].change.at));
        let mut rest: Vec<_> = folded.folded.into_iter().collect();
        rest.sort_unstable();
        assert_eq!((folded.digests.len(), rest), (1, vec![2, 3, 4, 5, 6, 7]));

        let folded = fold(sweep(), &events, 7, "site");
        assert!(folded.digests.is_empty() && folded.folded.is_empty(), "seven are not more than seven");
    }

    #[test]
    fn a_digest_without_the_label_counts_no_places() {
        let events: Vec<_> = (1..=3).map(|n| event(n, "ams", "17.12.03")).collect();
        let folded = fold(sweep(), &events, 1, "rack");
        assert_eq!(folded.digests[&1].message(), "3 x C9300 upgrade 17.09.04 -> 17.12.03");
    }
}
