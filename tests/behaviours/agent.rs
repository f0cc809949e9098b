//! Keys that an ssh-agent holds: only the one that is meant is shown, and an agent that can't sign costs nobody a login.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use russh::MethodKind::{Password, PublicKey};
use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Signature;
use russh::keys::{Algorithm, PrivateKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;
use versweep::credential::{Agent, Credential};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::{SetupProblem, SshSetupError, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings};
use crate::ssh_server::{Manner, Server, Setup, key_of};

/// What sets an agent apart from a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    Good,
    /// Lists its keys and refuses to sign.
    RefusesToSign,
    /// Says something else than an agent does.
    Garbled,
}

/// An agent within the test process (draft-miller-ssh-agent); dropping it stops it.
struct TestAgent {
    socket: PathBuf,
    signed: Arc<Mutex<usize>>,
    answering: AbortHandle,
    _folder: tempfile::TempDir,
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

impl TestAgent {
    fn start(temper: Temper, keys: &[&PrivateKey]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        let signed = Arc::new(Mutex::new(0));
        let (keys, count): (Vec<_>, _) = (keys.iter().map(|key| (*key).clone()).collect(), signed.clone());
        let answering = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, temper, keys.clone(), count.clone()));
            }
        });
        Self { socket, signed, answering: answering.abort_handle(), _folder: folder }
    }

    fn signed(&self) -> usize {
        *self.signed.lock().unwrap()
    }
}

async fn answer(mut stream: UnixStream, temper: Temper, keys: Vec<PrivateKey>, signed: Arc<Mutex<usize>>) {
    while let Ok(length) = stream.read_u32().await {
        let mut question = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut question).await.unwrap();
        let reply = match (temper, question[0]) {
            (Temper::Garbled, _) => b"HTTP/1.1 400 Bad Request".to_vec(),
            (_, 11) => identities(&keys),
            (Temper::Good, 13) => {
                *signed.lock().unwrap() += 1;
                signature(&keys, &question[1..])
            }
            _ => vec![5],
        };
        stream.write_u32(u32::try_from(reply.len()).unwrap()).await.unwrap();
        stream.write_all(&reply).await.unwrap();
    }
}

fn identities(keys: &[PrivateKey]) -> Vec<u8> {
    let mut reply = vec![12];
    u32::try_from(keys.len()).unwrap().encode(&mut reply).unwrap();
    for key in keys {
        key.public_key().to_bytes().unwrap().encode(&mut reply).unwrap();
        "a comment".encode(&mut reply).unwrap();
    }
    reply
}

fn signature(keys: &[PrivateKey], mut question: &[u8]) -> Vec<u8> {
    fn string<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
        let (length, rest) = bytes.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap());
        let (string, rest) = rest.split_at(usize::try_from(length).unwrap());
        *bytes = rest;
        string
    }
    let (blob, data) = (string(&mut question), string(&mut question));
    let key = keys.iter().find(|key| key.public_key().to_bytes().unwrap() == blob).unwrap();
    let signature: Signature = Signer::sign(key, data);
    let signature = Vec::try_from(signature).unwrap();
    let mut reply = vec![14];
    signature.encode(&mut reply).unwrap();
    reply
}

fn with_agent(socket: &Path, public_key: Option<&PrivateKey>, password: Option<&str>) -> Credential {
    let public_key = public_key.map(|key| key.public_key().to_openssh().unwrap());
    Credential { agent: Some(Agent { socket: socket.to_owned(), public_key }), ..credential(password, None) }
}

/// A server that takes that key, and passwords.
async fn server_for(key: &PrivateKey) -> Server {
    let authorized = Some(key.public_key().clone());
    Server::start(Setup { authorized, methods: vec![PublicKey, Password], ..Setup::new(Manner::Usual) }).await
}

async fn visit(credential: Credential, server: &Server) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let (device, mut trace) = (device_at(server.address), Trace::begin());
    let errand = Errand::by_exec(["show version".to_owned()]);
    let result = transport.visit(&device, &errand, &mut trace).await;
    (result, trace)
}

#[tokio::test]
async fn the_only_key_of_an_agent_logs_in() {
    let key = key_of(Algorithm::Ed25519);
    let (agent, server) = (TestAgent::start(Temper::Good, &[&key]), server_for(&key).await);
    let (result, trace) = visit(with_agent(&agent.socket, None, None), &server).await;
    assert_eq!(result.unwrap(), ["Version 1.0\n"]);
    assert!(trace.notes.iter().any(|note| note == "logged in by public key"), "{:?}", trace.notes);
    assert_eq!((agent.signed(), server.seen().keys, server.seen().secrets()), (1, 1, 0));
}

#[tokio::test]
async fn of_several_keys_only_the_one_that_is_named_is_shown() {
    let (key, other) = (key_of(Algorithm::Ed25519), key_of(Algorithm::Ed25519));
    let (agent, server) = (TestAgent::start(Temper::Good, &[&other, &key]), server_for(&key).await);
    visit(with_agent(&agent.socket, Some(&key), None), &server).await.0.unwrap();
    assert_eq!(agent.signed(), 1);

    let error = visit(with_agent(&agent.socket, None, None), &server).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Internal, Stage::Auth));
    assert!(error.detail.contains("it holds 2 keys: name the one that is meant"), "{}", error.detail);
    assert_eq!((agent.signed(), server.seen().keys), (1, 1), "none was shown");
}

#[tokio::test]
async fn many_visits_at_once_share_an_agent() {
    let key = key_of(Algorithm::Ed25519);
    let (agent, server) = (TestAgent::start(Temper::Good, &[&key]), server_for(&key).await);
    let folder = tempfile::tempdir().unwrap();
    let transport =
        SshTransport::new(settings(with_agent(&agent.socket, None, None), folder.path())).unwrap();
    let (transport, device) = (Arc::new(transport), device_at(server.address));
    let visits = (0..40).map(|_| {
        let (transport, device) = (Arc::clone(&transport), device.clone());
        tokio::spawn(async move {
            let errand = Errand::by_exec(["show version".to_owned()]);
            transport.visit(&device, &errand, &mut Trace::begin()).await
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.unwrap().unwrap();
    }
    assert_eq!(agent.signed(), 40);
}

#[tokio::test]
async fn without_its_agent_a_visit_goes_by_the_password_once() {
    let key = key_of(Algorithm::Ed25519);
    let refusing = TestAgent::start(Temper::RefusesToSign, &[&key]);
    let empty = TestAgent::start(Temper::Good, &[]);
    let garbled = TestAgent::start(Temper::Garbled, &[]);
    for (socket, why) in [
        (Path::new("/nonexistent/agent"), "ssh-agent at /nonexistent/agent: no such socket: is it running?"),
        (&refusing.socket, "it refused to sign: is it locked"),
        (&empty.socket, "it holds no key, or is locked"),
        (&garbled.socket, "ssh-agent at"),
    ] {
        let server = server_for(&key).await;
        let (result, trace) = visit(with_agent(socket, None, Some(PASSWORD)), &server).await;
        result.unwrap();
        let told = |note: &String| note.contains(why) && note.ends_with("; the password is used");
        assert!(trace.notes.iter().any(told), "{why}: {:?}", trace.notes);
        assert_eq!((server.seen().keys, server.seen().secrets()), (0, 1), "{why}");

        let error = visit(with_agent(socket, None, None), &server).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Internal, Stage::Auth), "{}", error.detail);
        assert!(error.detail.contains(why) && error.detail.contains("credential lab"), "{}", error.detail);
        assert_eq!((server.seen().connections, server.seen().secrets()), (2, 1), "{why}");
        server.all_closed().await;
    }
}

#[test]
fn a_public_key_that_is_none_is_told_at_the_start() {
    let agent = Agent { socket: "/run/agent".into(), public_key: Some("ssh-ed25519 AAAA".to_owned()) };
    let folder = tempfile::tempdir().unwrap();
    let credential = Credential { agent: Some(agent), ..credential(None, None) };
    let errors = SshTransport::new(settings(credential, folder.path())).unwrap_err();
    let [SshSetupError::Credential { problem, .. }] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(*problem, SetupProblem::BadPublicKey);
}
