//! The statements of one batch.

use std::collections::BTreeMap;
use std::fmt::Display;

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::raw::{Packed, pack};
use super::row::{count, micros, micros_of, row_name};
use super::{News, Visit, flaps, history, more, names, sources, standings};
use crate::change::{Change, ChangeKind};
use crate::known::{KnownFacts, SweepRecord};
use crate::status::Totals;

pub(super) fn visit(connection: &Connection, visit: &Visit) -> rusqlite::Result<()> {
    let device = state(connection, visit)?;
    history(connection, device, visit)?;
    let platform = visit.platform().map(|platform| platform.as_str());
    for change in &visit.changes {
        let Some(id) = self::change(connection, device, platform, change)? else { continue };
        // What a policy says is read from what another change stands for, whose text is kept.
        let of_policy = matches!(change.kind, ChangeKind::PolicyLost | ChangeKind::PolicyRegained);
        if let Some(packed) = packed(visit).filter(|_| !of_policy) {
            change_raw(connection, id, &packed)?;
        }
    }
    failure_raw(connection, device, visit)
}

const STATE: &str = "
    INSERT INTO device (name, platform, revision, pattern, version, model, serial, hostname, image, uptime, more, seen_at,
        version_since, boot_time, visit_at, visit_took, failure_kind, failure_stage, failure_detail, ssh_server,
        ssh_algorithms, failures, unreachable, version_changes, last_version_change, host_key_told, removed, flaps,
        standings, identity, labels)
    VALUES (:name, :platform, :revision, :pattern, :version, :model, :serial, :hostname, :image, :uptime, :more, :seen_at,
        :version_since, :boot_time, :visit_at, :visit_took, :failure_kind, :failure_stage, :failure_detail, :ssh_server,
        :ssh_algorithms, :failures, :unreachable, :version_changes, :last_version_change, :host_key_told, :removed, :flaps,
        :standings, :identity, coalesce(:labels, '{}'))
    ON CONFLICT (name) DO UPDATE SET
        platform = :platform, revision = :revision, pattern = :pattern, version = :version, model = :model,
        serial = :serial, hostname = :hostname, image = :image, uptime = :uptime, more = :more, seen_at = :seen_at,
        version_since = :version_since, boot_time = :boot_time, visit_at = :visit_at, visit_took = :visit_took,
        failure_kind = :failure_kind, failure_stage = :failure_stage, failure_detail = :failure_detail,
        ssh_server = :ssh_server, ssh_algorithms = :ssh_algorithms, failures = :failures,
        unreachable = :unreachable, version_changes = :version_changes, last_version_change = :last_version_change,
        host_key_told = :host_key_told, removed = :removed, flaps = :flaps,
        standings = :standings, identity = :identity, labels = coalesce(:labels, labels)
    RETURNING id";

/// Writes the device's row and gives its number.
fn state(connection: &Connection, visit: &Visit) -> rusqlite::Result<i64> {
    let known = &visit.after;
    let facts = known.facts.as_ref();
    let reading = facts.map(|facts| &facts.reading);
    let said = reading.map(|reading| &reading.facts);
    let last = known.visit.as_ref();
    let failure = last.and_then(|last| last.failure.as_ref());
    connection.prepare_cached(STATE)?.query_row(
        named_params! {
            ":name": visit.device.as_str(),
            ":platform": reading.map(|reading| reading.platform.as_str()),
            ":revision": reading.map(|reading| reading.revision),
            ":pattern": reading.map(|reading| reading.pattern.as_str()),
            ":version": said.map(|said| said.version.as_str()),
            ":model": said.and_then(|said| said.model.as_deref()),
            ":serial": said.and_then(|said| said.serial.as_deref()),
            ":hostname": said.and_then(|said| said.hostname.as_deref()),
            ":image": said.and_then(|said| said.image.as_deref()),
            ":uptime": said.and_then(|said| said.uptime).map(micros_of),
            ":more": more::to_column(said.and_then(|said| said.more.as_deref()))?,
            ":seen_at": facts.map(|facts| micros(facts.seen_at)),
            ":version_since": facts.map(|facts| micros(facts.version_since)),
            ":boot_time": facts.and_then(|facts| facts.boot_time).map(micros),
            ":visit_at": last.map(|last| micros(last.at)),
            ":visit_took": last.map(|last| micros_of(last.took)),
            ":failure_kind": failure.map(|failure| failure.kind.as_str()),
            ":failure_stage": failure.map(|failure| failure.stage.as_str()),
            ":failure_detail": failure.map(|failure| failure.detail.as_str()),
            ":ssh_server": known.ssh.as_ref().map(|ssh| ssh.server.as_str()),
            ":ssh_algorithms": known.ssh.as_ref().map(|ssh| ssh.algorithms.as_str()),
            ":failures": known.consecutive_failures,
            ":unreachable": known.unreachable,
            ":version_changes": count(known.version_changes),
            ":last_version_change": known.last_version_change.map(micros),
            ":host_key_told": known.host_key_told,
            ":removed": known.removed.map(micros),
            ":flaps": flaps::to_column(known.flaps.as_deref())?,
            ":standings": standings::to_column(&known.standings)?,
            ":identity": known.identity.as_deref(),
            ":labels": history::labels_column(visit.labels.as_ref())?,
        },
        |row| row.get(0),
    )
}

/// Closes the open range and opens the next one when the version's text is another one.
fn history(connection: &Connection, device: i64, visit: &Visit) -> rusqlite::Result<()> {
    let Some(now) = &visit.after.facts else { return Ok(()) };
    let version = |facts: &KnownFacts| facts.reading.facts.version.clone();
    match &visit.before.facts {
        Some(last) if version(last) == version(now) => return Ok(()),
        Some(last) => {
            // A clock that was set back must not make a range that ends before it begins.
            let close =
                "UPDATE history SET last_seen = max(?2, first_seen) WHERE device = ?1 AND last_seen IS NULL";
            connection.prepare_cached(close)?.execute(params![device, micros(last.seen_at)])?;
        }
        None => {}
    }
    let open = "INSERT INTO history (device, platform, version, first_seen) VALUES (?1, ?2, ?3, ?4)";
    let reading = &now.reading;
    connection.prepare_cached(open)?.execute(params![
        device,
        reading.platform.as_str(),
        reading.facts.version.as_str(),
        micros(now.version_since)
    ])?;
    Ok(())
}

/// Writes a change and its event and gives its number; one that is there already, by its identity, is left alone.
fn change(
    connection: &Connection,
    device: i64,
    platform: Option<&str>,
    change: &Change,
) -> rusqlite::Result<Option<i64>> {
    let insert =
        "INSERT INTO change (device, sweep, at, kind, subject, platform, before, after, why, confirmed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING RETURNING id";
    let id: Option<i64> = connection
        .prepare_cached(insert)?
        .query_row(
            params![
                device,
                change.sweep.map(|sweep| sweep.to_string()),
                micros(change.at),
                change.kind.as_str(),
                change.subject,
                platform,
                change.before,
                change.after,
                change.why,
                change.confirmed
            ],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = id {
        event(connection, device, id)?;
    }
    Ok(id)
}

/// Queues the event, with what the device's row says of it now: that one is up to date.
fn event(connection: &Connection, device: i64, change: i64) -> rusqlite::Result<()> {
    let queue =
        "INSERT INTO outbox (change, model, labels) SELECT ?2, model, labels FROM device WHERE id = ?1";
    connection.prepare_cached(queue)?.execute(params![device, change]).map(|_| ())
}

fn change_raw(connection: &Connection, change: i64, packed: &Packed) -> rusqlite::Result<()> {
    let keep = "INSERT INTO change_raw (change, size, kept, zlib) VALUES (?1, ?2, ?3, ?4)";
    let (size, kept) = (length(packed.size), length(packed.kept));
    connection.prepare_cached(keep)?.execute(params![change, size, kept, packed.zlib]).map(|_| ())
}

/// Writes what no visit found.
pub(super) fn news(connection: &Connection, news: &News) -> rusqlite::Result<()> {
    match news {
        News::Change(change) => found(connection, change),
        News::Names(renamings) => names::rename(connection, renamings),
        News::Identities(identities) => names::identify(connection, identities),
    }
}

/// Writes a change that no visit found. A device that was never visited has no row and nothing that could change.
fn found(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let name = row_name(&change.of);
    if change.of.source().is_some() {
        sources::make_row(connection, &name)?;
    }
    let find = "SELECT id, platform FROM device WHERE name = ?1";
    let found = connection
        .prepare_cached(find)?
        .query_row([&name], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))
        .optional()?;
    let Some((device, platform)) = found else { return Ok(()) };
    let removed = match change.kind {
        ChangeKind::Removed => Some(Some(micros(change.at))),
        ChangeKind::Returned => Some(None),
        _ => None,
    };
    if let Some(removed) = removed {
        let set = "UPDATE device SET removed = ?2 WHERE id = ?1";
        connection.prepare_cached(set)?.execute(params![device, removed])?;
    }
    self::change(connection, device, platform.as_deref(), change).map(|_| ())
}

/// Keeps the text of the last failure; a failure without text drops that of an older one, which explains nothing now.
fn failure_raw(connection: &Connection, device: i64, visit: &Visit) -> rusqlite::Result<()> {
    if visit.after.is_up() != Some(false) {
        return Ok(());
    }
    let Some(packed) = packed(visit) else {
        connection.prepare_cached("DELETE FROM failure_raw WHERE device = ?1")?.execute([device])?;
        return Ok(());
    };
    let keep = "INSERT INTO failure_raw (device, size, kept, zlib) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (device) DO UPDATE SET size = ?2, kept = ?3, zlib = ?4";
    connection.prepare_cached(keep)?.execute(params![
        device,
        length(packed.size),
        length(packed.kept),
        packed.zlib
    ])?;
    Ok(())
}

fn packed(visit: &Visit) -> Option<Packed> {
    // Compressing into memory has no way to fail; a text that did would be a small loss beside a batch.
    visit.raw.as_deref().filter(|raw| !raw.is_empty()).and_then(|raw| pack(raw).ok())
}

fn length(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn sweep(connection: &Connection, sweep: &SweepRecord) -> rusqlite::Result<()> {
    let write = "INSERT INTO sweep (id, name, reason, started, ended, devices, answered, failed, complete)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (id) DO UPDATE SET ended = ?5, devices = ?6, answered = ?7, failed = ?8, complete = ?9";
    connection.prepare_cached(write)?.execute(params![
        sweep.id.to_string(),
        sweep.name,
        sweep.reason,
        micros(sweep.started),
        sweep.ended.map(micros),
        count(sweep.devices),
        count(sweep.answered),
        count(sweep.failed),
        sweep.complete
    ])?;
    Ok(())
}

/// Writes the counters that moved.
pub(super) fn totals(connection: &Connection, written: &Totals, now: &Totals) -> rusqlite::Result<()> {
    counter(connection, "visits", "", written.visits, now.visits)?;
    counters(connection, "failures", &written.failures, &now.failures)?;
    counters(connection, "changes", &written.changes, &now.changes)?;
    counters(connection, "sweeps", &written.sweeps, &now.sweeps)?;
    counters(connection, "skipped", &written.skipped, &now.skipped)?;
    counters(connection, "blackouts", &written.blackouts, &now.blackouts)
}

fn counters<K: Ord + Display>(
    connection: &Connection,
    what: &str,
    written: &BTreeMap<K, u64>,
    now: &BTreeMap<K, u64>,
) -> rusqlite::Result<()> {
    now.iter().try_for_each(|(label, &value)| {
        counter(connection, what, &label.to_string(), written.get(label).copied().unwrap_or(0), value)
    })
}

fn counter(connection: &Connection, what: &str, label: &str, written: u64, now: u64) -> rusqlite::Result<()> {
    if written == now {
        return Ok(());
    }
    let write = "INSERT INTO counter (what, label, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (what, label) DO UPDATE SET value = ?3";
    connection.prepare_cached(write)?.execute(params![what, label, count(now)])?;
    Ok(())
}
