//! The order that people expect of names and versions: numbers by their value, the rest as it is written. It says
//! nothing about which release is newer; that is the platform's to say.

use std::cmp::Ordering;

/// Which end of an order comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// Compares two texts. A total order: texts that differ in leading zeros only are told apart by their bytes.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (digits_left, digits_right) = (digits(left), digits(right));
        if digits_left > 0 && digits_right > 0 {
            let number_left = significant(&left[..digits_left]);
            let number_right = significant(&right[..digits_right]);
            let numbers =
                number_left.len().cmp(&number_right.len()).then_with(|| number_left.cmp(number_right));
            if numbers.is_ne() {
                return numbers;
            }
            (left, right) = (&left[digits_left..], &right[digits_right..]);
            continue;
        }
        match (left.split_first(), right.split_first()) {
            (Some((a, rest_left)), Some((b, rest_right))) if a == b => {
                (left, right) = (rest_left, rest_right);
            }
            (Some((a, _)), Some((b, _))) => return a.cmp(b),
            (None, None) => return a.cmp(b),
            (ended, _) => return if ended.is_none() { Ordering::Less } else { Ordering::Greater },
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count_by_their_value() {
        let sorted =
            ["", "1", "01a", "1a", "1.2", "1.10", "1.10a", "9.3(5)", "9.3(10)", "17.3.1", "a2", "a10", "b"];
        let mut texts = sorted.to_vec();
        texts.reverse();
        texts.sort_by(|a, b| compare(a, b));
        // "1.2" and "1a": a point comes before a letter.
        let expected =
            ["", "1", "1.2", "1.10", "1.10a", "01a", "1a", "9.3(5)", "9.3(10)", "17.3.1", "a2", "a10", "b"];
        assert_eq!(texts, expected);
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[0-9a.]{0,6}", b in "[0-9a.]{0,6}", c in "[0-9a.]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b).is_eq(), a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
