//! The breakers that are open: a handful of rows, written anew whenever one turns.

use rusqlite::{Connection, Row, params};

use super::row::{micros, nonsense, time};
use crate::device::CredentialId;
use crate::known::OpenBreaker;

pub(super) fn replace(connection: &Connection, open: &[OpenBreaker]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM breaker")?.execute([])?;
    let insert = "INSERT INTO breaker (credential, since, until) VALUES (?1, ?2, ?3)";
    for breaker in open {
        let row = params![breaker.credential.as_str(), micros(breaker.since), micros(breaker.until)];
        connection.prepare_cached(insert)?.execute(row)?;
    }
    Ok(())
}

pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<OpenBreaker>> {
    let all = "SELECT credential, since, until FROM breaker ORDER BY credential";
    connection.prepare(all)?.query_map([], breaker)?.collect()
}

fn breaker(row: &Row<'_>) -> rusqlite::Result<OpenBreaker> {
    let credential: String = row.get("credential")?;
    let credential = CredentialId::new(&credential).map_err(|_| nonsense(row, "credential"))?;
    Ok(OpenBreaker { credential, since: time(row, "since")?, until: time(row, "until")? })
}
