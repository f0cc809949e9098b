//! Long lists for people, in the order of any column. A page begins behind the row that the one before ended with, by what that
//! row is sorted by, so that what is written meanwhile neither shifts nor repeats a row.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::history::{ChangeFilter, ChangeRow, Clause, labels};
use super::read::stored_change;
use super::{Reader, StoreError, load, outbox};
use crate::event::{Event, Severity};
use crate::known::SweepRecord;
use crate::observation::SweepId;
use crate::order::Direction;

/// In which order a list comes, and behind which row. Equal rows come newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<S, I> {
    /// What it is sorted by.
    pub sort: S,
    /// Which end comes first.
    pub direction: Direction,
    /// The row that the page before ended with; the list begins anew where that one is no longer kept.
    pub behind: Option<I>,
}

/// What changes can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSort {
    /// Their numbers: the order in which they were found.
    Number,
    /// The device's name.
    Device,
    /// The kind.
    Kind,
    /// What was.
    Before,
    /// What is.
    After,
    /// Why it is a change.
    Why,
}

/// What events can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSort {
    /// The order in which they are told.
    Sequence,
    /// When the change was found.
    At,
    /// How much it matters.
    Severity,
    /// The kind of change.
    Kind,
    /// The device's name.
    Device,
    /// Why it is a change.
    Why,
}

/// What runs of sweeps can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunSort {
    /// The order in which they began, which is that of their rows. By what the clock said then, a run of before it was set back
    /// would be the newest for as long as it had been ahead.
    Began,
    /// The sweep's name.
    Sweep,
    /// What started them.
    Reason,
    /// How long they took; those that run come before all.
    Took,
    /// Devices to visit.
    Devices,
    /// Devices that answered.
    Answered,
    /// Devices that failed.
    Failed,
    /// Whether they visited all that they were to.
    Complete,
}

/// A list that can be sorted. Which rows a page has is found in as few tables as will do; the rest is looked up for those only.
trait Sort: Copy {
    /// What of each row is read, by its `number` among the rows that were found.
    const SELECT: &'static str;
    /// What tells its rows apart; the greatest is the newest.
    const ID: &'static str;
    /// What this sorts by.
    fn key(self) -> String;
    /// Where rows are found in this order. `few` means that the filter leaves so few that they are best found by it.
    fn from(self, few: bool) -> &'static str;
}

impl Sort for ChangeSort {
    const SELECT: &'static str = "SELECT change.*, coalesce(called, name) AS name, labels FROM found JOIN change ON change.id = number \
         JOIN device ON device.id = change.device";
    const ID: &'static str = "change.id";

    fn key(self) -> String {
        match self {
            Self::Number => Self::ID,
            Self::Device => "device.name",
            Self::Kind => "change.kind",
            Self::Before => "change.before COLLATE natural_order",
            Self::After => "change.after COLLATE natural_order",
            Self::Why => "change.why",
        }
        .to_owned()
    }

    fn from(self, few: bool) -> &'static str {
        match self {
            Self::Device => "device CROSS JOIN change ON change.device = device.id",
            // No index has this order; and walking all of one costs twenty times what walking the table does.
            Self::Before | Self::After | Self::Why if !few => {
                "change NOT INDEXED LEFT JOIN device ON device.id = change.device"
            }
            // A LEFT JOIN that no term asks for is left out.
            _ => "change LEFT JOIN device ON device.id = change.device",
        }
    }
}

impl Sort for EventSort {
    const SELECT: &'static str = "SELECT sequence, outbox.model AS model, outbox.labels AS labels, change.*, coalesce(called, name) AS name \
         FROM found JOIN outbox ON sequence = number JOIN change ON change.id = outbox.change \
         JOIN device ON device.id = change.device";
    const ID: &'static str = "outbox.sequence";

    fn key(self) -> String {
        match self {
            Self::Sequence => Self::ID,
            Self::At => "change.at",
            Self::Severity => return severity(),
            Self::Kind => "change.kind",
            Self::Device => "device.name",
            Self::Why => "change.why",
        }
        .to_owned()
    }

    fn from(self, _few: bool) -> &'static str {
        match self {
            Self::Sequence => "outbox",
            Self::At | Self::Kind => "change JOIN outbox ON outbox.change = change.id",
            Self::Device => {
                "device CROSS JOIN change ON change.device = device.id CROSS JOIN outbox ON outbox.change = change.id"
            }
            Self::Severity | Self::Why => "change NOT INDEXED CROSS JOIN outbox ON outbox.change = change.id",
        }
    }
}

impl Sort for RunSort {
    const SELECT: &'static str = "SELECT sweep.* FROM found JOIN sweep ON sweep.rowid = number";
    const ID: &'static str = "sweep.rowid";

    fn key(self) -> String {
        match self {
            Self::Began => Self::ID,
            Self::Sweep => "sweep.name COLLATE natural_order",
            Self::Reason => "sweep.reason",
            Self::Took => "coalesce(sweep.ended - sweep.started, -1)",
            Self::Devices => "sweep.devices",
            Self::Answered => "sweep.answered",
            Self::Failed => "sweep.failed",
            Self::Complete => "sweep.complete",
        }
        .to_owned()
    }

    fn from(self, _few: bool) -> &'static str {
        "sweep"
    }
}

/// The severity of a row's kind, as a number. The names of kinds are versweep's own.
fn severity() -> String {
    let cases: String = crate::change::ChangeKind::ALL
        .into_iter()
        .map(|kind| {
            let rank = Severity::ALL.into_iter().position(|severity| severity == Severity::of(kind));
            format!(" WHEN '{}' THEN {}", kind.as_str(), rank.unwrap_or(0))
        })
        .collect();
    format!("CASE change.kind{cases} ELSE 0 END")
}

/// Adds to `clause` where the page begins, and says in which order it comes.
fn turned<S: Sort>(
    connection: &Connection,
    clause: &mut Clause,
    turn: Turn<S, Value>,
) -> rusqlite::Result<String> {
    let (key, id) = (turn.sort.key(), S::ID);
    let (beyond, word) = match turn.direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    if key == id {
        if let Some(behind) = turn.behind {
            clause.push(&format!("{id} {beyond} ?"), behind);
        }
        return Ok(format!("ORDER BY {id} {word}"));
    }
    if let Some(behind) = turn.behind {
        let sql = format!("SELECT {key} FROM {} WHERE {id} = ?", turn.sort.from(true));
        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement.query_row([&behind], |row| row.get::<_, Value>(0)).optional()?;
        if let Some(value) = found {
            // The first term is what an index can begin at.
            clause.push(&format!("{key} {beyond}= ?"), value.clone());
            clause.push_all(&format!("({key} {beyond} ? OR {id} < ?)"), [value, behind]);
        }
    }
    Ok(format!("ORDER BY {key} {word}, {id} DESC"))
}

fn valued<S, I: Into<Value>>(turn: Turn<S, I>) -> Turn<S, Value> {
    Turn { sort: turn.sort, direction: turn.direction, behind: turn.behind.map(Into::into) }
}

/// The row of a run. Where it is no longer kept: between the rows of the runs that lie about it by the time in its identity, so
/// that whoever turns pages while old runs are deleted goes on where they were.
fn row_of_run(connection: &Connection, id: SweepId) -> rusqlite::Result<Value> {
    let sql = "SELECT coalesce((SELECT rowid FROM sweep WHERE id = ?1),
        (SELECT max(rowid) + 0.5 FROM sweep WHERE id < ?1), 0)";
    connection.prepare_cached(sql)?.query_row([id.to_string()], |row| row.get(0))
}

impl Reader {
    /// The changes that the filter means, in that order, at most `limit` and [`super::ROWS_MAX`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn changes_sorted(
        &self,
        filter: &ChangeFilter,
        turn: Turn<ChangeSort, i64>,
        limit: usize,
    ) -> Result<Vec<ChangeRow>, StoreError> {
        let few = filter.device.is_some();
        self.sorted((Clause::of_changes(filter), few), valued(turn), limit, |row| {
            Ok(ChangeRow { stored: stored_change(row)?, labels: labels(row)? })
        })
    }

    /// Events in that order, at most `limit` and [`super::ROWS_MAX`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn events_sorted(&self, turn: Turn<EventSort, i64>, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.sorted((Clause::default(), false), valued(turn), limit, outbox::event)
    }

    /// Runs of one sweep or of all in that order, at most `limit` and [`super::ROWS_MAX`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn runs_sorted(
        &self,
        sweep: Option<&str>,
        turn: Turn<RunSort, SweepId>,
        limit: usize,
    ) -> Result<Vec<SweepRecord>, StoreError> {
        let mut clause = Clause::default();
        if let Some(sweep) = sweep {
            clause.push("sweep.name = ?", Value::Text(sweep.to_owned()));
        }
        let behind = turn.behind.map(|id| self.told(row_of_run(&self.connection, id))).transpose()?;
        let turn = Turn { sort: turn.sort, direction: turn.direction, behind };
        self.sorted((clause, false), turn, limit, load::sweep)
    }

    fn sorted<S: Sort, T>(
        &self,
        (mut clause, few): (Clause, bool),
        turn: Turn<S, Value>,
        limit: usize,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || {
            let (id, from) = (S::ID, turn.sort.from(few));
            let order = turned(&self.connection, &mut clause, turn)?;
            let limit = limit.min(super::ROWS_MAX);
            let sql = format!(
                "WITH found AS MATERIALIZED (SELECT {id} AS number FROM {from} {clause} {order} LIMIT {limit}) {} {order}",
                S::SELECT
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(clause.into_values()), read)?.collect()
        };
        self.told(rows())
    }
}
