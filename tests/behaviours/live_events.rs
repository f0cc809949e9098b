//! `/api/v1/events`: live, in order, nothing lost and nothing twice, whoever else listens or does not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use versweep::change::{Change, ChangeKind};
use versweep::config::Web;
use versweep::device::DeviceId;
use versweep::known::Known;
use versweep::store::{Batch, Store, Visit};

use crate::api::problem;
use crate::daemon::eventually;
use crate::events::EventStream;
use crate::http::House;
use crate::site::Site;
use crate::{fleet, kept};

/// What the daemon's recorder would do: commits changes, then says so.
struct Recorder {
    store: Store,
    news: watch::Sender<i64>,
    count: u64,
}

impl Recorder {
    fn of(house: &House) -> Self {
        let (store, _) = Store::open(&kept::path_in(&house.folder)).unwrap();
        Self { store, news: house.news.clone(), count: 0 }
    }

    /// So many changes, of core1.ams and core2.ams in turn.
    fn tell(&mut self, changes: u64) -> i64 {
        let visit = |number: u64| {
            let device =
                DeviceId::new(if number.is_multiple_of(2) { "core1.ams" } else { "core2.ams" }).unwrap();
            let at = fleet::noon() + Duration::from_secs(number);
            let known = |version: u64| Known {
                facts: Some(fleet::facts("cisco_xr", "ASR9K", &version.to_string(), at)),
                ..Known::default()
            };
            let change = Change {
                of: device.clone().into(),
                sweep: None,
                at,
                kind: ChangeKind::Upgrade,
                subject: String::new(),
                before: number.to_string(),
                after: "a line\nand another".to_owned(),
                why: String::new(),
                confirmed: true,
            };
            Visit {
                device,
                before: known(number),
                after: known(number + 1),
                changes: vec![change],
                labels: None,
                raw: None,
            }
        };
        let visits = (self.count..self.count + changes).map(visit).collect();
        self.count += changes;
        let sequence = self.store.commit(&Batch { visits, ..Batch::default() }).unwrap();
        self.news.send_replace(sequence);
        sequence
    }
}

async fn open(house: &House, query: &str, last_id: Option<i64>) -> EventStream {
    EventStream::open(house.address, query, last_id).await.unwrap()
}

#[tokio::test]
async fn events_come_live_in_order() {
    let house = House::small().await;
    let mut recorder = Recorder::of(&house);
    let (mut all, mut some) = (open(&house, "", None).await, open(&house, "?device=core2.ams", None).await);
    let last = recorder.tell(4);
    let told = all.next().await.unwrap();
    assert_eq!((told.kind.as_str(), &told.data["before"]), ("change", &json!("0")));
    assert_eq!(told.data["message"], "core1.ams was upgraded from 0 to a line\u{fffd}and another");
    assert_eq!(all.sequences(3).await, [last - 2, last - 1, last]);
    assert_eq!(some.sequences(2).await, [last - 2, last]);
    assert_eq!(all.last_id, Some(last));
    // One that was not there begins with what is new, and has its place.
    let mut late = open(&house, "", None).await;
    let newer = recorder.tell(1);
    assert_eq!(late.sequences(1).await, [newer]);
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let house = House::small().await;
    let mut recorder = Recorder::of(&house);
    let mut first = open(&house, "", None).await;
    let begin = recorder.tell(10) - 9;
    first.sequences(3).await;
    let place = first.last_id;
    drop(first);
    // More than memory keeps and more than is read at once.
    let end = recorder.tell(3000);
    let mut again = open(&house, "?after=0", place).await;
    let expected: Vec<i64> = (begin + 3..=end).collect();
    assert_eq!(again.sequences(expected.len()).await, expected);
    let mut from_query = open(&house, &format!("?after={}", end - 2), None).await;
    assert_eq!(from_query.sequences(2).await, [end - 1, end]);
}

#[tokio::test]
async fn a_place_in_another_store_is_told() {
    let house = House::small().await;
    let mut recorder = Recorder::of(&house);
    let newest = *house.news.borrow();
    let mut stream = open(&house, "", Some(newest + 1000)).await;
    let told = stream.next().await.unwrap();
    assert_eq!((told.kind.as_str(), &told.data["newest"]), ("reset", &json!(newest)));
    let next = recorder.tell(1);
    assert_eq!(stream.sequences(1).await, [next]);
}

#[tokio::test]
async fn events_are_read_page_by_page() {
    let house = House::small().await;
    let mut recorder = Recorder::of(&house);
    let begin = *house.news.borrow();
    let end = recorder.tell(5);
    let sequences = |page: &Value| -> Vec<i64> {
        page["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
    };
    let first = house.json(&format!("/api/v1/events?after={begin}&limit=3")).await;
    assert_eq!((sequences(&first), &first["newest"]), ((begin + 1..=begin + 3).collect(), &json!(end)));
    let next = first["next"].as_i64().unwrap();
    let second = house.json(&format!("/api/v1/events?after={next}&limit=3")).await;
    assert_eq!((sequences(&second), second.get("next")), (vec![end - 1, end], None));
    let some = house.json(&format!("/api/v1/events?after={begin}&device=core2.ams&kind=upgrade")).await;
    assert_eq!(sequences(&some), [begin + 2, begin + 4]);
    for bad in ["after=-1", "after=x", "kind=nonsense", "afer=1"] {
        let answer = house.get(&format!("/api/v1/events?{bad}")).await;
        problem(&answer.head, &answer.body, 400, "bad-query");
    }
    let (status, _) = EventStream::open(house.address, "?after=x", None).await.err().unwrap();
    assert_eq!(status, 400);
}

/// 200 clients get every event, in order, beside one that reads nothing and holds all of its data up, and the daemon's
/// other answers come meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_and_one_that_does_not_read_harm_nothing() {
    const CLIENTS: usize = 200;
    let house = House::small().await;
    let mut recorder = Recorder::of(&house);
    let mut deaf = TcpStream::connect(house.address).await.unwrap();
    let request =
        "GET /api/v1/events?after=0 HTTP/1.1\r\nHost: versweep\r\nAccept: text/event-stream\r\n\r\n";
    deaf.write_all(request.as_bytes()).await.unwrap();
    let begin = *house.news.borrow();
    let mut clients = tokio::task::JoinSet::new();
    let all_there = Arc::new(tokio::sync::Barrier::new(CLIENTS + 1));
    let events = 3000;
    for _ in 0..CLIENTS {
        let (address, all_there) = (house.address, Arc::clone(&all_there));
        clients.spawn(async move {
            let mut stream = EventStream::open(address, "", None).await.unwrap();
            all_there.wait().await;
            stream.sequences(events).await
        });
    }
    all_there.wait().await;
    for _ in 0..30 {
        recorder.tell(100);
        assert_eq!(house.get("/metrics").await.status, 200);
    }
    let expected: Vec<i64> = (begin + 1..=begin + 3000).collect();
    while let Some(got) = clients.join_next().await {
        assert!(got.unwrap() == expected, "a client lost events, or had them twice or in another order");
    }
    // The one that did not read has lost nothing either.
    let mut slow = EventStream::of(deaf, None).await.unwrap();
    let from_the_beginning: Vec<i64> = (1..=begin + 3000).collect();
    assert!(slow.sequences(from_the_beginning.len()).await == from_the_beginning);
}

#[tokio::test]
async fn streams_have_a_limit_of_their_own_and_end_with_the_server() {
    // A proxy is one client of many connections.
    let web = Web { connections_per_client: 512, ..Web::default() };
    let house = House::with(fleet::snapshot(fleet::noon()), web).await;
    let mut streams = Vec::new();
    for _ in 0..256 {
        streams.push(open(&house, "", None).await);
    }
    let (status, head) = EventStream::open(house.address, "", None).await.err().unwrap();
    assert_eq!(status, 503);
    assert!(head.contains("retry-after") && head.contains("application/problem+json"), "{head}");
    assert_eq!(house.get("/api/v1/devices").await.status, 200, "others are served still");
    // Room that one leaves is given to the next.
    streams.pop();
    loop {
        match EventStream::open(house.address, "", None).await {
            Ok(stream) => break streams.push(stream),
            Err((status, _)) => assert_eq!(status, 503),
        }
        tokio::task::yield_now().await;
    }
    // What is told last is heard before the end.
    let last = Recorder::of(&house).tell(1);
    assert_eq!(streams[0].sequences(1).await, [last]);
    house.stop.cancel();
    for stream in &mut streams[1..] {
        while stream.next().await.is_some() {}
    }
    house.server.await.unwrap();
}

/// The whole daemon: events of several lives, some killed, are heard once each by one client that always comes back.
#[test]
fn nothing_is_lost_and_nothing_comes_twice_across_restarts() {
    let site = Site::new(4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut heard, mut last_id) = (Vec::new(), Some(0));
    let mut told = 0;
    for life in 0..4 {
        let mut daemon = site.daemon();
        let mut stream = runtime.block_on(EventStream::open(site.web(), "", last_id)).unwrap();
        // One is missed while the client is away, the others come live.
        let changed = if life == 0 { 4 } else { 2 };
        if life > 0 {
            site.upgrade(&site.devices()[life % 4], 1);
            site.upgrade(&site.devices()[(life + 1) % 4], 1);
        }
        runtime.block_on(async {
            for _ in 0..changed - 1 {
                heard.extend(stream.sequences(1).await);
            }
        });
        last_id = stream.last_id;
        told += changed;
        // The client hangs up before the last event, or at the very moment that it comes.
        drop(stream);
        eventually("the last event is committed", || {
            let page: Value = serde_json::from_str(&daemon.page("/api/v1/events")).unwrap();
            page["events"].as_array().unwrap().len() >= told
        });
        if life % 2 == 0 {
            daemon.signal("KILL");
            daemon.wait();
        } else {
            assert!(daemon.stop().success());
        }
    }
    let daemon = site.daemon();
    let page: Value = serde_json::from_str(&daemon.page("/api/v1/events?limit=5000")).unwrap();
    let all: Vec<i64> =
        page["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    let mut stream = runtime.block_on(EventStream::open(site.web(), "", last_id)).unwrap();
    heard.extend(runtime.block_on(stream.sequences(all.len() - heard.len())));
    assert_eq!(heard, all);
    assert_eq!(all.len(), told, "{page}");
}
