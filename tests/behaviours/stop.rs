//! A stop comes to its end whatever state the rest is in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use versweep::activity::Reason;
use versweep::clock::SystemClock;
use versweep::platform::Platforms;
use versweep::probe::Prober;
use versweep::status::SweepStatus;
use versweep::sweep::{Care, Engine, Outlet, Plan, Stop, run};
use versweep::timetable::Windows;
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::visits;

/// A recorder whose disk is full takes no more notes. Without the way out the daemon hung until systemd killed it.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_takes_nothing_does_not_hold_up_the_stop() {
    let names: Vec<String> = (0..20).map(|number| format!("r{number}")).collect();
    let plan = Plan {
        id: visits::sweep_id(1),
        name: "all".into(),
        reason: Reason::Schedule,
        devices: names.iter().map(|name| visits::device(name)).collect(),
        spread: Duration::ZERO,
        prober: Arc::new(Prober {
            transport: Arc::new(FakeTransport::new().otherwise(Script::always(FakeAnswer::output("x")))),
            platforms: Arc::new(Platforms::builtin()),
            clock: Arc::new(SystemClock),
        }),
        before: Arc::default(),
        care: Care::default(),
        blackout: Windows::default(),
        fresh_for: Duration::ZERO,
    };
    // Room for the start of the sweep and one visit; nobody ever takes them out.
    let (notes, _never_read) = mpsc::channel(2);
    let (status, mut seen) = watch::channel(SweepStatus::default());
    let stop = Stop::default();
    let stopping = stop.clone();
    let sweep =
        tokio::spawn(async move { run(&Engine::new(4), plan, &Outlet { notes, status }, &stopping).await });
    seen.wait_for(|status| status.busy == 4).await.unwrap();

    stop.drain.cancel();
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(!sweep.is_finished(), "visits wait for the recorder as long as the grace lasts");
    stop.abort.cancel();
    let record = sweep.await.unwrap().unwrap();
    assert!(!record.complete);
}
