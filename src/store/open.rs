//! Opening: the lock that makes one writer, the connection's settings, the schema.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use rustix::fs::{FlockOperation, flock};

use super::StoreError;
use super::backup::backup;
use crate::order::compare;

/// `PRAGMA application_id` of versweep's databases: the bytes `vswp`.
const APPLICATION_ID: i64 = 1_987_278_704;

/// Each entry takes the schema one step on; entries are only ever added.
const SCHEMA: &[M<'_>] = &[
    M::up(include_str!("schema.sql")),
    M::up(include_str!("schema-2.sql")),
    M::up(include_str!("schema-3.sql")),
];

/// How long a statement waits for another connection's lock. Sinks write their cursors beside the recorder; each holds
/// the lock for milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// The name that readers have for the natural order of texts.
const NATURAL: &str = "natural_order";

/// The writer's lock.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, but for a child process that was forked a moment ago and still shares the open file.
        let _closed_next = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the writer's lock on the file beside the database. It is `flock`, so the kernel takes it back from a dead
/// process; the file itself stays.
pub(super) fn lock(path: &Path) -> Result<Lock, StoreError> {
    check_place(path)?;
    let beside = beside(path, ".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&beside)
        .map_err(|error| place_error(path, &beside, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(StoreError::Locked { path: path.to_owned(), holder: holder(&mut file) });
        }
        Err(error) => return Err(place_error(path, &beside, &error.into())),
    }
    // The number only helps people to find the holder; a disk too full for it will be told by the database.
    let _helpful = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!(" (process {})", text.trim()),
        _ => String::new(),
    }
}

fn check_place(path: &Path) -> Result<(), StoreError> {
    let problem = |problem: String| Err(StoreError::Place { path: path.to_owned(), problem });
    if path.is_dir() {
        return problem("it is a folder; [store] path names a file".to_owned());
    }
    let folder = folder(path);
    if folder.is_dir() {
        return Ok(());
    }
    problem(format!("its folder {} is not there; make it, writable for versweep's user", folder.display()))
}

fn place_error(path: &Path, file: &Path, error: &std::io::Error) -> StoreError {
    let detail = if file == path { error.to_string() } else { format!("{}: {error}", file.display()) };
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { path: path.to_owned(), detail }
        }
        ErrorKind::StorageFull => StoreError::Full { path: path.to_owned(), detail },
        _ => StoreError::Place { path: path.to_owned(), problem: detail },
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes the file, not readable for everybody: it holds what devices said. SQLite gives -wal and -shm the same mode.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path);
    made.map(drop).map_err(|error| place_error(path, path, &error))
}

/// The writing connection, checked and brought to the newest schema.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| StoreError::from_sqlite(path, "open", error);
    make(path)?;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    check_owner(path, &connection)?;
    check_whole(path, &connection)?;
    settle(&connection).map_err(failed)?;
    bring_up(path, &mut connection, SCHEMA)?;
    Ok(connection)
}

/// Brings the schema to the newest of `steps` in one transaction. A database of an older schema is copied first, to the
/// file that [`before_schema`] names: whoever has to go back to the older versweep puts it in the store's place.
fn bring_up(path: &Path, connection: &mut Connection, steps: &[M<'_>]) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_sqlite(path, "bring to the newest schema", error);
    let found =
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, isize>(0)).map_err(failed)?;
    let newest = steps.len();
    if found > 0 && found.unsigned_abs() < newest {
        let copy = before_schema(path, newest);
        // One from a try that was cut off holds the same; the database can't have moved on since.
        if !copy.exists() {
            backup(path, &copy)?;
        }
        tracing::info!(from = found, to = newest, copy = %copy.display(), "the store is brought to a newer schema");
    }
    Migrations::from_slice(steps).to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => failed(err),
        other => StoreError::Failed {
            path: path.to_owned(),
            doing: "bring to the newest schema",
            detail: other.to_string(),
            may_pass: false,
        },
    })
}

/// Where the copy of a database lies that was brought to this schema.
fn before_schema(path: &Path, schema: usize) -> PathBuf {
    beside(path, &format!(".before-schema-{schema}"))
}

/// A further connection to a database that the writer has made: the outbox's.
pub(super) fn second(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| StoreError::from_sqlite(path, "open", error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    Ok(connection)
}

/// A connection that can't write.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let absent = || {
        let problem = "it is not there yet; `versweep run` or `versweep sweep` makes it".to_owned();
        StoreError::Place { path: path.to_owned(), problem }
    };
    if !path.exists() {
        return Err(absent());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| StoreError::from_sqlite(path, "read", error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    check_owner(path, &connection).map_err(|error| match error {
        StoreError::ReadOnly { path, detail } => {
            let problem =
                format!("{detail}; it must be readable for this user, with its -wal and -shm files");
            StoreError::Place { path, problem }
        }
        other => other,
    })?;
    connection.create_collation(NATURAL, compare).map_err(failed)?;
    // A daemon that was killed in its first moments leaves a file without a table.
    let made = connection.query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| row.get(0));
    if made.map_err(failed)? { Ok(connection) } else { Err(absent()) }
}

/// WAL lets readers go on while the recorder writes; FULL makes a commit outlive a power cut.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without a limit the log keeps the size of the busiest sweep for ever.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Refuses other programs' databases and later schemas before a byte is written.
fn check_owner(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_sqlite(path, "read", error);
    let ask = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && ask("PRAGMA application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let (found, known) = (ask("PRAGMA user_version")?, i64::try_from(SCHEMA.len()).unwrap_or(i64::MAX));
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Reads every page once: a daemon that finds damage in the middle of the night has no good answer left.
fn check_whole(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let verdict = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        .map_err(|error| StoreError::from_sqlite(path, "check", error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt { path: path.to_owned(), detail: verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDER: &[M<'_>] = &[M::up("CREATE TABLE device (name TEXT); PRAGMA application_id = 1987278704;")];
    const NEWER: &[M<'_>] = &[
        M::up("CREATE TABLE device (name TEXT); PRAGMA application_id = 1987278704;"),
        M::up("ALTER TABLE device ADD COLUMN site TEXT;"),
    ];

    fn columns(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM pragma_table_info('device')", [], |row| row.get(0))
            .unwrap()
    }

    fn older(path: &Path) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        bring_up(path, &mut connection, OLDER).unwrap();
        connection.execute("INSERT INTO device VALUES ('core1')", []).unwrap();
        connection
    }

    #[test]
    fn an_older_database_is_copied_and_then_brought_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("versweep.db");
        let mut connection = older(&path);
        bring_up(&path, &mut connection, NEWER).unwrap();
        assert_eq!(columns(&connection), 2);

        let copy = Connection::open(before_schema(&path, 2)).unwrap();
        assert_eq!(columns(&copy), 1, "as the older versweep knows it");
        let name: String = copy.query_row("SELECT name FROM device", [], |row| row.get(0)).unwrap();
        assert_eq!(name, "core1");
    }

    #[test]
    fn the_schema_of_before_identities_is_brought_up_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("versweep.db");
        let mut connection = Connection::open(&path).unwrap();
        bring_up(&path, &mut connection, &SCHEMA[..1]).unwrap();
        let rows =
            "INSERT INTO device (id, name, failures, unreachable, version_changes, host_key_told, labels)
                VALUES (1, 'core1', 0, 0, 0, 0, '{}');
            INSERT INTO change (device, at, kind, subject, before, after, why, confirmed)
                VALUES (1, 5, 'removed', '', '', '', '', 1);";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        let connection = writer(&path).unwrap();
        let (name, identity, called): (String, Option<String>, Option<String>) = connection
            .query_row(
                "SELECT name, identity, called FROM device JOIN change ON device = device.id",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!((name.as_str(), identity, called), ("core1", None, None));
        assert!(before_schema(&path, SCHEMA.len()).exists());
    }

    #[test]
    fn a_new_database_and_one_that_is_up_to_date_are_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("versweep.db");
        let mut connection = Connection::open(&path).unwrap();
        bring_up(&path, &mut connection, NEWER).unwrap();
        bring_up(&path, &mut connection, NEWER).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_step_that_fails_leaves_the_database_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("versweep.db");
        let mut connection = older(&path);
        let broken = [OLDER[0].clone(), M::up("ALTER TABLE device ADD COLUMN site TEXT; NONSENSE")];
        let error = bring_up(&path, &mut connection, &broken).unwrap_err().to_string();
        assert!(error.contains("bring to the newest schema") && error.contains("NONSENSE"), "{error}");
        assert_eq!(columns(&connection), 1);
        bring_up(&path, &mut connection, NEWER).unwrap();
        assert_eq!(columns(&connection), 2, "the copy from the first try is no hindrance");
    }
}
