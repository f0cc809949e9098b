//! Reading page by page, for the API: each page begins where the one before ended, so that a later write neither shifts
//! nor repeats a row.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, params, params_from_iter};

use super::read::{limited, stored_change};
use super::row::micros;
use super::{Reader, StoreError, StoredChange, load, outbox};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::event::Event;
use crate::known::SweepRecord;
use crate::observation::SweepId;

/// Which changes are asked for; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangesAsked {
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only of these kinds; empty for all.
    pub kinds: Vec<ChangeKind>,
    /// Only those of this instant and later.
    pub since: Option<Timestamp>,
    /// Only those before this instant.
    pub until: Option<Timestamp>,
    /// Only those whose number in the store is smaller: behind the last of a page.
    pub before: Option<i64>,
}

impl ChangesAsked {
    /// The conditions of the query with their values. `+at` keeps the order of numbers, in which a page is found by
    /// walking; by the index on `at` all of a long span would have to be sorted.
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut conditions = String::from("TRUE");
        let mut values = Vec::new();
        let mut add = |condition: &str, value: Value| {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
            values.push(value);
        };
        if let Some(device) = &self.device {
            add("name = ?", device.as_str().to_owned().into());
        }
        if let Some(since) = self.since {
            add("+at >= ?", micros(since).into());
        }
        if let Some(until) = self.until {
            add("+at < ?", micros(until).into());
        }
        if let Some(before) = self.before {
            add("change.id < ?", before.into());
        }
        if !self.kinds.is_empty() {
            let marks = vec!["?"; self.kinds.len()].join(", ");
            conditions.push_str(&format!(" AND kind IN ({marks})"));
            values.extend(self.kinds.iter().map(|kind| Value::from(kind.as_str().to_owned())));
        }
        (conditions, values)
    }
}

impl Reader {
    /// Those changes, newest first, at most `limit` and [`super::ROWS_MAX`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn changes_asked(&self, asked: &ChangesAsked, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        let (conditions, mut values) = asked.conditions();
        values.push(limited(limit).into());
        let sql = format!(
            "SELECT change.*, name FROM change JOIN device ON device.id = change.device
            WHERE {conditions} ORDER BY change.id DESC LIMIT ?"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(values), stored_change)?.collect()
        };
        self.told(read())
    }

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
