//! A sweep whose visits end on threads of their own looks at what has ended in rounds: it must not overlook anything by that.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use versweep::activity::{NOTES_WAITING, Note};
use versweep::clock::{Clock, Timestamp};
use versweep::device::CredentialId;
use versweep::failure::{FailureKind, Stage};
use versweep::known::SweepRecord;
use versweep::status::SweepStatus;
use versweep::sweep::{Engine, Lanes, Outlet, RecorderEnded, Stop, run};
use versweep::timetable::{Window, Windows};
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::gentle::{Sweep, devices, failures, rules};

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

fn on_a_lane(workers: usize, transport: FakeTransport) -> Sweep {
    let mut sweep = Sweep::of(transport);
    sweep.engine = Engine::with_rules(rules(workers, &[])).on(Lanes::start(NonZeroUsize::MIN).unwrap());
    sweep
}

type Going = JoinHandle<Result<SweepRecord, RecorderEnded>>;

/// A run under way, what it tells in a channel with so much room, and what stops it.
fn start(sweep: &Sweep, count: usize, room: usize) -> (Going, mpsc::Receiver<Note>, CancellationToken) {
    let (notes, told) = mpsc::channel(room);
    let outlet = Outlet { notes, status: watch::Sender::new(SweepStatus::default()) };
    let (stop, engine, plan) =
        (Stop::default(), sweep.engine.clone(), sweep.plan("all", &devices(count, "a")));
    let drain = stop.drain.clone();
    (tokio::spawn(async move { run(&engine, plan, &outlet, &stop).await }), told, drain)
}

/// The wait for the next minute begins anew with each visit that ends, so that the minute itself passed unseen.
#[tokio::test]
async fn a_blackout_that_begins_while_visits_end_all_the_time_is_seen() {
    let transport = FakeTransport::new().otherwise(Script::always(FakeAnswer::output("")));
    let mut sweep = on_a_lane(2, transport.clone());
    sweep.clock = Arc::new(ByVisits(transport, 10));
    sweep.blackout = Windows::new(chrono_tz::UTC, vec![Window::new("Mon-Fri 08:00-09:00").unwrap()]);
    let (going, mut told, drain) = start(&sweep, 500, NOTES_WAITING);
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
    let sweep = on_a_lane(2, FakeTransport::new());
    sweep.engine.reopen(&CredentialId::new("a").unwrap(), Duration::from_secs(3600));
    let (going, mut told, drain) = start(&sweep, 2000, 1);
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

/// Each device refuses the login: those that wait for their turn to log in when the breaker opens are not tried.
#[tokio::test]
async fn a_breaker_that_opens_holds_those_who_wait_for_their_turn() {
    let refused = FakeAnswer::fails(FailureKind::Auth).delayed(Stage::Connect, Duration::from_millis(10));
    let sweep = on_a_lane(500, FakeTransport::new().otherwise(Script::always(refused)));
    let seen = sweep.over(&devices(500, "a")).await;
    let logins = sweep.transport.visits().len();
    assert!(logins < 250, "{logins}");
    assert_eq!(failures(&seen, FailureKind::Auth), logins);
    assert_eq!(failures(&seen, FailureKind::Breaker), 500 - logins);
}

/// There are workers for all devices, and most wait for their turn to log in when the stop comes: they were not visited, and the
/// run isn't complete, though each visit that began came to its own end.
#[tokio::test]
async fn a_run_that_is_stopped_while_visits_wait_for_their_turn_is_not_complete() {
    const DEVICES: usize = 5000;
    let answer = FakeAnswer::output("").delayed(Stage::Connect, Duration::from_millis(500));
    let sweep = on_a_lane(DEVICES, FakeTransport::new().otherwise(Script::always(answer)));
    let (going, mut told, drain) = start(&sweep, DEVICES, DEVICES + 2);
    // The first answer comes before the last one's turn.
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
