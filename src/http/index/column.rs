//! One text of every device, as a number: a filter compares numbers, an order sorts them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::order::compare;

/// The code of a text that is not there.
pub(super) const ABSENT: u32 = 0;

/// A text for each place. Texts are never forgotten: see [`Column::is_worn`].
#[derive(Debug, Clone)]
pub(super) struct Column {
    codes: Vec<u32>,
    /// By code.
    names: Vec<Arc<str>>,
    code_of: HashMap<Arc<str>, u32>,
}

impl Column {
    /// A column of so many places with nothing in them.
    pub(super) fn new(places: usize) -> Self {
        let nothing: Arc<str> = "".into();
        Self {
            codes: vec![ABSENT; places],
            names: vec![Arc::clone(&nothing)],
            code_of: HashMap::from([(nothing, ABSENT)]),
        }
    }

    pub(super) fn set(&mut self, place: usize, text: &str) {
        self.codes[place] = match self.code_of.get(text) {
            Some(&code) => code,
            None => {
                // There are as many texts as devices, about; a snapshot of 2^32 devices doesn't fit in memory.
                let (name, code): (Arc<str>, _) =
                    (text.into(), u32::try_from(self.names.len()).unwrap_or(ABSENT));
                self.names.push(Arc::clone(&name));
                self.code_of.insert(name, code);
                code
            }
        };
    }

    pub(super) fn code(&self, place: usize) -> u32 {
        self.codes[place]
    }

    pub(super) fn name(&self, code: u32) -> Arc<str> {
        Arc::clone(&self.names[code as usize])
    }

    pub(super) fn text(&self, place: usize) -> &Arc<str> {
        &self.names[self.codes[place] as usize]
    }

    /// The codes of those texts that any device ever had here.
    pub(super) fn codes_of(&self, texts: &[String]) -> Vec<u32> {
        texts.iter().filter_map(|text| self.code_of.get(text.as_str()).copied()).collect()
    }

    /// Which texts the devices for which it holds have, and how many have each; not those without one. In natural order.
    pub(super) fn tally(&self, holds: impl Fn(usize) -> bool) -> Vec<(Arc<str>, usize)> {
        let mut counts = vec![0; self.names.len()];
        for (place, &code) in self.codes.iter().enumerate() {
            if holds(place) {
                counts[code as usize] += 1;
            }
        }
        let mut rows: Vec<(Arc<str>, usize)> =
            (self.names.iter().cloned().zip(counts).skip(1)).filter(|(_, count)| *count > 0).collect();
        rows.sort_by(|(a, _), (b, _)| compare(a, b));
        rows
    }

    /// Whether so many texts went by that it is better made anew.
    pub(super) fn is_worn(&self) -> bool {
        self.names.len() > 2 * self.codes.len() + 1024
    }

    /// By code, which place its text takes among all texts in natural order.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<usize> = (0..self.names.len()).collect();
        sorted.sort_unstable_by(|&a, &b| compare(&self.names[a], &self.names[b]));
        let mut ranks = vec![0; sorted.len()];
        for (rank, code) in (0..).zip(sorted) {
            ranks[code] = rank;
        }
        ranks
    }
}
