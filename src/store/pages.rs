//! Reading page by page, for the API: each page begins where the one before ended, so that a later write neither shifts
//! nor repeats a row.

use rusqlite::{OptionalExtension as _, params};

use super::read::limited;
use super::{Reader, StoreError, load, outbox};
use crate::event::Event;
use crate::known::SweepRecord;
use crate::observation::SweepId;

impl Reader {
    /// Runs of sweeps, of one or of all, newest first, at most `limit` and [`super::ROWS_MAX`]; only those that started
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
        // A run's identity begins with the instant of its start, so that their order is that of the starts.
        let sql = "SELECT * FROM sweep WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR id < ?2)
            ORDER BY id DESC LIMIT ?3";
        let before = before.map(|id| id.to_string());
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(params![sweep, before, limited(limit)], load::sweep)?.collect()
        };
        self.told(read())
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
