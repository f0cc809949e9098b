//! Variables in files beside the inventory: `group_vars/` and `host_vars/`.
//!
//! <https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html#organizing-host-and-group-variables>. For a
//! name there is one of `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json`, the first that is there; `NAME` may be a folder, whose
//! files count in the order of their names, also in folders within it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::Trouble;
use super::super::local::read_text;
use super::super::tree_file::yaml;
use super::super::watch::Beside;
use super::{Tree, VAULT, Vars, tree};
use crate::source::Vaulted;

/// What has to be watched beside an inventory.
pub(in super::super) const BESIDE: Beside = Beside { names: &FOLDERS, folders };

/// The folders that hold variables, of groups and of hosts.
const FOLDERS: [&str; 2] = ["group_vars", "host_vars"];

/// Endings of files with variables, by precedence; the first is none.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Folders in folders deeper than this are a mistake, such as a link that leads back.
const DEPTH_MAX: usize = 16;

/// The most bytes of all these files together: as much as an inventory may have by itself.
const BYTES_MAX: usize = 256 << 20;

/// One folder of variables and what it holds.
struct Shelf {
    folder: PathBuf,
    names: BTreeSet<String>,
    vaulted: Vaulted,
    read: usize,
}

impl Tree {
    /// Reads the variables of the groups and hosts that are in it from the files beside the inventory. Blocks.
    ///
    /// # Errors
    /// A file that can't be read or is no table of variables, and one that is encrypted where that isn't left out.
    pub(in super::super) fn read_beside(
        &mut self,
        inventory: &Path,
        vaulted: Vaulted,
    ) -> Result<(), Trouble> {
        let folder = inventory.parent().unwrap_or(Path::new(""));
        let [groups, hosts] = FOLDERS.map(|name| folder.join(name));
        if let Some(mut shelf) = Shelf::open(groups, vaulted)? {
            for (name, group) in &mut self.groups {
                group.beside = shelf.of(name)?;
            }
        }
        if let Some(mut shelf) = Shelf::open(hosts, vaulted)? {
            for host in &mut self.hosts {
                host.beside = shelf.of(&host.name)?;
            }
        }
        Ok(())
    }
}

impl Shelf {
    /// Nothing where there is no such folder.
    fn open(folder: PathBuf, vaulted: Vaulted) -> Result<Option<Self>, Trouble> {
        let names = match names_in(&folder) {
            Ok(names) => names,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(Trouble::unreadable(format!("{}: {error}", folder.display()))),
        };
        Ok(Some(Self { folder, names, vaulted, read: 0 }))
    }

    /// The variables of a group or a host. A name is only ever looked for among those that are there, so that none leads
    /// out of the folder.
    fn of(&mut self, name: &str) -> Result<Vars, Trouble> {
        let mut vars = Vars::new();
        let found =
            ENDINGS.iter().map(|ending| format!("{name}{ending}")).find(|file| self.names.contains(file));
        if let Some(found) = found {
            let path = self.folder.join(found);
            let files = if path.is_dir() { files_of(&path)? } else { vec![path] };
            for file in files {
                vars.extend(self.read(&file)?);
            }
        }
        Ok(vars)
    }

    fn read(&mut self, file: &Path) -> Result<Vars, Trouble> {
        let text = read_text(file)?;
        let wrong = |problem: &str| Trouble::garbage(format!("{}{problem}", file.display()));
        self.read += text.len();
        if self.read > BYTES_MAX {
            return Err(wrong(&format!(": more than {} MiB of variables", BYTES_MAX >> 20)));
        }
        if text.starts_with(VAULT) {
            return match self.vaulted {
                Vaulted::LeftOut => Ok(Vars::new()),
                Vaulted::Refused => Err(wrong(
                    ": encrypted by ansible-vault, so nobody knows what it says of devices; \
                     vaulted = \"ignore\" leaves out what is encrypted",
                )),
            };
        }
        let is_json = file.extension().is_some_and(|ending| ending == "json");
        let read: Option<BTreeMap<String, Value>> = if is_json {
            serde_json::from_str(&text)
                .map_err(|error| wrong(&format!(":{}: not valid json", error.line())))?
        } else {
            yaml(&text).map_err(|(line, problem)| {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                wrong(&format!("{line}: {problem}"))
            })?
        };
        Ok(tree::texts(read.unwrap_or_default()))
    }
}

fn names_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_string().ok());
    fs::read_dir(folder)?.filter_map(|entry| name(entry).transpose()).collect()
}

/// The files of a folder that is one group's or host's, by their names, with those of folders within it in their place.
/// Hidden ones and copies that editors leave are none.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut files = Vec::new();
    gather(folder, 0, &mut files)?;
    Ok(files)
}

fn gather(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Trouble> {
    let told = |problem: &str| Trouble::unreadable(format!("{}: {problem}", folder.display()));
    if depth > DEPTH_MAX {
        return Err(told("folders in folders without an end"));
    }
    for name in names_in(folder).map_err(|error| told(&error.to_string()))? {
        let path = folder.join(&name);
        let ending =
            path.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if path.is_dir() {
            if ending.is_empty() {
                gather(&path, depth + 1, files)?;
            }
        } else if ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

/// The folders of variables beside an inventory, with all folders in them.
fn folders(inventory: &Path) -> Vec<PathBuf> {
    let folder = inventory.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    let mut waiting: Vec<(PathBuf, usize)> = FOLDERS.map(|name| (folder.join(name), 0)).into();
    while let Some((folder, depth)) = waiting.pop() {
        let inside = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        if depth < DEPTH_MAX {
            waiting.extend(inside.map(|entry| (entry.path(), depth + 1)).filter(|(path, _)| path.is_dir()));
        }
        found.push(folder);
    }
    found
}
