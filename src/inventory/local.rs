//! Sources that are files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use super::entry::Entry;
use super::{Dropped, Look, Trouble, ansible, csv_file, relabel, router_db, sd, toml_file, tree_file};
use crate::document::{Document, Problems};
use crate::duration::HumanDuration;
use crate::platform::Platforms;
use crate::source::{OWN_FORM, Source, SourceKind, Vaulted, is_pattern};
use crate::status::RefreshFailure;

/// The largest inventory file: a million devices with a handful of labels each.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// The most files of one folder: beyond it, it is another folder than was meant.
const FILES_MAX: usize = 10_000;

/// Reads a source that is a file or a folder, and relabels what it finds; one that is a server has nothing here. Blocks.
///
/// # Errors
/// Why nothing of it can be used.
pub fn look(source: &Source, platforms: &Platforms) -> Result<Look, Trouble> {
    let (mut entries, mut dropped, mut problems) = (Vec::new(), Vec::new(), Problems::default());
    match &source.kind {
        SourceKind::File { path } => own_form(std::slice::from_ref(path), &mut entries, &mut problems)?,
        SourceKind::Folder { path } => own_form(&files(path, "*", &OWN_FORM)?, &mut entries, &mut problems)?,
        SourceKind::FileSd { path } => file_sd(path, &mut entries)?,
        SourceKind::Ansible { path, vaulted } => ansible(path, *vaulted, &mut entries)?,
        SourceKind::RouterDb { path, form } => {
            router_db::read(&read_text(path)?, form, &shown(path), &mut entries, &mut dropped);
        }
        SourceKind::HttpSd { .. } | SourceKind::Registry { .. } => {}
    }
    let mut look = Look { problems, ..Look::new(entries, source, platforms) };
    look.dropped.extend(dropped);
    Ok(look)
}

/// The same for as long as the source's timeout at most. A file server that is gone holds a reading for hours, so it has a
/// thread of its own, which nobody waits for; while it lives, `stuck` does, and no other one begins. Blocks.
pub(super) fn look_in_time(
    source: &Arc<Source>,
    platforms: &Arc<Platforms>,
    stuck: &Mutex<Weak<()>>,
) -> Result<Look, Trouble> {
    let late = |what: &str| {
        let limit = HumanDuration(source.timeout);
        Trouble::new(RefreshFailure::Timeout, format!("not read within {limit}{what}"))
    };
    let broken =
        |error: &dyn std::fmt::Display| Trouble::unreadable(format!("reading it broke off: {error}"));
    let (sender, receiver) = sync_channel(1);
    let (life, of, with) = (Arc::new(()), Arc::clone(source), Arc::clone(platforms));
    {
        let mut stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if stuck.strong_count() > 0 {
            return Err(late(", and that reading is still held up"));
        }
        *stuck = Arc::downgrade(&life);
    }
    let reading = move || {
        // Whoever asked may have gone on without it.
        let _gone = sender.send(look(&of, &with));
        drop(life);
    };
    thread::Builder::new().name("inventory".to_owned()).spawn(reading).map_err(|error| broken(&error))?;
    receiver.recv_timeout(source.timeout).unwrap_or_else(|error| {
        Err(if error == RecvTimeoutError::Timeout { late("") } else { broken(&error) })
    })
}

impl Look {
    /// Relabels entries, and calls platforms as they are called here where another program named them.
    pub(super) fn new(entries: Vec<Entry>, source: &Source, platforms: &Platforms) -> Self {
        let mut look = Self { entries: Vec::with_capacity(entries.len()), ..Self::default() };
        for mut entry in entries {
            match relabel::apply(&source.relabel, &mut entry) {
                Err(why) => look.dropped.push(Dropped::asked(&entry, why)),
                Ok(()) if source.kind.needs_address() && entry.key("address").is_none() => {
                    look.dropped.push(Dropped::new(&entry, "has no primary address".to_owned()));
                }
                Ok(()) => look.entries.push(entry),
            }
        }
        if source.kind.is_strict() { look } else { look.translated(platforms) }
    }
}

fn file_sd(path: &Path, entries: &mut Vec<Entry>) -> Result<(), Trouble> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let paths = match path.parent() {
        Some(folder) if is_pattern(path) => files(folder, name, &["json", "yaml", "yml"])?,
        _ => vec![path.to_owned()],
    };
    for path in paths {
        let text = read_text(&path)?;
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => sd::read_json(text.as_bytes(), &shown(&path), entries)?,
            _ => sd::read_yaml(&text, &shown(&path), entries)?,
        }
    }
    Ok(())
}

fn ansible(path: &Path, vaulted: Vaulted, entries: &mut Vec<Entry>) -> Result<(), Trouble> {
    let (text, file) = (read_text(path)?, shown(path));
    let read = match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml" | "json") => ansible::read_yaml(&text),
        _ => ansible::read_ini(&text),
    };
    let wrong = |(line, problem): (Option<usize>, String)| {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Trouble::garbage(format!("{file}{line}: {problem}"))
    };
    let mut tree = read.map_err(wrong)?;
    tree.read_beside(path, vaulted)?;
    entries.extend(tree.entries(&file, vaulted).map_err(wrong)?);
    Ok(())
}

fn shown(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

/// Reads files of versweep's own form. What is wrong in any of them is told of all of them.
fn own_form(paths: &[PathBuf], entries: &mut Vec<Entry>, problems: &mut Problems) -> Result<(), Trouble> {
    for path in paths {
        let text = read_text(path)?;
        let file = shown(path);
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
    Ok(())
}

/// The files of a folder whose names match and have one of these endings, by name. Hidden ones are what editors and
/// copies in progress leave.
fn files(folder: &Path, pattern: &str, endings: &[&str]) -> Result<Vec<PathBuf>, Trouble> {
    let told = |error: &io::Error| Trouble::unreadable(format!("{}: {}", folder.display(), describe(error)));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| told(&error))? {
        let path = entry.map_err(|error| told(&error))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let ending = path.extension().and_then(|ending| ending.to_str());
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        if !hidden && matches(pattern, &name) && ending.is_some_and(|ending| endings.contains(&ending)) {
            files.push(path);
        }
    }
    if files.len() > FILES_MAX {
        return Err(Trouble::unreadable(format!("{}: more than {FILES_MAX} files", folder.display())));
    }
    files.sort();
    Ok(files)
}

/// Whether a name is what a pattern with `*` in it stands for.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
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

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in
            [("*", "a.json"), ("*.json", "a.json"), ("a*.json", "a.json"), ("a*b*c", "aXbYc"), ("a", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.yml", "a.json"), ("b*", "a"), ("a*b*c", "aXc"), ("a", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
