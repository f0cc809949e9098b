//! Compliance lost and regained: told exactly once, across restarts, reloads and the passing of time, and never for what
//! was not known before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::{Judgement, Note};
use versweep::change::ChangeKind;
use versweep::clock::ManualClock;
use versweep::device::Device;
use versweep::diff::FlapRules;
use versweep::failure::FailureKind;
use versweep::known::{PolicyResult, PolicyStanding};
use versweep::metrics::{Cut, Encoding, Exporter};
use versweep::observation::Observation;
use versweep::recorder::{Recorder, RecorderHandle};
use versweep::store::{Reader, Store};

use crate::fleet;
use crate::policy::policies;
use crate::visits::{answered, at, device, failed, judgement};

const APPROVED: &str = "[[policy]]\nname = 'p'\napproved = '17.9.*'\nmax_age = '1d'\n";

/// A recorder that is started again and again on one store.
struct Place {
    _folder: TempDir,
    path: PathBuf,
    clock: ManualClock,
    running: Option<RecorderHandle>,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versweep.db");
        Self { _folder: folder, path, clock: ManualClock::new(at(0)), running: None }
    }

    /// Starts it anew with these policies and the devices `a` and `b`.
    async fn start(&mut self, text: &str) {
        self.stop().await;
        let (store, loaded) = Store::open(&self.path).unwrap();
        let judgement = Judgement { policies: policies(text), ..judgement() };
        self.running = Some(Recorder::start(store, loaded, judgement, Arc::new(self.clock.clone())));
        self.note(Note::Inventory(vec![device("a"), device("b")])).await;
        self.flush().await;
    }

    async fn stop(&mut self) {
        if let Some(recorder) = self.running.take() {
            drop(recorder.notes);
            recorder.done.await.unwrap().unwrap();
        }
    }

    fn recorder(&self) -> &RecorderHandle {
        self.running.as_ref().unwrap()
    }

    async fn note(&self, note: Note) {
        self.recorder().notes.send(note).await.unwrap();
    }

    async fn visit(&self, observation: Observation) {
        self.note(Note::Visited(Box::new(observation))).await;
        self.flush().await;
    }

    async fn flush(&self) {
        let (sender, answer) = oneshot::channel();
        self.note(Note::Flush(sender)).await;
        answer.await.unwrap();
    }

    /// What was told of policies so far: `lost p approved>drifted`, oldest first, as another program reads it.
    fn told(&self) -> Vec<String> {
        told(&self.path).into_iter().map(|(text, _)| text).collect()
    }

    /// How `a` stands by the policy of that name.
    fn standing(&self, policy: &str) -> Option<PolicyStanding> {
        let snapshot = self.recorder().snapshot.load_full();
        snapshot.devices[0].known.standings.iter().find(|standing| standing.policy.name == policy).cloned()
    }

    fn complies(&self) -> Option<bool> {
        self.standing("p").unwrap().complies
    }
}

fn told(path: &Path) -> Vec<(String, String)> {
    let mut changes = Reader::open(path).unwrap().changes(None, 999).unwrap();
    changes.reverse();
    let text = |stored: versweep::store::StoredChange| {
        let change = stored.change;
        let word = match change.kind {
            ChangeKind::PolicyLost => "lost",
            ChangeKind::PolicyRegained => "regained",
            _ => return None,
        };
        Some((format!("{word} {} {}>{}", change.subject, change.before, change.after), change.why))
    };
    changes.into_iter().filter_map(text).collect()
}

#[tokio::test]
async fn lost_and_regained_are_told_once_each_by_the_visit_that_found_it() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    assert_eq!(place.complies(), Some(true));
    for second in 2..5 {
        place.visit(answered("a", second, "17.12.3")).await;
    }
    assert_eq!((place.told(), place.complies()), (vec!["lost p approved>drifted".into()], Some(false)));
    let changes = Reader::open(&place.path).unwrap().changes(None, 9).unwrap();
    let lost = changes.iter().find(|stored| stored.change.kind == ChangeKind::PolicyLost).unwrap();
    let upgrade = changes.iter().find(|stored| stored.change.kind == ChangeKind::Upgrade).unwrap();
    assert_eq!((lost.change.sweep, lost.change.at), (upgrade.change.sweep, upgrade.change.at));
    assert_eq!(lost.change.why, "17.12.3 is not among the approved versions");
    place.visit(answered("a", 6, "17.9.5")).await;
    assert_eq!(place.told(), ["lost p approved>drifted", "regained p drifted>approved"]);
    place.stop().await;
}

/// The state that decides it is committed with the event.
#[tokio::test]
async fn a_restart_neither_repeats_nor_forgets() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    place.start(APPROVED).await;
    place.visit(answered("a", 2, "17.12.3")).await;
    place.start(APPROVED).await;
    assert_eq!((place.told().len(), place.complies()), (1, Some(false)));
    place.visit(answered("a", 3, "17.12.3")).await;
    place.start(APPROVED).await;
    place.visit(answered("a", 4, "17.9.4")).await;
    assert_eq!(place.told(), ["lost p approved>drifted", "regained p drifted>approved"]);
    place.stop().await;
}

#[tokio::test]
async fn who_is_seen_for_the_first_time_has_lost_nothing() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.12.3")).await;
    assert_eq!((place.told(), place.complies()), (Vec::new(), Some(false)));
    // Neither does a policy that comes later make anybody lose what nobody asked for.
    let later = "[[policy]]\nname = 'q'\nminimum = '99.1.1'\n";
    place.start(&format!("{APPROVED}{later}")).await;
    assert_eq!(place.told(), Vec::<String>::new());
    assert_eq!(place.standing("q").unwrap().complies, Some(false));
    place.visit(answered("a", 2, "17.9.4")).await;
    assert_eq!(place.told(), ["regained p drifted>approved"]);
    place.stop().await;
}

#[tokio::test]
async fn no_answer_is_no_loss_and_old_facts_say_nothing() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    place.clock.advance(Duration::from_secs(80_000));
    place.visit(failed("a", 80_000, FailureKind::Timeout)).await;
    assert_eq!(place.complies(), Some(true));
    place.clock.advance(Duration::from_secs(10_000));
    // Nothing happens to the device; time alone makes its facts old.
    place.flush().await;
    let standing = place.standing("p").unwrap();
    assert_eq!((standing.verdict.result, standing.complies), (PolicyResult::Stale, None));
    place.visit(answered("a", 90_000, "17.12.3")).await;
    assert_eq!(place.told(), ["lost p approved>drifted"], "what it was before it grew old is not forgotten");
    place.stop().await;
}

#[tokio::test]
async fn a_changed_policy_gives_its_grace_and_then_tells() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    place.visit(answered("b", 1, "17.6.1")).await;
    let changed = "[[policy]]\nname = 'p'\napproved = '17.12.*'\ngrace = '1h'\n";
    place.note(Note::Policies(policies(changed))).await;
    place.flush().await;
    assert_eq!((place.told(), place.complies()), (Vec::new(), Some(true)), "drifted, within the grace");
    assert_eq!(place.standing("p").unwrap().verdict.result, PolicyResult::Drifted);
    let of_b = || place.recorder().snapshot.load().devices[1].known.standings[0].complies;
    assert_eq!(of_b(), Some(false), "who was in breach before has no new grace");
    // The grace is counted from the change, whatever is started anew in between.
    place.clock.advance(Duration::from_secs(3_000));
    place.start(changed).await;
    assert_eq!((place.told(), place.complies()), (Vec::new(), Some(true)));
    place.clock.advance(Duration::from_secs(601));
    place.flush().await;
    assert_eq!((place.told(), place.complies()), (vec!["lost p drifted>drifted".into()], Some(false)));
    assert!(told(&place.path)[0].1.contains("; the policy's grace ended 2026-"), "{:?}", told(&place.path));
    place.stop().await;
}

/// When the next policy begins was reckoned by the clock of before.
#[tokio::test]
async fn a_policy_begins_by_the_clock_that_was_set_back() {
    let mut place = Place::new();
    let (hour, days) = (Duration::from_secs(3_600), Duration::from_secs(2 * 86_400));
    let begins = at(3_600).to_rfc3339();
    let later = format!("[[policy]]\nname = 'q'\nminimum = '99.1.1'\nvalid_from = {begins}\n");
    place.clock.advance(days);
    place.start(&format!("{APPROVED}{later}")).await;
    place.visit(answered("a", 2 * 86_400, "17.9.4")).await;
    assert_eq!(place.standing("q").unwrap().complies, Some(false));
    place.clock.set(at(0));
    place.flush().await;
    assert!(place.standing("q").is_none(), "not yet");
    place.clock.advance(hour);
    place.flush().await;
    assert_eq!(place.standing("q").unwrap().complies, Some(false));
    place.stop().await;
}

#[tokio::test]
async fn a_ban_has_no_grace() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    let banned =
        format!("{APPROVED}grace = '30d'\nbanned = [{{version = '17.9.4', reason = 'CVE-2026-1'}}]\n");
    place.note(Note::Policies(policies(&banned))).await;
    place.flush().await;
    let all = told(&place.path);
    assert_eq!(all[0].0, "lost p approved>banned");
    assert_eq!(all[0].1, "17.9.4 is banned: CVE-2026-1; the policy has changed");
    place.stop().await;
}

/// A reload brings new policies and a new inventory one after the other. Judged between the two, this device would seem
/// to break the policy of its old role.
#[tokio::test]
async fn policies_and_labels_that_change_together_are_judged_together() {
    let by_role = |old: &str, new: &str| {
        format!(
            "[[policy]]\nname = 'p'\nselect = {{ role = '{old}' }}\napproved = '17.9.*'\n\
             [[policy]]\nname = 'q'\nselect = {{ role = '{new}' }}\napproved = '17.12.*'\n"
        )
    };
    let labelled = |role: &str| {
        let labels = [("role".to_owned(), role.to_owned())].into_iter().collect();
        vec![Arc::new(Device { labels, ..(*device("a")).clone() })]
    };
    let mut place = Place::new();
    place.start(&by_role("core", "edge")).await;
    place.note(Note::Inventory(labelled("core"))).await;
    place.visit(answered("a", 1, "17.9.4")).await;
    assert_eq!(place.complies(), Some(true));
    let reloaded = Judgement { policies: policies(&by_role("edge", "core")), ..judgement() };
    place.note(Note::Judgement(reloaded)).await;
    place.flush().await;
    place.visit(answered("a", 2, "17.9.4")).await;
    place.note(Note::Inventory(labelled("edge"))).await;
    place.flush().await;
    assert_eq!((place.told(), place.complies()), (Vec::new(), Some(true)));
    place.stop().await;
}

/// A device that changes to and fro is one `flapping`, and no lost and regained beside it.
#[tokio::test]
async fn a_flapping_device_is_judged_when_it_is_calm() {
    let mut place = Place::new();
    place.start(APPROVED).await;
    let flapping = FlapRules { changes: 3, window: chrono::TimeDelta::seconds(60) };
    place.note(Note::Judgement(Judgement { flapping, policies: policies(APPROVED), ..judgement() })).await;
    for (second, version) in (1..8).zip(["17.9.4", "17.12.3"].into_iter().cycle()) {
        place.visit(answered("a", second, version)).await;
    }
    assert_eq!(place.told(), ["lost p approved>drifted", "regained p drifted>approved"], "before it flapped");
    place.visit(answered("a", 8, "17.12.3")).await;
    assert_eq!(place.complies(), Some(false), "the metric is never held back");
    place.visit(answered("a", 90, "17.12.3")).await;
    assert_eq!(place.told().last().unwrap(), "lost p approved>drifted", "told once it is calm");
    assert_eq!(place.told().len(), 3);
    place.stop().await;
}

#[tokio::test]
async fn metrics_show_who_complies_and_counts_by_result() {
    let mut place = Place::new();
    place
        .start(&format!(
            "{APPROVED}[[policy]]\nname = 'q'\nselect = {{ device = 'b' }}\nminimum = '17.1.1'\n"
        ))
        .await;
    place.visit(answered("a", 1, "17.12.3")).await;
    place.visit(answered("b", 1, "17.9.4")).await;
    let snapshot = place.recorder().snapshot.load_full();
    let (live, cut) = (fleet::live(at(2)), Cut::default());
    let page = |exporter: Exporter| {
        let (snapshot, live, cut) = (Arc::clone(&snapshot), live.clone(), cut.clone());
        async move {
            String::from_utf8(exporter.page(&snapshot, &live, &cut, Encoding::Identity).await.unwrap())
                .unwrap()
        }
    };
    let whole = page(Exporter::new(&[], true)).await;
    for series in [
        "versweep_device_compliant{device=\"a\",policy=\"p\"} 0\n",
        "versweep_device_compliant{device=\"b\",policy=\"p\"} 1\n",
        "versweep_device_compliant{device=\"b\",policy=\"q\"} 1\n",
        "versweep_policy_devices{policy=\"p\",result=\"approved\"} 1\n",
        "versweep_policy_devices{policy=\"p\",result=\"drifted\"} 1\n",
        "versweep_policy_devices{policy=\"q\",result=\"banned\"} 0\n",
    ] {
        assert!(whole.contains(series), "{series}{whole}");
    }
    assert_eq!(whole.matches("versweep_device_compliant{").count(), 3, "only devices that a policy covers");
    assert_eq!(whole.matches("versweep_policy_devices{").count(), 12);
    let without = page(Exporter::new(&[], false)).await;
    assert!(!without.contains("versweep_device_compliant") && without.contains("versweep_policy_devices{"));
    place.stop().await;
}
