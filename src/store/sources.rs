//! Sources of the inventory: which of them can't be used, as was told last, and their rows among the devices'.

use rusqlite::{Connection, params};

use super::FailingSources;
use crate::status::RefreshFailure;

pub(super) fn load(connection: &Connection) -> rusqlite::Result<FailingSources> {
    let mut all = connection.prepare("SELECT name, failing FROM source")?;
    all.query_map([], |row| {
        let (name, reasons): (String, String) = (row.get(0)?, row.get(1)?);
        // A reason of another version is left out: it may be told once more, and the source is still known to fail.
        let reasons = reasons.split(' ').filter_map(RefreshFailure::from_name).collect();
        Ok((name.into(), reasons))
    })?
    .collect()
}

pub(super) fn replace(connection: &Connection, failing: &FailingSources) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM source", [])?;
    let mut add = connection.prepare_cached("INSERT INTO source (name, failing) VALUES (?1, ?2)")?;
    failing.iter().try_for_each(|(name, reasons)| {
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        add.execute(params![&**name, reasons.join(" ")]).map(|_| ())
    })
}

/// Makes the row that what is told of a source stands by.
pub(super) fn make_row(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let make = "INSERT INTO device (name, failures, unreachable, version_changes, host_key_told, labels)
        VALUES (?1, 0, 0, 0, 0, '{}') ON CONFLICT DO NOTHING";
    connection.prepare_cached(make)?.execute([name]).map(|_| ())
}
