//! Every way of logging in, against OpenSSH's sshd: with PAM's keyboard-interactive, and counted in sshd's own log.

use std::path::Path;

use versweep::credential::Credential;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{credential, device_at, settings};
use crate::sshd_server::{Sshd, TempUser, authorize, is_root, keygen};

/// sshd that asks PAM, by the methods named.
fn methods(password: bool, keyboard: bool) -> Vec<String> {
    let word = |on| if on { "yes" } else { "no" };
    vec![
        "UsePAM yes".to_owned(),
        format!("PasswordAuthentication {}", word(password)),
        format!("KbdInteractiveAuthentication {}", word(keyboard)),
    ]
}

async fn visit(
    user: &TempUser,
    credential: Credential,
    sshd: &Sshd,
) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let credential = Credential { username: user.name.clone(), ..credential };
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let mut trace = Trace::begin();
    let result = transport
        .visit(&device_at(sshd.address), &Errand::by_exec(["echo hello".to_owned()]), &mut trace)
        .await;
    (result, trace)
}

/// A user, or nothing where the tests may not make one.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn user(name: &str) -> Option<TempUser> {
    if !is_root() {
        eprintln!("only root can make a user with a password: skipped");
        return None;
    }
    Some(TempUser::create(name, "/bin/sh", &[]))
}

fn strange_key(folder: &Path) -> String {
    let path = folder.join("id");
    keygen(&path, "ed25519", "");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn the_password_goes_by_pam_keyboard_interactive() {
    let Some(user) = user("vswki") else { return };
    let sshd = Sshd::start(&methods(false, true));
    let (result, trace) = visit(&user, credential(Some(&user.password), None), &sshd).await;
    assert_eq!(result.unwrap(), ["hello\n"], "{}", sshd.log());
    assert!(trace.notes.iter().any(|note| note == "logged in by keyboard-interactive"), "{:?}", trace.notes);
    assert!(sshd.log().contains("Accepted keyboard-interactive/pam"), "{}", sshd.log());
}

/// Logs in by the right secret where sshd hangs up after one wrong one, by these methods.
async fn one_try(password: bool, keyboard: bool) {
    let Some(user) = user("vswmx") else { return };
    let mut options = methods(password, keyboard);
    options.push("MaxAuthTries 1".to_owned());
    options.push("PubkeyAuthentication no".to_owned());
    let sshd = Sshd::start(&options);
    let folder = tempfile::tempdir().unwrap();
    let strange = strange_key(folder.path());
    // The key isn't tried where the server takes none, so that the one try is left for the password.
    let both = credential(Some(&user.password), Some((&strange, None)));
    assert_eq!(visit(&user, both, &sshd).await.0.unwrap(), ["hello\n"], "{}", sshd.log());
}

/// Sends a wrong secret to sshd that offers these methods and allows so many tries: its log counts one.
async fn one_failure(password: bool, keyboard: bool, tries: u8, has_key: bool) {
    let Some(user) = user("vswct") else { return };
    let folder = tempfile::tempdir().unwrap();
    let strange = strange_key(folder.path());
    let mut options = methods(password, keyboard);
    options.push(format!("MaxAuthTries {tries}"));
    let sshd = Sshd::start(&options);
    let wrong = credential(Some("wrong-horse"), has_key.then_some((strange.as_str(), None)));
    let error = visit(&user, wrong, &sshd).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
    let log = sshd.log_with("Failed ");
    let failed = log
        .lines()
        .filter(|line| line.contains("Failed password") || line.contains("Failed keyboard-interactive"));
    assert_eq!(failed.count(), 1, "{log}");
    assert_eq!(log.matches("Connection from").count(), 1, "{log}");
}

macro_rules! rows {
    ($($test:ident: $row:expr;)+) => {
        $(
            #[tokio::test]
            #[ignore = "needs sshd: run by make test"]
            async fn $test() {
                $row.await;
            }
        )+
    };
}

rows! {
    one_try_by_password: one_try(true, false);
    one_try_by_keyboard_interactive: one_try(false, true);
    one_try_by_either: one_try(true, true);
    one_failure_by_password: one_failure(true, false, 6, false);
    one_failure_by_password_after_a_key: one_failure(true, false, 6, true);
    one_failure_by_password_of_one_allowed: one_failure(true, false, 1, false);
    one_failure_by_keyboard_interactive: one_failure(false, true, 6, false);
    one_failure_by_keyboard_interactive_after_a_key: one_failure(false, true, 6, true);
    one_failure_by_keyboard_interactive_of_one_allowed: one_failure(false, true, 1, false);
    one_failure_by_either: one_failure(true, true, 6, false);
    one_failure_by_either_after_a_key: one_failure(true, true, 6, true);
    one_failure_by_either_of_one_allowed: one_failure(true, true, 1, false);
}

/// A server that wants the key and then the password: both are sent, each once.
#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn one_failure_where_the_key_is_not_enough() {
    let Some(user) = user("vsw2f") else { return };
    let folder = tempfile::tempdir().unwrap();
    let key = strange_key(folder.path());
    let authorized = authorize(&folder.path().join("id.pub"), folder.path());
    let mut options = methods(true, false);
    options.push(format!(
        "AuthorizedKeysFile {}\nAuthenticationMethods publickey,password",
        authorized.display()
    ));
    let sshd = Sshd::start(&options);
    let error = visit(&user, credential(Some("wrong-horse"), Some((&key, None))), &sshd).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
    let log = sshd.log_with("Failed password");
    assert_eq!(log.matches("Failed password").count(), 1, "{log}");
    let right = credential(Some(&user.password), Some((&key, None)));
    assert_eq!(visit(&user, right, &sshd).await.0.unwrap(), ["hello\n"], "{}", sshd.log());
}
