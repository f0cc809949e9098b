//! Told by the kernel when a file or a folder of an inventory changes: written, renamed over, or reached by another
//! symbolic link than before, which is how configuration management and Kubernetes exchange files at once.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// The most symbolic links on the way to a file, as the kernel has it.
const LINKS_MAX: usize = 40;

/// Folders beside a path whose files belong to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    /// Their names.
    pub(super) names: &'static [&'static str],
    /// All of them that are there, those within them included.
    pub(super) folders: fn(&Path) -> Vec<PathBuf>,
}

/// A watch on all that lies on the way to one path. Which folders those are may change with every change.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    kernel: AsyncFd<OwnedFd>,
    /// Names whose changes count. Beside them lie files that change all day, such as a database.
    names: BTreeSet<OsString>,
    /// Whether every file of an inventory's form counts: those of a folder.
    any_file: bool,
    /// Folders beside the path in which everything counts, and how to find those that are there now.
    beside: Option<Beside>,
    /// The kernel's numbers for them.
    open: BTreeSet<i32>,
    /// Why not all of it is watched.
    refused: Option<io::Error>,
}

impl Watch {
    /// Watches a path, inside a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses, for there are too many watches.
    pub(super) fn new(path: &Path, any_file: bool, beside: Option<Beside>) -> io::Result<Self> {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe; this descriptor is owned and never replaced"
        )]
        let kernel = AsyncFd::new(kernel)?;
        let (path, names, open) = (path.to_owned(), BTreeSet::new(), BTreeSet::new());
        let mut watch = Self { path, kernel, names, any_file, beside, open, refused: None };
        watch.aim();
        Ok(watch)
    }

    /// Watches the folders that the path leads through now. To watch one twice is to watch it once.
    pub(super) fn aim(&mut self) {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let (mut folders, mut names) = way(&self.path);
        let add = |folder: &Path| inotify::add_watch(self.kernel.get_ref(), folder, flags);
        self.open.clear();
        if let Some(Beside { names: beside, folders: of }) = self.beside {
            // They may come later.
            folders.extend(self.path.parent().map(Path::to_owned));
            names.extend(beside.iter().map(OsString::from));
            let inside: BTreeSet<PathBuf> = of(&self.path).into_iter().collect();
            let open = &mut self.open;
            self.refused = add_all(&inside, |folder| {
                open.insert(add(folder)?);
                Ok(())
            });
        }
        let refused = add_all(&folders, |folder| Ok(add(folder).map(drop)?));
        self.refused = refused.or(self.refused.take().filter(|_| self.beside.is_some()));
        self.names = names;
    }

    /// Why not all of it is watched; nothing where it is.
    pub(super) fn refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// Waits until something on the way has changed.
    pub(super) async fn changed(&mut self) {
        loop {
            let Ok(mut ready) = self.kernel.readable().await else {
                return std::future::pending().await;
            };
            ready.clear_ready();
            drop(ready);
            if self.drain() {
                return;
            }
        }
    }

    /// Reads all that the kernel has told; whether any of it counts.
    fn drain(&self) -> bool {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut events = inotify::Reader::new(self.kernel.get_ref(), &mut buffer);
        let mut counts = false;
        while let Ok(event) = events.next() {
            let here = self.open.contains(&event.wd());
            counts |=
                here || event.file_name().is_none_or(|name| self.counts(OsStr::from_bytes(name.to_bytes())));
        }
        counts
    }

    fn counts(&self, name: &OsStr) -> bool {
        let ending = Path::new(name).extension().and_then(OsStr::to_str);
        let of_form = ending.is_some_and(|ending| crate::source::OWN_FORM.contains(&ending));
        self.names.contains(name) || self.any_file && of_form
    }
}

/// Watches all folders that can be, and gives why one can't. One that is not there is no matter: the one above it tells when
/// it comes.
fn add_all(folders: &BTreeSet<PathBuf>, mut add: impl FnMut(&Path) -> io::Result<()>) -> Option<io::Error> {
    let absent =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let mut refused = None;
    for folder in folders {
        refused = add(folder).err().filter(|error| !absent(error)).or(refused);
    }
    refused
}

/// The folders that a path leads through by way of symbolic links, and the names in them that decide where it leads; last
/// the folder of the file itself, and the folder that it is where it is one.
fn way(path: &Path) -> (BTreeSet<PathBuf>, BTreeSet<OsString>) {
    let (mut folders, mut names) = (BTreeSet::new(), BTreeSet::new());
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut waiting: Vec<OsString> =
        absolute.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(part) = waiting.pop() {
        let next = here.join(&part);
        let last = waiting.is_empty();
        match next.read_link() {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                folders.insert(here.clone());
                names.insert(part);
                if target.is_absolute() {
                    here = PathBuf::new();
                }
                for part in target.components().rev() {
                    match part {
                        Component::CurDir => {}
                        part => waiting.push(part.as_os_str().to_owned()),
                    }
                }
            }
            _ if part == ".." => {
                here.pop();
            }
            _ => {
                if last || !next.exists() {
                    folders.insert(here.clone());
                    names.insert(part);
                }
                here = next;
            }
        }
    }
    if here.is_dir() {
        folders.insert(here);
    }
    (folders, names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    /// Whether the watch tells within a time that no test machine needs; nothing is told otherwise.
    async fn told(watch: &mut Watch) -> bool {
        let told = tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.is_ok();
        watch.aim();
        told
    }

    #[tokio::test]
    async fn a_file_is_watched_through_writes_renames_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("d.toml"), "1").unwrap();
        let mut watch = Watch::new(&at("d.toml"), false, None).unwrap();
        fs::write(at("other"), "not ours").unwrap();
        fs::write(at("d.toml"), "2").unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(at("new"), "3").unwrap();
        fs::rename(at("new"), at("d.toml")).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(at("other"), "not ours").unwrap();
        assert!(!watch.drain(), "another file's changes are nothing here");
        fs::remove_file(at("d.toml")).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}

        // As Kubernetes does it: the file is a link through `..data`, and that is exchanged.
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("d.toml"), version).unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/d.toml", at("d.toml")).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        symlink("v2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(at("v2").join("d.toml"), "through the new link").unwrap();
        assert!(told(&mut watch).await);
    }

    /// The kernel has a limit on watches, and said so in vain.
    #[test]
    fn a_folder_that_the_kernel_does_not_watch_is_told_and_one_that_is_absent_is_not() {
        let folders: BTreeSet<PathBuf> = ["/a", "/b", "/c"].map(PathBuf::from).into();
        let full = |folder: &Path| match folder.to_str() {
            Some("/a") => Ok(()),
            Some("/b") => Err(io::Error::from(rustix::io::Errno::NOSPC)),
            _ => Err(io::Error::from(rustix::io::Errno::NOENT)),
        };
        assert_eq!(add_all(&folders, full).unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(add_all(&folders, |_| Err(rustix::io::Errno::NOENT.into())).is_none());
    }

    #[tokio::test]
    async fn all_files_of_a_folder_are_watched_and_a_folder_that_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("d");
        let mut watch = Watch::new(&inside, true, None).unwrap();
        fs::create_dir(&inside).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(inside.join("notes.txt"), "nothing of ours").unwrap();
        assert!(!watch.drain());
        fs::write(inside.join("a.yaml"), "").unwrap();
        assert!(told(&mut watch).await);
    }

    #[tokio::test]
    async fn files_in_folders_beside_a_file_count_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("hosts"), "").unwrap();
        let mut watch = Watch::new(&at("hosts"), false, Some(super::super::ansible::BESIDE)).unwrap();
        fs::create_dir_all(at("group_vars/all")).unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(at("group_vars/all/main"), "site: ams").unwrap();
        assert!(told(&mut watch).await);
        while watch.drain() {}
        fs::write(at("other"), "not ours").unwrap();
        assert!(!watch.drain());
    }
}
