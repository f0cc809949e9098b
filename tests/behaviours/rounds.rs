//! A sweep whose visits end on threads of their own looks at what has ended in rounds: it must not overlook anything by that.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use versweep::activity::{NOTES_WAITING, Note};
use versweep::clock::{Clock, Timestamp};
use versweep::device::CredentialId;
use versweep::failure::Stage;
use versweep::status::SweepStatus;
use versweep::sweep::{Engine, Lanes, Outlet, Stop, run};
use versweep::timetable::{Window, Windows};
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::gentle::{Sweep, devices, rules};

/// A clock that stands still before a window, and within it once so many devices were visited.
struct ByVisits(FakeTransport, usize);

impl Clock for ByVisits {
    fn now(&self) -> Timestamp {
        let minute = if self.0.visits().len() < self.1 { "07:59:59" } else { "08:00:00" };
        format!("2026-11-25T{minute}Z").parse().unwrap()
    }

    fn running(&self) -> Duration {
        Duration::ZERO
    }
}

/// The wait for the next minute begins anew with each visit that ends, so that the minute itself passed unseen.
#[tokio::test]
async fn a_blackout_that_begins_while_visits_end_all_the_time_is_seen() {
    let transport = FakeTransport::new().otherwise(Script::always(FakeAnswer::output("")));
    let mut sweep = Sweep::of(transport.clone());
    sweep.engine = Engine::with_rules(rules(2, &[])).on(Lanes::start(NonZeroUsize::MIN).unwrap());
    sweep.clock = Arc::new(ByVisits(transport, 10));
    sweep.blackout = Windows::new(chrono_tz::UTC, vec![Window::new("Mon-Fri 08:00-09:00").unwrap()]);
    let (notes, mut told) = mpsc::channel(NOTES_WAITING);
    let (outlet, stop) =
        (Outlet { notes, status: watch::Sender::new(SweepStatus::default()) }, Stop::default());
    let (engine, plan, drain) =
        (sweep.engine.clone(), sweep.plan("all", &devices(500, "a")), stop.drain.clone());
    let going = tokio::spawn(async move { run(&engine, plan, &outlet, &stop).await });
    while sweep.engine.status().waiting.blackout == 0 {
        assert!(!going.is_finished(), "no blackout was seen");
        tokio::task::yield_now().await;
        while told.try_recv().is_ok() {}
    }
    drain.cancel();
    assert!(!going.await.unwrap().unwrap().complete);
    let visits = sweep.transport.visits().len();
    assert!(visits < 500, "{visits}");
}

/// A breaker holds a whole fleet at once. The recorder takes none of it, and the sweep is to stop.
#[tokio::test]
async fn a_stop_is_seen_while_a_fleet_that_is_held_is_told_of() {
    let mut sweep = Sweep::of(FakeTransport::new());
    sweep.engine = Engine::with_rules(rules(2, &[])).on(Lanes::start(NonZeroUsize::MIN).unwrap());
    sweep.engine.reopen(&CredentialId::new("a").unwrap(), Duration::from_secs(3600));
    let (notes, mut told) = mpsc::channel(1);
    let (outlet, stop) =
        (Outlet { notes, status: watch::Sender::new(SweepStatus::default()) }, Stop::default());
    let (engine, plan, drain) =
        (sweep.engine.clone(), sweep.plan("all", &devices(2000, "a")), stop.drain.clone());
    let going = tokio::spawn(async move { run(&engine, plan, &outlet, &stop).await });
    let mut held = 0;
    while let Some(note) = told.recv().await {
        if matches!(note, Note::Visited(_)) {
            held += 1;
            drain.cancel();
        }
    }
    assert!(!going.await.unwrap().unwrap().complete);
    // The first, the one in the channel, the one that waited for room in it.
    assert!(held <= 3, "{held}");
}

/// All devices are handed out at once and wait for their turn to log in when the stop comes: they were not visited, and the
/// run isn't complete, though each visit that began came to its own end.
#[tokio::test]
async fn a_run_that_is_stopped_while_visits_wait_for_their_turn_is_not_complete() {
    const DEVICES: usize = 5000;
    let answer = FakeAnswer::output("").delayed(Stage::Connect, Duration::from_millis(500));
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(Script::always(answer)));
    sweep.engine = Engine::with_rules(rules(DEVICES, &[])).on(Lanes::start(NonZeroUsize::MIN).unwrap());
    let (notes, mut told) = mpsc::channel(DEVICES + 2);
    let (outlet, stop) =
        (Outlet { notes, status: watch::Sender::new(SweepStatus::default()) }, Stop::default());
    let (engine, plan, drain) =
        (sweep.engine.clone(), sweep.plan("all", &devices(DEVICES, "a")), stop.drain.clone());
    let going = tokio::spawn(async move { run(&engine, plan, &outlet, &stop).await });
    // The first answer comes long after all were handed out, and before the last one's turn.
    let mut ended = 0;
    while let Some(note) = told.recv().await {
        if matches!(note, Note::Visited(_)) {
            ended += 1;
            drain.cancel();
        }
    }
    assert!(!going.await.unwrap().unwrap().complete);
    assert_eq!(ended, sweep.transport.visits().len());
    assert!(ended < DEVICES);
}
