//! The outbox: events in order, and how far each sink has come. At least once, in order for each device: the cursor moves
//! only after the sink has delivered, and what it passed without delivering has a letter.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::letters::{self, Held, Settled};
use super::row::{nonsense, optional_time, uncount};
use super::{StoreError, open, read};
use crate::clock::Timestamp;
use crate::device::Labels;
use crate::event::Event;
use crate::observation::SweepId;

/// One sink's end of the outbox, on its own connection, so that a slow sink never holds up the recorder.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    sink: String,
}

/// How far a sink has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Events delivered since the store was made.
    pub deliveries: u64,
    /// Events not delivered yet, held ones among them.
    pub pending: u64,
    /// When the oldest of them happened.
    pub oldest_pending: Option<Timestamp>,
    /// Events given up since the store was made.
    pub dead: u64,
    /// Of those, the ones that are not even kept any more.
    pub dropped: u64,
    /// Of those, the ones that can be asked for again.
    pub kept: u64,
    /// How long the sink has been tried in vain.
    pub waited: Duration,
}

/// What lies before a sink.
#[derive(Debug, Default)]
pub struct Pile {
    /// Of each device with letters, the first one that is not given up.
    pub held: Vec<Held>,
    /// The next events after the cursor.
    pub fresh: Vec<Event>,
    /// Sweeps that have not ended.
    pub running: HashSet<SweepId>,
}

/// Events as [`event`] reads them; a condition goes behind it.
pub(super) const EVENT: &str =
    "SELECT sequence, outbox.model AS model, outbox.labels AS labels, change.*, coalesce(called, name) AS name FROM outbox
    JOIN change ON change.id = outbox.change JOIN device ON device.id = change.device";

impl Outbox {
    /// Opens the outbox for the sink of that name. A sink that [`super::Store::set_sinks`] has not made known begins with
    /// what happens from now on.
    ///
    /// # Errors
    /// When the database can't be opened or written.
    pub fn open(path: &Path, sink: &str) -> Result<Self, StoreError> {
        let outbox = Self { path: path.to_owned(), connection: open::second(path)?, sink: sink.to_owned() };
        outbox.told(
            "write",
            last_sequence(&outbox.connection).and_then(|now| add_sink(&outbox.connection, sink, now)),
        )?;
        Ok(outbox)
    }

    /// What lies before this sink, at most `limit` events after its cursor.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn pile(&self, limit: usize) -> Result<Pile, StoreError> {
        let pile = || {
            Ok(Pile {
                held: letters::held(&self.connection, &self.sink)?,
                fresh: self.events(limit)?,
                running: self.running()?,
            })
        };
        self.told("read", pile())
    }

    /// The next events of this sink in order, at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn next(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.told("read", self.events(limit))
    }

    /// The events with these sequences, in their order, as far as they are still kept.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn events_of(&self, sequences: &[i64]) -> Result<Vec<Event>, StoreError> {
        let sql = format!("{EVENT} WHERE sequence = ?1");
        let find = |sequence: &i64| {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([sequence], event).optional()
        };
        let found: rusqlite::Result<Vec<_>> = sequences.iter().map(find).collect();
        self.told("read", found.map(|events| events.into_iter().flatten().collect()))
    }

    /// All events of one sweep, in order.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn events_of_sweep(&self, sweep: SweepId) -> Result<Vec<Event>, StoreError> {
        // The index of times finds the sweep's part of all changes; an hour for a clock that was set back meanwhile.
        let sql = format!(
            "{EVENT} WHERE change.at >= (SELECT started - 3600000000 FROM sweep WHERE id = ?1) AND change.sweep = ?1
            ORDER BY sequence"
        );
        let found = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map([sweep.to_string()], event)?.collect()
        };
        self.told("read", found())
    }

    /// Writes what became of some events, all of it or nothing.
    ///
    /// # Errors
    /// When the database can't be written: the same events come again.
    pub fn settle(&mut self, settled: &Settled) -> Result<(), StoreError> {
        let result = letters::settle(&mut self.connection, &self.sink, settled);
        self.told("write", result)
    }

    /// Gives up so many of the oldest letters of this sink.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn give_up_letters(&mut self, count: usize, error: &str, now: Timestamp) -> Result<(), StoreError> {
        let result = letters::give_up(&mut self.connection, &self.sink, count, error, now);
        self.told("write", result)
    }

    /// How far this sink has come.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn standing(&self) -> Result<Standing, StoreError> {
        // The counts read the outbox's own small pages only; one row is looked up for its time.
        let sql = "WITH me AS (SELECT * FROM sink WHERE name = ?1),
            held (sequence) AS (SELECT sequence FROM letter WHERE sink = ?1 AND dead_at IS NULL),
            first (sequence) AS (SELECT min(sequence) FROM (SELECT min(sequence) AS sequence FROM held UNION ALL
                SELECT min(outbox.sequence) FROM outbox WHERE outbox.sequence > (SELECT delivered FROM me)))
            SELECT deliveries, dead, dropped, waited,
                (SELECT count(*) FROM outbox WHERE outbox.sequence > delivered) + (SELECT count(*) FROM held)
                    AS pending,
                (SELECT at FROM first JOIN outbox USING (sequence) JOIN change ON change.id = outbox.change)
                    AS oldest,
                (SELECT count(*) FROM letter WHERE sink = ?1 AND dead_at IS NOT NULL) AS kept
            FROM me";
        let standing = self.connection.query_row(sql, [&self.sink], |row| {
            Ok(Standing {
                deliveries: uncount(row.get("deliveries")?),
                pending: uncount(row.get("pending")?),
                oldest_pending: optional_time(row, "oldest")?,
                dead: uncount(row.get("dead")?),
                dropped: uncount(row.get("dropped")?),
                kept: uncount(row.get("kept")?),
                waited: Duration::from_micros(uncount(row.get("waited")?)),
            })
        });
        self.told("read", standing.optional().map(Option::unwrap_or_default))
    }

    fn events(&self, limit: usize) -> rusqlite::Result<Vec<Event>> {
        let sql = format!(
            "{EVENT} WHERE sequence > coalesce((SELECT delivered FROM sink WHERE sink.name = ?1), 0)
            ORDER BY sequence LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection.prepare_cached(&sql)?.query_map(params![self.sink, limit], event)?.collect()
    }

    fn running(&self) -> rusqlite::Result<HashSet<SweepId>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM sweep WHERE ended IS NULL")?;
        let ids = statement
            .query_map([], |row| row.get::<_, String>("id")?.parse().map_err(|_| nonsense(row, "id")))?;
        ids.collect()
    }

    fn told<T>(&self, doing: &'static str, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, doing, error))
    }
}

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let stored = read::stored_change(row)?;
    let labels: Option<String> = row.get("labels")?;
    let labels =
        labels.map(|text| serde_json::from_str::<Labels>(&text).map_err(|_| nonsense(row, "labels")));
    Ok(Event {
        sequence: row.get("sequence")?,
        change: stored.change,
        platform: stored.platform,
        model: row.get("model")?,
        labels: labels.transpose()?.unwrap_or_default(),
    })
}

/// The newest sequence ever given out, also when its row is deleted since.
pub(super) fn last_sequence(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub(super) fn set_sinks(connection: &mut Connection, names: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = last_sequence(&transaction)?;
    transaction.execute("UPDATE sink SET active = 0", [])?;
    for name in names {
        add_sink(&transaction, name, now)?;
    }
    transaction.commit()
}

/// Names the sinks again beside the writer, after a reload.
///
/// # Errors
/// When the database can't be written.
pub fn rename_sinks(path: &Path, names: &[&str]) -> Result<(), StoreError> {
    let mut connection = open::second(path)?;
    set_sinks(&mut connection, names).map_err(|error| StoreError::from_sqlite(path, "write", error))
}

fn add_sink(connection: &Connection, name: &str, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sink (name, delivered, deliveries, active) VALUES (?1, ?2, 0, 1)
        ON CONFLICT (name) DO UPDATE SET active = 1 WHERE NOT active";
    connection.execute(sql, params![name, now]).map(|_| ())
}
