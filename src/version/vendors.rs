//! Vendors whose numbering needs only a few lines each: ASA and FXOS, FortiOS, PAN-OS, RouterOS, SR OS, VRP, Comware.

use super::key::{Key, Part, Reader, without_trailing_zeros};

fn key(head: Vec<Part>, train: &str, tail: Vec<Part>) -> Option<Key> {
    Some(Key { family: String::new(), head, train: train.to_owned(), tail })
}

/// `9.12(4)67`, `9.8(3)`; FXOS: `2.12(1.29)`.
pub(super) fn asa(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let mut head = reader.numbers()?;
    reader.eat("(").then_some(())?;
    head.extend(reader.numbers()?);
    // The end mark puts the release before its interim builds, and those before the next release.
    head.extend([Part::End, Part::word(reader.letters())]);
    reader.eat(")").then_some(())?;
    head.extend(if reader.is_done() { Vec::new() } else { reader.numbers()? });
    reader.is_done().then_some(())?;
    key(head, "", Vec::new())
}

/// `7.4.8`, `v7.4.8,build2795,250523 (GA.M)`, `7.4.8 build2795`.
///
/// The build decides within one release; a release with a build and the same without have no order.
pub(super) fn fortios(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let _letter = reader.eat("v");
    let head = without_trailing_zeros(reader.numbers()?);
    if reader.is_done() {
        return key(head, "", Vec::new());
    }
    (reader.eat(",build") || reader.eat(" build") || reader.eat("-build")).then_some(())?;
    let build = reader.number()?;
    // Behind the build stand its date and its label, which order nothing.
    (reader.is_done() || reader.0.starts_with([',', ' '])).then_some(())?;
    key(head, "build", vec![build])
}

/// `10.2.7`, `10.2.7-h8`; betas such as `11.0.0-b12` come before their release.
pub(super) fn panos(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let head = without_trailing_zeros(reader.numbers()?);
    let tail = if reader.eat("-h") {
        vec![Part::End, reader.number()?]
    } else if reader.eat("-b") {
        vec![Part::Before("b".to_owned()), reader.number()?]
    } else {
        vec![Part::End]
    };
    reader.is_done().then_some(())?;
    key(head, "", tail)
}

/// `7.16beta3` < `7.16rc1` < `7.16` < `7.16.1`; a channel in parentheses behind it orders nothing.
pub(super) fn routeros(text: &str) -> Option<Key> {
    let mut reader = Reader(text.split(" (").next().unwrap_or(text));
    let head = without_trailing_zeros(reader.numbers()?);
    let word = reader.letters();
    let tail = match word {
        "" => vec![Part::End],
        "alpha" | "beta" | "rc" => vec![Part::Before(word.to_owned()), reader.number()?],
        _ => return None,
    };
    reader.is_done().then_some(())?;
    key(head, "", tail)
}

/// `22.10.R3`, `B-22.10.R3-1`, `TiMOS-C-14.0.R7`. The letter says for which control module the image is.
///
/// Alpha, beta and interim images (`A`, `B`, `I`) have no order with releases (`R`).
pub(super) fn sros(text: &str) -> Option<Key> {
    let text = text.strip_prefix("TiMOS-").unwrap_or(text);
    let mut reader = Reader(text);
    if !reader.letters().is_empty() {
        reader.eat("-").then_some(())?;
    }
    let head = vec![reader.number()?, reader.eat(".").then(|| reader.number()).flatten()?];
    reader.eat(".").then_some(())?;
    let kind = reader.letters().to_owned();
    let mut tail = vec![reader.number()?];
    if reader.eat("-") {
        tail.push(reader.number()?);
    }
    reader.is_done().then_some(())?;
    key(head, &kind, tail)
}

/// `V200R019C10SPC500`, `V300R022C00SPC100B123`, `MA5600V800R018C10`; the platform below: `8.180`.
pub(super) fn vrp(text: &str) -> Option<Key> {
    let at = text.rfind('V').unwrap_or(0);
    let (product, rest) = text.split_at(at);
    let mut reader = Reader(rest);
    if !reader.eat("V") {
        let head = without_trailing_zeros(reader.numbers()?);
        reader.is_done().then_some(())?;
        return Some(Key { family: "platform".to_owned(), head, train: String::new(), tail: Vec::new() });
    }
    let mut head = vec![reader.number()?];
    for letter in ["R", "C"] {
        reader.eat(letter).then_some(())?;
        head.push(reader.number()?);
    }
    let mut tail = Vec::new();
    for letters in ["SPC", "B"] {
        tail.push(if reader.eat(letters) { reader.number()? } else { Part::End });
    }
    reader.is_done().then_some(())?;
    Some(Key { family: product.to_ascii_uppercase(), head, train: String::new(), tail })
}

/// `7.1.070, Release 3507P18`, `5.20.99, Feature 2208`. Releases and features of one platform have no order.
pub(super) fn comware(text: &str) -> Option<Key> {
    let (platform, release) = text.split_once(", ").unwrap_or((text, ""));
    let mut reader = Reader(platform);
    let head = reader.numbers()?;
    let suffix = vec![Part::word(reader.letters()), reader.number().unwrap_or(Part::End)];
    reader.is_done().then_some(())?;
    let (kind, number) = release.rsplit_once(' ').unwrap_or(("", release));
    let mut reader = Reader(number.trim_start_matches('R'));
    let mut tail = suffix;
    while !reader.is_done() {
        tail.push(reader.number()?);
        tail.push(Part::word(reader.letters()));
    }
    key(head, &kind.to_ascii_lowercase(), tail)
}
