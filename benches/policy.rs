//! What it costs to judge a whole fleet by its policies: 100,000 devices by 50 policies, as at a reload.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use versweep::clock::Timestamp;
use versweep::config;
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use versweep::facts::{Facts, Reading};
use versweep::known::{Known, KnownFacts};
use versweep::policy::Book;
use versweep::version::{Scheme, Version};

const DEVICES: usize = 100_000;
const POLICIES: usize = 50;

fn noon() -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::Duration::minutes(30_000_000)
}

/// A fleet of 20 models, 40 versions and 200 sites: 800 kinds of device.
fn device(number: usize) -> (Device, Known) {
    let limit = Duration::from_secs(30);
    let platform = PlatformKey::new("cisco_xe");
    let role = ["core", "edge", "access", "access", "access"][number % 5];
    let labels = [("site", format!("s{}", number % 200)), ("role", role.to_owned())];
    let device = Device {
        identity: None,
        id: DeviceId::new(&format!("d{number:06}")).expect("a fine name"),
        endpoint: Endpoint { host: "192.0.2.1".to_owned(), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Named(platform.clone()),
        credential: CredentialId::new("netops").expect("a fine name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Labels>(),
    };
    let facts = Facts {
        version: Version::new(format!("17.{}.{}", number % 8 + 6, number % 5)),
        model: Some(format!("C9{:02}00-48P", number % 20)),
        serial: None,
        hostname: None,
        image: None,
        uptime: None,
        more: None,
    };
    let reading = Reading { platform, revision: 1, pattern: "version".into(), facts };
    let facts = KnownFacts { reading, seen_at: noon(), version_since: noon(), boot_time: None };
    (device, Known { facts: Some(facts), ..Known::default() })
}

fn book(select: impl Fn(usize) -> String) -> Book {
    let text: String = (0..POLICIES)
        .map(|number| {
            format!(
                "[[policy]]\nname = 'p{number}'\n{}\napproved = ['17.9.*', '>=17.10.1, <17.13']\n\
                 preferred = '17.12.3'\nbanned = ['17.10.2', '>=17.11, <17.11.2']\nmax_age = '7d'\n",
                select(number)
            )
        })
        .collect();
    let draft = config::draft_str(Path::new("bench.toml"), &text, &|_| None);
    Book::new(&draft.finish().expect("a fine configuration").policies.all(), &[], noon())
}

fn judging(criterion: &mut Criterion) {
    let mut fleet: Vec<(Device, Known)> = (0..DEVICES).map(device).collect();
    let scheme = |_: &PlatformKey| Some(Scheme::CiscoIos);
    let mut group = criterion.benchmark_group("judge_100000_devices_by_50_policies");
    group.throughput(Throughput::Elements((DEVICES * POLICIES) as u64)).sample_size(10);
    // Of a usual fleet: each device is covered by two or three of the fifty.
    let usual = |number: usize| match number % 5 {
        0 => format!("select = {{ role = 'core', site = 's{number}' }}"),
        1 => format!("select = {{ model = 'C9{:02}00-*' }}", number % 20),
        2 => format!("select = {{ site = ['s{number}', 's{}'] }}", number + 100),
        3 => "select = { platform = 'cisco_xr' }".to_owned(),
        _ => format!("select = {{ role = 'access', model = 'C9{:02}*' }}", number % 20),
    };
    // The dearest there is: every policy covers every device.
    let every = |_: usize| "select = { platform = 'cisco_xe' }".to_owned();
    for (name, book) in [("usual", &mut book(usual)), ("each_covers_all", &mut book(every))] {
        for (device, known) in &mut fleet {
            known.standings = book.judge((&*device).into(), known, noon(), &scheme).standings;
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (device, known) in &fleet {
                    black_box(book.judge(device.into(), known, noon(), &scheme));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
