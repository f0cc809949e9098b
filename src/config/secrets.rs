//! Reading secrets from where they are kept: a file, the environment or a systemd credential; never from the
//! configuration itself. No message of this file repeats a value that could be a secret.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Surroundings;
use crate::document::Item;

/// A password or a key is far shorter than this; anything longer is the wrong file.
const SECRET_MAX: u64 = 64 * 1024;

/// The ways to give a secret.
const WAYS: &str = "give { file = \"PATH\" }, { env = \"NAME\" } or { credential = \"NAME\" }";

/// Where a file is readable by everyone on the machine.
const WORLD_READABLE: u32 = 0o004;

/// Reads the secret that an item points at.
pub(super) fn read(
    item: &Item<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<SecretString> {
    if !item.is_table() {
        item.refuse_hidden("a secret is not written here", WAYS);
        return None;
    }
    let section = item.section()?;
    section.only(&["file", "env", "credential"]);
    match (section.get("file"), section.get("env"), section.get("credential")) {
        (Some(file), None, None) => {
            let path = around.folder.join(file.text()?);
            from_file(&file, &path, warnings)
        }
        (None, Some(env), None) => from_environment(&env, around),
        (None, None, Some(credential)) => from_credential(&credential, around, warnings),
        _ => {
            section.refuse("needs one place to be read from", WAYS);
            None
        }
    }
}

fn from_environment(item: &Item<'_>, around: &Surroundings<'_>) -> Option<SecretString> {
    let Some(value) = (around.environment)(item.text()?) else {
        item.refuse("is not set in the environment", "set this variable for versweep's process");
        return None;
    };
    checked(item, value)
}

fn from_credential(
    item: &Item<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<SecretString> {
    let name = item.text()?;
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        item.refuse("is not the name of a systemd credential", "the NAME of LoadCredential=NAME:PATH");
        return None;
    }
    from_file(item, &credential_file(name, around), warnings)
}

/// Where a credential lies. systemd names those that it loads from a whole folder, as the shipped unit does, after the
/// unit's `LoadCredential=versweep:FOLDER`. Without systemd, as for `versweep check` in a root shell, the folder itself is
/// read: `credentials` beside the configuration.
fn credential_file(name: &str, around: &Surroundings<'_>) -> PathBuf {
    let Some(folder) = (around.environment)("CREDENTIALS_DIRECTORY").map(PathBuf::from) else {
        return around.folder.join("credentials").join(name);
    };
    let of_the_folder = folder.join(format!("versweep_{name}"));
    if of_the_folder.exists() { of_the_folder } else { folder.join(name) }
}

/// The text of a private key file that is named elsewhere; the error is in words.
pub(super) fn from_key_file(path: &Path, warnings: &mut Vec<String>) -> Result<SecretString, String> {
    let (text, mode) = read_file(path).map_err(|error| describe(&error))?;
    warn_of_mode(path, mode, warnings);
    Ok(text.into())
}

fn warn_of_mode(path: &Path, mode: u32, warnings: &mut Vec<String>) {
    if mode & WORLD_READABLE != 0 {
        warnings.push(format!("{}: every user can read this secret: chmod o-r it", path.display()));
    }
}

fn from_file(item: &Item<'_>, path: &Path, warnings: &mut Vec<String>) -> Option<SecretString> {
    match read_file(path) {
        Ok((text, mode)) => {
            warn_of_mode(path, mode, warnings);
            checked(item, text)
        }
        Err(error) => {
            item.refuse("can't be read", &format!("{}: {}", path.display(), describe(&error)));
            None
        }
    }
}

/// The text of a secret file and its permissions. Only plain files: opening a pipe would wait for ever.
fn read_file(path: &Path) -> io::Result<(String, u32)> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut text = String::new();
    File::open(path)?.take(SECRET_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_MAX {
        return Err(io::Error::other("larger than 64 KiB, which no secret is"));
    }
    Ok((text, metadata.permissions().mode()))
}

/// Takes the newline off that an editor or `echo` put at the end, and refuses what is empty.
fn checked(item: &Item<'_>, mut text: String) -> Option<SecretString> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        item.refuse("holds nothing", "a secret of at least one character");
        return None;
    }
    Some(text.into())
}

/// An I/O error without the operating system's number, so that messages read well and stay the same everywhere.
pub(super) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidData => "not utf-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "a folder, not a file".to_owned(),
        _ => error.to_string(),
    }
}
