//! Events and those who take them in earnest: Standard Webhooks' own library and a JSON Schema validator in Python,
//! CloudEvents' SDK, the journal's catalog.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::watch;
use versweep::change::{Change, ChangeKind, Whose};
use versweep::clock::SystemClock;
use versweep::courier::{self, Setup};
use versweep::fetch::{Manners, Peer, Reach, Roots, Signer, Target};
use versweep::known::Known;
use versweep::sink::{DIGEST_ID, Sink, Webhook, message_id};
use versweep::store::{Batch, News, Store};

use crate::visits::{answered, at, id};

/// A receiver in Python that answers 204 to what all three libraries take, and else 400 and why.
struct PythonReceiver {
    child: Child,
    url: String,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl PythonReceiver {
    fn start(secret: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/support/webhook_receiver.py"))
            .arg(root.join("docs/event.schema.json"))
            .env("WEBHOOK_SECRET", secret)
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python should be installed: make target/venv/bin/fakenos");
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = said.next().expect("its address").unwrap();
        Self { child, url, said }
    }
}

impl Drop for PythonReceiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_dGhpcyBpcyBhbm90aGVyIGtleSBvZiAzMiBieXQ=";

/// A store with an event of every kind, which a sink of that name has before it.
pub(crate) fn store_with_all(folder: &TempDir, sink: &str) -> (Store, std::path::PathBuf, i64) {
    let path = folder.path().join("versweep.db");
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&[sink]).unwrap();
    let observation = answered("core1.ams", 1, "17.9.4");
    let rules = versweep::diff::Rules {
        down_after: 3,
        order: &|_, _| None,
        flapping: versweep::diff::FlapRules::OFF,
        even_clock: true,
    };
    let after = versweep::diff::apply(&Known::default(), &observation, &rules);
    let visit = versweep::store::Visit {
        device: id("core1.ams"),
        before: Known::default(),
        after,
        changes: Vec::new(),
        raw: None,
        labels: Some([("site".to_owned(), "Zürich".to_owned())].into_iter().collect()),
    };
    let change = |kind| Change {
        of: of(kind),
        sweep: None,
        at: at(2),
        kind,
        subject: String::new(),
        before: "17.9.4".into(),
        after: "17.12.3\u{1b}[31m \u{202e}".into(),
        why: "é \"quoted\"".into(),
        confirmed: true,
    };
    let news = ChangeKind::ALL.into_iter().map(|kind| (1, News::Change(change(kind))));
    let batch = Batch { visits: vec![visit], news: news.collect(), ..Batch::default() };
    let sequence = store.commit(&batch).unwrap();
    (store, path, sequence)
}

fn of(kind: ChangeKind) -> Whose {
    match kind {
        ChangeKind::SourceFailed | ChangeKind::SourceRecovered => Whose::Source("netbox".into()),
        _ => id("core1.ams").into(),
    }
}

fn setup(url: &str, secrets: &[&str]) -> Setup {
    let manners = Manners {
        timeout: std::time::Duration::from_secs(30),
        max_bytes: 1 << 16,
        reach: Reach::Anywhere,
        roots: Roots::System,
    };
    let peer = Peer { target: Target::parse(url).unwrap(), manners, login: None };
    let signers = secrets.iter().map(|secret| Signer::parse(&(*secret).to_owned().into()).unwrap()).collect();
    Setup::plain("test", Sink::Webhook(Box::new(Webhook::new(peer, signers, "/versweep").unwrap())))
}

#[tokio::test]
#[ignore = "needs Python libraries: run by make test"]
async fn a_receiver_in_python_verifies_and_reads_every_kind_of_event() {
    let folder = TempDir::new().unwrap();
    let (_store, path, sequence) = store_with_all(&folder, "test");
    let mut receiver = PythonReceiver::start(SECRET);
    // While keys are exchanged two sign, and the receiver knows one of them.
    let (news, seen) = watch::channel(sequence);
    let setup = setup(&receiver.url, &[OTHER, SECRET]);
    let mut courier = courier::start(setup, &path, seen, Arc::new(SystemClock)).unwrap();
    courier.status.wait_for(|status| status.pending == 0 || status.failures > 0).await.unwrap();
    let status = courier.status.borrow().clone();
    drop(news);
    let told: Vec<_> = (0..ChangeKind::ALL.len()).map(|_| receiver.said.next().unwrap().unwrap()).collect();
    assert_eq!((status.failures, status.deliveries), (0, ChangeKind::ALL.len() as u64), "{told:#?}");
    let wanted: Vec<_> = ChangeKind::ALL
        .into_iter()
        .map(|kind| match of(kind) {
            Whose::Device(device) => format!("versweep.change.{kind} {device} Zürich"),
            Whose::Source(source) => format!("versweep.change.{kind} {source} None"),
        })
        .collect();
    assert_eq!(told, wanted);
}

#[tokio::test]
#[ignore = "needs Python libraries: run by make test"]
async fn a_receiver_in_python_refuses_another_key() {
    let folder = TempDir::new().unwrap();
    let (_store, path, sequence) = store_with_all(&folder, "test");
    let mut receiver = PythonReceiver::start(SECRET);
    let (_news, seen) = watch::channel(sequence);
    let mut courier =
        courier::start(setup(&receiver.url, &[OTHER]), &path, seen, Arc::new(SystemClock)).unwrap();
    courier.status.wait_for(|status| status.failures > 0).await.unwrap();
    courier.stop.cancel();
    assert_eq!(receiver.said.next().unwrap().unwrap(), "refused: WebhookVerificationError");
}

/// The catalog as systemd compiles it, into a database of its own.
#[test]
#[ignore = "needs systemd: run by make test"]
fn the_journal_takes_the_catalog() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("usr/lib/systemd/catalog");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/versweep.catalog");
    std::fs::copy(ours, folder.join("versweep.catalog")).unwrap();
    let journalctl = |arguments: &[&str]| {
        let output =
            Command::new("journalctl").arg("--root").arg(root.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    journalctl(&["--update-catalog"]);
    let listed = journalctl(&["--list-catalog"]);
    for id in ChangeKind::ALL.into_iter().map(message_id).chain([DIGEST_ID]) {
        assert!(listed.contains(&format!("{id} versweep:")), "{id}:\n{listed}");
    }
}
