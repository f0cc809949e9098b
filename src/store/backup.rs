//! A copy of the database while the daemon writes to it, by SQLite's online backup.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::ffi::{Error, SQLITE_BUSY};

use super::{StoreError, open};

/// All pages in one step: one read transaction, so that a writer can't make it begin anew. A reader holds up nobody in
/// WAL mode.
const WHOLE: i32 = -1;

/// Writes a whole, consistent copy of the database at `path` to `file`, which must not exist. The daemon may run; what
/// it has committed when the copy begins is in it. The copy appears under its name only once it is complete and on disk.
///
/// # Errors
/// A database that can't be read, a file that is there already or can't be written.
pub fn backup(path: &Path, file: &Path) -> Result<(), StoreError> {
    let source = open::reader(path)?;
    let place = |problem: String| StoreError::Place { path: file.to_owned(), problem };
    if file.exists() {
        return Err(place("it is there already; a backup never overwrites a file".to_owned()));
    }
    let part = open::beside(file, ".part");
    // Not readable for everybody, as the database itself.
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&part);
    let made = made.map_err(|error| place(format!("{}: {error}", part.display())))?;
    let copied = copy(&source, &part).map_err(|error| StoreError::from_sqlite(&part, "copy", error));
    let kept = copied.and_then(|()| {
        made.sync_all().and_then(|()| fs::rename(&part, file)).map_err(|error| place(error.to_string()))
    });
    if kept.is_err() {
        // What is left of it is of no use; the error tells what went wrong.
        let _half = fs::remove_file(&part);
    }
    kept
}

fn copy(source: &Connection, part: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(part)?;
    // Anything but `Done` is a copy that isn't whole: another process holds the source so that not even a reader gets in.
    if Backup::new(source, &mut copy)?.step(WHOLE)? != StepResult::Done {
        return Err(rusqlite::Error::SqliteFailure(Error::new(SQLITE_BUSY), None));
    }
    // One file that can be carried away: no -wal beside it. Opening it as a store switches the log on again.
    copy.pragma_update(None, "journal_mode", "delete")?;
    copy.close().map_err(|(_, error)| error)
}
