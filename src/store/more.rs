//! Members, patches and the next boot image in one column: JSON, so that SQLite's own functions reach into it.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::row::nonsense;
use crate::facts::{Member, More};
use crate::version::Version;

/// The column's text. What is absent or empty is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
struct MoreColumn {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberColumn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    patches: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_boot: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberColumn {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
}

/// The text to write; nothing where the device told nothing of it.
pub(super) fn to_column(more: Option<&More>) -> rusqlite::Result<Option<String>> {
    let Some(more) = more else { return Ok(None) };
    let member = |member: &Member| MemberColumn {
        name: member.name.clone(),
        version: member.version.as_ref().map(|version| version.as_str().to_owned()),
        model: member.model.clone(),
        serial: member.serial.clone(),
    };
    let column = MoreColumn {
        members: more.members.iter().map(member).collect(),
        patches: more.patches.clone(),
        next_boot: more.next_boot.clone(),
    };
    let text = serde_json::to_string(&column);
    text.map(Some).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Option<Box<More>>> {
    let Some(text) = row.get::<_, Option<String>>("more")? else { return Ok(None) };
    let column: MoreColumn = serde_json::from_str(&text).map_err(|_| nonsense(row, "more"))?;
    let member = |member: MemberColumn| Member {
        name: member.name,
        version: member.version.map(Version::new),
        model: member.model,
        serial: member.serial,
    };
    Ok(Some(Box::new(More {
        members: column.members.into_iter().map(member).collect(),
        patches: column.patches,
        next_boot: column.next_boot,
    })))
}
