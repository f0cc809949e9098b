//! The last good list of each source, on disk: a restart with every source dead goes on with them (rule 18). They lie in a
//! folder beside the database, one file for each source, and are written only when they differ.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::hash::fnv1a;

/// The form of the files. One of another form is not read: it is written anew at the next good look.
const FORM: u32 = 1;

/// The largest kept list: what may be read from a source, and room for its places.
const FILE_MAX: u64 = 1 << 30;

/// The folder of the last good lists.
#[derive(Debug, Clone)]
pub struct Kept(PathBuf);

#[derive(Serialize)]
struct Written<'a> {
    form: u32,
    source: &'a str,
    entries: &'a [Entry],
}

#[derive(Deserialize)]
struct Read {
    form: u32,
    source: String,
    entries: Vec<Entry>,
}

impl Kept {
    /// The folder that belongs to this database.
    #[must_use]
    pub fn beside(store: &Path) -> Self {
        let mut name = store.as_os_str().to_owned();
        name.push("-inventory");
        Self(name.into())
    }

    /// The last good list of a source; nothing where none was kept. Blocks.
    ///
    /// # Errors
    /// A file that can't be read, or that no versweep wrote.
    pub fn read(&self, source: &str) -> Result<Option<Vec<Entry>>, String> {
        let path = self.file(source);
        let told = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(&error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(|error| told(&error))?;
        let read: Read = serde_json::from_slice(&bytes).map_err(|error| told(&error))?;
        let usable = read.form == FORM && read.source == source;
        Ok(usable.then_some(read.entries))
    }

    /// Keeps a list; whether it was another one than before. Blocks until it is on disk.
    ///
    /// # Errors
    /// Those of the disk. What was kept before is still there then.
    pub fn write(&self, source: &str, entries: &[Entry]) -> io::Result<bool> {
        let bytes = serde_json::to_vec(&Written { form: FORM, source, entries })?;
        let path = self.file(source);
        if fs::read(&path).is_ok_and(|before| before == bytes) {
            return Ok(false);
        }
        // Inventories tell an intruder where to go: they are for versweep only.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.0)?.sync_all()?;
        Ok(true)
    }

    /// A name may hold slashes, dots and whatever a URL holds: all but letters, digits, `-` and `_` is written as `%41`,
    /// and what would be too long for a file name ends in a number made of the whole.
    fn file(&self, source: &str) -> PathBuf {
        const NAME_MAX: usize = 180;
        let mut name = String::new();
        for byte in source.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        if name.len() > NAME_MAX {
            let sum = fnv1a(source.as_bytes());
            name.truncate(NAME_MAX);
            name.push_str(&format!("-{sum:016x}"));
        }
        self.0.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_list_is_kept_and_written_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::beside(&folder.path().join("v.db"));
        let name = "https://netbox.example.net/api/ ü";
        assert!(kept.read(name).unwrap().is_none());
        let mut entry = Entry::new(&Arc::from("a.csv"), Some(3));
        entry.push("name", "core1");
        entry.push("site", "ams");
        assert!(kept.write(name, std::slice::from_ref(&entry)).unwrap());
        assert!(!kept.write(name, std::slice::from_ref(&entry)).unwrap());
        assert_eq!(kept.read(name).unwrap().unwrap(), [entry]);
        assert!(kept.read("another").unwrap().is_none());
    }

    #[test]
    fn long_names_stay_apart() {
        let kept = Kept("k".into());
        let (one, other) = (format!("{}1", "x".repeat(300)), format!("{}2", "x".repeat(300)));
        assert_ne!(kept.file(&one), kept.file(&other));
        assert!(kept.file(&one).file_name().unwrap().len() < 255);
        assert_eq!(kept.file("../a.toml"), Path::new("k/%2E%2E%2Fa%2Etoml.json"));
    }

    #[test]
    fn a_damaged_list_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::beside(&folder.path().join("v.db"));
        kept.write("a", &[]).unwrap();
        fs::write(kept.file("a"), "{").unwrap();
        assert!(kept.read("a").is_err());
    }
}
