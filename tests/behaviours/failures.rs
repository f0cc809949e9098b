//! Every way to fail, as a network engineer reads it: what happened at which device, and what to do about it (rule 14).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use versweep::clock::SystemClock;
use versweep::credential::{Agent, Credential};
use versweep::device::{
    CredentialId, Device, HostKeyPolicy, JumpHost, PlatformChoice, PlatformKey, Route, SshAlgorithms,
};
use versweep::dialogue::{Errand, Rules};
use versweep::failure::{Failure, FailureKind, Stage};
use versweep::observation::{Observation, Outcome, SweepId};
use versweep::probe::Prober;
use versweep::sweep::Engine;
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport};

use crate::devices::{PASSWORD, PATIENT, credential, device_at, settings};
use crate::gentle::{Sweep, devices, rules};
use crate::shell_server::{ShellServer, ShellSetup};
use crate::ssh_server::{Manner, Server, Setup, fresh_key};
use crate::visits;

/// Short enough to be run into where nothing has to come first.
const SHORT: Duration = Duration::from_millis(300);

/// One failure and what its message must have: the facts, and what to do.
struct Row {
    kind: FailureKind,
    stage: Stage,
    facts: &'static [&'static str],
    advice: &'static str,
    told: Failure,
}

fn row(
    kind: FailureKind,
    stage: Stage,
    facts: &'static [&'static str],
    advice: &'static str,
    told: Failure,
) -> Row {
    Row { kind, stage, facts, advice, told }
}

fn show_version() -> Errand {
    Errand::by_exec(["show version".to_owned()])
}

/// How a visit over SSH fails, with that credential.
async fn failing(credential: Credential, device: &Device, errand: &Errand, folder: &Path) -> Failure {
    let transport = SshTransport::new(settings(credential, folder)).unwrap();
    let error = transport.visit(device, errand, &mut Trace::begin()).await.unwrap_err();
    Failure::from(error)
}

/// The same with the right password and nothing known of host keys.
async fn meeting(device: &Device, errand: &Errand) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    failing(credential(Some(PASSWORD), None), device, errand, folder.path()).await
}

async fn of_manner(manner: Manner) -> Failure {
    let server = Server::start(Setup::new(manner)).await;
    meeting(&device_at(server.address), &show_version()).await
}

/// How what the device answers fails to be read.
async fn reading(platform: &str, answer: FakeAnswer, limit: Duration) -> Failure {
    let device = visits::device("r1");
    let platform = PlatformChoice::Named(PlatformKey::new(platform));
    let mut device = Device { platform, ..device.as_ref().clone() };
    device.timeouts.visit = limit;
    let prober = Prober {
        transport: Arc::new(FakeTransport::new().otherwise(Script::always(answer))),
        platforms: visits::judgement().platforms,
        clock: Arc::new(SystemClock),
    };
    failure(prober.device(&device, SweepId::starting(visits::at(0))).await.observation)
}

fn failure(observation: Observation) -> Failure {
    match observation.outcome {
        Outcome::Failed { failure, .. } => failure,
        Outcome::Answered { .. } => panic!("it answered"),
    }
}

/// A peer that says `opening` to one visitor and waits, or closes.
fn peer(opening: Vec<u8>, stays: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.write_all(&opening).unwrap();
        if !stays {
            // Take what has come, so that closing doesn't reset the connection under the answer.
            let _ = tcp.read(&mut [0; 4096]);
            let _ = tcp.shutdown(std::net::Shutdown::Write);
        }
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    address
}

/// The first words of a device of 2005 (RFC 4253, sections 6 and 7.1).
fn old_device() -> Vec<u8> {
    let lists = ["diffie-hellman-group1-sha1", "ssh-dss", "3des-cbc", "3des-cbc", "hmac-sha1", "hmac-sha1"];
    let mut payload = vec![20; 17];
    for list in lists.into_iter().chain(["none", "none", "", ""]) {
        payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        payload.extend(list.bytes());
    }
    payload.extend([0; 5]);
    let padding = 16 - (5 + payload.len()) % 8;
    let length = u32::try_from(1 + payload.len() + padding).unwrap();
    let mut said = b"SSH-2.0-Cisco-1.25\r\n".to_vec();
    said.extend(length.to_be_bytes());
    said.push(u8::try_from(padding).unwrap());
    said.extend(payload);
    said.extend(vec![0; padding]);
    said
}

fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn on_the_way() -> Vec<Row> {
    use FailureKind::{Disconnected, Dns, Kex, Refused, Timeout, Unreachable};
    let mut nameless = device_at(closed_port());
    nameless.endpoint.host = "r1.invalid".to_owned();
    let mut hasty = device_at(peer(Vec::new(), true));
    hasty.timeouts.login = SHORT;
    let closing = device_at(peer(Vec::new(), false));
    let old = device_at(peer(old_device(), true));
    let older =
        Device { algorithms: SshAlgorithms::Legacy, ..device_at(peer(b"SSH-1.5-x\n".to_vec(), true)) };
    vec![
        row(
            Dns,
            Stage::Connect,
            &["r1.invalid doesn't resolve"],
            "check the name and the resolver",
            meeting(&nameless, &show_version()).await,
        ),
        row(
            Refused,
            Stage::Connect,
            &["connecting to 127.0.0.1:"],
            "is the SSH server on, on this port, for this host?",
            meeting(&device_at(closed_port()), &show_version()).await,
        ),
        row(
            Unreachable,
            Stage::Connect,
            &["jump host bastion can't connect to 127.0.0.1:"],
            "is it up, is that its address from there?",
            through_a_bastion().await,
        ),
        row(
            Timeout,
            Stage::Kex,
            &["no SSH banner came within the login timeout of 300ms"],
            "overloaded?",
            meeting(&hasty, &show_version()).await,
        ),
        row(
            Disconnected,
            Stage::Kex,
            &["closed the connection before its SSH banner"],
            "too many sessions, or an access list?",
            meeting(&closing, &show_version()).await,
        ),
        row(
            Kex,
            Stage::Kex,
            &[
                "no common key exchange: we offer curve25519-sha256,",
                "device offers diffie-hellman-group1-sha1",
            ],
            "set legacy_ssh = true for this device",
            meeting(&old, &show_version()).await,
        ),
        row(
            Kex,
            Stage::Kex,
            &["speaks only SSH protocol 1 (SSH-1.5-x)"],
            "enable version 2 on the device",
            meeting(&older, &show_version()).await,
        ),
    ]
}

async fn through_a_bastion() -> Failure {
    let folder = tempfile::tempdir().unwrap();
    let bastion = Server::start(Setup::new(Manner::Usual)).await;
    let host = JumpHost {
        name: "bastion".into(),
        endpoint: device_at(bastion.address).endpoint,
        credential: CredentialId::new("lab").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: PATIENT,
    };
    let device = Device { route: Route::Via(vec![Arc::new(host)]), ..device_at(closed_port()) };
    failing(credential(Some(PASSWORD), None), &device, &show_version(), folder.path()).await
}

/// Whom the known_hosts file says to be there, and how the visit fails.
async fn with_known(marker: &str, known: Option<&PrivateKey>, shown: &PrivateKey) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Usual).host_keys([shown.clone()])).await;
    if let Some(known) = known {
        let key = known.public_key().to_openssh().unwrap();
        let line = format!("{marker}[127.0.0.1]:{} {key}\n", server.address.port());
        std::fs::write(folder.path().join("known_hosts"), line).unwrap();
    }
    let device = Device { host_keys: HostKeyPolicy::Strict, ..device_at(server.address) };
    let told = failing(credential(Some(PASSWORD), None), &device, &show_version(), folder.path()).await;
    assert_eq!(server.seen().secrets(), 0, "{}", told.detail);
    told
}

async fn at_the_door() -> Vec<Row> {
    use FailureKind::{Auth, HostKey, Internal};
    let (key, other) = (fresh_key(), fresh_key());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Usual)).await;
    let device = device_at(server.address);
    let wrong = credential(Some("wrong-horse"), None);
    let agent = Some(Agent { socket: "/nonexistent/agent".into(), public_key: None });
    let without_agent = Credential { agent, ..credential(None, None) };
    vec![
        row(
            HostKey,
            Stage::Kex,
            &["the host key SHA256:", "is unknown and the policy is strict"],
            "verify it, then add it to known_hosts",
            with_known("", None, &key).await,
        ),
        row(
            HostKey,
            Stage::Kex,
            &["the host key changed: ", "now shows SHA256:", "no login was tried", "known_hosts:1)"],
            "if that is right, remove the known",
            with_known("", Some(&other), &key).await,
        ),
        row(
            HostKey,
            Stage::Kex,
            &["the host key of ", "is revoked: SHA256:", "known_hosts:1)"],
            "give the device a new key",
            with_known("@revoked ", Some(&key), &key).await,
        ),
        row(
            Auth,
            Stage::Auth,
            &["refused the password of user", "it offers: publickey;"],
            "check credential lab",
            failing(wrong, &device, &show_version(), folder.path()).await,
        ),
        row(
            Internal,
            Stage::Auth,
            &["ssh-agent at /nonexistent/agent: no such socket", "credential lab"],
            "is it running?",
            failing(without_agent, &device, &show_version(), folder.path()).await,
        ),
    ]
}

async fn inside() -> Vec<Row> {
    use FailureKind::{Command, Deadline, Denied, OutputLimit, Parse, Prompt};
    let silent =
        ShellServer::start(ShellSetup { greeting: "loading".to_owned(), ..ShellSetup::default() }).await;
    let mut hasty = device_at(silent.address);
    hasty.timeouts.command = Duration::from_secs(3);
    let by_shell = Errand::by_shell(["show version".to_owned()], Rules::default());
    let unknown = FakeAnswer::output("                ^\n% Invalid input detected at '^' marker.\n");
    vec![
        row(
            Denied,
            Stage::Command,
            &["the device opened no channel"],
            "may this user run commands?",
            of_manner(Manner::RefusesChannels).await,
        ),
        row(
            Prompt,
            Stage::Command,
            &["no prompt within the command timeout of 3s", "the device said last: \"loading\""],
            "set `prompt` or a `page` in the profile's [shell]",
            meeting(&hasty, &by_shell).await,
        ),
        row(
            OutputLimit,
            Stage::Command,
            &["\"show version\" printed more than 1048576 bytes"],
            "is it the right command",
            of_manner(Manner::Floods).await,
        ),
        row(
            Command,
            Stage::Parse,
            &["the device doesn't know the command", "% Invalid input"],
            "check `platform` and the profile's commands",
            reading("cisco_ios", unknown, Duration::from_secs(9)).await,
        ),
        row(
            Parse,
            Stage::Parse,
            &["no version pattern of frr matches"],
            "check `platform`, or add a pattern to a profile",
            reading("frr", FakeAnswer::output("Welcome\n"), Duration::from_secs(9)).await,
        ),
        row(
            Deadline,
            Stage::Connect,
            &["the visit passed its deadline of 300ms while in connect"],
            "raise `timeout` if the device is only slow",
            reading("frr", FakeAnswer::stuck(), SHORT).await,
        ),
    ]
}

/// One after the other refuses the same credential, until nobody is asked any more.
async fn held_back() -> Row {
    let refused = FakeTransport::new().otherwise(Script::always(FakeAnswer::fails(FailureKind::Auth)));
    let mut sweep = Sweep::of(refused);
    sweep.engine = Engine::with_rules(rules(1, &[]));
    let seen = sweep.over(&devices(9, "roll")).await;
    let told = seen.into_iter().map(failure).find(|told| told.kind == FailureKind::Breaker).unwrap();
    row(
        FailureKind::Breaker,
        Stage::Auth,
        &["not visited: credential roll was refused on several devices"],
        "check the credential",
        told,
    )
}

/// `versweep probe` is interrupted while the device says nothing; what it said of that.
fn interrupted() -> String {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("password"), PASSWORD).unwrap();
    let config = "[credentials.lab]\nusername = 'lab'\npassword = { file = 'password' }\n[defaults]\ncredential = 'lab'\n\
                  [store]\npath = 'versweep.db'\n[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n";
    std::fs::write(path("versweep.toml"), config).unwrap();
    let port = listener.local_addr().unwrap().port();
    let devices = format!("[[device]]\nname = 'r1'\naddress = '127.0.0.1'\nport = {port}\n");
    std::fs::write(path("devices.toml"), devices).unwrap();
    let mut versweep = Command::new(env!("CARGO_BIN_EXE_versweep"));
    let probe = versweep.args(["probe", "--config.file"]).arg(path("versweep.toml")).arg("r1");
    let probe = probe.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It has connected: it listens for signals by now.
    let _visitor = listener.accept().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(probe.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = probe.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn each_kind_says_what_happened_and_what_to_do() {
    let mut rows = on_the_way().await;
    rows.extend(at_the_door().await);
    rows.extend(inside().await);
    rows.push(held_back().await);
    for Row { kind, stage, facts, advice, told } in &rows {
        let detail = &told.detail;
        assert_eq!((told.kind, told.stage), (*kind, *stage), "{detail}");
        for fact in *facts {
            assert!(detail.contains(fact), "{kind}: {fact:?} is not in: {detail}");
        }
        assert!(detail.contains(advice), "{kind}: {advice:?} is not in: {detail}");
        assert!(detail.len() <= 400 && !detail.contains(char::is_control), "{kind}: {detail}");
        assert!(!detail.contains(PASSWORD) && !detail.contains("wrong-horse"), "{kind}: {detail}");
        assert!(!detail.starts_with(char::is_uppercase), "{kind}: {detail}");
    }
    let kinds: BTreeMap<_, _> = rows.iter().map(|row| (row.kind, ())).collect();
    let missing: Vec<_> = FailureKind::ALL.into_iter().filter(|kind| !kinds.contains_key(kind)).collect();
    assert_eq!(missing, [FailureKind::Cancelled], "that one has a test of its own below");
}

#[test]
fn a_visit_that_is_broken_off_says_so() {
    let said = interrupted();
    assert!(said.contains("failed: cancelled: broken off before the device had answered"), "{said}");
    assert!(said.contains("nothing was recorded"), "{said}");
}
