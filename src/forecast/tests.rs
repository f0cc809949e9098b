use super::*;
use crate::device::{
    CredentialId, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, Route, SshAlgorithms, Timeouts,
};
use crate::dispatch::{By, Limit};

const SECOND: Duration = Duration::from_secs(1);

fn device(number: u32, site: u32) -> Arc<Device> {
    let limit = 30 * SECOND;
    Arc::new(Device {
        id: DeviceId::new(&format!("d{number}")).expect("a name"),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Auto,
        credential: CredentialId::new("lab").expect("a name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        labels: Labels::from_iter([("site".to_owned(), format!("s{site}"))]),
        identity: None,
    })
}

fn visits(count: u32, sites: u32, takes: Duration) -> Vec<Visit> {
    (0..count).map(|n| Visit { device: device(n, n % sites), due: Duration::ZERO, takes }).collect()
}

fn rules(workers: usize) -> Rules {
    Rules { workers, ..Rules::default() }
}

fn by_site(max: usize) -> Limit {
    Limit { by: By::Label("site".to_owned()), max: Some(max), logins_per_second: None }
}

#[test]
fn workers_bind_a_fleet_that_is_due_at_once() {
    let told = forecast(rules(100), &visits(1000, 1, 2 * SECOND));
    assert_eq!((told.took, told.visits, told.busy_most), (20 * SECOND, 1000, 100));
    assert!((told.busy - 100.0).abs() < 1e-9);
    // The last wave waits for nobody.
    assert!(
        matches!(told.binds.as_slice(), [(Cap::Workers, share)] if (0.88..0.92).contains(share)),
        "{told:?}"
    );
}

#[test]
fn a_full_site_binds_and_more_workers_are_no_help() {
    let rules = Rules { limits: vec![by_site(2)], ..rules(100) };
    let fleet = visits(100, 2, SECOND);
    let told = forecast(rules.clone(), &fleet);
    assert_eq!((told.took, told.busy_most), (25 * SECOND, 4));
    assert_eq!(told.binds.first().map(|(cap, _)| cap.clone()), Some(Cap::Limit("site".to_owned())));
    assert_eq!(workers_within(&rules, &fleet, 24 * SECOND), None);
    assert_eq!(workers_within(&rules, &fleet, 25 * SECOND), Some(4));
}

#[test]
fn a_login_budget_binds() {
    let credential = CredentialId::new("lab").expect("a name");
    let rules = Rules { logins_per_second: [(credential, 10.0)].into(), ..rules(1000) };
    let told = forecast(rules, &visits(600, 1, SECOND));
    assert!((59..62).contains(&told.took.as_secs()), "{told:?}");
    assert_eq!(told.binds.first().map(|(cap, _)| cap.clone()), Some(Cap::Logins));
}

#[test]
fn a_spread_is_waited_out() {
    let fleet: Vec<Visit> = visits(60, 1, SECOND)
        .into_iter()
        .zip(0..)
        .map(|(visit, n)| Visit { due: n * SECOND, ..visit })
        .collect();
    let told = forecast(rules(10), &fleet);
    assert_eq!((told.took, told.busy_most), (60 * SECOND, 1));
    assert_eq!(told.binds.first().map(|(cap, _)| cap.clone()), Some(Cap::Spread));
}

#[test]
fn the_slowest_begin_first_so_that_one_slow_device_costs_no_wave() {
    let mut fleet = visits(100, 1, SECOND);
    fleet[99].takes = 10 * SECOND;
    assert_eq!(forecast(rules(11), &fleet).took, 10 * SECOND);
}

#[test]
fn nothing_to_visit_takes_no_time() {
    let told = forecast(rules(1), &[]);
    assert_eq!((told.took, told.visits), (Duration::ZERO, 0));
    assert_eq!(workers_within(&rules(1), &[], Duration::ZERO), Some(1));
}
