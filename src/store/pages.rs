//! Reading page by page, for the API: each page begins where the one before ended, so that a later write neither shifts
//! nor repeats a row.

use rusqlite::{OptionalExtension as _, params};

use super::read::limited;
use super::{Reader, RunSort, StoreError, Turn, load, outbox};
use crate::event::Event;
use crate::known::SweepRecord;
use crate::observation::SweepId;
use crate::order::Direction;

impl Reader {
    /// Runs of sweeps, of one or of all, newest first, at most `limit` and [`super::ROWS_MAX`]; only those that began
    /// before the one of `before`, where that is given.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn runs(
        &self,
        sweep: Option<&str>,
        before: Option<SweepId>,
        limit: usize,
    ) -> Result<Vec<SweepRecord>, StoreError> {
        let turn = Turn { sort: RunSort::Began, direction: Direction::Descending, behind: before };
        self.runs_sorted(sweep, turn, limit)
    }

    /// The run of that identity.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn run(&self, id: SweepId) -> Result<Option<SweepRecord>, StoreError> {
        let sql = "SELECT * FROM sweep WHERE id = ?1";
        self.told(self.connection.query_row(sql, [id.to_string()], load::sweep).optional())
    }

    /// Events behind that sequence, oldest first, at most `limit` and [`super::ROWS_MAX`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn events_after(&self, sequence: i64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let sql = format!("{} WHERE sequence > ?1 ORDER BY sequence LIMIT ?2", outbox::EVENT);
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map(params![sequence, limited(limit)], outbox::event)?.collect()
        };
        self.told(read())
    }

    /// The newest sequence ever given to an event; 0 when nothing ever happened.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn last_sequence(&self) -> Result<i64, StoreError> {
        self.told(outbox::last_sequence(&self.connection))
    }
}
