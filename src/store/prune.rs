//! Deleting what is older than `keep_history`, a little at a time.

use rusqlite::{Connection, TransactionBehavior, params};

use super::row::micros;
use crate::clock::Timestamp;

/// The most rows that one call deletes from one table: a few milliseconds between two batches.
const ROWS: usize = 2_000;

/// Open history ranges, device states and the newest run of each sweep are never deleted: the one that was written last, for
/// the wall clock may have been set back since the others.
const OLD: [&str; 3] = [
    // Takes the outbox row and the text along. A change that a sink has still before it stays.
    "DELETE FROM change WHERE id IN (SELECT change.id FROM change LEFT JOIN outbox ON outbox.change = change.id
        WHERE at < ?1 AND (sequence IS NULL OR sequence <= coalesce((SELECT min(delivered) FROM sink WHERE active),
        sequence)) AND NOT EXISTS (SELECT 1 FROM letter JOIN sink ON sink.name = letter.sink AND active
            WHERE letter.sequence = outbox.sequence) LIMIT ?2)",
    "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE last_seen < ?1 LIMIT ?2)",
    "DELETE FROM sweep WHERE id IN (SELECT id FROM sweep AS old WHERE ended < ?1
        AND EXISTS (SELECT 1 FROM sweep AS newer WHERE newer.name = old.name AND newer.rowid > old.rowid
            AND newer.complete >= old.complete) LIMIT ?2)",
];

/// Deletes at most [`ROWS`] rows of each table; `true` when more is left.
pub(super) fn prune(connection: &mut Connection, cutoff: Timestamp) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut left = false;
    drop_letters(&transaction, cutoff)?;
    for sql in OLD {
        let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
        left |= transaction.prepare_cached(sql)?.execute(params![micros(cutoff), limit])? == ROWS;
    }
    transaction.commit()?;
    Ok(left)
}

/// Events that were given up long ago are dropped and counted; there are at most so many of each sink.
fn drop_letters(connection: &Connection, cutoff: Timestamp) -> rusqlite::Result<()> {
    let cutoff = micros(cutoff);
    let count = "UPDATE sink SET dropped = dropped + (SELECT count(*) FROM letter WHERE sink = name AND dead_at < ?1)";
    connection.prepare_cached(count)?.execute([cutoff])?;
    connection.prepare_cached("DELETE FROM letter WHERE dead_at < ?1")?.execute([cutoff]).map(|_| ())
}
