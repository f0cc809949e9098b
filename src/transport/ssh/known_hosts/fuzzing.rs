//! What must hold whatever stands in a known_hosts file: checked by the fuzz target, and by a test with its seeds.

use std::path::Path;
use std::sync::Arc;

use super::{Standing, Table, Verdict, judge};

/// Reads any text as a file and looks up the names in it: nothing panics, each key found stands on a line of the file,
/// and a key is judged as its own line says.
///
/// # Panics
/// When that doesn't hold.
pub fn known_hosts(text: &str) {
    let mut table = Table::default();
    let lines = table.add_text(text, &Arc::from(Path::new("known_hosts")));
    let words = text.split(|c: char| c.is_whitespace() || c == ',').take(64).map(str::to_lowercase);
    let usual = ["r1", "[r1]:2222", "192.0.2.1", "xn--r", ""].map(str::to_owned);
    for name in words.chain(usual) {
        let found = table.lookup(&name);
        assert_eq!(found, table.lookup(&name), "the second look finds what the first did");
        for known in &found {
            assert!((1..=lines).contains(&known.line), "{}", known.place());
            let revoked =
                |other: &super::Known| other.standing == Standing::Revoked && other.key == known.key;
            let key = (*known.key).clone().into();
            match (judge(&found, &key), known.standing) {
                (Verdict::Revoked(_), _) => assert!(found.iter().any(revoked)),
                (Verdict::Known, Standing::Trusted) => {}
                // An authority's key is no server's, unless another line says so.
                (_, Standing::Authority) => {}
                (verdict, standing) => panic!("{verdict:?} of a key that is {standing:?}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds::replay;

    #[test]
    fn the_seeds_of_known_hosts_hold() {
        replay("known_hosts", |bytes| super::known_hosts(&String::from_utf8_lossy(bytes)));
    }
}
