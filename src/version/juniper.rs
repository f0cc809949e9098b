//! Junos: year and quarter, the kind of release, its number, its service release, its build.

use super::key::{Key, Part, Reader};

/// `21.4R3-S3.4`, `18.2R2-S1`, `12.1X46-D40.2`, `15.1F6-S3`, `22.4R2-S1.6-EVO`.
///
/// Year and quarter decide. Within one, `B` comes before `R`; `X` and `F` releases are lines of their own.
/// Source: Juniper, "Junos OS release numbers": major.minor, type, number, -S service release, .spin.
pub(super) fn junos(text: &str) -> Option<Key> {
    let (text, evolved) = match text.strip_suffix("-EVO") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut reader = Reader(text);
    let major = reader.number()?;
    reader.eat(".").then_some(())?;
    let minor = reader.number()?;
    let kind = reader.letters();
    let number = reader.number()?;
    let (line, mut tail) = match kind {
        "R" => ("main".to_owned(), vec![Part::number("1"), number]),
        "B" => ("main".to_owned(), vec![Part::number("0"), number]),
        "X" => (format!("X{}", digits(&number)), vec![development(&mut reader)]),
        other => (other.to_owned(), vec![number]),
    };
    let spin = spin(&mut reader);
    let service = reader.eat("-S").then(|| reader.number()).flatten();
    match service {
        // A service release follows every build of what it serves.
        Some(service) => tail.extend([service, self::spin(&mut reader)]),
        None => tail.extend([Part::number("0"), spin]),
    }
    // Junos Evolved is another system: it has no order with Junos, not even across years.
    let family = if evolved { "evolved" } else { "" }.to_owned();
    reader.is_done().then_some(Key { family, head: vec![major, minor], train: line, tail })
}

fn development(reader: &mut Reader<'_>) -> Part {
    let number = if reader.eat("-D") { reader.number() } else { None };
    number.unwrap_or_else(|| Part::number("0"))
}

fn spin(reader: &mut Reader<'_>) -> Part {
    let number = if reader.eat(".") { reader.number() } else { None };
    number.unwrap_or_else(|| Part::number("0"))
}

fn digits(number: &Part) -> &str {
    match number {
        Part::Number(_, digits) => digits,
        _ => "",
    }
}
