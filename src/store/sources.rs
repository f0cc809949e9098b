//! Sources of the inventory: which of them can't be used, as was told last, and their rows among the devices'.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<Arc<str>, String>> {
    let mut all = connection.prepare("SELECT name, failing FROM source")?;
    all.query_map([], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?.collect()
}

pub(super) fn replace(connection: &Connection, failing: &BTreeMap<Arc<str>, String>) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM source", [])?;
    let mut add = connection.prepare_cached("INSERT INTO source (name, failing) VALUES (?1, ?2)")?;
    failing.iter().try_for_each(|(name, reason)| add.execute(params![&**name, reason]).map(|_| ()))
}

/// Makes the row that what is told of a source stands by.
pub(super) fn make_row(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let make = "INSERT INTO device (name, failures, unreachable, version_changes, host_key_told, labels)
        VALUES (?1, 0, 0, 0, 0, '{}') ON CONFLICT DO NOTHING";
    connection.prepare_cached(make)?.execute([name]).map(|_| ())
}
