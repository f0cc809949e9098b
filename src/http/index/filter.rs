//! Which devices are asked for.

use memchr::memmem::Finder;

use super::Index;
use super::bits::Bits;
use super::column::Column;
use crate::text::tamed;

/// Chooses devices: each part that is given must hold, and a part holds when one of its values does. The default chooses
/// all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct Filter {
    /// Parts of any shown text, whatever the case; all must occur.
    pub(in crate::http) search: Vec<String>,
    pub(in crate::http) state: Vec<String>,
    pub(in crate::http) platform: Vec<String>,
    pub(in crate::http) model: Vec<String>,
    pub(in crate::http) version: Vec<String>,
    pub(in crate::http) failure: Vec<String>,
    /// A result, of one of these policies where they are named as well.
    pub(in crate::http) result: Vec<String>,
    pub(in crate::http) policy: Vec<String>,
    /// By name; a label named twice holds with either value.
    pub(in crate::http) labels: std::collections::BTreeMap<String, Vec<String>>,
}

/// The devices that a filter chooses.
pub(in crate::http) struct Chosen {
    of: usize,
    /// Absent where all are chosen.
    some: Option<Bits>,
}

impl Chosen {
    pub(in crate::http) fn has(&self, place: usize) -> bool {
        self.some.as_ref().is_none_or(|bits| bits.has(place))
    }

    pub(in crate::http) fn count(&self) -> usize {
        self.some.as_ref().map_or(self.of, Bits::count)
    }

    /// Whether the filter leaves nothing out, as far as it is known without counting.
    pub(in crate::http) fn is_all(&self) -> bool {
        self.some.is_none()
    }

    fn keep(&mut self, bits: Bits) {
        match &mut self.some {
            None => self.some = Some(bits),
            Some(chosen) => chosen.keep(&bits),
        }
    }
}

impl Index {
    /// The devices that this filter chooses.
    pub(in crate::http) fn choose(&self, filter: &Filter) -> Chosen {
        let (facts, len) = (&self.facts, self.len());
        let mut chosen = Chosen { of: len, some: None };
        for (column, texts) in [
            (&facts.state, &filter.state),
            (&facts.platform, &filter.platform),
            (&facts.model, &filter.model),
            (&facts.version, &filter.version),
            (&facts.failure, &filter.failure),
        ] {
            if !texts.is_empty() {
                chosen.keep(with_one_of(column, texts, len));
            }
        }
        for (name, values) in &filter.labels {
            let places = values.iter().flat_map(|value| self.labels.places(name, value));
            chosen.keep(Bits::from_places(len, places));
        }
        if !(filter.result.is_empty() && filter.policy.is_empty()) {
            let places = self.standings().places(&filter.policy, &filter.result);
            chosen.keep(Bits::from_places(len, places));
        }
        for part in &filter.search {
            // What is searched was tamed as well.
            let needle = tamed(part.trim(), usize::MAX).to_lowercase();
            if !needle.is_empty() {
                let finder = Finder::new(&needle);
                let found =
                    |place: usize| chosen.has(place) && finder.find(facts.search[place].as_bytes()).is_some();
                let found = Bits::of(len, found);
                chosen.keep(found);
            }
        }
        chosen
    }
}

fn with_one_of(column: &Column, texts: &[String], len: usize) -> Bits {
    match column.codes_of(texts).as_slice() {
        [] => Bits::of(len, |_| false),
        [code] => Bits::of(len, |place| column.code(place) == *code),
        codes => Bits::of(len, |place| codes.contains(&column.code(place))),
    }
}
