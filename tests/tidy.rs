//! Keeps the house in order: which floor a room stands on, which door a crate is behind, and what is absent on
//! purpose (ARCHITECTURE.md). It reads `src/` as text.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The rooms of each floor. A room may name rooms of its own floor only where [`NEIGHBOURS`] says so.
    const FLOORS: [&[&str]; 4] = [
        &[
            "change",
            "clock",
            "credential",
            "device",
            "duration",
            "event",
            "expression",
            "facts",
            "failure",
            "hash",
            "known",
            "observation",
            "status",
            "text",
            "version",
            "order",
            "wildcard",
        ],
        &[
            "breaker",
            "budget",
            "dialogue",
            "diff",
            "dispatch",
            "document",
            "forecast",
            "holdoff",
            "parse",
            "platform",
            "policy",
            "settings",
            "ssh_config",
            "textdiff",
            "timetable",
        ],
        &[
            "config",
            "fetch",
            "inventory",
            "limits",
            "metrics",
            "sink",
            "source",
            "store",
            "transport",
            "web_config",
        ],
        &["activity", "courier", "http", "probe", "recorder", "schedule", "sim", "sweep"],
    ];

    /// Who may name whom on one floor. Floor-3 rooms meet only in the corridor, and the sweep calls the probe. On floor 2
    /// all who ask the web knock at one door.
    const NEIGHBOURS: [(&str, &[&str]); 13] = [
        ("sweep", &["activity", "probe"]),
        ("schedule", &["activity"]),
        ("recorder", &["activity"]),
        ("http", &["activity"]),
        // A profile's examples are read when it is compiled.
        ("parse", &["platform"]),
        ("platform", &["dialogue", "parse"]),
        ("settings", &["document", "platform", "ssh_config"]),
        // The queue keeps to budgets and breakers; the week that it is tested with, to hold-offs.
        ("dispatch", &["breaker", "budget", "holdoff"]),
        // It plays the dispatch through.
        ("forecast", &["breaker", "dispatch"]),
        ("config", &["fetch", "source", "web_config"]),
        ("inventory", &["fetch", "source"]),
        ("source", &["fetch"]),
        ("sink", &["fetch"]),
    ];

    /// Each foreign crate stands behind its door and nowhere else.
    const DOORS: [(&str, &[&str]); 30] = [
        ("russh", &["transport", "sim"]),
        ("regex", &["expression", "source"]),
        ("regex_syntax", &["expression"]),
        ("rusqlite", &["store"]),
        ("rusqlite_migration", &["store"]),
        ("prometheus", &["metrics"]),
        ("axum", &["http"]),
        ("maud", &["http"]),
        ("memchr", &["http", "expression"]),
        ("data_encoding", &["http"]),
        ("futures_util", &["http", "sink"]),
        ("async_nats", &["sink"]),
        ("tokio_cron_scheduler", &["schedule"]),
        ("croner", &["timetable"]),
        ("csv", &["inventory", "cli"]),
        ("similar", &["textdiff"]),
        ("serde_saphyr", &["inventory", "web_config"]),
        ("clap", &["cli"]),
        ("crossterm", &["cli"]),
        ("unicode_width", &["cli"]),
        ("sd_notify", &["daemon"]),
        ("tracing_journald", &["cli"]),
        ("reqwest", &["fetch"]),
        ("rustls", &["fetch", "web_config"]),
        ("tokio_rustls", &["web_config"]),
        ("webpki", &["web_config"]),
        ("der", &["web_config"]),
        ("bcrypt", &["web_config"]),
        ("listenfd", &["daemon"]),
        ("rustls_native_certs", &["fetch"]),
    ];

    /// What floors 0 and 1 must not know.
    const IMPURE: [&str; 7] =
        ["tokio", "std::fs", "std::net", "std::io", "std::process", "std::thread", "SystemClock"];

    struct Source {
        room: String,
        path: PathBuf,
        /// The text without comments and without the tests at its end.
        code: String,
    }

    fn sources() -> Vec<Source> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        collect(&root, &mut paths);
        paths.sort();
        paths
            .into_iter()
            .map(|path| {
                let inside = path.strip_prefix(&root).expect("below src");
                let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).expect("a source file");
                Source { room, code: code_of(&text), path }
            })
            .collect()
    }

    fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, paths);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                paths.push(path);
            }
        }
    }

    fn code_of(text: &str) -> String {
        let before_tests = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        before_tests
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn floor_of() -> BTreeMap<&'static str, usize> {
        FLOORS
            .iter()
            .enumerate()
            .flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
            .collect()
    }

    /// The rooms that a source names by `crate::room`, also inside `crate::{a, b}`.
    fn rooms_named(code: &str) -> Vec<String> {
        let mut named = Vec::new();
        for piece in code.split("crate::").skip(1) {
            let names =
                piece.strip_prefix('{').map_or(piece, |list| list.split('}').next().unwrap_or_default());
            let many = piece.starts_with('{');
            for name in names.split(',').take(if many { usize::MAX } else { 1 }) {
                let name: String =
                    name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                named.push(name);
            }
        }
        named
    }

    #[test]
    fn a_room_names_only_rooms_of_lower_floors() {
        let floors = floor_of();
        let mut wrong = Vec::new();
        for source in sources() {
            let Some(&floor) = floors.get(source.room.as_str()) else { continue };
            let neighbours =
                NEIGHBOURS.iter().find(|(room, _)| *room == source.room).map_or(&[][..], |(_, rooms)| rooms);
            for named in rooms_named(&source.code) {
                let Some(&other) = floors.get(named.as_str()) else { continue };
                let same_floor_is_fine = floor == 0 || neighbours.contains(&named.as_str());
                if named != source.room && (other > floor || (other == floor && !same_floor_is_fine)) {
                    wrong.push(format!("{}: names crate::{named}", source.path.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "arrows that don't run downward:\n{}", wrong.join("\n"));
    }

    #[test]
    fn every_room_has_a_floor() {
        let floors = floor_of();
        let homeless: Vec<_> = sources()
            .into_iter()
            .map(|source| source.room)
            .filter(|room| !["main", "lib", "cli", "daemon"].contains(&room.as_str()))
            .filter(|room| !floors.contains_key(room.as_str()))
            .collect();
        assert!(homeless.is_empty(), "give these rooms a floor in ARCHITECTURE.md and here: {homeless:?}");
    }

    #[test]
    fn a_foreign_crate_stands_behind_its_door() {
        let mut wrong = Vec::new();
        for source in sources() {
            for (name, doors) in DOORS {
                let named = source.code.contains(&format!("use {name}::"))
                    || source.code.contains(&format!("{name}::")) && has_word(&source.code, name);
                if named && !doors.contains(&source.room.as_str()) {
                    wrong.push(format!("{}: names {name}", source.path.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "crates named outside their doors:\n{}", wrong.join("\n"));
    }

    /// Whether `name::` stands in the code as a path's beginning, not as the end of another name or below `crate::`.
    fn has_word(code: &str, name: &str) -> bool {
        let pattern = format!("{name}::");
        code.match_indices(&pattern).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
    }

    #[test]
    fn the_pure_floors_know_no_runtime_no_files_and_no_clock() {
        let floors = floor_of();
        let mut wrong = Vec::new();
        for source in sources() {
            let pure = floors.get(source.room.as_str()).is_some_and(|floor| *floor <= 1);
            if !pure || source.room == "clock" {
                continue;
            }
            for name in IMPURE.iter().filter(|name| source.code.contains(**name)) {
                wrong.push(format!("{}: names {name}", source.path.display()));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_is_absent_on_purpose_is_absent() {
        let absent =
            ["static mut", "unbounded_channel", "crate::metrics", "todo!", "unimplemented!", "process::exit"];
        let mut wrong = Vec::new();
        for source in sources() {
            for name in absent {
                // The recorder, http and the daemon may name metrics; the way to a device may not.
                let may_meter = !["transport", "parse", "probe", "sweep"].contains(&source.room.as_str());
                if name == "crate::metrics" && may_meter || name == "process::exit" && source.room == "main" {
                    continue;
                }
                if source.code.contains(name) {
                    wrong.push(format!("{}: {name}", source.path.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn files_have_one_reason_to_exist() {
        let long: Vec<_> = sources()
            .into_iter()
            .filter_map(|source| {
                let lines = fs::read_to_string(&source.path).expect("a source file").lines().count();
                (lines > 400).then(|| format!("{}: {lines} lines", source.path.display()))
            })
            .collect();
        assert!(long.is_empty(), "files over 400 lines, cut them:\n{}", long.join("\n"));
    }
}
