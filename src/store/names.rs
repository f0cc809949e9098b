//! Devices that go by other names, and what their sources know them by.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::device::DeviceId;

/// A device that goes by another name, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// Its name until now.
    pub from: DeviceId,
    /// Its name from now on.
    pub to: DeviceId,
}

impl Renaming {
    /// From one name to another.
    #[must_use]
    pub fn new(from: &DeviceId, to: &DeviceId) -> Self {
        Self { from: from.clone(), to: to.clone() }
    }
}

/// Gives devices their other names, all at once: two may exchange theirs. What was told of them keeps the name that it was
/// told with, which is a part of the event's identity.
pub(super) fn rename(connection: &Connection, renamings: &[Renaming]) -> rusqlite::Result<()> {
    let mut leaving = Vec::with_capacity(renamings.len());
    for renaming in renamings {
        let find = "SELECT id FROM device WHERE name = ?1";
        let found = connection.prepare_cached(find)?.query_row([renaming.from.as_str()], |row| row.get(0));
        let Some(id) = found.optional()? else { continue };
        let id: i64 = id;
        let called = "UPDATE change SET called = ?2 WHERE device = ?1 AND called IS NULL";
        connection.prepare_cached(called)?.execute(params![id, renaming.from.as_str()])?;
        // No device can have such a name.
        let meanwhile = "UPDATE device SET name = char(1) || id WHERE id = ?1";
        connection.prepare_cached(meanwhile)?.execute([id])?;
        leaving.push((id, renaming.to.as_str()));
    }
    for (id, name) in leaving {
        let arrive = "UPDATE device SET name = ?2 WHERE id = ?1";
        connection.prepare_cached(arrive)?.execute(params![id, name])?;
    }
    Ok(())
}

/// Writes what sources know devices by. A device that was never visited has no row.
pub(super) fn identify(
    connection: &Connection,
    identities: &[(DeviceId, Option<Arc<str>>)],
) -> rusqlite::Result<()> {
    let mut set = connection.prepare_cached("UPDATE device SET identity = ?2 WHERE name = ?1")?;
    for (device, identity) in identities {
        set.execute(params![device.as_str(), identity.as_deref()])?;
    }
    Ok(())
}
