use std::path::Path;
use std::time::Duration;

use super::super::rooms::Rooms;
use super::*;
use crate::activity::{Busy, NOTES_WAITING, Note, OnDemand, Progress, RequestStatus};
use crate::clock::SystemClock;
use crate::config;
use crate::device::{
    CredentialId, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use crate::inventory::Inventory;
use crate::probe::Prober;
use crate::schedule::Alarms;
use crate::sweep::{Engine, Stop};
use crate::transport::fake::{FakeAnswer, FakeTransport};

const ANSWER: &str =
    "FRRouting 9.1.2 (r1) on Linux(6.1.0-28-amd64).\nconfigured with:\n    '--prefix=/usr'\n";

fn device(name: &str, site: &str) -> Arc<Device> {
    let limit = Duration::from_secs(600);
    Arc::new(Device {
        id: DeviceId::new(name).expect("a name"),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Named(PlatformKey::new("frr")),
        credential: CredentialId::new("test").expect("a name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        labels: Labels::from_iter([("site".to_owned(), site.to_owned())]),
        identity: None,
    })
}

/// A daemon's sweeps without its doors: one `[[sweep]]` over all devices, visited through the fake.
struct House {
    counter: OnDemand,
    rooms: Rooms<FakeTransport>,
    notes: mpsc::Receiver<Note>,
    transport: FakeTransport,
    stop: Stop,
}

impl House {
    async fn open(transport: FakeTransport) -> Self {
        let text = "[[sweep]]\nname = 'all'\nschedule = 'never'\n";
        let config = config::draft_str(Path::new("versweep.toml"), text, &|_| None).finish().expect("good");
        let prober = Prober {
            transport: Arc::new(transport.clone()),
            platforms: Arc::clone(&config.platforms),
            clock: Arc::new(SystemClock),
        };
        let sweeps = config.sweeps.clone();
        let devices = vec![device("a1", "ams"), device("a2", "ams"), device("b1", "ber")];
        let world = World {
            config: Arc::new(config),
            inventory: Arc::new(Inventory { devices, ..Inventory::default() }),
            stocks: Vec::new(),
            prober: Arc::new(prober),
            of_config: Vec::new(),
        };
        let (sender, notes) = mpsc::channel(NOTES_WAITING);
        let stop = Stop::default();
        let mut rooms = Rooms::new(Shared {
            engine: Engine::new(8),
            world: Arc::new(ArcSwap::from_pointee(world)),
            notes: sender,
            clock: Arc::new(SystemClock),
            alarms: Alarms::start().await.expect("an alarm clock"),
            snapshot: Arc::default(),
            stop: stop.clone(),
        });
        let (counter, asks, book) = OnDemand::new();
        rooms.serve(asks, book);
        rooms.furnish(&sweeps);
        Self { counter, rooms, notes, transport, stop }
    }

    async fn ask(&self, wanted: Wanted) -> Result<RequestStatus, Refusal> {
        let id = self.counter.ask(wanted).await?;
        Ok(self.counter.status(id).expect("what was just taken can be asked about"))
    }

    /// Waits for the note that ends the run, and the word of it.
    async fn done(&mut self, id: SweepId) -> RequestStatus {
        loop {
            let note = self.notes.recv().await.expect("a note");
            if matches!(&note, Note::SweepEnded(record) if record.id == id) {
                break;
            }
        }
        loop {
            let status = self.counter.status(id).expect("a request");
            if status.progress == Progress::Done {
                return status;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn one(name: &str) -> Wanted {
    Wanted::Device(DeviceId::new(name).expect("a name"))
}

fn site(name: &str) -> Wanted {
    Wanted::Selection(Selector([("site".to_owned(), vec![name.to_owned()])].into()))
}

fn answers_after(seconds: u64) -> FakeTransport {
    FakeTransport::new().otherwise(FakeAnswer::output(ANSWER).after(Duration::from_secs(seconds)))
}

#[tokio::test(start_paused = true)]
async fn a_device_a_selection_and_a_sweep_are_visited_and_told_of() {
    let mut house = House::open(answers_after(1)).await;
    for (wanted, devices) in [(one("b1"), 1), (site("ams"), 2), (Wanted::Sweep("all".to_owned()), 3)] {
        let taken = house.ask(wanted.clone()).await.expect("taken");
        assert_ne!(taken.progress, Progress::Done);
        let done = house.done(taken.id).await;
        assert_eq!((done.devices, done.answered, done.failed, done.complete), (devices, devices, 0, true));
        assert_eq!((done.wanted, done.busy), (wanted, 0));
        assert!(done.started.is_some() && done.ended >= done.started);
    }
    let visits = ["a1", "a2", "b1"].map(|name| house.transport.visits_to(name));
    assert_eq!(visits, [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_visited_is_refused_with_the_reason() {
    let house = House::open(answers_after(1)).await;
    let unknown = Refusal::UnknownDevice(DeviceId::new("c1").expect("a name"));
    assert_eq!(house.ask(one("c1")).await, Err(unknown));
    assert_eq!(house.ask(site("nowhere")).await, Err(Refusal::NothingSelected));
    let sweep = house.ask(Wanted::Sweep("nightly".to_owned())).await;
    assert_eq!(sweep, Err(Refusal::UnknownSweep("nightly".to_owned())));
    assert!(house.counter.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_wish_twice_is_one_request_and_a_running_sweep_is_busy() {
    let mut house = House::open(answers_after(100)).await;
    let first = house.ask(one("a1")).await.expect("taken");
    assert_eq!(house.ask(one("a1")).await.expect("the same").id, first.id);
    assert_ne!(house.ask(one("a2")).await.expect("another").id, first.id);
    house.done(first.id).await;
    assert_eq!(house.transport.visits_to("a1"), 1);

    let sweep = house.rooms.handles().load()[0].trigger.clone();
    sweep.try_start(Reason::Schedule).expect("free");
    assert_eq!(house.ask(Wanted::Sweep("all".to_owned())).await, Err(Refusal::Busy(Busy)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_was_asked_for_and_takes_nothing_more() {
    let house = House::open(answers_after(100)).await;
    let taken = house.ask(one("a1")).await.expect("taken");
    // The visit has begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.stop.drain.cancel();
    let House { counter, rooms, mut notes, .. } = house;
    let listening = tokio::spawn(async move { while notes.recv().await.is_some() {} });
    rooms.drained().await;
    listening.await.expect("the recorder's end");
    let done = counter.status(taken.id).expect("a request");
    assert_eq!((done.progress, done.answered), (Progress::Done, 1), "what was begun comes to its end");
    assert_eq!(counter.ask(one("a2")).await, Err(Refusal::Stopping));
}
