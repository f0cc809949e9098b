use super::*;

use russh::keys::PrivateKey;

fn key(algorithm: Algorithm) -> PublicKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap().public_key().clone()
}

fn ed25519() -> PublicKey {
    key(Algorithm::Ed25519)
}

fn line(names: &str, key: &PublicKey) -> String {
    format!("{names} {}\n", key.to_openssh().unwrap())
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

fn load(text: &str) -> (tempfile::TempDir, KnownHosts) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, text).unwrap();
    (folder, KnownHosts::load(path, &[]).unwrap())
}

#[test]
fn names_as_openssh_writes_them() {
    assert_eq!(name_of(&endpoint("R1.Lab", 22)), "r1.lab");
    assert_eq!(name_of(&endpoint("fe80::1", 2222)), "[fe80::1]:2222");
}

#[test]
fn reads_plain_bracketed_wildcard_and_several() {
    let (a, b, c) = (ed25519(), ed25519(), ed25519());
    let text = ["# ours\n\n", &line("r1,10.0.0.1", &a), &line("[r1]:2222", &b), &line("*.lab,!bad.lab", &c)]
        .concat();
    let (_folder, hosts) = load(&text);
    assert_eq!(judge(&hosts.lookup("r1"), &a), Verdict::Known);
    assert_eq!(judge(&hosts.lookup("10.0.0.1"), &a), Verdict::Known);
    assert_eq!(judge(&hosts.lookup("[r1]:2222"), &b), Verdict::Known);
    assert_eq!(judge(&hosts.lookup("x.lab"), &c), Verdict::Known);
    assert_eq!(judge(&hosts.lookup("bad.lab"), &c), Verdict::Unknown);
    assert!(matches!(judge(&hosts.lookup("r1"), &b), Verdict::Changed(known) if known.line == 3));
}

#[test]
fn reads_hashed_names() {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<sha1::Sha1>::new_from_slice(&[7; 20]).unwrap().chain_update(b"r1.lab").finalize();
    let hash = mac.into_bytes().as_slice().try_into().unwrap();
    let names = HostPatterns::HashedName { salt: vec![7; 20], hash }.to_string();
    let key = ed25519();
    let (_folder, hosts) = load(&line(&names, &key));
    assert_eq!(judge(&hosts.lookup("r1.lab"), &key), Verdict::Known);
    assert_eq!(judge(&hosts.lookup("r2.lab"), &key), Verdict::Unknown);
}

#[test]
fn a_revoked_key_is_refused_wherever_else_it_stands() {
    let key = ed25519();
    let text = [line("r1", &key), format!("@revoked * {}", line("", &key).trim_start())].concat();
    let (_folder, hosts) = load(&text);
    assert!(matches!(judge(&hosts.lookup("r1"), &key), Verdict::Revoked(known) if known.line == 2));
}

#[test]
fn another_type_of_key_is_a_changed_key() {
    let known = ed25519();
    let (_folder, hosts) = load(&line("r1", &known));
    let other = key(Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 });
    assert!(matches!(judge(&hosts.lookup("r1"), &other), Verdict::Changed(_)));
}

#[test]
fn bad_lines_are_left_out_and_the_rest_is_read() {
    let key = ed25519();
    let torn = line("r3", &ed25519());
    let text = format!("r1\nr1 ssh-ed25519 nonsense\n{}{}", line("r2\t", &key), &torn[..40]);
    let (_folder, hosts) = load(&text);
    assert_eq!(judge(&hosts.lookup("r2"), &key), Verdict::Known);
    assert!(hosts.lookup("r1").is_empty());
    assert!(hosts.lookup("r3").is_empty());
}

#[tokio::test]
async fn a_hundred_at_once_are_all_pinned_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/known_hosts");
    let hosts = Arc::new(KnownHosts::load(path.clone(), &[]).unwrap());
    let keys: Vec<_> = (0..100).map(|_| ed25519()).collect();
    let mut pins = tokio::task::JoinSet::new();
    for (index, key) in keys.iter().cloned().enumerate() {
        let hosts = Arc::clone(&hosts);
        pins.spawn(async move { hosts.pin(&format!("r{index}"), &key).await });
    }
    while let Some(pinned) = pins.join_next().await {
        pinned.unwrap().unwrap();
    }
    let again = KnownHosts::load(path.clone(), &[]).unwrap();
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(judge(&again.lookup(&format!("r{index}")), key), Verdict::Known);
        // The place told in memory is the line in the file.
        assert_eq!(hosts.lookup(&format!("r{index}")), again.lookup(&format!("r{index}")));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_first_key_wins_and_is_written_once() {
    let (folder, hosts) = load("");
    let (first, second) = (ed25519(), ed25519());
    hosts.pin("r1", &first).await.unwrap();
    hosts.pin("r1", &first).await.unwrap();
    assert!(matches!(hosts.pin("r1", &second).await, Err(pins::PinError::Changed(_))));
    let text = std::fs::read_to_string(folder.path().join("known_hosts")).unwrap();
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn a_torn_last_line_does_not_swallow_the_next_key() {
    let (folder, hosts) = load("r9 ssh-ed25519 AAAAC3Nza");
    let key = ed25519();
    hosts.pin("r1", &key).await.unwrap();
    let again = KnownHosts::load(folder.path().join("known_hosts"), &[]).unwrap();
    assert_eq!(judge(&again.lookup("r1"), &key), Verdict::Known);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_pins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let hosts = KnownHosts::load(path.clone(), &[]).unwrap();
    std::fs::create_dir(path).unwrap();
    let key = ed25519();
    assert!(matches!(hosts.pin("r1", &key).await, Err(pins::PinError::File(_))));
    assert_eq!(judge(&hosts.lookup("r1"), &key), Verdict::Unknown);
}
