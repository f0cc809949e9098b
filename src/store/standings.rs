//! How devices stand by policies: what each last said for sure, as one JSON column, and the policies that said it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::row::{micros, nonsense, time};
use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::known::{Held, PolicyInfo, PolicyResult, PolicyStanding, Verdict};

/// One policy's entry in the column.
#[derive(Serialize, Deserialize)]
struct HeldColumn {
    result: String,
    complied: bool,
}

pub(super) fn to_column(standings: &[PolicyStanding]) -> rusqlite::Result<Option<String>> {
    let held: BTreeMap<&str, HeldColumn> = standings
        .iter()
        .filter_map(|standing| {
            let Held { result, complied } = standing.held?;
            Some((standing.policy.name.as_str(), HeldColumn { result: result.as_str().to_owned(), complied }))
        })
        .collect();
    if held.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&held);
    text.map(Some).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// The standings as remembered: nothing is judged yet, so nobody can say whether the device complies.
pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Vec<PolicyStanding>> {
    let Some(text) = row.get::<_, Option<String>>("standings")? else { return Ok(Vec::new()) };
    let held: BTreeMap<String, HeldColumn> =
        serde_json::from_str(&text).map_err(|_| nonsense(row, "standings"))?;
    let unjudged = Arc::new(Verdict::new(PolicyResult::Unknown, "not judged yet"));
    let standing = |(name, held): (String, HeldColumn)| {
        let result = PolicyResult::from_name(&held.result).ok_or_else(|| nonsense(row, "standings"))?;
        let policy =
            PolicyInfo { name, since: Timestamp::UNIX_EPOCH, asks: String::new(), grace_until: None };
        Ok(PolicyStanding {
            policy: Arc::new(policy),
            verdict: Arc::clone(&unjudged),
            complies: None,
            held: Some(Held { result, complied: held.complied }),
        })
    };
    held.into_iter().map(standing).collect()
}

/// Writes what moved though nobody visited. A device that was never visited has no row and nothing to remember.
pub(super) fn write(
    connection: &Connection,
    moved: &[(DeviceId, Vec<PolicyStanding>)],
    policies: Option<&[Arc<PolicyInfo>]>,
) -> rusqlite::Result<()> {
    let mut set = connection.prepare_cached("UPDATE device SET standings = ?2 WHERE name = ?1")?;
    for (device, standings) in moved {
        set.execute(params![device.as_str(), to_column(standings)?])?;
    }
    let Some(policies) = policies else { return Ok(()) };
    connection.execute("DELETE FROM policy", [])?;
    let mut add = connection.prepare_cached("INSERT INTO policy (name, asks, since) VALUES (?1, ?2, ?3)")?;
    for policy in policies {
        add.execute(params![policy.name, policy.asks, micros(policy.since)])?;
    }
    Ok(())
}

pub(super) fn policies(connection: &Connection) -> rusqlite::Result<Vec<PolicyInfo>> {
    connection
        .prepare("SELECT name, asks, since FROM policy ORDER BY name")?
        .query_map([], |row| {
            Ok(PolicyInfo {
                name: row.get("name")?,
                since: time(row, "since")?,
                asks: row.get("asks")?,
                grace_until: None,
            })
        })?
        .collect()
}
