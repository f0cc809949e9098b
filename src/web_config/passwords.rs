//! Basic authentication (RFC 7617) against bcrypt hashes.
//!
//! A check costs what bcrypt is made to cost, some 50 to 100 ms. So it is done on a blocking thread, a few at once, and
//! whoever was let in is known again by a keyed hash: a scrape every 15 seconds costs one check for the whole life of the
//! process.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::file::Notes;
use crate::text::tamed;

/// Checks at once: a flood of wrong passwords must not take the processors from the sweeps.
const CHECKS_MAX: usize = 2;
/// Checks that wait for their turn, some seconds in all; who comes beyond is asked to come again.
const WAITING_MAX: usize = 32;
/// Logins known again: users times the passwords that they had within one life of the process.
const KNOWN_MAX: usize = 256;
/// At 16 a check takes some four seconds; the next ones are typing errors.
const COST_MAX: u32 = 16;
/// What somebody unknown is checked against, so that a name costs the same whether it is there or not. No password fits:
/// nobody knows one for this digest.
const NOBODY_TAIL: &str = "$versweepversweepversweVersweepVersweepVersweepVersweO";

/// Names with their hashes.
#[derive(Clone, Default)]
pub struct Users {
    hashes: Arc<BTreeMap<String, SecretString>>,
    /// For names that are not among them.
    nobody: Arc<str>,
    /// Whether all hashes take the same time.
    one_cost: bool,
}

/// What becomes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It may come in, by the password of the one with this name; no name where no password is asked for.
    Admitted(Option<Box<str>>),
    /// It is nobody's.
    Unknown,
    /// Too many others are being checked to say.
    Busy,
}

impl Users {
    /// Takes those of a file; hashes that are none are noted.
    pub(super) fn new(users: BTreeMap<String, SecretString>, notes: &mut Notes<'_>) -> Self {
        let mut costs = BTreeSet::new();
        for (name, hash) in &users {
            let key = format!("basic_auth_users.{}", tamed(name, 60));
            if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
                notes.refuse(&key, "is not a user name", "a name without colons and control characters");
            }
            match HashParts::from_str(hash.expose_secret()) {
                Ok(parts) if parts.get_cost() > COST_MAX => {
                    let problem =
                        format!("has a hash of cost {}, which takes seconds a check", parts.get_cost());
                    notes.refuse(&key, &problem, &format!("a cost of at most {COST_MAX}"));
                }
                Ok(parts) => _ = costs.insert(parts.get_cost()),
                Err(_) => notes.refuse(&key, "is not a bcrypt hash", "what `htpasswd -nBC 10 NAME` prints"),
            }
        }
        let cost = costs.last().copied().unwrap_or(4);
        Self {
            hashes: Arc::new(users),
            nobody: format!("$2b${cost:02}{NOBODY_TAIL}").into(),
            one_cost: costs.len() <= 1,
        }
    }

    /// Whether all hashes take the same time to check; else that time tells which names there are.
    pub(super) fn have_one_cost(&self) -> bool {
        self.one_cost
    }

    /// Whether there is nobody, and so nobody is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// Names only.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

/// Checks logins, and knows those again that it let in. It outlives the files that users come from.
pub struct Passwords {
    /// Of this process; without it nobody can tell a login from its mark.
    key: [u8; 64],
    known: Mutex<Known>,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Known {
    marks: HashSet<[u8; 32]>,
    /// The same by age, the oldest first.
    by_age: VecDeque<[u8; 32]>,
}

impl Passwords {
    /// Nobody is known yet; `key` is random.
    #[must_use]
    pub fn new(key: [u8; 64]) -> Self {
        Self {
            key,
            known: Mutex::default(),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// Whether the `Authorization` header names one of these users with their password.
    pub async fn check(&self, users: &Users, authorization: Option<&str>) -> Check {
        let Some((name, password)) = authorization.and_then(login) else { return Check::Unknown };
        let (is_user, hash) = match users.hashes.get(&name) {
            Some(hash) => (true, hash.expose_secret().to_owned()),
            None => (false, users.nobody.to_string()),
        };
        let mark = self.mark(&name, &hash, &password);
        if is_user && self.knows(&mark) {
            return Check::Admitted(Some(name.into()));
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return Check::Busy };
        let Ok(permit) = Arc::clone(&self.checks).acquire_owned().await else { return Check::Busy };
        // Ten scrapes at once by one new scraper: the first one's check serves all.
        if is_user && self.knows(&mark) {
            return Check::Admitted(Some(name.into()));
        }
        let check = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bcrypt::verify(password.expose_secret(), &hash).unwrap_or(false)
        });
        let fits = check.await.unwrap_or(false);
        if !fits || !is_user {
            return Check::Unknown;
        }
        self.remember(mark);
        Check::Admitted(Some(name.into()))
    }

    /// What a login is known again by. The hash is part of it: with a new password the old mark means nothing.
    fn mark(&self, name: &str, hash: &str, password: &SecretString) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        // None of them holds a zero byte but the password, which is last.
        for part in [name, "\0", hash, "\0", password.expose_secret()] {
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn knows(&self, mark: &[u8; 32]) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).marks.contains(mark)
    }

    fn remember(&self, mark: [u8; 32]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.marks.insert(mark) {
            known.by_age.push_back(mark);
        }
        if known.by_age.len() > KNOWN_MAX
            && let Some(oldest) = known.by_age.pop_front()
        {
            known.marks.remove(&oldest);
        }
    }
}

/// Name and password of `Basic BASE64`.
fn login(authorization: &str) -> Option<(String, SecretString)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A flood of wrong passwords holds neither memory nor connections; whoever was let in before isn't touched by it.
    #[tokio::test]
    async fn checks_that_wait_have_a_limit() {
        let hash = bcrypt::hash_with_salt("right", 4, [7; 16]).unwrap().to_string();
        let mut notes = Notes::new(Path::new("web.yml"));
        let users = Users::new(BTreeMap::from([("ops".to_owned(), hash.into())]), &mut notes);
        let passwords = Passwords::new([7; 64]);
        let login = |password: &str| format!("Basic {}", STANDARD.encode(format!("ops:{password}")));
        let (right, wrong) = (login("right"), login("wrong"));
        let ops = Check::Admitted(Some("ops".into()));
        assert_eq!(passwords.check(&users, Some(&right)).await, ops);

        let all = u32::try_from(CHECKS_MAX).unwrap();
        let held = Arc::clone(&passwords.checks).acquire_many_owned(all).await.unwrap();
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(passwords.check(&users, Some(&wrong)))).collect();
        for check in &mut waiting {
            assert!(futures_util::poll!(check).is_pending());
        }
        assert_eq!(passwords.check(&users, Some(&wrong)).await, Check::Busy);
        assert_eq!(passwords.check(&users, Some(&right)).await, ops);
        drop(held);
        for check in waiting {
            assert_eq!(check.await, Check::Unknown);
        }
    }
}
