//! The inventory: devices from all sources, fully resolved, as one immutable list.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::device::{Device, DeviceId, Selector};
use crate::document::{Document, Problem, Problems};
use crate::settings::{Layers, References, Source, SourceKind};

mod address;
mod csv_file;
mod row;
mod toml_file;

pub use address::host_from;

/// The largest inventory file: a million devices with a handful of labels each.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Devices as they are known at one moment. A sweep sees one inventory throughout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// All devices, sorted by name; no name is there twice.
    pub devices: Vec<Arc<Device>>,
    /// How many devices each source gave, in the order of the configuration.
    pub sources: Vec<SourceCount>,
    /// What is allowed and yet worth a look, one line each.
    pub warnings: Vec<String>,
}

/// What one source gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCount {
    /// The source's name.
    pub source: String,
    /// Its devices.
    pub devices: usize,
}

impl Inventory {
    /// The device of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Device>> {
        let index = self.devices.binary_search_by(|device| device.id.as_str().cmp(name)).ok()?;
        self.devices.get(index)
    }

    /// The devices that a selector chooses, sorted by name.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Arc<Device>> {
        self.devices.iter().filter(|device| selector.matches(device))
    }
}

/// Devices found so far, with the place that named each first.
#[derive(Debug, Default)]
struct Found {
    devices: BTreeMap<DeviceId, Arc<Device>>,
    places: BTreeMap<DeviceId, String>,
}

/// Reads all sources. Nothing is changed or kept by it, so it can be done again at any time.
///
/// # Errors
/// Everything that is wrong in any of them. Half an inventory is never returned: the missing devices would look as if
/// they had been taken out of service.
pub fn load(sources: &[Source], layers: &Layers, references: &References<'_>) -> Result<Inventory, Problems> {
    let mut found = Found::default();
    let mut problems = Problems::default();
    let mut counts = Vec::new();
    for source in sources {
        let before = found.devices.len();
        problems.extend(read_source(source, layers, references, &mut found));
        counts.push(SourceCount { source: source.name.clone(), devices: found.devices.len() - before });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let devices: Vec<_> = found.devices.into_values().collect();
    Ok(Inventory { warnings: shared_endpoints(&devices), devices, sources: counts })
}

fn read_source(source: &Source, layers: &Layers, references: &References<'_>, found: &mut Found) -> Problems {
    let SourceKind::File { path } = &source.kind;
    let text = match read_text(path) {
        Ok(text) => text,
        Err(problem) => {
            return Problems(vec![Problem {
                file: source.file.clone(),
                line: Some(source.line),
                key: source.key.clone(),
                value: Some(format!("{:?}", source.name)),
                problem: "can't be read".to_owned(),
                allowed: format!("{}: {problem}", path.display()),
                ..Problem::default()
            }]);
        }
    };
    // A byte order mark is what spreadsheets put first; to TOML and CSV it is no part of the text.
    let document = Document::new(&path.display().to_string(), text.strip_prefix('\u{feff}').unwrap_or(&text));
    let mut reader = row::Reader { layers, references, found };
    if path.extension().is_some_and(|ending| ending == "csv") {
        csv_file::read(&document, &mut reader);
    } else {
        toml_file::read(&document, &mut reader);
    }
    document.into_problems()
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("no such file".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err("permission denied".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err("a folder, not a file".to_owned()),
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() as u64 > FILE_MAX => Err(format!("larger than {} MiB", FILE_MAX >> 20)),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
            format!("not utf-8 text on line {line}")
        }),
    }
}

/// Two names for one address: the device would be visited twice at once, which some refuse.
fn shared_endpoints(devices: &[Arc<Device>]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut warnings = Vec::new();
    for device in devices {
        let endpoint = device.endpoint.to_string();
        if let Some(first) = seen.get(&endpoint) {
            warnings.push(format!(
                "{first} and {} are both at {endpoint}: one device under two names?",
                device.id
            ));
        } else {
            seen.insert(endpoint, &device.id);
        }
    }
    warnings
}
