//! An inventory in CSV (RFC 4180): a header row, then one device a row. Columns that are no device key are labels; an
//! empty cell is an absent value; a line that starts with `#` is a comment.

use std::sync::Arc;

use csv::{Position, ReaderBuilder, StringRecord, Trim};

use super::check::check_label;
use super::entry::{Entry, is_key};
use crate::document::{Document, Item, Problem, shown_text};

pub(super) fn read(document: &Document<'_>, file: &Arc<str>, entries: &mut Vec<Entry>) {
    let mut csv = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(Trim::All)
        .from_reader(document.text().as_bytes());
    let mut header: Option<Header> = None;
    let mut record = StringRecord::new();
    // The text is UTF-8 and in memory, and rows may have any length: reading it can't fail.
    while let Ok(true) = csv.read_record(&mut record) {
        let line = record.position().map_or(0, |start| line_of(document.text(), start));
        match &header {
            None => match Header::read(document, line, &record) {
                Some(good) => header = Some(good),
                None => return,
            },
            Some(header) => entries.extend(header.row(document, file, line, &record)),
        }
    }
    if header.is_none() {
        note(document, 1, "has no header row", "a first line such as name,address,platform,site,role");
    }
}

fn note(document: &Document<'_>, line: usize, problem: &str, allowed: &str) {
    document.note(Problem {
        line: Some(line),
        problem: problem.to_owned(),
        allowed: allowed.to_owned(),
        ..Problem::default()
    });
}

/// The line that a record begins on. The reader's position is where it began to look, before empty lines and comments.
fn line_of(text: &str, start: &Position) -> usize {
    let offset = usize::try_from(start.byte()).unwrap_or(usize::MAX);
    let mut line = usize::try_from(start.line()).unwrap_or_default();
    let mut rest = text.get(offset..).unwrap_or_default();
    while rest.starts_with(['\r', '\n', '#']) {
        let skipped =
            if rest.starts_with('#') { rest.find('\n').map_or(rest.len(), |end| end + 1) } else { 1 };
        line += usize::from(rest[..skipped].ends_with('\n'));
        rest = &rest[skipped..];
    }
    line
}

/// The names of the columns, each known to be a device key or a good label.
struct Header(Vec<String>);

impl Header {
    fn read(document: &Document<'_>, line: usize, record: &StringRecord) -> Option<Self> {
        let before = document.problem_count();
        let mut names: Vec<String> = Vec::new();
        for (index, name) in record.iter().enumerate() {
            let item = Item::cell(document, format!("column {}", index + 1), line, name);
            if names.iter().any(|other| other == name) {
                item.refuse("is named twice", "each column once");
            } else if name == "labels" {
                item.refuse("is no column", "each label has a column of its own, named like the label");
            } else if is_key(name) || check_label(name, &item) {
                names.push(name.to_owned());
            }
        }
        if !names.iter().any(|name| name == "name") {
            note(
                document,
                line,
                "has no column called name",
                "a first line such as name,address,platform,site,role",
            );
        }
        (document.problem_count() == before).then_some(Self(names))
    }

    fn row(
        &self,
        document: &Document<'_>,
        file: &Arc<str>,
        line: usize,
        record: &StringRecord,
    ) -> Option<Entry> {
        if record.len() != self.0.len() {
            let name = self.0.iter().position(|name| name == "name").and_then(|index| record.get(index));
            let name = name.filter(|name| !name.is_empty());
            document.note(Problem {
                line: Some(line),
                key: name.map_or_else(|| "device".to_owned(), |name| format!("device {}", shown_text(name))),
                problem: format!("has {} cells", record.len()),
                allowed: format!("{}, as many as the header row", self.0.len()),
                ..Problem::default()
            });
            return None;
        }
        let mut entry = Entry::new(file, Some(line));
        for (name, cell) in self.0.iter().zip(record) {
            if !cell.is_empty() {
                entry.push(name, cell);
            }
        }
        Some(entry)
    }
}
