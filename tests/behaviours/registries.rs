//! NetBox and Nautobot: thousands of devices over pages, tokens that are refused, fields that are missing.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use versweep::activity::Note;
use versweep::clock::{SystemClock, Timestamp};
use versweep::config::{self, Config};
use versweep::inventory::{Inventory, Lookout, Stock, Verdict};
use versweep::recorder::Recorder;
use versweep::status::RefreshFailure;
use versweep::store::Store;

use crate::source_server::{Asked, Reply, SourceServer};
use crate::visits::judgement;

const COUNT: usize = 5000;

fn configured(server: &SourceServer, kind: &str, more: &str) -> Config {
    let text = format!(
        "[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n[defaults]\ncredential = 'netops'\n\
         [[inventory]]\ntype = '{kind}'\nname = '{kind}'\nurl = 'http://{}/base/'\nallow_private = true\n\
         {}\n{more}",
        server.address(),
        if kind == "http_sd" { "" } else { "token = { env = 'TOKEN' }" }
    );
    let environment = |name: &str| Some(if name == "TOKEN" { "0123abcd" } else { "p" }.to_owned());
    let draft = config::draft_str(Path::new("/nowhere/versweep.toml"), &text, &environment);
    draft.finish().unwrap_or_else(|errors| panic!("{errors}"))
}

/// One look at the only source.
async fn look(config: &Config, held: &Stock) -> (Stock, Verdict) {
    let look = Lookout::new(&held.source).look(&config.platforms).await;
    held.take(look, Timestamp::UNIX_EPOCH, &config.references())
}

/// A page as both programs give it: never more than their own limit, whatever was asked for.
fn page(asked: &Asked, most: usize, device: impl Fn(usize) -> Value) -> Reply {
    page_of(asked, most, &(0..COUNT).collect::<Vec<_>>(), device)
}

fn page_of(asked: &Asked, most: usize, there: &[usize], device: impl Fn(usize) -> Value) -> Reply {
    let query = asked.path.split_once('?').map_or("", |(_, query)| query);
    let number = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.and_then(|text| text.parse::<usize>().ok()).unwrap()
    };
    let (limit, offset) = (number("limit").min(most), number("offset"));
    let results: Vec<Value> = there.iter().skip(offset).take(limit).map(|n| device(*n)).collect();
    // The next page's address leads elsewhere: nobody may go there with the token.
    let body = json!({ "count": there.len(), "next": "http://192.0.2.1/steal", "previous": null, "results": results });
    Reply::Whole(200, body.to_string())
}

fn of_netbox(n: usize) -> Value {
    let mut device = json!({
        "id": n, "name": format!("sw{n}"), "display": format!("sw{n}"),
        "device_type": { "manufacturer": { "slug": "arista" }, "model": "7050", "slug": "7050" },
        "role": { "slug": "access" }, "tenant": null, "platform": { "slug": "arista-eos" }, "serial": "",
        "site": { "slug": format!("s{}", n % 10) }, "status": { "value": "active", "label": "Active" },
        "primary_ip": { "address": format!("10.1.{}.{}/24", n / 250, n % 250) },
        "tags": [], "custom_fields": {},
    });
    match n {
        7 => device["primary_ip"] = Value::Null,
        8 => device["name"] = Value::Null,
        9 => device["platform"] = Value::Null,
        10 => device["platform"] = json!({ "slug": "of-our-own" }),
        11 => drop(device.as_object_mut().unwrap().remove("site")),
        _ => {}
    }
    device
}

#[tokio::test]
async fn netbox_gives_five_thousand_devices_over_pages() {
    let server = SourceServer::start(|asked| {
        assert!(asked.path.starts_with("/base/api/dcim/devices/?limit=1000&offset="), "{}", asked.path);
        assert!(asked.path.ends_with("&status=active"), "{}", asked.path);
        match asked.authorization.as_deref() {
            Some("Token 0123abcd") => page(asked, 500, of_netbox),
            _ => Reply::Whole(403, "{\"detail\":\"Invalid token\"}".into()),
        }
    });
    let config = configured(&server, "netbox", "filter = 'status=active'\n");
    let (stock, verdict) = look(&config, &Stock::new(config.inventory[0].clone())).await;
    assert_eq!((verdict, stock.trouble()), (Verdict::New, None));
    assert_eq!(
        server.asked(),
        11,
        "its own limit is 500 a page, of which one is the last of the page before"
    );
    let dropped: Vec<_> =
        stock.dropped().map(|dropped| format!("{}: {}", dropped.title, dropped.why)).collect();
    assert_eq!(dropped.len(), 2, "{dropped:?}");
    assert_eq!(dropped[0], "device \"sw7\": has no primary address");
    assert!(dropped[1].starts_with("device: has no name"), "{dropped:?}");

    let inventory = Inventory::assemble(std::slice::from_ref(&stock), &config.layers).unwrap();
    assert_eq!(inventory.devices.len(), COUNT - 2);
    let device = inventory.get("sw4321").unwrap();
    assert_eq!(device.endpoint.to_string(), "10.1.17.71:22");
    assert_eq!((device.platform.as_str(), device.identity.as_deref()), ("arista_eos", Some("netbox:4321")));
    let labels: Vec<_> = device.labels.iter().collect();
    let wanted = [
        ("device_type", "7050"),
        ("manufacturer", "arista"),
        ("role", "access"),
        ("site", "s1"),
        ("status", "active"),
    ];
    assert_eq!(labels, wanted);
    assert_eq!(inventory.get("sw9").unwrap().platform.as_str(), "auto");
    assert_eq!(inventory.get("sw10").unwrap().platform.as_str(), "auto");
    assert_eq!(inventory.get("sw11").unwrap().labels.get("site"), None);
    assert!(stock.warnings().any(|warning| warning.contains("\"of-our-own\" is not known")));

    // The same again is nothing new.
    assert_eq!(look(&config, &stock).await.1, Verdict::Same);
    for (reply, kind) in [
        (Reply::Whole(403, String::new()), RefreshFailure::Denied),
        (Reply::Whole(200, "{\"results\": []}".into()), RefreshFailure::Garbage),
        (Reply::Whole(200, "{\"count\": 9, \"results\": []}".into()), RefreshFailure::Garbage),
        (
            Reply::Whole(200, "{\"count\": 1, \"results\": [{\"name\": \"a\"}]}".into()),
            RefreshFailure::Garbage,
        ),
        (Reply::Whole(200, "{\"count\": 0, \"results\": []}".into()), RefreshFailure::Shrunk),
    ] {
        server.answer(move |_| reply.clone());
        let (after, verdict) = look(&config, &stock).await;
        assert_eq!((verdict, after.trouble().map(|trouble| trouble.kind)), (Verdict::Refused, Some(kind)));
        assert_eq!(after.devices(), COUNT - 2, "what was known stays");
        assert!(!format!("{after:?}").contains("0123abcd"), "the token is shown nowhere");
    }
}

#[tokio::test]
async fn nautobot_gives_five_thousand_devices_over_pages() {
    let device = |n: usize| {
        json!({
            "id": format!("9f0c-{n}"), "name": format!("sw{n}"), "role": { "name": "Access" },
            "platform": { "name": "EOS", "network_driver": "arista_eos" }, "location": { "name": "AMS" },
            "status": { "name": "Active" }, "primary_ip4": { "address": format!("10.1.{}.{}/24", n / 250, n % 250) },
            "primary_ip6": null, "device_type": { "model": "7050", "manufacturer": { "name": "Arista" } },
            "tags": [], "custom_fields": { "ring": 3 },
        })
    };
    let server = SourceServer::start(move |asked| {
        assert!(asked.path.contains("&depth=1"), "{}", asked.path);
        match asked.authorization.as_deref() {
            Some("Token 0123abcd") => page(asked, 1000, device),
            _ => Reply::Whole(403, String::new()),
        }
    });
    let config = configured(&server, "nautobot", "relabel = [{ rename = { __cf_ring = 'ring' } }]\n");
    let (stock, verdict) = look(&config, &Stock::new(config.inventory[0].clone())).await;
    assert_eq!((verdict, stock.trouble()), (Verdict::New, None));
    assert_eq!(server.asked(), 6);
    let inventory = Inventory::assemble(&[stock], &config.layers).unwrap();
    assert_eq!(inventory.devices.len(), COUNT);
    let device = inventory.get("sw4321").unwrap();
    assert_eq!(
        (device.platform.as_str(), device.identity.as_deref()),
        ("arista_eos", Some("nautobot:9f0c-4321"))
    );
    assert_eq!((device.labels.get("site"), device.labels.get("ring")), (Some("AMS"), Some("3")));
}

/// Who goes between two pages moves those behind forward: the first of them lay on no page, and was told to be removed.
#[tokio::test]
async fn a_device_that_goes_between_two_pages_takes_no_other_with_it() {
    use std::sync::Mutex;
    let answering = |gone_before: Arc<Mutex<Vec<usize>>>| {
        let mut there: Vec<usize> = (0..COUNT).collect();
        move |asked: &Asked| {
            // Between any two pages one of the first goes, and as many come behind the last: the count stays.
            let mut gone = gone_before.lock().unwrap();
            if let Some(id) = gone.pop() {
                there.retain(|n| *n != id);
                there.push(COUNT + id);
            }
            page_of(asked, 1000, &there, of_netbox)
        }
    };
    let held = |server: &SourceServer| {
        let config = configured(server, "netbox", "");
        let held = Stock::new(config.inventory[0].clone());
        (config, held)
    };
    // The pop at the first page has no page before it; the second one is what shifts.
    let gone = Arc::new(Mutex::new(vec![21, 20]));
    let server = SourceServer::start(answering(Arc::clone(&gone)));
    let (config, nothing) = held(&server);
    let (stock, verdict) = look(&config, &nothing).await;
    assert_eq!((verdict, stock.trouble()), (Verdict::New, None));
    let inventory = Inventory::assemble(std::slice::from_ref(&stock), &config.layers).unwrap();
    assert!(
        inventory.get("sw1001").is_some() && inventory.get("sw1000").is_some(),
        "who lay behind the first page"
    );
    assert!(inventory.get("sw20").is_none() && inventory.get("sw21").is_none());
    assert_eq!(inventory.devices.len(), COUNT - 2, "two have no address or no name");
    assert_eq!(server.asked(), 2 + 6, "from the first page on once more");

    // Where it never rests, the last good list stays.
    gone.lock().unwrap().extend(100..130);
    let (after, verdict) = look(&config, &stock).await;
    assert_eq!(verdict, Verdict::Refused);
    assert!(after.trouble().unwrap().to_string().ends_with("changed between two pages, 3 times in a row"));
    assert_eq!(after.devices(), stock.devices());
}

/// A device that changes its name or its address is the same one to its source. A list in which all have other names waits all the
/// same: whoever reads metrics and events goes by names.
#[tokio::test]
async fn an_identity_outlives_names_and_addresses() {
    let server = SourceServer::start(|asked| page(asked, 1000, of_netbox));
    let config = configured(&server, "netbox", "");
    let (stock, _) = look(&config, &Stock::new(config.inventory[0].clone())).await;
    let moved = |n: usize| {
        let mut device = of_netbox(n);
        device["primary_ip"] = json!({ "address": format!("10.2.{}.{}/24", n / 250, n % 250) });
        device
    };
    server.answer(move |asked| page(asked, 1000, moved));
    let (stock, verdict) = look(&config, &stock).await;
    assert_eq!((verdict, stock.trouble()), (Verdict::New, None), "other addresses are no other devices");

    server.answer(move |asked| {
        page(asked, 1000, |n| {
            let mut device = moved(n);
            device["name"] = json!(format!("renamed{n}"));
            device
        })
    });
    let (stock, verdict) = look(&config, &stock).await;
    assert_eq!(verdict, Verdict::Refused, "all names are others");
    let stock = stock.confirm(&stock.status().pending.unwrap().token).unwrap();
    let inventory = Inventory::assemble(&[stock], &config.layers).unwrap();
    let device = inventory.get("renamed4321").unwrap();
    assert_eq!(device.identity.as_deref(), Some("netbox:4321"));
}

/// Names that went from one device to the next are as bad as names that are gone: so it is when devices were numbered anew.
#[tokio::test]
async fn a_list_in_which_names_are_exchanged_waits() {
    let server = SourceServer::start(|asked| page(asked, 1000, of_netbox));
    let config = configured(&server, "netbox", "");
    let (stock, _) = look(&config, &Stock::new(config.inventory[0].clone())).await;
    server.answer(|asked| {
        page(asked, 1000, |n| {
            let mut device = of_netbox(n);
            device["name"] = of_netbox(n / 2 * 2 + 1 - n % 2)["name"].clone();
            device
        })
    });
    let (stock, verdict) = look(&config, &stock).await;
    let trouble = stock.trouble().unwrap();
    assert_eq!((verdict, trouble.kind), (Verdict::Refused, RefreshFailure::Shrunk));
    assert!(trouble.to_string().contains("of them have other names in it"), "{trouble}");
}

/// An identity that several devices have is none.
#[tokio::test]
async fn a_shared_identity_is_left_out_and_told() {
    let server = SourceServer::start(|_| {
        let target = |name: &str, id: &str| json!({ "targets": [name], "labels": { "id": id } });
        let targets = json!([target("a", "rack1"), target("b", "rack1"), target("c", "7")]);
        Reply::Whole(200, targets.to_string())
    });
    let config = configured(&server, "http_sd", "");
    let (stock, _) = look(&config, &Stock::new(config.inventory[0].clone())).await;
    let inventory = Inventory::assemble(&[stock], &config.layers).unwrap();
    let identity = |name: &str| inventory.get(name).unwrap().identity.clone();
    assert_eq!((identity("a"), identity("b"), identity("c").is_some()), (None, None, true));
    let told = inventory
        .warnings
        .iter()
        .any(|line| line.contains("id \"rack1\" is left out") && line.contains("1 more"));
    assert!(told, "{:?}", inventory.warnings);
}

/// Measures how long 50,000 devices of one http_sd answer take, from the question to the merged inventory, to the snapshot that all
/// see:
/// `cargo test --release --test behaviours fifty_thousand -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a measurement is for whoever asked for it")]
async fn fifty_thousand_devices_of_one_answer() {
    let device = |n: usize| {
        json!({ "targets": [format!("10.{}.{}.{}:9100", n / 62_500, n / 250 % 250, n % 250)],
            "labels": { "name": format!("sw{n}.example.net"), "platform": "arista_eos", "site": format!("s{}", n % 200),
                "role": "access", "rack": format!("r{}", n % 40), "__meta_x": "y" } })
    };
    let answer = Value::Array((0..50_000).map(device).collect()).to_string();
    let bytes = answer.len();
    let server = SourceServer::start(move |_| Reply::Whole(200, answer.clone()));
    let config = configured(&server, "http_sd", "");
    let held = Stock::new(config.inventory[0].clone());
    let mut lookout = Lookout::new(&held.source);
    let folder = tempfile::tempdir().unwrap();
    let (store, loaded) = Store::open(&folder.path().join("versweep.db")).unwrap();
    let recorder = Recorder::start(store, loaded, judgement(), Arc::new(SystemClock));
    for round in ["first", "same again"] {
        let start = tokio::time::Instant::now();
        let found = lookout.look(&config.platforms).await;
        let looked = start.elapsed();
        let (stock, verdict) = held.take(found, Timestamp::UNIX_EPOCH, &config.references());
        let inventory = Inventory::assemble(std::slice::from_ref(&stock), &config.layers).unwrap();
        assert_eq!((inventory.devices.len(), verdict), (50_000, Verdict::New));
        println!(
            "{round}: {bytes} bytes fetched and read in {looked:?}, checked and merged after {:?}",
            start.elapsed()
        );
        let devices = inventory.devices.clone();
        let noted = tokio::time::Instant::now();
        recorder.notes.send(Note::Inventory(devices)).await.unwrap();
        let (flush, flushed) = oneshot::channel();
        recorder.notes.send(Note::Flush(flush)).await.unwrap();
        flushed.await.unwrap();
        assert_eq!(recorder.snapshot.load().devices.len(), 50_000);
        println!("{round}: in force {:?} later, {:?} in all", noted.elapsed(), start.elapsed());
    }
}
