//! What a courier asks for in every round costs the same however much waits.

use rusqlite::StatementStatus;

use super::*;

/// A store with so many letters of each of two devices and two sinks, of which each third one is given up.
fn with_letters(each: i64) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for step in
        [include_str!("../schema.sql"), include_str!("../schema-2.sql"), include_str!("../schema-3.sql")]
    {
        connection.execute_batch(step).unwrap();
    }
    // Letters alone are asked for.
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for (id, name) in [(1, "core1"), (2, "core2")] {
        let sql =
            "INSERT INTO device (id, name, failures, unreachable, version_changes, host_key_told, labels)
            VALUES (?1, ?2, 0, 0, 0, 0, '{}')";
        connection.execute(sql, params![id, name]).unwrap();
    }
    for sink in ["chat", "hook"] {
        for sequence in 0..2 * each {
            let dead = (sequence % 3 == 0).then_some(1);
            let sql = "INSERT INTO letter VALUES (?1, ?2, ?3, ?2, 5, '', ?4)";
            // The second device's come first.
            connection.execute(sql, params![sink, sequence, 2 - sequence % 2, dead]).unwrap();
        }
    }
    connection
}

/// The steps that SQLite takes for it, and what comes of it.
fn looked(connection: &Connection) -> (i32, Vec<(i64, String, u32)>) {
    let mut statement = connection.prepare(HELD).unwrap();
    let held: Vec<_> = statement
        .query_map(["chat"], held_of_row)
        .unwrap()
        .map(|held| held.unwrap())
        .map(|held| (held.sequence, held.of.to_string(), held.tries))
        .collect();
    (statement.get_status(StatementStatus::VmStep), held)
}

#[test]
fn what_waits_is_found_at_the_same_cost_however_much_waits_behind_it() {
    let (few, many) = (looked(&with_letters(3)), looked(&with_letters(3_000)));
    // Sequence 0 is given up.
    let first = vec![(1, "core1".to_owned(), 1), (2, "core2".to_owned(), 2)];
    assert_eq!(few.1, first);
    assert_eq!(many, few);
}

#[test]
fn where_nothing_waits_nothing_is_found() {
    let connection = with_letters(3);
    connection.execute("UPDATE letter SET dead_at = 1", []).unwrap();
    assert!(looked(&connection).1.is_empty());
}
