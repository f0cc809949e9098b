//! What outlives a restart: SQLite behind one writer, read-only readers and the sinks' outbox. `rusqlite` is named here
//! and in `store/` only.
//!
//! One [`Batch`] is one transaction: state, history, changes, outbox rows, sweeps and counters are there together or not
//! at all, so that a kill at any instant neither loses a committed change nor invents one.

mod backup;
mod breakers;
mod error;
mod flaps;
mod history;
mod letters;
mod load;
mod more;
mod names;
mod open;
mod outbox;
mod pages;
mod prune;
mod raw;
mod read;
mod row;
mod sorted;
mod sources;
mod standings;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

pub use self::backup::backup;
pub use self::error::StoreError;
pub use self::history::{ChangeFilter, ChangeRow, PastVersion, VersionRow};
pub use self::letters::{Again, DEAD_MAX, Held, Letter, LetterState, MailRoom, Settled, Undelivered};
pub use self::names::Renaming;
pub use self::outbox::{Outbox, Pile, Standing, rename_sinks};
pub use self::read::{HistoryRange, LastVisitTook, ROWS_MAX, Reader, StoredChange, StoredRaw};
pub use self::sorted::{ChangeSort, EventSort, RunSort, Turn};
use crate::change::Change;
use crate::clock::Timestamp;
use crate::device::{DeviceId, Labels, PlatformKey};
use crate::known::{Known, OpenBreaker, PolicyInfo, PolicyStanding, SweepRecord};
use crate::observation::RawText;
use crate::status::{RefreshFailure, Totals};

/// How many of the latest changes a start loads and a snapshot shows: as many as `/api/v1/changes` may be asked for, so
/// that a campaign over a whole fleet doesn't push each other device's last change out. They take some 2 MB.
pub const RECENT_CHANGES: usize = 5000;

/// The database, open for writing. While it lives no other process can open it for writing.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    /// The counters as they stand in the database: only those that differ are written.
    written: Totals,
    /// The last field: given back after the connection is closed.
    _lock: open::Lock,
}

/// Bytes on disk of a database with its write-ahead log; `None` when it can't be looked at.
#[must_use]
pub fn size_on_disk(path: &Path) -> Option<u64> {
    let log = path.with_file_name(format!("{}-wal", path.file_name()?.to_str()?));
    let log = std::fs::metadata(log).map_or(0, |file| file.len());
    Some(std::fs::metadata(path).ok()?.len() + log)
}

/// Inventory sources that can't be used, by name, each with the reasons that were told: in that order, none twice.
pub type FailingSources = BTreeMap<Arc<str>, Vec<RefreshFailure>>;

/// What the database held when it was opened.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All that is known of every device ever visited.
    pub known: HashMap<DeviceId, Known>,
    /// The counters.
    pub totals: Totals,
    /// The newest record of each sweep, sorted by name.
    pub last_sweeps: Vec<SweepRecord>,
    /// Of each sweep by name, when its newest complete run ended.
    pub last_complete: BTreeMap<String, Timestamp>,
    /// The latest changes, newest first, at most [`RECENT_CHANGES`].
    pub recent_changes: Vec<Change>,
    /// The breakers that are open, by credential.
    pub breakers: Vec<OpenBreaker>,
    /// The newest sequence in the outbox; 0 when nothing ever happened.
    pub last_sequence: i64,
    /// The inventory sources of which was told last that they can't be used.
    pub failing_sources: FailingSources,
    /// The policies that were last in force.
    pub policies: Vec<PolicyInfo>,
}

/// One visit, judged: what was known, what is known now, and the changes between.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Which device.
    pub device: DeviceId,
    /// What was known before the visit.
    pub before: Known,
    /// What is known after it.
    pub after: Known,
    /// What changed.
    pub changes: Vec<Change>,
    /// What the device said; kept for changes and for the last failure only.
    pub raw: Option<RawText>,
    /// The labels that the inventory gives it; absent when it is no longer there.
    pub labels: Option<Labels>,
}

impl Visit {
    fn platform(&self) -> Option<&PlatformKey> {
        self.after.facts.as_ref().map(|facts| &facts.reading.platform)
    }
}

/// What no visit found.
#[derive(Debug, Clone)]
pub enum News {
    /// A change: the inventory's, or that of a policy or of an inventory source. `removed` and `returned` also change the device's row.
    Change(Change),
    /// Devices that go by other names from now on, all at once.
    Names(Vec<Renaming>),
    /// What the inventory's sources know devices by, where that is another than before.
    Identities(Vec<(DeviceId, Option<Arc<str>>)>),
}

/// What one transaction writes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Visits in the order in which they ended.
    pub visits: Vec<Visit>,
    /// What no visit found, in its order; with each, how many of the visits come before it.
    pub news: Vec<(usize, News)>,
    /// Sweeps that began, went on or ended.
    pub sweeps: Vec<SweepRecord>,
    /// All breakers that are open after it, where one turned.
    pub breakers: Option<Vec<OpenBreaker>>,
    /// All inventory sources that can't be used after it, where that was told of one or is no longer true.
    pub failing_sources: Option<FailingSources>,
    /// Devices that stand otherwise by their policies though nobody visited them.
    pub standings: Vec<(DeviceId, Vec<PolicyStanding>)>,
    /// The policies, where they are others than before.
    pub policies: Option<Vec<Arc<PolicyInfo>>>,
    /// The counters after all of it.
    pub totals: Totals,
}

impl Batch {
    /// Whether there is nothing in it but counters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { visits, news, sweeps, standings, policies, breakers, failing_sources, totals: _ } = self;
        visits.is_empty()
            && news.is_empty()
            && sweeps.is_empty()
            && standings.is_empty()
            && policies.is_none()
            && breakers.is_none()
            && failing_sources.is_none()
    }
}

impl Store {
    /// Opens the database, making it when the file is not there, and loads what a restart needs. A sweep that a crash
    /// cut off is closed as incomplete, at the last visit that was committed.
    ///
    /// # Errors
    /// When another process holds it, when it can't be written, when it is damaged, another program's or a newer
    /// versweep's. Each message names the file and the way out.
    pub fn open(path: &Path) -> Result<(Self, Loaded), StoreError> {
        let lock = open::lock(path)?;
        let mut connection = open::writer(path)?;
        let loaded =
            load::load(&mut connection).map_err(|error| StoreError::from_sqlite(path, "load", error))?;
        let store = Self { path: path.to_owned(), connection, written: loaded.totals.clone(), _lock: lock };
        Ok((store, loaded))
    }

    /// Writes the batch in one transaction and gives the newest sequence in the outbox. After an error nothing of it
    /// is there and the same batch can be tried again.
    ///
    /// # Errors
    /// [`StoreError::may_pass`] tells a full disk, which may pass, from damage.
    pub fn commit(&mut self, batch: &Batch) -> Result<i64, StoreError> {
        let sequence =
            self.try_commit(batch).map_err(|error| StoreError::from_sqlite(&self.path, "write", error))?;
        self.written = batch.totals.clone();
        Ok(sequence)
    }

    fn try_commit(&mut self, batch: &Batch) -> rusqlite::Result<i64> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut news = batch.news.iter().peekable();
        for (place, visit) in batch.visits.iter().enumerate() {
            while let Some((_, before)) = news.next_if(|(behind, _)| *behind <= place) {
                write::news(&transaction, before)?;
            }
            write::visit(&transaction, visit)?;
        }
        for (_, last) in news {
            write::news(&transaction, last)?;
        }
        standings::write(&transaction, &batch.standings, batch.policies.as_deref())?;
        for sweep in &batch.sweeps {
            write::sweep(&transaction, sweep)?;
        }
        if let Some(open) = &batch.breakers {
            breakers::replace(&transaction, open)?;
        }
        if let Some(failing) = &batch.failing_sources {
            sources::replace(&transaction, failing)?;
        }
        write::totals(&transaction, &self.written, &batch.totals)?;
        let sequence = outbox::last_sequence(&transaction)?;
        transaction.commit()?;
        Ok(sequence)
    }

    /// Deletes closed history, changes, events and sweeps that ended before `cutoff`; an event that a sink still has
    /// before it stays. One call does a bounded piece of work; `true` says that more is left.
    ///
    /// # Errors
    /// As [`Self::commit`]; nothing is lost by trying later.
    pub fn prune(&mut self, cutoff: Timestamp) -> Result<bool, StoreError> {
        prune::prune(&mut self.connection, cutoff)
            .map_err(|error| StoreError::from_sqlite(&self.path, "delete old rows from", error))
    }

    /// Names the sinks of the configuration. A new one begins with what happens from now on; one that was there before
    /// goes on where it stopped; one that is gone no longer keeps old events from being deleted.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn set_sinks(&mut self, names: &[&str]) -> Result<(), StoreError> {
        outbox::set_sinks(&mut self.connection, names)
            .map_err(|error| StoreError::from_sqlite(&self.path, "write", error))
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
