//! How events come to their sinks: signed, in order for each device, again after a failure, given up in the end, and asked
//! for again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use versweep::clock::{ManualClock, SystemClock};
use versweep::courier::{self, CourierHandle, DigestRule, Setup};
use versweep::device::Labels;
use versweep::event::{Route, Severity, Template};
use versweep::fetch::{Manners, Peer, Reach, Roots, Signer, Target};
use versweep::known::Known;
use versweep::sink::{Command, Journal, Jsonl, Sink, Slack, Webhook};
use versweep::store::{Again, Batch, Held, Letter, LetterState, MailRoom, News, Outbox, Settled, Store};

use crate::receiver::{Received, Receiver};
use crate::sinks::{commit, lines, store_with};
use crate::store::visits;
use crate::visits::{answered, at, id, sweep_ended, sweep_id};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn peer(url: &str) -> Peer {
    let timeout = Duration::from_secs(30);
    let manners = Manners { timeout, max_bytes: 1000, reach: Reach::Anywhere, roots: Roots::System };
    Peer { target: Target::parse(url).unwrap(), manners, login: None }
}

fn webhook(receiver: &Receiver) -> Setup {
    let signers = vec![Signer::parse(&SECRET.to_owned().into()).unwrap()];
    let webhook = Webhook::new(peer(&receiver.url()), signers, "/test").unwrap();
    Setup::plain("test", Sink::Webhook(Box::new(webhook)))
}

/// A courier that goes on until its news are dropped.
fn start(setup: Setup, store: &Path, sequence: i64) -> (watch::Sender<i64>, CourierHandle) {
    let (news, seen) = watch::channel(sequence);
    (news, courier::start(setup, store, seen, Arc::new(SystemClock)).unwrap())
}

/// Waits until the sink has all, and ends the courier.
async fn until_all_is_there((news, mut courier): (watch::Sender<i64>, CourierHandle)) -> CourierHandle {
    courier.status.wait_for(|status| status.pending == 0).await.unwrap();
    drop(news);
    (&mut courier.done).await.unwrap();
    courier
}

fn said(bodies: &[serde_json::Value], device: &str) -> Vec<String> {
    let of = bodies.iter().filter(|body| body["subject"] == device);
    of.map(|body| body["data"]["after"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_webhook_is_told_signed_cloud_events() {
    let receiver = Receiver::start(|_| "204 No Content".to_owned());
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["17.9.4", "17.12.3"]);
    until_all_is_there(start(webhook(&receiver), &db, sequence)).await;
    let [told] = &receiver.all()[..] else { panic!("one request") };
    assert_eq!(told.header("content-type"), Some("application/cloudevents+json; charset=utf-8"));
    let (id, time) = (told.header("webhook-id").unwrap(), told.header("webhook-timestamp").unwrap());
    assert!(!id.contains('.') && id == versweep::fetch::message_id(told.json()["id"].as_str().unwrap()));
    let signer = Signer::parse(&SECRET.to_owned().into()).unwrap();
    let signature = signer.sign(id, time.parse().unwrap(), &told.body);
    assert_eq!(told.header("webhook-signature"), Some(signature.as_str()));
    assert_eq!(
        (&told.json()["type"], &told.json()["specversion"]),
        (&"versweep.change.upgrade".into(), &"1.0".into())
    );
}

/// One event is refused twice: those of its device wait behind it, those of others don't, and each comes once.
#[tokio::test]
async fn a_refused_event_holds_its_device_and_no_other() {
    let refusals = AtomicUsize::new(0);
    let receiver = Receiver::start(move |received: &Received| {
        let bad = received.json()["subject"] == "core1.ams" && received.json()["data"]["after"] == "2";
        if bad && refusals.fetch_add(1, Ordering::SeqCst) < 2 {
            "400 No".to_owned()
        } else {
            "200 OK".to_owned()
        }
    });
    let folder = TempDir::new().unwrap();
    let (mut store, db, _) = store_with(&folder, &["1", "2", "3", "4"]);
    let sequence = commit(&mut store, "core2.ams", &["1", "2"]);
    let courier = until_all_is_there(start(webhook(&receiver), &db, sequence)).await;
    let taken = receiver.taken();
    assert_eq!(said(&taken, "core1.ams"), ["2", "3", "4"], "in order");
    assert_eq!(taken[0]["subject"], "core2.ams", "nobody else waits");
    let status = courier.status.borrow();
    assert_eq!((status.deliveries, status.dead, receiver.all().len()), (4, 0, 6));
    let ids: std::collections::HashSet<_> = receiver
        .all()
        .iter()
        .filter(|r| r.json()["subject"] == "core1.ams")
        .map(|r| r.header("webhook-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3, "one identity however often it is tried");
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let times = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match times.fetch_add(1, Ordering::SeqCst) {
        0 => "429 Later\r\nRetry-After: 2".to_owned(),
        _ => "200 OK".to_owned(),
    });
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2", "3"]);
    let began = tokio::time::Instant::now();
    let courier = until_all_is_there(start(webhook(&receiver), &db, sequence)).await;
    // Without the header the first pause is at most one second.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((courier.status.borrow().failures, receiver.taken().len()), (1, 2));
}

/// An event that was tried for a day is given up, the next of its device has its turn, and it can be asked for again.
#[tokio::test]
async fn what_is_refused_for_a_day_is_given_up_listed_and_told_again() {
    let receiver = Receiver::start(|received: &Received| match received.json()["data"]["after"].as_str() {
        Some("2") if received.header("webhook-id").is_some() => "422 Never".to_owned(),
        _ => "200 OK".to_owned(),
    });
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2", "3"]);
    // Nearly a day has passed.
    let waited = Duration::from_secs(24 * 3600) - Duration::from_millis(1);
    let held = Held { sequence: 1, of: id("core1.ams").into(), tries: 70, waited };
    let letter = Letter { held, error: "no".to_owned(), dead: false };
    settle(&db, Settled { passed: 1, letters: vec![letter], ..settled() });
    let courier = until_all_is_there(start(webhook(&receiver), &db, sequence)).await;
    assert_eq!(said(&receiver.taken(), "core1.ams"), ["3"]);
    let status = courier.status.borrow().clone();
    assert_eq!((status.dead, status.kept, status.dropped, status.deliveries), (1, 1, 0, 1));

    let mut room = MailRoom::open(&db).unwrap();
    let [dead] = &room.undelivered("test", 10).unwrap()[..] else { panic!("one letter") };
    assert_eq!(
        (dead.state, dead.tries, dead.error.as_str()),
        (LetterState::Dead, 71, "the server answered 422")
    );
    assert!(dead.dead_at.is_some());
    let event = dead.event.id();
    assert_eq!(room.again("test", &Again::Ids(vec!["no:such:event".to_owned()])).unwrap(), 0);
    assert_eq!(room.again("test", &Again::Ids(vec![event.clone()])).unwrap(), 1);

    let healed = Receiver::start(|_| "200 OK".to_owned());
    let courier = until_all_is_there(start(webhook(&healed), &db, sequence)).await;
    assert_eq!(healed.taken()[0]["id"], event.as_str());
    assert_eq!(courier.status.borrow().kept, 0);

    // Everything of a time, also what was delivered.
    assert_eq!(room.again("test", &Again::Between(at(0), at(1000))).unwrap(), 2);
    let again = Receiver::start(|_| "200 OK".to_owned());
    until_all_is_there(start(webhook(&again), &db, sequence)).await;
    assert_eq!(said(&again.taken(), "core1.ams"), ["2", "3"], "in order");
}

fn settled() -> Settled {
    let (letters, done, waited) = (Vec::new(), Vec::new(), Duration::ZERO);
    Settled { passed: 0, delivered: 0, letters, done, waited, now: at(0) }
}

fn settle(db: &Path, settled: Settled) {
    Outbox::open(db, "test").unwrap().settle(&settled).unwrap();
}

/// A disk that is full for a night: what a sink took is not told to it again at each try because the store can't note it.
#[tokio::test(start_paused = true)]
async fn what_a_sink_took_is_told_once_though_the_store_takes_no_note_of_it() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2", "3"]);
    let other = rusqlite::Connection::open(&db).unwrap();
    // Nothing of a sink's books can be written; all can be read.
    let full = "CREATE TRIGGER full BEFORE UPDATE ON sink BEGIN SELECT RAISE(FAIL, 'no room'); END";
    other.execute_batch(full).unwrap();
    let path = folder.path().join("events.jsonl");
    let setup = Setup::plain("test", Sink::jsonl(Jsonl::new(&path, None, "/test")));
    let (news, mut courier) = start(setup, &db, sequence);
    courier.status.wait_for(|status| status.failures >= 5).await.unwrap();
    other.execute_batch("DROP TRIGGER full").unwrap();
    let courier = until_all_is_there((news, courier)).await;
    assert_eq!((lines(&path).len(), courier.status.borrow().deliveries), (2, 2));
}

/// A sink that is down for a day: what is older is given up, what is younger waits on, and a clock that is set does nothing
/// by itself.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_for_a_day_loses_what_is_as_old() {
    let folder = TempDir::new().unwrap();
    let (mut store, db, _) = store_with(&folder, &["1", "2"]);
    let day = Duration::from_secs(24 * 3600);
    let clock = ManualClock::new(at(0));
    let down = || Setup::plain("test", Sink::journal(Journal::new(&folder.path().join("nobody"))));
    let (_news, seen) = watch::channel(1);
    // A clock that jumps by a year: the sink was tried for a moment only.
    clock.advance(365 * day);
    let mut courier = courier::start(down(), &db, seen.clone(), Arc::new(clock.clone())).unwrap();
    courier.status.wait_for(|status| status.failures >= 5).await.unwrap();
    assert_eq!(courier.status.borrow().dead, 0);
    courier.stop.cancel();
    courier.done.await.unwrap();

    clock.set(at(24 * 3600 + 10));
    // The second one happens later, at(20); the first at(2).
    let mut known = Known::default();
    store.commit(&visits(&mut known, [answered("young", 19, "1"), answered("young", 20, "2")])).unwrap();
    settle(&db, Settled { waited: day - Duration::from_secs(1), ..settled() });
    let mut courier = courier::start(down(), &db, seen, Arc::new(clock)).unwrap();
    courier.status.wait_for(|status| status.dead > 0).await.unwrap();
    let status = courier.status.borrow().clone();
    assert_eq!((status.dead, status.pending > 0), (1, true), "{status:?}");
    let room = MailRoom::open(&db).unwrap();
    let states: Vec<_> =
        room.undelivered("test", 10).unwrap().into_iter().map(|u| (u.state, u.event.change.of)).collect();
    assert_eq!(states[0], (LetterState::Dead, id("core1.ams").into()));
    assert!(
        states[1..]
            .iter()
            .all(|(state, device)| (*state, device) == (LetterState::Pending, &id("young").into()))
    );
    courier.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_given_up_from_the_oldest() {
    let folder = TempDir::new().unwrap();
    let versions: Vec<_> = (0..31).map(|number| number.to_string()).collect();
    let (_store, db, sequence) =
        store_with(&folder, &versions.iter().map(String::as_str).collect::<Vec<_>>());
    let sink = Sink::journal(Journal::new(&folder.path().join("nobody")));
    let setup = Setup { max_pending: 10, ..Setup::plain("test", sink) };
    let (_news, mut courier) = start(setup, &db, sequence);
    courier.status.wait_for(|status| status.dead > 0).await.unwrap();
    let status = courier.status.borrow().clone();
    assert_eq!((status.dead, status.pending), (20, 10));
    assert_eq!(Outbox::open(&db, "test").unwrap().next(100).unwrap()[0].sequence, 21);
    courier.stop.cancel();
}

/// A store with the changes of one sweep: devices of two sites go from 1 to 2, one to 3.
fn campaign(folder: &TempDir, ended: bool) -> (Store, PathBuf) {
    let path = folder.path().join("versweep.db");
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&["test"]).unwrap();
    let mut batch = Batch::default();
    for number in 0..9 {
        let device = format!("sw{number}");
        let site = if number < 6 { "ams" } else { "lon" };
        let labels: Labels = [("site".to_owned(), site.to_owned())].into_iter().collect();
        let mut known = Known::default();
        let after = if number == 8 { "3" } else { "2" };
        let mut second = answered(&device, 500, after);
        second.sweep = sweep_id(500);
        let mut visits = visits(&mut known, [answered(&device, number, "1"), second]).visits;
        visits.iter_mut().for_each(|visit| visit.labels = Some(labels.clone()));
        batch.visits.extend(visits);
    }
    batch.sweeps = vec![sweep_ended(500, 9)];
    if !ended {
        batch.sweeps[0].ended = None;
    }
    store.commit(&batch).unwrap();
    (store, path)
}

fn upgrades() -> Route {
    Route { severity: Severity::Notice, ..Route::default() }
}

#[tokio::test]
async fn many_alike_are_one_message_at_the_end_of_their_sweep() {
    let folder = TempDir::new().unwrap();
    let (mut store, db) = campaign(&folder, false);
    let file = folder.path().join("events.jsonl");
    let setup = || Setup {
        route: upgrades(),
        digest: Some(DigestRule { more_than: 5, label: "site".to_owned() }),
        ..Setup::plain("test", Sink::jsonl(Jsonl::new(&file, None, "/test")))
    };
    let (news, courier) = start(setup(), &db, 9);
    drop(news);
    courier.done.await.unwrap();
    assert!(!file.exists(), "the sweep is still on");

    store.commit(&Batch { sweeps: vec![sweep_ended(500, 9)], ..Batch::default() }).unwrap();
    until_all_is_there(start(setup(), &db, 9)).await;
    let told = lines(&file);
    let messages: Vec<_> = told.iter().map(|line| line["data"]["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        ["8 x C9300-48P upgrade 1 -> 2 (site ams: 6, lon: 2)", "sw8 was upgraded from 1 to 3"]
    );
    assert_eq!((&told[0]["type"], &told[0]["data"]["count"]), (&"versweep.digest.upgrade".into(), &8.into()));
    assert_eq!(told[0].get("subject"), None);
}

#[tokio::test]
async fn a_sink_is_told_what_is_routed_to_it() {
    let folder = TempDir::new().unwrap();
    let (mut store, db) = campaign(&folder, true);
    // A device that is in no inventory any more keeps the labels of its last visit.
    let change = versweep::change::Change {
        of: id("sw7").into(),
        sweep: None,
        at: at(600),
        kind: versweep::change::ChangeKind::Removed,
        subject: String::new(),
        before: String::new(),
        after: String::new(),
        why: String::new(),
        confirmed: true,
    };
    store.commit(&Batch { news: vec![(0, News::Change(change))], ..Batch::default() }).unwrap();
    let file = folder.path().join("events.jsonl");
    let mut route = upgrades();
    route.select.0.insert("site".to_owned(), vec!["lon".to_owned()]);
    let setup = Setup { route, ..Setup::plain("test", Sink::jsonl(Jsonl::new(&file, None, "/test"))) };
    until_all_is_there(start(setup, &db, 10)).await;
    let told: Vec<_> = lines(&file)
        .iter()
        .map(|line| format!("{} {}", line["data"]["kind"], line["data"]["device"]))
        .collect();
    assert_eq!(
        told,
        [r#""upgrade" "sw6""#, r#""upgrade" "sw7""#, r#""upgrade" "sw8""#, r#""removed" "sw7""#]
    );
}

#[tokio::test]
async fn a_chat_is_told_text_that_nothing_acts_in() {
    let receiver = Receiver::start(|_| "200 OK".to_owned());
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "<!channel> & 2"]);
    let text = Template::parse("*{severity}* {message}").unwrap();
    let slack = Slack::new(peer(&receiver.url()), text).unwrap();
    until_all_is_there(start(Setup::plain("test", Sink::Slack(Box::new(slack))), &db, sequence)).await;
    assert_eq!(
        receiver.taken()[0]["text"],
        "*notice* core1.ams was upgraded from 1 to &lt;!channel&gt; &amp; 2"
    );
}

fn command(argv: &[&str], limit: Duration) -> Setup {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    Setup::plain("test", Sink::Command(Command::new(argv, limit, "/test")))
}

#[tokio::test]
async fn a_command_reads_the_event_and_sees_no_shell_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2"]);
    let file = folder.path().join("a b; touch $HOME");
    let argv = ["dd", "status=none", &format!("of={}", file.display())];
    until_all_is_there(start(command(&argv, Duration::from_secs(30)), &db, sequence)).await;
    assert_eq!(lines(&file)[0]["type"], "versweep.change.upgrade");

    assert_eq!(MailRoom::open(&db).unwrap().again("test", &Again::Between(at(0), at(1000))).unwrap(), 1);
    let seen = folder.path().join("environment");
    let argv = ["sh", "-c", &format!("env > {}", seen.display())];
    until_all_is_there(start(command(&argv, Duration::from_secs(30)), &db, sequence)).await;
    let environment = std::fs::read_to_string(&seen).unwrap();
    let names: Vec<_> =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{environment}");
}

#[tokio::test]
async fn a_command_that_fails_or_hangs_is_ended_and_tried_again() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2"]);
    let refused = async |argv: &[&str], limit: Duration| {
        let (_news, mut courier) = start(command(argv, limit), &db, sequence);
        courier.status.wait_for(|status| status.failures > 0).await.unwrap();
        courier.stop.cancel();
        courier.done.await.unwrap();
        MailRoom::open(&db).unwrap().undelivered("test", 1).unwrap()[0].error.clone()
    };
    let error = refused(&["sh", "-c", "echo no such thing >&2; exit 3"], Duration::from_secs(30)).await;
    assert_eq!(error, "exit status: 3: no such thing");
    // It leaves a child behind that would go on for an hour.
    let pid = folder.path().join("pid");
    let script = format!("sleep 3600 & echo $! > {}; wait", pid.display());
    let error = refused(&["sh", "-c", &script], Duration::from_secs(1)).await;
    assert_eq!(error, "not done within 1s, ended");
    let child = std::fs::read_to_string(&pid).unwrap();
    crate::daemon::eventually("the child is gone", || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
    let (_news, mut courier) = start(command(&["/no/such/program"], Duration::from_secs(1)), &db, sequence);
    courier.status.wait_for(|status| status.failures > 0).await.unwrap();
    courier.stop.cancel();
}
