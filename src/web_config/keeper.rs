//! Reads the file again whenever it or one that it names has changed, before each connection and each request, as
//! exporter-toolkit does: a renewed certificate or a new password needs no reload. A file that is wrong changes nothing; and
//! one that lets more in than before, as a file that is just being written may seem to, waits for a reload.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::forms::Tokens;
use super::{Check, Passwords, Reading, WebConfig};

/// What is in force, and where it comes from.
pub struct Keeper {
    held: ArcSwap<Held>,
    passwords: Passwords,
    tokens: Tokens,
    /// One looks, the others wait for what it finds.
    looking: Mutex<()>,
}

struct Held {
    path: Option<PathBuf>,
    config: Arc<WebConfig>,
    /// The files as they were looked at last, whether what they say could be taken or not.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

/// What changes when a file does: device, inode, size, and when it was last written and moved.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Held {
    fn new(path: Option<PathBuf>, config: WebConfig) -> Self {
        // Without stamps the first look reads what `config` came from once more, and finds which files it is made of.
        Self { path, config: Arc::new(config), stamps: Vec::new() }
    }

    fn has_changed(&self) -> bool {
        self.stamps.is_empty() || self.stamps.iter().any(|(file, stamp)| stamp_of(file) != *stamp)
    }

    /// The same after a look at the file.
    fn looked(&self, path: &Path) -> Self {
        // The stamps come first: what is written from now on is a change.
        let before = |files: &[PathBuf]| -> Vec<_> {
            files.iter().map(|file| (file.clone(), stamp_of(file))).collect()
        };
        let known: Vec<PathBuf> = self.stamps.iter().map(|(file, _)| file.clone()).collect();
        let mut stamps = before(&known);
        let mut reading = Reading::of(path);
        if reading.files != known {
            // Other files than before: they are looked at, and then read again.
            stamps = before(&reading.files);
            reading = Reading::of(path);
        }
        let config = match reading.result {
            Ok(config) if config.lets_in_more_than(&self.config) => {
                error!(
                    file = %path.display(),
                    "the web configuration asks for less than before, which only a reload brings into force"
                );
                Arc::clone(&self.config)
            }
            Ok(config) => {
                // At the first look it is what the start or the reload has told of.
                if !self.stamps.is_empty() {
                    for warning in &config.warnings {
                        warn!("{warning}");
                    }
                    info!(file = %path.display(), "web configuration read again");
                }
                Arc::new(config)
            }
            Err(problems) => {
                for problem in &problems.0 {
                    error!("{problem}");
                }
                error!(file = %path.display(), "the web configuration before it stays in force");
                Arc::clone(&self.config)
            }
        };
        Self { path: self.path.clone(), config, stamps }
    }
}

fn stamp_of(file: &Path) -> Option<Stamp> {
    let of = |meta: fs::Metadata| {
        let (written, moved) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        (meta.dev(), meta.ino(), meta.size(), written, moved)
    };
    fs::metadata(file).map(of).ok()
}

impl Keeper {
    /// Keeps what was read of a file; without one, what is given stays.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(path: Option<PathBuf>, config: WebConfig) -> Result<Self, &'static str> {
        let (mut key, mut form_key) = ([0; 64], [0; 64]);
        let random = ring::default_provider().secure_random;
        let filled = random.fill(&mut key).and_then(|()| random.fill(&mut form_key));
        filled.map_err(|_| "the system gives no random numbers")?;
        Ok(Self {
            held: ArcSwap::from_pointee(Held::new(path, config)),
            passwords: Passwords::new(key),
            tokens: Tokens::new(form_key),
            looking: Mutex::new(()),
        })
    }

    /// Puts another file in the place of the one before: a reload.
    pub fn replace(&self, path: Option<PathBuf>, config: WebConfig) {
        self.held.store(Arc::new(Held::new(path, config)));
    }

    /// What is in force now.
    pub async fn now(&self) -> Arc<WebConfig> {
        let held = self.held.load_full();
        if held.path.is_none() {
            return Arc::clone(&held.config);
        }
        let _looking = self.looking.lock().await;
        // A reload may have come while others looked.
        let held = self.held.load_full();
        let Some(path) = held.path.clone() else { return Arc::clone(&held.config) };
        let look = Arc::clone(&held);
        // Files may lie on a slow disk. When the thread is lost, what was in force stays so.
        let looked = tokio::task::spawn_blocking(move || look.has_changed().then(|| look.looked(&path)));
        let Ok(Some(new)) = looked.await else { return Arc::clone(&held.config) };
        // Unless a reload came in between, which then counts.
        self.held.compare_and_swap(&held, Arc::new(new));
        Arc::clone(&self.held.load().config)
    }

    /// Whether connections are secured, as it was known at the last look.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.held.load().config.tls.is_some()
    }

    /// Whether a request with this `Authorization` header may come in.
    pub async fn check(&self, config: &WebConfig, authorization: Option<&str>) -> Check {
        if config.users.is_empty() {
            return Check::Admitted(None);
        }
        self.passwords.check(&config.users, authorization).await
    }

    /// What a form of a page carries, so that no other site's page can send one for this user. It holds as long as the
    /// process.
    #[must_use]
    pub fn form_token(&self, user: &str) -> String {
        self.tokens.token(user)
    }

    /// Whether a form carries the token that this process gave to this user.
    #[must_use]
    pub fn knows_form(&self, user: &str, token: &str) -> bool {
        self.tokens.is_of(user, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(name: &str) -> String {
        format!("basic_auth_users: {{{name}: {}}}\n", bcrypt::hash_with_salt("p", 4, [7; 16]).unwrap())
    }

    /// Whoever waited for another's look read the file of before the reload, and put it in force again.
    #[tokio::test]
    async fn a_reload_during_a_look_counts() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, users(name)).unwrap();
            path
        });
        let read = |path: &Path| Reading::of(path).result.unwrap();
        let keeper = Keeper::new(Some(old.clone()), read(&old)).unwrap();
        let looking = keeper.looking.lock().await;
        let mut waiting = Box::pin(keeper.now());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        keeper.replace(Some(new.clone()), read(&new));
        drop(looking);
        for config in [waiting.await, keeper.now().await] {
            assert_eq!(format!("{:?}", config.users), "{\"new\"}");
        }
    }
}
