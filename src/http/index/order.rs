//! All devices in one order, and where in it a page begins.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Index;
use super::column::Column;
use super::part::Facts;
use crate::order::{Direction, compare};

/// What devices can be sorted by. Equal ones are in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Sort {
    Name,
    State,
    Platform,
    Model,
    Version,
    Serial,
    Address,
    Failure,
    LastVisit,
    LastSuccess,
    LastVersionChange,
    Failures,
}

/// What a device is sorted by, as a cursor carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::http) enum Key {
    Text(String),
    /// Microseconds since 1970, or a count; the lowest number stands for none.
    Number(i64),
}

impl Sort {
    /// All of them, in the order of the documentation and of their values.
    pub(in crate::http) const ALL: [Self; 12] = [
        Self::Name,
        Self::State,
        Self::Platform,
        Self::Model,
        Self::Version,
        Self::Serial,
        Self::Address,
        Self::Failure,
        Self::LastVisit,
        Self::LastSuccess,
        Self::LastVersionChange,
        Self::Failures,
    ];

    /// The name of the field that it sorts by.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "device",
            Self::State => "state",
            Self::Platform => "platform",
            Self::Model => "model",
            Self::Version => "version",
            Self::Serial => "serial",
            Self::Address => "address",
            Self::Failure => "failure",
            Self::LastVisit => "last_visit",
            Self::LastSuccess => "last_success",
            Self::LastVersionChange => "last_version_change",
            Self::Failures => "consecutive_failures",
        }
    }

    /// The one of that name.
    pub(in crate::http) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name)
    }

    fn values(self, facts: &Facts) -> Values<'_> {
        match self {
            Self::Name => Values::Names,
            Self::State => Values::Texts(&facts.state),
            Self::Platform => Values::Texts(&facts.platform),
            Self::Model => Values::Texts(&facts.model),
            Self::Version => Values::Texts(&facts.version),
            Self::Serial => Values::Texts(&facts.serial),
            Self::Address => Values::Texts(&facts.address),
            Self::Failure => Values::Texts(&facts.failure),
            Self::LastVisit => Values::Numbers(&facts.last_visit),
            Self::LastSuccess => Values::Numbers(&facts.last_success),
            Self::LastVersionChange => Values::Numbers(&facts.last_version_change),
            Self::Failures => Values::Numbers(&facts.failures),
        }
    }
}

enum Values<'a> {
    /// Places are in the order of names already.
    Names,
    Texts(&'a Column),
    Numbers(&'a [i64]),
}

/// The places of all devices, ascending; those that are equal in the order of their names.
#[derive(Debug)]
pub(in crate::http) struct Order(Vec<u32>);

impl Order {
    pub(super) fn new(sort: Sort, facts: &Facts, len: usize) -> Self {
        let mut places: Vec<u32> = (0..).take(len).collect();
        match sort.values(facts) {
            Values::Names => {}
            Values::Texts(column) => {
                let ranks = column.ranks();
                places.sort_unstable_by_key(|&place| (ranks[column.code(place as usize) as usize], place));
            }
            Values::Numbers(numbers) => {
                places.sort_unstable_by_key(|&place| (numbers[place as usize], place));
            }
        }
        Self(places)
    }
}

impl Index {
    /// What the device at this place is sorted by.
    pub(in crate::http) fn key(&self, sort: Sort, place: usize) -> Key {
        match sort.values(&self.facts) {
            Values::Names => Key::Text(String::new()),
            Values::Texts(column) => Key::Text(column.text(place).to_string()),
            Values::Numbers(numbers) => Key::Number(numbers[place]),
        }
    }

    /// The places behind the device of that key and name, or all; in this order and direction. A device that is gone, or
    /// whose key is another one by now, still marks where it stood.
    pub(in crate::http) fn places_behind(
        &self,
        sort: Sort,
        direction: Direction,
        last: Option<(&Key, &str)>,
    ) -> Box<dyn Iterator<Item = usize> + '_> {
        let Order(order) = self.order(sort);
        let from_mark = |place: usize, (key, name): (&Key, &str)| {
            self.compare(sort, place, key).then_with(|| self.name(place).cmp(name))
        };
        match (direction, last) {
            (Direction::Ascending, last) => {
                let from = last.map_or(0, |last| {
                    order.partition_point(|&place| from_mark(place as usize, last) != Ordering::Greater)
                });
                Box::new(order[from..].iter().map(|&place| place as usize))
            }
            (Direction::Descending, last) => {
                let to = last.map_or(order.len(), |last| {
                    order.partition_point(|&place| from_mark(place as usize, last) == Ordering::Less)
                });
                Box::new(order[..to].iter().rev().map(|&place| place as usize))
            }
        }
    }

    fn name(&self, place: usize) -> &str {
        self.snapshot.devices[place].device.id.as_str()
    }

    fn compare(&self, sort: Sort, place: usize, key: &Key) -> Ordering {
        match (sort.values(&self.facts), key) {
            (Values::Texts(column), Key::Text(text)) => compare(column.text(place), text),
            (Values::Numbers(numbers), Key::Number(number)) => numbers[place].cmp(number),
            // By name only. A cursor whose key is of the other sort was made by hand.
            _ => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_stands_at_its_own_number() {
        for (number, sort) in Sort::ALL.into_iter().enumerate() {
            assert_eq!(sort as usize, number);
            assert_eq!(Sort::from_name(sort.as_str()), Some(sort));
        }
    }
}
