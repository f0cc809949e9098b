//! A device's changes to and fro as one JSON column: times in microseconds, as everywhere in the database.

use chrono::DateTime;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::row::{micros, nonsense};
use crate::known::{Flap, Flaps};

#[derive(Serialize, Deserialize)]
struct Column {
    reach: Axis,
    facts: Axis,
}

#[derive(Serialize, Deserialize)]
struct Axis {
    recent: Vec<i64>,
    since: Option<i64>,
    told: String,
}

pub(super) fn to_column(flaps: Option<&Flaps>) -> rusqlite::Result<Option<String>> {
    let axis = |flap: &Flap| Axis {
        recent: flap.recent.iter().copied().map(micros).collect(),
        since: flap.since.map(micros),
        told: flap.told.clone(),
    };
    let column = flaps.map(|flaps| Column { reach: axis(&flaps.reach), facts: axis(&flaps.facts) });
    let text = column.map(|column| serde_json::to_string(&column)).transpose();
    text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Option<Box<Flaps>>> {
    let Some(text) = row.get::<_, Option<String>>("flaps")? else { return Ok(None) };
    let read = serde_json::from_str::<Column>(&text).ok();
    let flaps =
        read.and_then(|column| Some(Flaps { reach: column.reach.flap()?, facts: column.facts.flap()? }));
    flaps.map(|flaps| Some(Box::new(flaps))).ok_or_else(|| nonsense(row, "flaps"))
}

impl Axis {
    fn flap(self) -> Option<Flap> {
        let recent = self.recent.into_iter().map(DateTime::from_timestamp_micros).collect::<Option<_>>()?;
        let since = match self.since {
            Some(since) => Some(DateTime::from_timestamp_micros(since)?),
            None => None,
        };
        Some(Flap { recent, since, told: self.told })
    }
}
