//! Sources that are files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::Entry;
use super::{Dropped, Look, Trouble, csv_file, relabel, toml_file, tree_file};
use crate::document::{Document, Problems};
use crate::platform::Platforms;
use crate::source::{Source, SourceKind};

/// The largest inventory file: a million devices with a handful of labels each.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// The most files of one folder: beyond it, it is another folder than was meant.
const FILES_MAX: usize = 10_000;

/// The endings of versweep's own form.
pub(super) const ENDINGS: [&str; 5] = ["toml", "csv", "json", "yaml", "yml"];

/// Reads a source that is a file or a folder, and relabels what it finds. Blocks.
///
/// # Errors
/// Why nothing of it can be used.
pub fn look(source: &Source, platforms: &Platforms) -> Result<Look, Trouble> {
    let mut entries = Vec::new();
    match &source.kind {
        SourceKind::File { path } => own_form(&[path.clone()], &mut entries)?,
        SourceKind::Folder { path } => own_form(&files(path, &ENDINGS)?, &mut entries)?,
    }
    Ok(Look::new(entries, source, platforms))
}

impl Look {
    /// Relabels entries, and calls platforms as they are called here where another program named them.
    pub(super) fn new(entries: Vec<Entry>, source: &Source, platforms: &Platforms) -> Self {
        let mut look = Self { entries: Vec::with_capacity(entries.len()), dropped: Vec::new() };
        for mut entry in entries {
            match relabel::apply(&source.relabel, &mut entry) {
                Ok(()) => look.entries.push(entry),
                Err(why) => look.dropped.push(Dropped::new(&entry, why)),
            }
        }
        if source.kind.is_strict() { look } else { look.translated(platforms) }
    }
}

/// Reads files of versweep's own form. What is wrong in any of them is told of all of them.
fn own_form(paths: &[PathBuf], entries: &mut Vec<Entry>) -> Result<(), Trouble> {
    let mut problems = Problems::default();
    for path in paths {
        let text = read_text(path)?;
        let file: Arc<str> = path.display().to_string().into();
        // A byte order mark is what spreadsheets put first; to these forms it is no part of the text.
        let document = Document::new(&file, text.strip_prefix('\u{feff}').unwrap_or(&text));
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => csv_file::read(&document, &file, entries),
            Some("json") => tree_file::read_json(&document, &file, entries),
            Some("yaml" | "yml") => tree_file::read_yaml(&document, &file, entries),
            _ => toml_file::read(&document, &file, entries),
        }
        problems.extend(document.into_problems());
    }
    if problems.is_empty() { Ok(()) } else { Err(Trouble::invalid(problems)) }
}

/// The files of a folder with one of these endings, by name. Hidden ones are what editors and copies in progress leave.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Trouble> {
    let told = |error: &io::Error| Trouble::unreadable(format!("{}: {}", folder.display(), describe(error)));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| told(&error))? {
        let path = entry.map_err(|error| told(&error))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !hidden && ending.is_some_and(|ending| endings.contains(&ending)) {
            files.push(path);
        }
    }
    if files.len() > FILES_MAX {
        return Err(Trouble::unreadable(format!("{}: more than {FILES_MAX} files", folder.display())));
    }
    files.sort();
    Ok(files)
}

pub(super) fn read_text(path: &Path) -> Result<String, Trouble> {
    read(path).map_err(|problem| Trouble::unreadable(format!("{}: {problem}", path.display())))
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(describe(&error)),
        Ok(_) if bytes.len() as u64 > FILE_MAX => Err(format!("larger than {} MiB", FILE_MAX >> 20)),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
            format!("not utf-8 text on line {line}")
        }),
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "a folder, not a file".to_owned(),
        _ => error.to_string(),
    }
}
