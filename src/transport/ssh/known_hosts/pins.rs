//! Learned keys on their way to the file: whoever comes first writes for all who wait.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use tokio::sync::oneshot;

use super::{Known, KnownHosts, Standing, Verdict, judge};

/// Keys that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Pins {
    waiting: Mutex<Vec<Pin>>,
    /// One writer at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Pin {
    name: String,
    key: PublicKey,
    answer: oneshot::Sender<Result<(), PinError>>,
}

/// Why a key could not be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport::ssh) enum PinError {
    /// Another key was learned for the same name at the same moment.
    Changed(Known),
    /// The file can't be written.
    File(String),
}

impl Pins {
    /// Keeps writers away until it is dropped. Blocks.
    pub(super) fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.blocking_lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pin>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownHosts {
    /// Pins a key under a name; returns when it is on disk.
    pub(in crate::transport::ssh) async fn pin(&self, name: &str, key: &PublicKey) -> Result<(), PinError> {
        let (answer, answered) = oneshot::channel();
        self.pins.lock().push(Pin { name: name.to_owned(), key: key.clone(), answer });
        let turn = self.pins.turn.lock().await;
        let batch = std::mem::take(&mut *self.pins.lock());
        if !batch.is_empty() {
            self.write(batch).await;
        }
        drop(turn);
        answered.await.unwrap_or_else(|_| Err(PinError::File("the write was broken off".to_owned())))
    }

    /// Writes a batch and answers each of its pins. Called under the turn.
    async fn write(&self, batch: Vec<Pin>) {
        let mut fresh: HashMap<String, KeyData> = HashMap::new();
        let mut written = Vec::new();
        let mut lines = String::new();
        for pin in batch {
            match judge(&self.lookup(&pin.name), &pin.key) {
                Verdict::Unknown if fresh.get(&pin.name).is_none_or(|key| key == pin.key.key_data()) => {
                    if fresh.insert(pin.name.clone(), pin.key.key_data().clone()).is_none() {
                        let key =
                            PublicKey::from(pin.key.key_data().clone()).to_openssh().unwrap_or_default();
                        lines.push_str(&format!("{} {key}\n", pin.name));
                    }
                    written.push(pin);
                }
                Verdict::Known => answer(pin, Ok(())),
                Verdict::Changed(known) | Verdict::Revoked(known) => {
                    answer(pin, Err(PinError::Changed(known)))
                }
                Verdict::Unknown => {
                    answer(
                        pin,
                        Err(PinError::File("the server showed two keys at the same moment".to_owned())),
                    );
                }
            }
        }
        if written.is_empty() {
            return;
        }
        let file = Arc::clone(&self.own);
        let result = tokio::task::spawn_blocking(move || append(&file, &lines)).await;
        let result = result.unwrap_or_else(|error| Err(io::Error::other(error)));
        for pin in written {
            if result.is_ok() {
                self.remember(&pin);
            }
            let failed = |error: &io::Error| PinError::File(format!("{}: {error}", self.own.display()));
            answer(pin, result.as_ref().map_err(failed).map(|_| ()));
        }
    }

    fn remember(&self, pin: &Pin) {
        self.with_table(|table| {
            let line = table.own_lines + 1;
            let entries = table.exact.entry(pin.name.clone()).or_default();
            if entries.iter().all(|known| *known.key != *pin.key.key_data()) {
                let key = Arc::new(pin.key.key_data().clone());
                entries.push(Known { key, standing: Standing::Trusted, file: Arc::clone(&self.own), line });
                table.own_lines = line;
            }
        });
    }
}

fn answer(pin: Pin, result: Result<(), PinError>) {
    // The visit may have gone in the meantime.
    let _ = pin.answer.send(result);
}

/// Appends whole lines and waits until they are on disk. One write, so that lines of two processes don't mix.
fn append(path: &Path, lines: &str) -> io::Result<()> {
    let created = !path.exists();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let text = if ends_within_line(&mut file)? { format!("\n{lines}") } else { lines.to_owned() };
    let before = file.metadata()?.len();
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
        // A full disk may have taken half of it.
        let _ = file.set_len(before);
        return Err(error);
    }
    if created && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Whether a crash, or an editor, left the last line without its end.
fn ends_within_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0_u8];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
