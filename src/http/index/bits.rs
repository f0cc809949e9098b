//! A set of places in an index.

/// One bit for each place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The set of those places below `len` for which it holds.
    pub(super) fn of(len: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let word = |start: usize| {
            (start..len.min(start + 64))
                .fold(0, |word, place| word | u64::from(holds(place)) << (place - start))
        };
        Self { words: (0..len).step_by(64).map(word).collect() }
    }

    /// The set of these places, which are below `len`.
    pub(super) fn from_places<'a>(len: usize, places: impl Iterator<Item = &'a u32>) -> Self {
        let mut words = vec![0; len.div_ceil(64)];
        for &place in places {
            words[place as usize / 64] |= 1 << (place % 64);
        }
        Self { words }
    }

    /// Leaves what is in both.
    pub(super) fn keep(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(super) fn has(&self, place: usize) -> bool {
        self.words[place / 64] >> (place % 64) & 1 == 1
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_put_in() {
        let thirds = Bits::of(200, |place| place % 3 == 0);
        assert_eq!((thirds.count(), thirds.has(199), thirds.has(198)), (67, false, true));
        let mut some = Bits::from_places(200, [0, 3, 64, 198, 199].iter());
        some.keep(&thirds);
        assert_eq!((0..200).filter(|&place| some.has(place)).collect::<Vec<_>>(), [0, 3, 198]);
        assert_eq!(Bits::of(0, |_| true).count(), 0);
    }
}
