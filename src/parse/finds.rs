//! What a profile's patterns find in one answer. Several checks ask for the same values: each place is looked for once,
//! and only as far into the answer as somebody asks.

use std::cell::RefCell;

use crate::expression::{Captures, Matches};
use crate::platform::{Field, Pattern, Profile};

/// An answer under a profile's patterns.
pub(super) struct Finds<'p, 't> {
    pub(super) profile: &'p Profile,
    pub(super) answer: &'t str,
    /// One for each of the profile's patterns.
    places: Vec<RefCell<Places<'p, 't>>>,
}

/// Where one pattern matches, as far as that is known.
#[derive(Default)]
struct Places<'p, 't> {
    seen: Vec<Captures<'t>>,
    /// What is left to look for; absent before the first look.
    rest: Option<Matches<'p, 't>>,
}

impl<'p, 't> Finds<'p, 't> {
    pub(super) fn new(profile: &'p Profile, answer: &'t str) -> Self {
        let places = profile.patterns.iter().map(|_| RefCell::default()).collect();
        Self { profile, answer, places }
    }

    /// The first pattern, in the profile's order, that reads the field, and what it reads.
    pub(super) fn first(&self, field: Field) -> Option<(&'p Pattern, &'t str)> {
        self.by_pattern(field).find_map(|(pattern, mut values)| Some((pattern, values.next()?)))
    }

    /// What the first pattern reads that reads the field at all; nothing where that may have been cut.
    pub(super) fn first_whole(&self, field: Field) -> Option<&'t str> {
        self.first(field)
            .filter(|(pattern, value)| !pattern.may_be_cut(value, self.answer))
            .map(|(_, value)| value)
    }

    /// The patterns for the field, in the profile's order, each with all that it reads: trimmed, not empty, not among what
    /// it rejects.
    pub(super) fn by_pattern(
        &self,
        field: Field,
    ) -> impl Iterator<Item = (&'p Pattern, impl Iterator<Item = &'t str>)> {
        let all = self.profile.patterns.iter().zip(&self.places);
        all.filter(move |(pattern, _)| pattern.fields.contains(&field)).map(move |(pattern, places)| {
            let matches =
                (0..).map_while(move |nth| places.borrow_mut().value(pattern, self.answer, nth, field));
            let values = matches
                .flatten()
                .filter(|value| !value.is_empty())
                .filter(move |value| !pattern.reject.as_ref().is_some_and(|reject| reject.is_match(value)));
            (pattern, values)
        })
    }
}

impl<'p, 't> Places<'p, 't> {
    /// What the nth match reads for the field; nothing where there are not so many.
    fn value(
        &mut self,
        pattern: &'p Pattern,
        answer: &'t str,
        nth: usize,
        field: Field,
    ) -> Option<Option<&'t str>> {
        if nth == self.seen.len() {
            let rest = self.rest.get_or_insert_with(|| pattern.regex.captures_iter(answer));
            self.seen.push(rest.next()?);
        }
        let value = self.seen.get(nth)?.name(field.as_str());
        Some(value.map(str::trim))
    }
}
