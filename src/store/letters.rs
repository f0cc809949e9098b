//! Letters: events that a sink has passed without delivering. They wait for another try, or were given up and are kept to
//! be looked at and asked for again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior, named_params, params};

use super::read::Reader;
use super::row::{count, micros, micros_of, optional_time, uncount, whose};
use super::{StoreError, open, outbox};
use crate::change::Whose;
use crate::clock::Timestamp;
use crate::event::Event;

/// The most letters that were given up and are kept, of one sink; the oldest beyond them are dropped and counted.
pub const DEAD_MAX: u64 = 10_000;

/// The first letter of a device that is held, or of a source of the inventory: wherever devices are kept apart here, it is one
/// more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The event.
    pub sequence: i64,
    /// Whose event it is.
    pub of: Whose,
    /// How often it was tried.
    pub tries: u32,
    /// How long it has been tried in vain.
    pub waited: Duration,
}

impl Held {
    /// An event that was not tried by itself yet.
    #[must_use]
    pub fn first(sequence: i64, of: Whose) -> Self {
        Self { sequence, of, tries: 0, waited: Duration::ZERO }
    }
}

/// A letter to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Which event, of which device, tried how often and how long.
    pub held: Held,
    /// What the last try came to.
    pub error: String,
    /// Whether it is given up.
    pub dead: bool,
}

/// What became of some events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The last sequence that was passed; 0 when none was.
    pub passed: i64,
    /// How many were delivered.
    pub delivered: u64,
    /// Those that were passed without being delivered, and older letters that were tried again.
    pub letters: Vec<Letter>,
    /// Letters that are done with.
    pub done: Vec<i64>,
    /// How long the sink has been tried in vain.
    pub waited: Duration,
    /// The present instant.
    pub now: Timestamp,
}

/// From device to device, and of each the first letter: every round of a courier asks, and a device that refuses may have
/// thousands behind its first.
const HELD: &str = "WITH RECURSIVE first (sequence, device, tries, waited) AS (
        SELECT sequence, device, tries, waited FROM letter WHERE sink = ?1 AND sequence = (SELECT sequence FROM letter
            WHERE sink = ?1 AND dead_at IS NULL ORDER BY device, sequence LIMIT 1)
        UNION ALL
        SELECT letter.sequence, letter.device, letter.tries, letter.waited FROM first
            JOIN letter ON letter.sink = ?1 AND letter.sequence = (SELECT next.sequence FROM letter AS next
                WHERE next.sink = ?1 AND next.dead_at IS NULL AND next.device > first.device
                ORDER BY next.device, next.sequence LIMIT 1))
    SELECT first.sequence AS sequence, coalesce(called, name) AS name, tries, waited FROM first
        JOIN device ON device.id = first.device LEFT JOIN outbox ON outbox.sequence = first.sequence
        LEFT JOIN change ON change.id = outbox.change ORDER BY first.sequence";

pub(super) fn held(connection: &Connection, sink: &str) -> rusqlite::Result<Vec<Held>> {
    connection.prepare_cached(HELD)?.query_map([sink], held_of_row)?.collect()
}

fn held_of_row(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        sequence: row.get("sequence")?,
        of: whose(row, "name")?,
        tries: row.get("tries")?,
        waited: Duration::from_micros(uncount(row.get("waited")?)),
    })
}

pub(super) fn settle(connection: &mut Connection, sink: &str, settled: &Settled) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for letter in &settled.letters {
        write(&transaction, sink, letter, settled.now)?;
    }
    for done in &settled.done {
        let sql = "DELETE FROM letter WHERE sink = ?1 AND sequence = ?2";
        transaction.prepare_cached(sql)?.execute(params![sink, done])?;
    }
    let dead = settled.letters.iter().filter(|letter| letter.dead).count() as u64;
    let dropped = if dead > 0 { drop_oldest(&transaction, sink)? } else { 0 };
    let sql = "UPDATE sink SET delivered = max(delivered, :passed), deliveries = deliveries + :delivered,
        waited = :waited, dead = dead + :dead, dropped = dropped + :dropped WHERE name = :sink";
    transaction.prepare_cached(sql)?.execute(named_params! {
        ":sink": sink,
        ":passed": settled.passed,
        ":delivered": count(settled.delivered),
        ":waited": micros_of(settled.waited),
        ":dead": count(dead),
        ":dropped": dropped,
    })?;
    transaction.commit()
}

/// Gives up so many of the oldest letters.
pub(super) fn give_up(
    connection: &mut Connection,
    sink: &str,
    count: usize,
    error: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "UPDATE letter SET dead_at = ?3, error = ?4 WHERE sink = ?1 AND sequence IN
        (SELECT sequence FROM letter WHERE sink = ?1 AND dead_at IS NULL ORDER BY sequence LIMIT ?2)";
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let dead = transaction.execute(sql, params![sink, limit, micros(now), error])?;
    let dropped = drop_oldest(&transaction, sink)?;
    let sql = "UPDATE sink SET dead = dead + ?2, dropped = dropped + ?3 WHERE name = ?1";
    transaction.execute(sql, params![sink, i64::try_from(dead).unwrap_or(i64::MAX), dropped])?;
    transaction.commit()
}

fn write(connection: &Connection, sink: &str, letter: &Letter, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT INTO letter (sink, sequence, device, tries, waited, error, dead_at)
        SELECT :sink, :sequence, device, :tries, :waited, :error, :dead_at FROM outbox
            JOIN change ON change.id = outbox.change WHERE sequence = :sequence
        ON CONFLICT (sink, sequence) DO UPDATE SET tries = :tries, waited = :waited, error = :error, dead_at = :dead_at";
    let Letter { held, error, dead } = letter;
    connection.prepare_cached(sql)?.execute(named_params! {
        ":sink": sink,
        ":sequence": held.sequence,
        ":tries": held.tries,
        ":waited": micros_of(held.waited),
        ":error": error,
        ":dead_at": dead.then(|| micros(now)),
    })?;
    Ok(())
}

fn drop_oldest(connection: &Connection, sink: &str) -> rusqlite::Result<i64> {
    let sql = "DELETE FROM letter WHERE sink = ?1 AND sequence IN (SELECT sequence FROM letter
        WHERE sink = ?1 AND dead_at IS NOT NULL ORDER BY sequence DESC LIMIT -1 OFFSET ?2)";
    let dropped = connection.prepare_cached(sql)?.execute(params![sink, count(DEAD_MAX)])?;
    Ok(i64::try_from(dropped).unwrap_or(i64::MAX))
}

/// Which events a sink is to be told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// All that were given up.
    Dead,
    /// All that happened in this time, delivered or given up: at the first instant or after it, before the second.
    Between(Timestamp, Timestamp),
    /// Those with these ids.
    Ids(Vec<String>),
}

/// Where an event stands with a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// Behind the cursor: its turn has not come.
    Pending,
    /// Refused, behind one that was refused, or asked for again: it is tried.
    Held,
    /// Given up.
    Dead,
}

impl LetterState {
    /// The name that people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
}

/// An event that a sink doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The sink.
    pub sink: String,
    /// Where it stands.
    pub state: LetterState,
    /// How often it was tried by itself.
    pub tries: u32,
    /// What the last try came to; empty where none was made.
    pub error: String,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
    /// The event.
    pub event: Event,
}

/// The mail room of a store: what the sinks don't have, for people, beside a running daemon.
#[derive(Debug)]
pub struct MailRoom {
    path: PathBuf,
    connection: Connection,
}

impl MailRoom {
    /// Opens the store of a daemon that may be running.
    ///
    /// # Errors
    /// When it is not there, or can't be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // The reader's checks: there, ours, not of a newer schema.
        drop(open::reader(path)?);
        Ok(Self { path: path.to_owned(), connection: open::second(path)? })
    }

    /// The names of the sinks that the store knows.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn sinks(&self) -> Result<Vec<String>, StoreError> {
        let names = || {
            let mut statement = self.connection.prepare("SELECT name FROM sink ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        self.told("read", names())
    }

    /// Whether a sink of that name is in use.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn serves(&self, sink: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sink WHERE name = ?1 AND active)";
        self.told("read", self.connection.query_row(sql, [sink], |row| row.get(0)))
    }

    /// What a sink doesn't have, by sequence, at most `limit` of each state.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn undelivered(&self, sink: &str, limit: usize) -> Result<Vec<Undelivered>, StoreError> {
        self.told("read", undelivered_of(&self.connection, sink, limit))
    }

    /// Has a sink told these events again, and says how many they are. The daemon sees it within half a minute.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn again(&mut self, sink: &str, again: &Again) -> Result<usize, StoreError> {
        let result = tell_again(&mut self.connection, sink, again);
        self.told("write", result)
    }

    fn told<T>(&self, doing: &'static str, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, doing, error))
    }
}

impl Reader {
    /// As [`MailRoom::undelivered`], through a connection that can't write.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn undelivered(&self, sink: &str, limit: usize) -> Result<Vec<Undelivered>, StoreError> {
        self.told(undelivered_of(&self.connection, sink, limit))
    }
}

fn undelivered_of(connection: &Connection, sink: &str, limit: usize) -> rusqlite::Result<Vec<Undelivered>> {
    let sql =
        "SELECT sequence, outbox.model AS model, outbox.labels AS labels, change.*, coalesce(called, device.name) AS name,
            tries, error, dead_at
        FROM (SELECT * FROM (SELECT sequence, tries, error, dead_at FROM letter WHERE sink = ?1
                ORDER BY dead_at IS NOT NULL, sequence LIMIT 2 * ?2)
            UNION ALL
            SELECT * FROM (SELECT sequence, NULL AS tries, '' AS error, NULL AS dead_at FROM outbox
                WHERE sequence > (SELECT delivered FROM sink WHERE name = ?1) ORDER BY sequence LIMIT ?2))
        JOIN outbox USING (sequence) JOIN change ON change.id = outbox.change
        JOIN device ON device.id = change.device ORDER BY sequence";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare(sql)?;
    statement.query_map(params![sink, limit], |row| undelivered(sink, row))?.collect()
}

fn undelivered(sink: &str, row: &Row<'_>) -> rusqlite::Result<Undelivered> {
    let tries: Option<u32> = row.get("tries")?;
    let dead_at = optional_time(row, "dead_at")?;
    let state = match (tries, dead_at) {
        (None, _) => LetterState::Pending,
        (Some(_), None) => LetterState::Held,
        (Some(_), Some(_)) => LetterState::Dead,
    };
    Ok(Undelivered {
        sink: sink.to_owned(),
        state,
        tries: tries.unwrap_or(0),
        error: row.get("error")?,
        dead_at,
        event: outbox::event(row)?,
    })
}

fn tell_again(connection: &mut Connection, sink: &str, again: &Again) -> rusqlite::Result<usize> {
    const AFRESH: &str =
        "UPDATE letter SET dead_at = NULL, tries = 0, waited = 0 WHERE sink = ?1 AND dead_at IS NOT NULL";
    const INSERT: &str = "INSERT INTO letter (sink, sequence, device, tries, waited, error)
        SELECT ?1, sequence, change.device, 0, 0, 'asked for again' FROM outbox JOIN change ON change.id = outbox.change
        WHERE sequence <= (SELECT delivered FROM sink WHERE name = ?1)";
    const CONFLICT: &str = "ON CONFLICT (sink, sequence) DO UPDATE SET dead_at = NULL, tries = 0, waited = 0";
    // The outbox is looked through before the recorder has to wait.
    let sequences = match again {
        Again::Ids(ids) => sequences_of(connection, ids)?,
        Again::Dead | Again::Between(..) => Vec::new(),
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let told = match again {
        Again::Dead => transaction.execute(AFRESH, [sink])?,
        Again::Between(from, to) => {
            let sql = format!("{INSERT} AND at >= ?2 AND at < ?3 {CONFLICT}");
            transaction.execute(&sql, params![sink, micros(*from), micros(*to)])?
        }
        Again::Ids(_) => {
            let sql = format!("{INSERT} AND sequence = ?2 {CONFLICT}");
            let mut told = 0;
            for sequence in sequences {
                told += transaction.execute(&sql, params![sink, sequence])?;
            }
            told
        }
    };
    transaction.commit()?;
    Ok(told)
}

/// The sequences of the events with these ids. An id is made of columns, so the device's events are looked through.
fn sequences_of(connection: &Connection, ids: &[String]) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT sequence, outbox.model AS model, outbox.labels AS labels, change.*, coalesce(called, name) AS name FROM outbox
        JOIN change ON change.id = outbox.change JOIN device ON device.id = change.device
        WHERE instr(?1, ':' || kind || ':' || coalesce(called, ltrim(name, char(2)))) > 0";
    let mut statement = connection.prepare(sql)?;
    let mut found = Vec::new();
    for id in ids {
        let events: Vec<Event> =
            statement.query_map([id], outbox::event)?.collect::<rusqlite::Result<_>>()?;
        found.extend(events.into_iter().filter(|event| event.id() == *id).map(|event| event.sequence));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
