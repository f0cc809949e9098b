//! Single flight: a tick that finds its sweep running is told to the recorder and not queued.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use versweep::activity::{Note, Trigger};
use versweep::clock::SystemClock;
use versweep::schedule::{self, Alarms, Scheduled};
use versweep::status::SweepStatus;
use versweep::timetable::{Timetable, Windows};

use crate::daemon::PATIENCE;

/// On the machine's own clock, because the alarm clock has no other. The sweep is a pause here: what counts is that
/// `Start` lives as long as it.
#[tokio::test]
async fn a_tick_that_finds_its_sweep_running_is_told_and_not_queued() {
    let (trigger, mut starts) = Trigger::new();
    let (notes, mut told) = mpsc::channel(64);
    let (status, watched) = watch::channel(SweepStatus::default());
    let stop = CancellationToken::new();
    let timetable = Timetable::Every(Duration::from_secs(1));
    let scheduled =
        Scheduled { name: "all".into(), timetable, blackout: Windows::default(), trigger, status };
    let alarms = Alarms::start().await.unwrap();
    let kept =
        tokio::spawn(schedule::keep(scheduled, alarms, Arc::new(SystemClock), notes.clone(), stop.clone()));

    for _ in 0..2 {
        let start = timeout(PATIENCE, starts.recv()).await.expect("a tick").expect("a start");
        // The sweep goes on until two ticks have found it running.
        for _ in 0..2 {
            let note = timeout(PATIENCE, told.recv()).await.expect("a skipped tick").unwrap();
            assert!(matches!(note, Note::SweepSkipped { sweep, .. } if sweep == "all"));
            assert!(starts.try_recv().is_err(), "single flight");
        }
        // Nothing that went by meanwhile is made up: the next start is that of a later tick.
        drop(start);
    }
    assert!(watched.borrow().next.is_some(), "the next instant is shown");
    stop.cancel();
    timeout(PATIENCE, kept).await.expect("it heeds the stop").unwrap().unwrap();
}
