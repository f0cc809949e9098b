//! Cisco's three ways to number: IOS and IOS XE, NX-OS, IOS XR.

use super::key::{Key, Part, Reader, without_trailing_zeros};

/// `15.2(7)E10`, `12.3(6f)`, `15.4(0.10)S`; `17.09.04a`, `03.06.06.E`.
///
/// Order holds within a train only: what one train calls newer says nothing of another.
pub(super) fn ios(text: &str) -> Option<Key> {
    if text.contains('(') { classic_ios(text) } else { ios_xe(text) }
}

fn classic_ios(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let mut tail = vec![reader.number()?];
    if !reader.eat(".") {
        return None;
    }
    tail.push(reader.number()?);
    if !reader.eat("(") {
        return None;
    }
    let dated = reader.0.split(')').next().is_some_and(|inside| inside.contains(':'));
    let maintenance = if dated { date_and_time(&mut reader)? } else { reader.numbers()? };
    tail.extend(maintenance);
    // The end mark puts `(4)E1` before `(4.0.55)E`: an interim build follows the release it is numbered after.
    tail.extend([Part::End, Part::word(reader.letters())]);
    if !reader.eat(")") {
        return None;
    }
    let train = reader.letters().to_ascii_uppercase();
    tail.push(reader.number().unwrap_or_else(|| Part::number("")));
    tail.push(Part::word(reader.letters()));
    let train = if dated { format!("classic {train} experimental") } else { format!("classic {train}") };
    reader.is_done().then_some(Key { family: train, head: Vec::new(), train: String::new(), tail })
}

fn ios_xe(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let mut tail = vec![reader.number()?];
    if !reader.eat(".") {
        return None;
    }
    tail.push(reader.number()?);
    // `17.13` alone is where that release begins: people set bounds so, devices don't say it.
    let begins = reader.is_done();
    if !(begins || reader.eat(".")) {
        return None;
    }
    let dated = reader.0.contains(':');
    tail.extend(match (dated, begins) {
        (true, _) => date_and_time(&mut reader)?,
        (false, true) => vec![Part::number("")],
        (false, false) => vec![reader.number()?],
    });
    tail.push(Part::word(reader.letters()));
    tail.push(reader.number().unwrap_or_else(|| Part::number("")));
    let train = if reader.eat(".") { reader.letters().to_ascii_uppercase() } else { String::new() };
    let train = if dated { "xe experimental".to_owned() } else { format!("xe {train}") };
    reader.is_done().then_some(Key { family: train, head: Vec::new(), train: String::new(), tail })
}

/// An engineering build is numbered by its instant: `20230924:023456`.
fn date_and_time(reader: &mut Reader<'_>) -> Option<Vec<Part>> {
    let date = reader.number()?;
    reader.eat(":").then_some(())?;
    Some(vec![date, reader.number()?])
}

/// `9.3(10)`, `7.0(3)I7(8)`, `10.3(4a)(M)`. The release decides; within one release only one train can be ordered.
pub(super) fn nxos(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let mut head = vec![reader.number()?];
    reader.eat(".").then_some(())?;
    head.push(reader.number()?);
    // `10.4` alone is where that release begins, for bounds.
    if !reader.is_done() {
        head.extend(in_parentheses(&mut reader)?);
    }
    let train = reader.letters().to_ascii_uppercase();
    let mut tail = Vec::new();
    if !train.is_empty() {
        tail.push(reader.number().unwrap_or_else(|| Part::number("")));
        if reader.0.starts_with('(') {
            tail.extend(in_parentheses(&mut reader)?);
        }
    }
    // `(M)` and `(F)` say of which kind the release is, not where it stands.
    let _kind = reader.eat("(M)") || reader.eat("(F)");
    reader.is_done().then_some(Key { family: String::new(), head, train, tail })
}

fn in_parentheses(reader: &mut Reader<'_>) -> Option<Vec<Part>> {
    reader.eat("(").then_some(())?;
    let mut parts = reader.numbers()?;
    parts.push(Part::End);
    parts.push(Part::word(reader.letters()));
    reader.eat(")").then_some(parts)
}

/// `7.5.2`, `24.2.11`, `6.1.4.10I`, `7.5.2-LNT`.
pub(super) fn xr(text: &str) -> Option<Key> {
    let mut reader = Reader(text);
    let mut numbers = reader.numbers()?;
    let mut tail = Vec::new();
    if reader.eat("I") {
        // 6.1.4.10I is the tenth build on the way to 6.1.4.
        let build = numbers.pop()?;
        tail.push(Part::Before("i".to_owned()));
        tail.push(build);
    } else {
        tail.push(Part::End);
    }
    let _kernel = reader.eat("-LNT");
    let head = without_trailing_zeros(numbers);
    (reader.is_done() && !head.is_empty()).then_some(Key {
        family: String::new(),
        head,
        train: String::new(),
        tail,
    })
}
