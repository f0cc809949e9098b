//! Servers that are not as usual: another implementation, one with a long banner, one that has no room.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use versweep::credential::Credential;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{credential, device_at, settings};
use crate::sshd_server::{Sshd, TempUser, authorize, current_user, free_address, is_root, keygen, listens};

async fn ask(credential: Credential, address: SocketAddr) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let mut trace = Trace::begin();
    let result =
        transport.visit(&device_at(address), &Errand::by_exec(["echo hello".to_owned()]), &mut trace).await;
    (result, trace)
}

/// sshd that knows this user's fresh key; the credential that has it.
fn sshd_with(options: &[String]) -> (Sshd, Credential, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let id = folder.path().join("id");
    keygen(&id, "ed25519", "");
    let authorized = authorize(&id.with_extension("pub"), folder.path());
    let own = [format!("AuthorizedKeysFile {}\nPermitRootLogin yes", authorized.display())];
    let sshd = Sshd::start(&[&own, options].concat());
    let key = std::fs::read_to_string(&id).unwrap();
    let credential = Credential { username: current_user(), ..credential(None, Some((&key, None))) };
    (sshd, credential, folder)
}

struct Dropbear {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Dropbear {
    fn start(key_type: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("host_key");
        let made = Command::new("dropbearkey")
            .args(["-t", key_type, "-f"])
            .arg(&key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("dropbear should be installed: apt-get install dropbear-bin");
        assert!(made.success());
        let address = free_address();
        let child = Command::new("dropbear")
            .args(["-F", "-p", &address.to_string(), "-P"])
            .arg(folder.path().join("pid"))
            .arg("-r")
            .arg(&key)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address, _folder: folder };
        for _ in 0..1000 {
            if listens(address) {
                return server;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("dropbear doesn't listen");
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs dropbear: run by make test"]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn dropbear_answers() {
    if !is_root() {
        return eprintln!("only root can make a user with a password: skipped");
    }
    let user = TempUser::create("vswdb", "/bin/sh", &[]);
    for key_type in ["ed25519", "ecdsa", "rsa"] {
        let server = Dropbear::start(key_type);
        let right = credential(Some(&user.password), None);
        let (result, trace) = ask(Credential { username: user.name.clone(), ..right }, server.address).await;
        assert_eq!(result.unwrap(), ["hello\n"], "{key_type}");
        assert!(trace.server.unwrap().contains("dropbear"));
        let wrong = credential(Some("wrong-horse"), None);
        let error =
            ask(Credential { username: user.name.clone(), ..wrong }, server.address).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
    }
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn a_banner_of_64_kib_is_waded_through() {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    let line = "# Authorised users only >\n";
    std::fs::write(&banner, line.repeat(64 * 1024 / line.len())).unwrap();
    let (sshd, credential, _keep) = sshd_with(&[format!("Banner {}", banner.display())]);
    let (result, trace) = ask(credential, sshd.address).await;
    assert_eq!(result.unwrap(), ["hello\n"]);
    let banners: Vec<_> = trace.notes.iter().filter(|note| note.starts_with("banner: ")).collect();
    assert!(banners.len() == 1 && banners[0].len() < 300, "{banners:?}");
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn no_room_is_no_refusal_of_the_login() {
    let (sshd, credential, _keep) = sshd_with(&["MaxStartups 1:100:1".to_owned()]);
    // Somebody else who has connected and not logged in yet.
    let mut other = TcpStream::connect(sshd.address).unwrap();
    let mut greeting = [0; 8];
    other.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    let error = ask(credential, sshd.address).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Disconnected, Stage::Kex), "{}", error.detail);
    assert!(error.kind.may_retry());
}
