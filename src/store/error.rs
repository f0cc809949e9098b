//! Everything that can go wrong with the database, each with the way out.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another versweep writes to it.
    #[error("the store {path} is in use by another versweep{holder}: stop that one, or set another [store] path", path = .path.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// Its process, as ` (process 123)`, where the lock file tells.
        holder: String,
    },
    /// The path is not that of a file, or its folder is not there.
    #[error("the store {path} can't be opened: {problem}", path = .path.display())]
    Place {
        /// The database.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// No right to write.
    #[error("the store {path} can't be written: {detail}; the file, its folder and its -wal and -shm files must be \
             writable for versweep's user, on a file system that is mounted read-write", path = .path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// No room.
    #[error("no room to write the store {path}: {detail}; free space on its file system", path = .path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// Damaged, or no database at all.
    #[error("the store {path} is damaged or no database ({detail}): nothing was changed; move it away with its -wal and \
             -shm files and start anew, or restore a backup", path = .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A database, but not versweep's.
    #[error("{path} is another program's database: nothing was changed; set another [store] path", path = .path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("the store {path} was written by a newer versweep: it has schema {found}, this one knows {known}; nothing was \
             changed; run the newer versweep, or restore the backup from before the upgrade", path = .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// Anything else.
    #[error("can't {doing} the store {path}: {detail}", path = .path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite said.
        detail: String,
        /// Whether it may pass by itself.
        may_pass: bool,
    },
}

impl StoreError {
    /// Whether trying again later may help: a full disk or an I/O error, but not damage.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Full { .. } | Self::ReadOnly { .. } => true,
            Self::Failed { may_pass, .. } => *may_pass,
            Self::Locked { .. }
            | Self::Place { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. } => false,
        }
    }

    pub(super) fn from_sqlite(path: &Path, doing: &'static str, error: rusqlite::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, detail }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path, detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, detail },
            code => {
                let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::SystemIoFailure];
                let may_pass = code.is_some_and(|code| busy.contains(&code));
                Self::Failed { path, doing, detail, may_pass }
            }
        }
    }
}
