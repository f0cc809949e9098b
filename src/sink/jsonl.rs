//! A file of JSON lines: one object an event, appended, on disk before it counts as delivered.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;
use serde::Serialize;

use super::Delivery;
use crate::event::{Event, clean};

/// Appends events to a file. It is opened anew for every handful, so that it may be rotated by renaming.
#[derive(Debug)]
pub struct Jsonl {
    path: PathBuf,
}

/// One line, as documented in docs/events.md. Fields are only ever added.
#[derive(Debug, Serialize)]
pub struct JsonLine<'a> {
    /// Stable across retries: a line that came twice has it twice.
    pub id: String,
    /// Grows from line to line.
    pub sequence: i64,
    /// When the change was found, RFC 3339, UTC.
    pub time: String,
    /// The kind of change.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The device's name.
    pub device: &'a str,
    /// The platform that it answered as, or null.
    pub platform: Option<&'a str>,
    /// What was there before; may be empty.
    pub before: String,
    /// What is there now.
    pub after: String,
    /// What the kind is about where one sweep may find several, such as the policy's name; may be empty.
    pub subject: String,
    /// Why it is taken for this kind.
    pub why: String,
    /// Whether more than one reading says so.
    pub confirmed: bool,
    /// The sweep that found it, or null where none did.
    pub sweep: Option<String>,
    /// One sentence for people.
    pub message: String,
}

impl<'a> From<&'a Event> for JsonLine<'a> {
    fn from(event: &'a Event) -> Self {
        let change = &event.change;
        Self {
            id: event.id(),
            sequence: event.sequence,
            time: change.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            kind: change.kind.as_str(),
            device: change.device.as_str(),
            platform: event.platform.as_ref().map(|platform| platform.as_str()),
            before: clean(&change.before),
            after: clean(&change.after),
            subject: clean(&change.subject),
            why: clean(&change.why),
            confirmed: change.confirmed,
            sweep: change.sweep.map(|sweep| sweep.to_string()),
            message: event.message(),
        }
    }
}

impl Jsonl {
    /// Lines at the end of that file, which is made when it is not there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// All or nothing: after an error the file is cut back to where it was, as far as the system lets us.
    pub(super) fn deliver(&mut self, events: &[Event]) -> Delivery {
        match self.append(events) {
            Ok(()) => Delivery { count: events.len(), error: None },
            Err(error) => {
                let error = io::Error::new(error.kind(), format!("{}: {error}", self.path.display()));
                Delivery { count: 0, error: Some(error) }
            }
        }
    }

    fn append(&self, events: &[Event]) -> io::Result<()> {
        let mut file = self.open()?;
        let length = file.metadata()?.len();
        let mut lines = Vec::with_capacity(events.len() * 384);
        if length > 0 && last_byte(&mut file)? != b'\n' {
            // A crash tore the last line; it stays for people, ours begin on a fresh one.
            lines.push(b'\n');
        }
        for event in events {
            serde_json::to_writer(&mut lines, &JsonLine::from(event))?;
            lines.push(b'\n');
        }
        let written = file.write_all(&lines).and_then(|()| file.sync_all());
        if written.is_err() {
            let _best_effort = file.set_len(length);
        }
        written
    }

    fn open(&self) -> io::Result<File> {
        // Opened for reading too, so that a FIFO can't block us: it is refused below instead.
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&self.path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; set another path for this sink"))
    }
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}
