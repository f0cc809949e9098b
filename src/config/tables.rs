//! The tables of single settings, and those that devices get their settings from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::secrets::describe;
use super::sweeps::non_empty;
use crate::document::{Document, Item, Problem, Section};
use crate::duration::HumanDuration;
use crate::platform::Platforms;
use crate::settings::{
    DEFAULT_TIMEOUTS, DEVICE_KEYS, DeviceSettings, Group, Layers, RESERVED_LABELS, References,
    check_label_name, selector,
};

/// A profile or a policy is a few kilobytes; a folder of larger files is not one of those.
const TOML_MAX: u64 = 1024 * 1024;

/// A duration of a table, or its default.
pub(super) fn duration(table: &Section<'_>, key: &str, default: Duration, range: [Duration; 2]) -> Duration {
    table.get(key).and_then(|item| item.duration(&(range[0]..=range[1]))).unwrap_or(default)
}

/// A path of a table, found from the configuration's folder, or its default.
pub(super) fn path(
    table: &Section<'_>,
    key: &str,
    folder: &Path,
    default: impl FnOnce() -> PathBuf,
) -> PathBuf {
    table.get(key).and_then(|item| non_empty(&item).map(|text| folder.join(text))).unwrap_or_else(default)
}

/// A list of paths, found from the configuration's folder. It may be empty.
pub(super) fn paths(table: &Section<'_>, key: &str, folder: &Path) -> Vec<PathBuf> {
    let elements = table.get(key).and_then(|item| item.elements("a list of paths")).unwrap_or_default();
    elements.iter().filter_map(|item| non_empty(item).map(|text| folder.join(text))).collect()
}

/// `[metrics] info_labels`.
pub(super) fn info_labels(metrics: &Section<'_>) -> Vec<String> {
    let elements = metrics.get("info_labels").and_then(|item| item.elements("a list of label names"));
    let mut labels: Vec<String> = Vec::new();
    for item in elements.unwrap_or_default() {
        let Some(name) = item.text() else { continue };
        if let Err(rule) = check_label_name(name) {
            item.refuse("is not a label name", &rule.to_string());
        } else if RESERVED_LABELS.contains(&name) || name == "site" || name == "role" {
            item.refuse("is always there", "other labels than device, address, platform, site and role");
        } else if labels.iter().any(|label| label == name) {
            item.refuse("is named twice", "each label once");
        } else {
            labels.push(name.to_owned());
        }
    }
    labels
}

/// `[platforms]`: the built-in profiles, with those of the user's folder over them.
pub(super) fn platforms(root: &Section<'_>, folder: &Path) -> Platforms {
    let table = root.section("platforms");
    table.only(&["path"]);
    let Some(item) = table.get("path") else { return Platforms::builtin() };
    let Some(profiles) = toml_files(&item, folder) else { return Platforms::builtin() };
    Platforms::builtin().with_user_profiles(profiles).unwrap_or_else(|errors| {
        for error in errors {
            root.document().note(Problem {
                file: error.file,
                line: error.line,
                key: error.key.unwrap_or_default(),
                problem: error.problem,
                ..Problem::default()
            });
        }
        Platforms::builtin()
    })
}

/// The `*.toml` files of the folder that the value names, with their texts, by name.
pub(super) fn toml_files(item: &Item<'_>, folder: &Path) -> Option<Vec<(String, String)>> {
    let text = non_empty(item)?;
    let files = files_in(&folder.join(text));
    files.map_err(|problem| item.refuse("can't be read", &problem)).ok()
}

fn files_in(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let in_folder = |error: &std::io::Error| format!("{}: {}", folder.display(), describe(error));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| in_folder(&error))? {
        let path = entry.map_err(|error| in_folder(&error))?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = super::read_text(&path, TOML_MAX).map_err(|e| format!("{}: {e}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// `[defaults]`, each `[platform.NAME]` and each `[[group]]`.
pub(super) fn layers(root: &Section<'_>, references: &References<'_>, warnings: &mut Vec<String>) -> Layers {
    let document = root.document();
    let before = document.problem_count();

    let table = root.section("defaults");
    table.only(&DEVICE_KEYS);
    let defaults = DeviceSettings::read(|key| table.get(key), references, Some(DEFAULT_TIMEOUTS.visit));
    let visit = defaults.timeout.unwrap_or(DEFAULT_TIMEOUTS.visit);

    let keys: Vec<&str> = DEVICE_KEYS.into_iter().filter(|key| *key != "platform").collect();
    let mut platforms = BTreeMap::new();
    for (name, table) in root.section("platform").subsections() {
        table.only(&keys);
        let settings = DeviceSettings::read(|key| table.get(key), references, None);
        warn_of_cut(document, &table, &settings, visit, warnings);
        let Some(profile) = references.platforms.find(name) else {
            if references.platforms_complete {
                table.refuse("is not a known platform", "one that `versweep platforms` lists");
            }
            continue;
        };
        if platforms.insert(profile.key.clone(), settings).is_some() {
            table.refuse(&format!("stands for {}, which has a table already", profile.key), "one table each");
        }
    }

    let keys: Vec<&str> = ["select"].into_iter().chain(DEVICE_KEYS).collect();
    let mut groups = Vec::new();
    for table in root.sections("group") {
        table.only(&keys);
        let settings = DeviceSettings::read(|key| table.get(key), references, None);
        warn_of_cut(document, &table, &settings, visit, warnings);
        let select = table.require("select", "labels to choose its devices by, or use [defaults]");
        if let Some(select) = select.and_then(|item| selector(&item, references)) {
            groups.push(Group { select, settings });
        }
    }
    Layers { defaults, platforms, groups, ssh: None, incomplete: document.problem_count() > before }
}

/// A layer with an inner limit and no `timeout` of its own: whether the limit outlasts the visit is only known for each
/// device, and then it is cut; what can be foreseen is told.
fn warn_of_cut(
    document: &Document<'_>,
    table: &Section<'_>,
    settings: &DeviceSettings,
    visit: Duration,
    warnings: &mut Vec<String>,
) {
    if let (None, Some(key)) = (settings.timeout, settings.longer_than(visit)) {
        let line = table.line().unwrap_or_default();
        let (name, visit) = (document.name(), HumanDuration(visit));
        warnings
            .push(format!("{name}:{line}: {key} is cut where a visit's timeout is the default of {visit}"));
    }
}
