use super::*;

use std::future::Future;
use std::pin::pin;

use crate::device::{
    CredentialId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, Route, SshAlgorithms, Timeouts,
};

fn device(name: &str) -> Device {
    Device {
        id: DeviceId::new(name).unwrap(),
        endpoint: Endpoint { host: "127.0.0.1".to_owned(), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Auto,
        credential: CredentialId::new("lab").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts {
            visit: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            login: Duration::from_secs(15),
            command: Duration::from_secs(20),
        },
        labels: Labels::default(),
        identity: None,
    }
}

fn show_version() -> Errand {
    Errand::by_exec(vec!["show version".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit_of_its_stage() {
    for (silent, limit) in [(Stage::Connect, 5), (Stage::Kex, 15), (Stage::Auth, 15), (Stage::Command, 20)] {
        let fake = FakeTransport::new().answers("r1", FakeAnswer::hangs(silent));
        let (began, mut trace) = (Instant::now(), Trace::begin());
        let error = fake.visit(&device("r1"), &show_version(), &mut trace).await.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Timeout, silent));
        assert_eq!((trace.stage(), began.elapsed()), (silent, Duration::from_secs(limit)));
        assert_eq!(fake.open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn delays_are_virtual_and_recorded() {
    let answer =
        FakeAnswer::output("v1").delayed(Stage::Auth, Duration::from_secs(2)).after(Duration::from_secs(3));
    let fake = FakeTransport::new().otherwise(answer);
    let mut trace = Trace::begin();
    let outputs = fake.visit(&device("r1"), &show_version(), &mut trace).await.unwrap();
    assert_eq!(outputs, ["v1"]);
    assert_eq!(trace.times().auth, Some(Duration::from_secs(2)));
    assert_eq!(trace.times().command, Some(Duration::from_secs(3)));
    let visit = &fake.visits()[0];
    assert_eq!(visit.ended.unwrap() - visit.began, Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn answers_change_from_visit_to_visit() {
    let script = Script::in_turn(vec![
        FakeAnswer::output("v1"),
        FakeAnswer::fails(FailureKind::Refused),
        FakeAnswer::output("v2"),
    ]);
    let fake = FakeTransport::new().answers("r1", script);
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let outcome = fake.visit(&device("r1"), &show_version(), &mut Trace::begin()).await;
        outcomes.push(outcome.map_or_else(|error| error.kind.to_string(), |outputs| outputs.concat()));
    }
    assert_eq!(outcomes, ["v1", "refused", "v2", "v2"]);
    assert_eq!(fake.visits_to("r1"), 4);
}

#[tokio::test(start_paused = true)]
async fn counts_the_peak_and_forgets_dropped_visits() {
    let fake = FakeTransport::new().otherwise(FakeAnswer::stuck());
    let (a, b) = (device("r1"), device("r2"));
    let (mut trace_a, mut trace_b) = (Trace::begin(), Trace::begin());
    {
        let errand = Errand::default();
        let mut first = pin!(fake.visit(&a, &errand, &mut trace_a));
        let mut second = pin!(fake.visit(&b, &errand, &mut trace_b));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert_eq!(fake.open(), 2);
    }
    assert_eq!((fake.open(), fake.peak()), (0, 2));
    assert!(fake.visits().iter().all(|visit| visit.ended.is_some()));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "two visits at once to r1")]
async fn two_visits_at_once_to_one_device_panic() {
    let fake = FakeTransport::new().otherwise(FakeAnswer::stuck());
    let device = device("r1");
    let (mut one, mut two) = (Trace::begin(), Trace::begin());
    tokio::join!(async { fake.visit(&device, &Errand::default(), &mut one).await.unwrap() }, async {
        fake.visit(&device, &Errand::default(), &mut two).await.unwrap()
    });
}
