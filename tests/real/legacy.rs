//! What each device speaks, one class at a time: sshd that offers one single algorithm, modern or legacy, or one that is
//! out of reach. One row, one test.

use std::path::Path;
use std::process::Command;

use versweep::device::{Device, SshAlgorithms};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport};

use crate::devices::{credential, device_at, settings};
use crate::sshd_server::{Sshd, authorize, current_user, keygen};

/// What becomes of a server that offers nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is reached as it is.
    Modern,
    /// It is reached with `legacy_ssh`, and without it the failure says so.
    Legacy,
    /// versweep has no such algorithm; the failure shows both lists.
    Out,
}

/// One class of algorithms and the single one that the server has of it.
async fn row(lines: &[&str], name: &str, reach: Reach) {
    let folder = tempfile::tempdir().unwrap();
    let mut options: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    if let Some((kind, bits)) = host_key(name) {
        let path = folder.path().join("host");
        make_key(&path, kind, bits);
        options.push(format!("HostKey {}", path.display()));
    }
    let id = folder.path().join("id");
    keygen(&id, "ed25519", "");
    let authorized = authorize(&id.with_extension("pub"), folder.path());
    options.push(format!("AuthorizedKeysFile {}\nPermitRootLogin yes", authorized.display()));
    let sshd = Sshd::start(&options);

    let modern = ask(&sshd, &id, SshAlgorithms::Modern).await;
    let legacy = ask(&sshd, &id, SshAlgorithms::Legacy).await;
    match reach {
        Reach::Modern => {
            for trace in [modern.unwrap(), legacy.unwrap()] {
                assert!(trace.algorithms.unwrap().contains(name), "it is in use");
                assert!(!trace.notes.iter().any(|note| note.contains("legacy")), "{:?}", trace.notes);
            }
        }
        Reach::Legacy => {
            let detail = modern.unwrap_err();
            assert!(detail.contains("set legacy_ssh = true"), "{detail}");
            assert!(detail.contains(&format!("device offers {name}")), "{detail}");
            let notes = legacy.unwrap().notes;
            let needed = format!("legacy SSH was needed: {name}");
            assert!(notes.contains(&needed), "{notes:?}");
        }
        Reach::Out => {
            for detail in [modern.unwrap_err(), legacy.unwrap_err()] {
                assert!(detail.contains("we offer ") && detail.contains(&format!("device offers {name}")));
                assert!(!detail.contains("legacy_ssh"), "it would not help: {detail}");
            }
        }
    }
}

/// The type of key that the server needs for it, and of how many bits.
fn host_key(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => Some(("rsa", "2048")),
        "ssh-dss" => Some(("dsa", "1024")),
        "ecdsa-sha2-nistp256" => Some(("ecdsa", "256")),
        "ecdsa-sha2-nistp384" => Some(("ecdsa", "384")),
        "ecdsa-sha2-nistp521" => Some(("ecdsa", "521")),
        _ => None,
    }
}

fn make_key(path: &Path, kind: &str, bits: &str) {
    let mut ssh_keygen = Command::new("ssh-keygen");
    let status = ssh_keygen.args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(path).status();
    assert!(status.unwrap().success());
}

/// A login and a command; the failure's detail otherwise.
async fn ask(sshd: &Sshd, id: &Path, algorithms: SshAlgorithms) -> Result<Trace, String> {
    let folder = tempfile::tempdir().unwrap();
    let key = std::fs::read_to_string(id).unwrap();
    let mut credential = credential(None, Some((&key, None)));
    credential.username = current_user();
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let device = Device { algorithms, ..device_at(sshd.address) };
    let mut trace = Trace::begin();
    match transport.visit(&device, &Errand::by_exec(["echo hello".to_owned()]), &mut trace).await {
        Ok(outputs) => {
            assert_eq!(outputs, ["hello\n"]);
            Ok(trace)
        }
        Err(error) => {
            assert_eq!((error.kind, error.stage), (FailureKind::Kex, Stage::Kex), "{}", error.detail);
            Err(error.detail)
        }
    }
}

macro_rules! rows {
    ($($test:ident: $name:literal, [$($line:literal),+], $reach:ident;)+) => {
        $(
            #[tokio::test]
            #[ignore = "needs sshd: run by make test"]
            async fn $test() {
                row(&[$($line),+], $name, Reach::$reach).await;
            }
        )+
    };
}

rows! {
    kex_curve25519: "curve25519-sha256", ["KexAlgorithms curve25519-sha256"], Modern;
    kex_curve25519_of_libssh: "curve25519-sha256@libssh.org", ["KexAlgorithms curve25519-sha256@libssh.org"], Modern;
    kex_nistp256: "ecdh-sha2-nistp256", ["KexAlgorithms ecdh-sha2-nistp256"], Modern;
    kex_nistp384: "ecdh-sha2-nistp384", ["KexAlgorithms ecdh-sha2-nistp384"], Modern;
    kex_group16_sha512: "diffie-hellman-group16-sha512", ["KexAlgorithms diffie-hellman-group16-sha512"], Modern;
    kex_group18_sha512: "diffie-hellman-group18-sha512", ["KexAlgorithms diffie-hellman-group18-sha512"], Modern;
    kex_nistp521: "ecdh-sha2-nistp521", ["KexAlgorithms ecdh-sha2-nistp521"], Modern;
    kex_group14_sha256: "diffie-hellman-group14-sha256", ["KexAlgorithms diffie-hellman-group14-sha256"], Modern;
    kex_group_exchange_sha256:
        "diffie-hellman-group-exchange-sha256", ["KexAlgorithms diffie-hellman-group-exchange-sha256"], Modern;
    kex_group_exchange_sha1:
        "diffie-hellman-group-exchange-sha1", ["KexAlgorithms diffie-hellman-group-exchange-sha1"], Legacy;
    kex_group14_sha1: "diffie-hellman-group14-sha1", ["KexAlgorithms diffie-hellman-group14-sha1"], Legacy;
    kex_group1_sha1: "diffie-hellman-group1-sha1", ["KexAlgorithms diffie-hellman-group1-sha1"], Legacy;
    kex_sntrup: "sntrup761x25519-sha512", ["KexAlgorithms sntrup761x25519-sha512"], Out;
    host_key_ed25519: "ssh-ed25519", ["HostKeyAlgorithms ssh-ed25519"], Modern;
    host_key_ecdsa: "ecdsa-sha2-nistp256", ["HostKeyAlgorithms ecdsa-sha2-nistp256"], Modern;
    host_key_ecdsa_384: "ecdsa-sha2-nistp384", ["HostKeyAlgorithms ecdsa-sha2-nistp384"], Modern;
    host_key_ecdsa_521: "ecdsa-sha2-nistp521", ["HostKeyAlgorithms ecdsa-sha2-nistp521"], Modern;
    host_key_rsa_sha2_512: "rsa-sha2-512", ["HostKeyAlgorithms rsa-sha2-512"], Modern;
    host_key_rsa_sha2_256: "rsa-sha2-256", ["HostKeyAlgorithms rsa-sha2-256"], Modern;
    host_key_ssh_rsa: "ssh-rsa", ["HostKeyAlgorithms ssh-rsa"], Legacy;
    host_key_ssh_dss: "ssh-dss", ["HostKeyAlgorithms ssh-dss"], Legacy;
    cipher_chacha20: "chacha20-poly1305@openssh.com", ["Ciphers chacha20-poly1305@openssh.com"], Modern;
    cipher_aes128_gcm: "aes128-gcm@openssh.com", ["Ciphers aes128-gcm@openssh.com"], Modern;
    cipher_aes256_gcm: "aes256-gcm@openssh.com", ["Ciphers aes256-gcm@openssh.com"], Modern;
    cipher_aes128_ctr: "aes128-ctr", ["Ciphers aes128-ctr"], Modern;
    cipher_aes192_ctr: "aes192-ctr", ["Ciphers aes192-ctr"], Modern;
    cipher_aes256_ctr: "aes256-ctr", ["Ciphers aes256-ctr"], Modern;
    cipher_aes128_cbc: "aes128-cbc", ["Ciphers aes128-cbc"], Legacy;
    cipher_aes192_cbc: "aes192-cbc", ["Ciphers aes192-cbc"], Legacy;
    cipher_aes256_cbc: "aes256-cbc", ["Ciphers aes256-cbc"], Legacy;
    cipher_3des_cbc: "3des-cbc", ["Ciphers 3des-cbc"], Legacy;
    mac_sha2_256: "hmac-sha2-256", ["Ciphers aes128-ctr", "MACs hmac-sha2-256"], Modern;
    mac_sha2_512: "hmac-sha2-512", ["Ciphers aes128-ctr", "MACs hmac-sha2-512"], Modern;
    mac_sha2_256_etm:
        "hmac-sha2-256-etm@openssh.com", ["Ciphers aes128-ctr", "MACs hmac-sha2-256-etm@openssh.com"], Modern;
    mac_sha2_512_etm:
        "hmac-sha2-512-etm@openssh.com", ["Ciphers aes128-ctr", "MACs hmac-sha2-512-etm@openssh.com"], Modern;
    mac_umac_64: "umac-64@openssh.com", ["Ciphers aes128-ctr", "MACs umac-64@openssh.com"], Out;
    mac_sha1: "hmac-sha1", ["Ciphers aes128-ctr", "MACs hmac-sha1"], Legacy;
    mac_sha1_etm: "hmac-sha1-etm@openssh.com", ["Ciphers aes128-ctr", "MACs hmac-sha1-etm@openssh.com"], Legacy;
    mac_sha1_96: "hmac-sha1-96", ["Ciphers aes128-ctr", "MACs hmac-sha1-96"], Out;
    mac_md5: "hmac-md5", ["Ciphers aes128-ctr", "MACs hmac-md5"], Out;
}

/// IOS 12 as a whole: nothing modern in it, and a key of 1024 bits.
#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn a_switch_of_2005_answers() {
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().join("host");
    make_key(&host, "rsa", "1024");
    let id = folder.path().join("id");
    keygen(&id, "rsa", "");
    let authorized = authorize(&id.with_extension("pub"), folder.path());
    let sshd = Sshd::start(&[
        "KexAlgorithms diffie-hellman-group1-sha1\nHostKeyAlgorithms ssh-rsa\nRequiredRSASize 1024"
            .to_owned(),
        "Ciphers 3des-cbc\nMACs hmac-sha1".to_owned(),
        format!("HostKey {}", host.display()),
        format!("AuthorizedKeysFile {}\nPermitRootLogin yes", authorized.display()),
    ]);
    ask(&sshd, &id, SshAlgorithms::Modern).await.unwrap_err();
    let trace = ask(&sshd, &id, SshAlgorithms::Legacy).await.unwrap();
    let needed = "legacy SSH was needed: diffie-hellman-group1-sha1, ssh-rsa, 3des-cbc, hmac-sha1";
    assert!(trace.notes.iter().any(|note| note == needed), "{:?}", trace.notes);
}
