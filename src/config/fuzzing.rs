//! What must hold whatever stands in a configuration: checked by the fuzz target, and by a test with its seeds.

use std::path::Path;

use super::draft_str;

/// Any text is taken, or refused with messages that each fit into one line of a log: nothing panics.
///
/// # Panics
/// When that doesn't hold.
pub fn config(text: &str) {
    let draft = draft_str(Path::new("fuzz.toml"), text, &|_| None);
    for problem in &draft.problems.0 {
        let told = problem.to_string();
        assert!(!told.contains('\n'), "{told:?}");
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds::replay;

    #[test]
    fn the_seeds_of_configurations_hold() {
        replay("config", |bytes| super::config(&String::from_utf8_lossy(bytes)));
    }
}
