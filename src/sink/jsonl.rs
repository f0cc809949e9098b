//! A file of JSON lines: one CloudEvent a line, appended, on disk before it counts as delivered, rotated by its size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{CloudEvent, Delivery, Stop};
use crate::event::Post;

/// Appends events to a file. It is opened anew for every handful, so that others may rotate it by renaming.
#[derive(Debug)]
pub struct Jsonl {
    path: PathBuf,
    source: String,
    rotation: Option<Rotation>,
}

/// When a file is put aside, and how many of those are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file that would be larger is put aside first, in bytes.
    pub size: u64,
    /// So many files that were put aside are kept: `PATH.1` is the newest.
    pub keep: u32,
}

impl Jsonl {
    /// Lines at the end of that file, which is made when it is not there.
    #[must_use]
    pub fn new(path: &Path, rotation: Option<Rotation>, source: &str) -> Self {
        Self { path: path.to_owned(), source: source.to_owned(), rotation }
    }

    /// All or nothing: after an error the file is cut back to where it was, as far as the system lets us.
    pub(super) fn deliver(&mut self, posts: &[Post]) -> Delivery {
        match self.append(posts) {
            Ok(()) => Delivery { count: posts.len(), stop: None },
            Err(error) => {
                let error = format!("{}: {error}", self.path.display());
                Delivery { count: 0, stop: Some(Stop::down(error)) }
            }
        }
    }

    fn append(&self, posts: &[Post]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(posts.len() * 640);
        for post in posts {
            lines.extend_from_slice(&CloudEvent::new(&self.source, post).json());
            lines.push(b'\n');
        }
        let mut file = self.open()?;
        let mut length = file.metadata()?.len();
        if let Some(rotation) = self.rotation
            && length > 0
            && length + lines.len() as u64 > rotation.size
        {
            rotate(&self.path, rotation.keep)?;
            file = self.open()?;
            length = 0;
        }
        if length > 0 && last_byte(&mut file)? != b'\n' {
            // A crash tore the last line; it stays for people, ours begin on a fresh one.
            lines.insert(0, b'\n');
        }
        let written = file.write_all(&lines).and_then(|()| file.sync_all());
        if written.is_err() {
            let _best_effort = file.set_len(length);
        }
        written?;
        // A file that was just made is only there for good once its folder says so.
        if length == 0 { sync_folder(&self.path) } else { Ok(()) }
    }

    fn open(&self) -> io::Result<File> {
        // Opened for reading too, so that a FIFO can't block us: it is refused below instead.
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&self.path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; set another path for this sink"))
    }
}

/// `PATH` becomes `PATH.1`, that one `PATH.2`, and so on; the one behind the last is gone. A crash in between leaves a gap,
/// never a file under a wrong name twice.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}
