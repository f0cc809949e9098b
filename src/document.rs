//! Reading a TOML file by hand, with the place of everything: each key is asked for, whatever is wrong is noted with
//! its line, and reading goes on, so that one run tells all that is wrong. (Serde stops at the first error.)
//!
//! Both doors that read what operators write, `config` and `inventory`, do it through here; nothing in it touches a disk.

use std::cell::RefCell;

use toml::de::{DeTable, DeValue};

mod item;
mod problem;

pub use item::{Item, Scalar, shown_text};
pub use problem::{Problem, Problems};

/// One file's text, and what was found wrong in it so far.
#[derive(Debug)]
pub struct Document<'a> {
    name: String,
    text: &'a str,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Document<'a> {
    /// A document; `name` is the file as the user knows it.
    #[must_use]
    pub fn new(name: &str, text: &'a str) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { name: name.to_owned(), text, line_starts, problems: RefCell::default() }
    }

    /// The file as the user knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Parses the text as TOML. On syntax errors they are noted, and nothing is returned: what a parser guesses behind
    /// a syntax error would only bring false alarms.
    #[must_use]
    pub fn parse(&self) -> Option<DeTable<'a>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        let mut last_line = None;
        for error in &errors {
            let (line, column) = self.position(error.span().map_or(0, |span| span.start));
            if last_line.replace(line) == Some(line) {
                continue;
            }
            // Only the message is used: the error's Display prints the line itself, and a secret may stand there.
            self.note(Problem {
                line: Some(line),
                column: Some(column),
                problem: format!("not valid toml: {}", error.message()),
                ..Problem::default()
            });
        }
        errors.is_empty().then(|| root.into_inner())
    }

    /// The root table of what [`Document::parse`] returned; an empty one where that was nothing.
    #[must_use]
    pub fn root<'d>(&'d self, table: Option<&'d DeTable<'d>>) -> Section<'d> {
        Section { document: self, path: String::new(), line: None, table }
    }

    /// Notes a problem: of this file, unless it names another one, to which this one led.
    pub fn note(&self, problem: Problem) {
        let file = if problem.file.is_empty() { self.name.clone() } else { problem.file };
        self.problems.borrow_mut().push(Problem { file, ..problem });
    }

    /// How many problems were noted so far.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// The problem that was noted as that one, counted from zero.
    #[must_use]
    pub fn problem(&self, index: usize) -> Option<Problem> {
        self.problems.borrow().get(index).cloned()
    }

    /// All problems, by line, each once.
    #[must_use]
    pub fn into_problems(self) -> Problems {
        let mut problems = Problems(self.problems.into_inner());
        problems.sort();
        // A table that is asked for twice tells twice that it is none.
        problems.0.dedup();
        problems
    }

    /// Line and column of a byte offset, both counted from one.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The line of a byte offset. The first line starts at zero, so there always is one.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// A table of a document, or the empty one that stands in for an absent table.
#[derive(Debug, Clone)]
pub struct Section<'d> {
    document: &'d Document<'d>,
    path: String,
    line: Option<usize>,
    table: Option<&'d DeTable<'d>>,
}

impl<'d> Section<'d> {
    /// Notes every key that is not among those known here.
    pub fn only(&self, known: &[&str]) {
        for (key, _) in self.table.into_iter().flatten() {
            if !known.contains(&key.get_ref().as_ref()) {
                self.document.note(Problem {
                    line: Some(self.document.line(key.span().start)),
                    key: self.join(key.get_ref()),
                    problem: "unknown key".to_owned(),
                    allowed: format!("known here: {}", known.join(", ")),
                    ..Problem::default()
                });
            }
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Item<'d>> {
        let value = self.table?.get(key)?;
        Some(Item::toml(self.document, self.join(key), value))
    }

    /// The value of a key that must be there; its absence is noted.
    #[must_use]
    pub fn require(&self, key: &str, allowed: &str) -> Option<Item<'d>> {
        let item = self.get(key);
        if item.is_none() {
            self.refuse(&format!("has no {key}"), allowed);
        }
        item
    }

    /// The table of that name; an empty one when it is absent or not a table, which is noted.
    #[must_use]
    pub fn section(&self, key: &str) -> Self {
        self.get(key).and_then(|item| item.section()).unwrap_or_else(|| Self {
            document: self.document,
            path: self.join(key),
            line: self.line,
            table: None,
        })
    }

    /// The tables of an array such as `[[sweep]]`. Each is called by its `name`, or by its number.
    #[must_use]
    pub fn sections(&self, key: &str) -> Vec<Self> {
        let Some(item) = self.get(key) else { return Vec::new() };
        let Some(elements) = item.elements(&format!("written as [[{key}]]")) else { return Vec::new() };
        let sections = elements.into_iter().enumerate().filter_map(|(index, element)| {
            let section = element.section()?;
            let name = section.table.and_then(|table| table.get("name")).and_then(|v| v.get_ref().as_str());
            let path = match name {
                Some(name) => format!("{key} {}: ", shown_text(name)),
                None => format!("{key} #{}: ", index + 1),
            };
            Some(Self { path, ..section })
        });
        sections.collect()
    }

    /// The tables inside this one by name, such as each `[credentials.NAME]`.
    #[must_use]
    pub fn subsections(&self) -> Vec<(&'d str, Self)> {
        let entries = self.table.into_iter().flatten();
        entries
            .filter_map(|(key, _)| Some((key.get_ref().as_ref(), self.get(key.get_ref())?.section()?)))
            .collect()
    }

    /// The keys and values of this table.
    #[must_use]
    pub fn items(&self) -> Vec<(&'d str, Item<'d>)> {
        let entries = self.table.into_iter().flatten();
        entries.filter_map(|(key, _)| Some((key.get_ref().as_ref(), self.get(key.get_ref())?))).collect()
    }

    /// The line of the table's header.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// What the table is called in messages.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.trim_end_matches(": ")
    }

    /// The document it is part of.
    #[must_use]
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Notes something about the table as a whole.
    pub fn refuse(&self, problem: &str, allowed: &str) {
        self.document.note(Problem {
            line: self.line,
            key: self.path().to_owned(),
            problem: problem.to_owned(),
            allowed: allowed.to_owned(),
            ..Problem::default()
        });
    }

    /// The path of a key in this table.
    fn join(&self, key: &str) -> String {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        let key = if bare { key.to_owned() } else { shown_text(key) };
        if self.path.is_empty() || self.path.ends_with(": ") {
            format!("{}{key}", self.path)
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// What a value is, for messages.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
