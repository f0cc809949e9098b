//! Looking back: changes by time, device, kind and label, the versions that ran, and the fleet at any past instant.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, params_from_iter};

use super::read::{Reader, StoredChange, StoredRaw, stored_change, stored_raw};
use super::row::{IS_DEVICE, KNOWN_COLUMNS, device_id, known, micros, nonsense, optional_time, time};
use super::sorted::{ChangeSort, Turn};
use super::{StoreError, standings};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::device::{DeviceId, Labels, PlatformKey, Selector};
use crate::known::{Known, PolicyInfo};
use crate::order::Direction;

/// Which rows of the past are meant; the default is all.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only of these kinds; empty for all.
    pub kinds: Vec<ChangeKind>,
    /// Only of devices with these labels, as of their last visit. `device` and `platform` (the one that answered) are
    /// selected by as well.
    pub select: Selector,
    /// Only what was found at this instant or later.
    pub since: Option<Timestamp>,
    /// Only what was found before this instant.
    pub until: Option<Timestamp>,
}

/// A change with the labels of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The change.
    pub stored: StoredChange,
    /// The labels that its device had at its last visit.
    pub labels: Labels,
}

/// A version that a device was seen to run, from one answer to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Which device.
    pub device: DeviceId,
    /// The platform that read it.
    pub platform: PlatformKey,
    /// The version's text.
    pub version: String,
    /// The first answer with it.
    pub first_seen: Timestamp,
    /// The last answer with it.
    pub last_seen: Timestamp,
    /// Whether it is the version that the device is known to run.
    pub current: bool,
    /// The labels that the device had at its last visit.
    pub labels: Labels,
}

/// What a device was known to run at a past instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastVersion {
    /// Which device.
    pub device: DeviceId,
    /// The platform that had read it.
    pub platform: PlatformKey,
    /// The version's text.
    pub version: String,
    /// The first answer with it.
    pub since: Timestamp,
    /// The last answer with it up to that instant, as far as is known: where it lies before the instant and the device
    /// answered otherwise later, it may have run something else already.
    pub seen: Timestamp,
    /// The labels that the device had at its last visit.
    pub labels: Labels,
}

/// The kinds whose text is an answer that was read, fit to be compared with the one before.
const ANSWERS: &str = "('first_seen', 'upgrade', 'downgrade', 'other', 'patched', 'image', 'members', 'replaced', \
     'rebooted', 'parser', 'recovered')";

impl Reader {
    /// Gives each change that the filter means to `each`, in the order in which they were found, until it breaks off. All
    /// of it is one picture of the store, however long it takes.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn each_change(
        &self,
        filter: &ChangeFilter,
        mut each: impl FnMut(ChangeRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let clause = Clause::of_changes(filter);
        let sql = format!(
            "SELECT change.*, coalesce(called, name) AS name, labels FROM change JOIN device ON device.id = change.device {clause} ORDER BY change.id"
        );
        self.each(&sql, clause, |row| {
            Ok(each(ChangeRow { stored: stored_change(row)?, labels: labels(row)? }))
        })
    }

    /// The newest changes that the filter means, newest first, at most so many; those before the one of that number, for
    /// a reader who turns pages.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn changes_where(
        &self,
        filter: &ChangeFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ChangeRow>, StoreError> {
        let turn = Turn { sort: ChangeSort::Number, direction: Direction::Descending, behind: before };
        self.changes_sorted(filter, turn, limit)
    }

    /// Gives each version that ran to `each`: those whose time overlaps that of the filter, by device and time.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn each_version(
        &self,
        filter: &ChangeFilter,
        mut each: impl FnMut(VersionRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut clause = Clause::of(filter, "history.platform");
        if let Some(since) = filter.since {
            clause.push("coalesce(last_seen, seen_at) >= ?", Value::Integer(micros(since)));
        }
        if let Some(until) = filter.until {
            clause.push("first_seen < ?", Value::Integer(micros(until)));
        }
        let sql = format!(
            "SELECT name, labels, history.platform, history.version, first_seen,
                coalesce(last_seen, seen_at) AS last_seen, last_seen IS NULL AS current
             FROM history JOIN device ON device.id = history.device {clause} ORDER BY name, history.id"
        );
        self.each(&sql, clause, |row| {
            Ok(each(VersionRow {
                device: device_id(row, "name")?,
                platform: PlatformKey::new(&row.get::<_, String>("platform")?),
                version: row.get("version")?,
                first_seen: time(row, "first_seen")?,
                last_seen: optional_time(row, "last_seen")?.ok_or_else(|| nonsense(row, "last_seen"))?,
                current: row.get("current")?,
                labels: labels(row)?,
            }))
        })
    }

    /// What the fleet was known to run at that instant, by name: the devices that had answered by then and were in the
    /// inventory. Labels are those of each device's last visit.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn fleet_at(&self, at: Timestamp, select: &Selector) -> Result<Vec<PastVersion>, StoreError> {
        let filter = ChangeFilter { select: select.clone(), ..ChangeFilter::default() };
        let mut clause = Clause::of(&filter, "history.platform");
        clause.push(
            "history.id = (SELECT older.id FROM history AS older WHERE older.device = device.id AND older.first_seen <= ?
                ORDER BY older.first_seen DESC, older.id DESC LIMIT 1)",
            Value::Integer(micros(at)),
        );
        // The last word of the inventory by then; nothing was said of a device that never left.
        clause.push(
            "coalesce((SELECT kind FROM change WHERE change.device = device.id AND kind IN ('removed', 'returned')
                AND at <= ? ORDER BY change.id DESC LIMIT 1), 'returned') = 'returned'",
            Value::Integer(micros(at)),
        );
        let sql = format!(
            "SELECT name, labels, history.platform, history.version, first_seen,
                coalesce(last_seen, seen_at) AS last_seen
             FROM device JOIN history ON history.device = device.id {clause} ORDER BY name"
        );
        let mut fleet = Vec::new();
        self.each(&sql, clause, |row| {
            let seen = optional_time(row, "last_seen")?.ok_or_else(|| nonsense(row, "last_seen"))?;
            fleet.push(PastVersion {
                device: device_id(row, "name")?,
                platform: PlatformKey::new(&row.get::<_, String>("platform")?),
                version: row.get("version")?,
                since: time(row, "first_seen")?,
                seen: seen.min(at),
                labels: labels(row)?,
            });
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(fleet)
    }

    /// What the device had said before the change of that number: the last answer before it that was kept.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn raw_before_change(&self, number: i64) -> Result<Option<StoredRaw>, StoreError> {
        let sql = format!(
            "SELECT size, zlib FROM change AS this JOIN change AS last ON last.device = this.device AND last.id < this.id
                AND last.at < this.at AND last.kind IN {ANSWERS} JOIN change_raw ON change_raw.change = last.id
             WHERE this.id = ?1 AND this.kind IN {ANSWERS} ORDER BY last.id DESC LIMIT 1"
        );
        self.told(self.connection.query_row(&sql, [number], stored_raw).optional())
    }

    /// All that is known of every device ever visited, with the labels of its last visit.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn known_with_labels(&self) -> Result<HashMap<DeviceId, (Labels, Known)>, StoreError> {
        let all = || {
            let mut statement = self
                .connection
                .prepare(&format!("SELECT {KNOWN_COLUMNS}, labels FROM device WHERE {IS_DEVICE}"))?;
            let row = |row: &Row<'_>| {
                let (device, known) = known(row)?;
                Ok((device, (labels(row)?, known)))
            };
            statement.query_map([], row)?.collect()
        };
        self.told(all())
    }

    /// The policies that were last in force.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn policies(&self) -> Result<Vec<PolicyInfo>, StoreError> {
        self.told(standings::policies(&self.connection))
    }

    fn each(
        &self,
        sql: &str,
        clause: Clause,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<ControlFlow<()>>,
    ) -> Result<(), StoreError> {
        let go = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params_from_iter(clause.values))?;
            while let Some(row) = rows.next()? {
                if each(row)?.is_break() {
                    break;
                }
            }
            Ok(())
        };
        self.told(go())
    }
}

/// A WHERE clause in the making: what comes from outside is only ever a value.
#[derive(Default)]
pub(super) struct Clause {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Clause {
    /// What a filter says of devices; `platform` is the column that tells it.
    fn of(filter: &ChangeFilter, platform: &str) -> Self {
        let mut clause = Self::default();
        if let Some(device) = &filter.device {
            clause.push("device.name = ?", Value::Text(device.as_str().to_owned()));
        }
        for (name, wanted) in &filter.select.0 {
            match name.as_str() {
                "device" => clause.among("device.name", wanted),
                "platform" => clause.among(platform, wanted),
                label => {
                    clause.values.push(Value::Text(label.to_owned()));
                    clause.among("device.labels ->> ?", wanted);
                }
            }
        }
        clause
    }

    /// `+at` keeps the order of numbers, in which rows are found by walking; by the index on `at` all of a long span
    /// would have to be sorted.
    pub(super) fn of_changes(filter: &ChangeFilter) -> Self {
        let mut clause = Self::of(filter, "change.platform");
        if let Some(since) = filter.since {
            clause.push("+at >= ?", Value::Integer(micros(since)));
        }
        if let Some(until) = filter.until {
            clause.push("+at < ?", Value::Integer(micros(until)));
        }
        if !filter.kinds.is_empty() {
            let names = filter.kinds.iter().map(|kind| kind.as_str().to_owned()).collect::<Vec<_>>();
            clause.among("kind", &names);
        }
        clause
    }

    pub(super) fn push(&mut self, term: &str, value: Value) {
        self.push_all(term, [value]);
    }

    /// A term with as many values as it has marks.
    pub(super) fn push_all(&mut self, term: &str, values: impl IntoIterator<Item = Value>) {
        self.terms.push(term.to_owned());
        self.values.extend(values);
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }

    fn among(&mut self, column: &str, wanted: &[String]) {
        let marks = vec!["?"; wanted.len()].join(", ");
        self.terms.push(format!("{column} IN ({marks})"));
        self.values.extend(wanted.iter().cloned().map(Value::Text));
    }
}

impl std::fmt::Display for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.terms.is_empty() {
            return Ok(());
        }
        write!(f, "WHERE {}", self.terms.join(" AND "))
    }
}

pub(super) fn labels_column(labels: Option<&Labels>) -> rusqlite::Result<Option<String>> {
    let text = labels.map(|labels| serde_json::to_string(&labels.iter().collect::<BTreeMap<_, _>>()));
    text.transpose().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn labels(row: &Row<'_>) -> rusqlite::Result<Labels> {
    let text: String = row.get("labels")?;
    let labels: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|_| nonsense(row, "labels"))?;
    Ok(labels.into_iter().collect())
}
