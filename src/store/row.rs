//! Between rows and nouns: times, durations, counters, one device's row.

use std::borrow::Cow;
use std::time::Duration;

use chrono::DateTime;
use rusqlite::types::Type;
use rusqlite::{Error, Row};

use super::{flaps, more, standings};
use crate::change::Whose;
use crate::clock::Timestamp;
use crate::device::{DeviceId, PlatformKey};
use crate::facts::{Facts, Reading};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::{Known, KnownFacts, LastVisit};
use crate::observation::SshSession;
use crate::version::Version;

/// The columns that [`known`] reads, in its order.
pub(super) const KNOWN_COLUMNS: &str = "name, platform, revision, pattern, version, model, serial, hostname, image, uptime, more, \
     seen_at, version_since, boot_time, visit_at, visit_took, failure_kind, failure_stage, failure_detail, ssh_server, ssh_algorithms, failures, \
     unreachable, version_changes, last_version_change, host_key_told, removed, flaps, standings, identity";

pub(super) fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

pub(super) fn micros_of(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn uncount(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// An error that says which column holds what no versweep wrote.
pub(super) fn nonsense(row: &Row<'_>, column: &str) -> Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    Error::FromSqlConversionFailure(index, Type::Text, format!("nonsense in column {column}").into())
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    optional_time(row, column)?.ok_or_else(|| nonsense(row, column))
}

pub(super) fn optional_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let Some(value) = row.get::<_, Option<i64>>(column)? else { return Ok(None) };
    DateTime::from_timestamp_micros(value).map(Some).ok_or_else(|| nonsense(row, column))
}

fn optional_duration(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Duration>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|value| Duration::from_micros(uncount(value))))
}

pub(super) fn device_id(row: &Row<'_>, column: &str) -> rusqlite::Result<DeviceId> {
    DeviceId::new(&row.get::<_, String>(column)?).map_err(|_| nonsense(row, column))
}

/// How the name of a source's row begins, which tells it from a device's.
pub(super) const SOURCE: char = '\u{2}';

/// What chooses the rows of devices, among them and the inventory's sources.
pub(super) const IS_DEVICE: &str = "device.name NOT GLOB char(2) || '*'";

/// The name of the row of whoever changed.
pub(super) fn row_name(of: &Whose) -> Cow<'_, str> {
    match of {
        Whose::Device(device) => device.as_str().into(),
        Whose::Source(source) => format!("{SOURCE}{source}").into(),
    }
}

/// Whose name that is.
pub(super) fn whose(row: &Row<'_>, column: &str) -> rusqlite::Result<Whose> {
    let name: String = row.get(column)?;
    match name.strip_prefix(SOURCE) {
        Some(source) => Ok(Whose::Source(source.into())),
        None => DeviceId::new(&name).map(Whose::Device).map_err(|_| nonsense(row, column)),
    }
}

pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Known)> {
    let known = Known {
        facts: known_facts(row)?,
        visit: last_visit(row)?,
        ssh: ssh(row)?,
        consecutive_failures: row.get("failures")?,
        unreachable: row.get("unreachable")?,
        version_changes: uncount(row.get("version_changes")?),
        last_version_change: optional_time(row, "last_version_change")?,
        host_key_told: row.get("host_key_told")?,
        removed: optional_time(row, "removed")?,
        flaps: flaps::of_row(row)?,
        standings: standings::of_row(row)?,
        identity: row.get::<_, Option<String>>("identity")?.map(Into::into),
    };
    Ok((device_id(row, "name")?, known))
}

fn known_facts(row: &Row<'_>) -> rusqlite::Result<Option<KnownFacts>> {
    let Some(version) = row.get::<_, Option<String>>("version")? else { return Ok(None) };
    let facts = Facts {
        version: Version::new(version),
        model: row.get("model")?,
        serial: row.get("serial")?,
        hostname: row.get("hostname")?,
        image: row.get("image")?,
        uptime: optional_duration(row, "uptime")?,
        more: more::of_row(row)?,
    };
    let reading = Reading {
        platform: PlatformKey::new(&row.get::<_, String>("platform")?),
        revision: row.get("revision")?,
        pattern: row.get("pattern")?,
        facts,
    };
    Ok(Some(KnownFacts {
        reading,
        seen_at: time(row, "seen_at")?,
        version_since: time(row, "version_since")?,
        boot_time: optional_time(row, "boot_time")?,
    }))
}

fn last_visit(row: &Row<'_>) -> rusqlite::Result<Option<LastVisit>> {
    let Some(at) = optional_time(row, "visit_at")? else { return Ok(None) };
    let took = optional_duration(row, "visit_took")?.unwrap_or_default();
    Ok(Some(LastVisit { at, took, failure: failure(row)? }))
}

fn ssh(row: &Row<'_>) -> rusqlite::Result<Option<Box<SshSession>>> {
    let Some(algorithms) = row.get("ssh_algorithms")? else { return Ok(None) };
    let server = row.get::<_, Option<String>>("ssh_server")?.unwrap_or_default();
    Ok(Some(Box::new(SshSession { server, algorithms })))
}

fn failure(row: &Row<'_>) -> rusqlite::Result<Option<Failure>> {
    let Some(kind) = row.get::<_, Option<String>>("failure_kind")? else { return Ok(None) };
    let stage: String = row.get("failure_stage")?;
    let kind = FailureKind::from_name(&kind).ok_or_else(|| nonsense(row, "failure_kind"))?;
    let stage = Stage::from_name(&stage).ok_or_else(|| nonsense(row, "failure_stage"))?;
    Ok(Some(Failure::new(kind, stage, row.get::<_, String>("failure_detail")?)))
}
