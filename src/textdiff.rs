//! What differs between two answers of a device, line by line, as `diff -u` shows it. `similar` is named here only.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{Algorithm, TextDiff};

use crate::text::tamed;

/// Lines that are the same around those that differ.
const CONTEXT: usize = 3;

/// Two answers of 1 MiB without a common line would take minutes; past this time the difference is a coarser one.
const DEADLINE: Duration = Duration::from_millis(500);

/// The longest line that is shown, in characters.
const LINE_MAX: usize = 500;

/// The most lines of a difference; `show version` has some sixty.
const LINES_MAX: usize = 2_000;

/// The difference between two texts under these names, empty where there is none. Each line is safe for a terminal.
#[must_use]
pub fn unified(before: &str, after: &str, names: [&str; 2]) -> String {
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(DEADLINE).diff_lines(before, after);
    let whole = diff.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string();
    if whole.is_empty() {
        return whole;
    }
    let mut text = format!("--- {}\n+++ {}\n", tamed(names[0], LINE_MAX), tamed(names[1], LINE_MAX));
    for (place, line) in whole.lines().enumerate() {
        if place == LINES_MAX {
            text.push_str("... more lines differ\n");
            break;
        }
        let _infallible = writeln!(text, "{}", tamed(line.trim_end_matches('\r'), LINE_MAX + 1));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_what_stands_around_it() {
        let before = "Cisco IOS XE Software, Version 17.9.4\r\ncopyright\nuptime is 3 weeks\n";
        let after = "Cisco IOS XE Software, Version 17.12.3\r\ncopyright\nuptime is 1 minute\n";
        let expected = "--- then\n+++ now\n@@ -1,3 +1,3 @@\n-Cisco IOS XE Software, Version 17.9.4\n\
            +Cisco IOS XE Software, Version 17.12.3\n copyright\n-uptime is 3 weeks\n+uptime is 1 minute\n";
        assert_eq!(unified(before, after, ["then", "now"]), expected);
        assert_eq!(unified(before, before, ["then", "now"]), "");
    }

    #[test]
    fn hostile_texts_stay_bounded_and_tame() {
        let (before, after) = ("a\n".repeat(100_000), format!("{}\u{1b}[31m\n", "x".repeat(1 << 20)));
        let text = unified(&before, &after, ["a", "b"]);
        assert!(text.len() < 2_000_000 && !text.contains('\u{1b}'), "{} bytes", text.len());
        assert!(text.ends_with("... more lines differ\n"));
    }
}
