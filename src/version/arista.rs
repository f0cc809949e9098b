//! Arista EOS.

use super::key::{Key, Part, Reader, without_trailing_zeros};

/// `4.28.9M`, `4.21.1.1F`, `4.32.1F-37265360.4321F`.
///
/// The numbers decide; `F` (feature) turns into `M` (maintenance) in the course of a train and comes before it.
pub(super) fn eos(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let head = without_trailing_zeros(reader.numbers()?);
    let kind = Part::word(reader.letters());
    if reader.is_done() {
        return Some(Key { family: String::new(), head, train: String::new(), tail: vec![kind] });
    }
    reader.eat("-").then_some(())?;
    // An engineering build has no order with the release of the same number, only with its like.
    let build = reader.number();
    let train = if build.is_some() { "build".to_owned() } else { reader.0.to_owned() };
    Some(Key {
        family: String::new(),
        head,
        train,
        tail: [vec![kind], build.into_iter().collect(), vec![Part::word(reader.0)]].concat(),
    })
}
