use super::*;
use crate::device::{
    DeviceId, Endpoint, HostKeyPolicy, JumpHost, Labels, PlatformChoice, Route, SshAlgorithms, Timeouts,
};

mod week;
mod whatever_comes;

const SECOND: Duration = Duration::from_secs(1);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn timeouts() -> Timeouts {
    Timeouts { visit: seconds(30), connect: seconds(5), login: seconds(15), command: seconds(20) }
}

fn jump(name: &str) -> Arc<JumpHost> {
    Arc::new(JumpHost {
        name: name.into(),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        credential: CredentialId::new("jump").expect("a name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: timeouts(),
    })
}

fn device(name: &str, site: &str, credential: &str, jumps: &[&str]) -> Arc<Device> {
    let hosts: Vec<_> = jumps.iter().map(|name| jump(name)).collect();
    Arc::new(Device {
        id: DeviceId::new(name).expect("a name"),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        route: if hosts.is_empty() { Route::Direct } else { Route::Via(hosts) },
        platform: PlatformChoice::Auto,
        credential: CredentialId::new(credential).expect("a name"),
        identity: None,
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: timeouts(),
        labels: Labels::from_iter([("site".to_owned(), site.to_owned())]),
    })
}

fn wish(device: &Arc<Device>, due: Duration) -> Wish {
    Wish { device: Arc::clone(device), due, expected: Duration::ZERO, good: true }
}

fn usual(name: &str) -> RunRules {
    RunRules { name: name.into(), urgency: Urgency::Usual, fresh_for: Duration::ZERO, paused: false }
}

fn by_site(max: usize) -> Limit {
    Limit { by: By::Label("site".to_owned()), max: Some(max), logins_per_second: None }
}

/// All visits that may begin now.
fn begun(dispatch: &mut Dispatch, now: Duration) -> Vec<(Ticket, String)> {
    let mut begun = Vec::new();
    while let Next::Visit(_, ticket, device) = dispatch.next(now) {
        begun.push((ticket, device.id.to_string()));
    }
    begun
}

fn names(visits: &[(Ticket, String)]) -> Vec<&str> {
    visits.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn a_full_site_holds_up_no_other_one() {
    let mut dispatch = Dispatch::new(Rules { workers: 10, limits: vec![by_site(2)], ..Rules::default() });
    let full = (0..1000).map(|number| device(&format!("a{number}"), "ams", "x", &[]));
    let other = (0..5).map(|number| device(&format!("b{number}"), "ber", "x", &[]));
    // The full site's devices were due long before the others.
    let wishes = full.map(|d| wish(&d, Duration::ZERO)).chain(other.map(|d| wish(&d, seconds(9))));
    dispatch.open(usual("all"), wishes.collect());
    let visits = begun(&mut dispatch, seconds(9));
    let of_ams = visits.iter().filter(|(_, name)| name.starts_with('a')).count();
    assert_eq!((of_ams, visits.len()), (2, 4), "two of each site");
    assert_eq!(dispatch.waiting().limit, [("site".to_owned(), 1001)].into());
    for (ticket, _) in visits {
        dispatch.ended(ticket, Ending::Answered, seconds(20));
    }
    assert_eq!(begun(&mut dispatch, seconds(20)).len(), 4, "their places are taken again");
}

#[test]
fn each_jump_host_on_the_way_has_its_own_cap() {
    let limits = vec![Limit { by: By::Jump, max: Some(1), logins_per_second: None }];
    let mut dispatch = Dispatch::new(Rules { workers: 10, limits, ..Rules::default() });
    let fleet = [
        device("straight1", "s", "x", &[]),
        device("straight2", "s", "x", &[]),
        device("near", "s", "x", &["bastion"]),
        device("far", "s", "x", &["bastion", "inner"]),
        device("inner", "s", "x", &["inner"]),
    ];
    dispatch.open(usual("all"), fleet.iter().map(|device| wish(device, Duration::ZERO)).collect());
    let visits = begun(&mut dispatch, SECOND);
    let through = |name: &&str| !name.starts_with("straight");
    let through: Vec<_> = names(&visits).into_iter().filter(through).collect();
    assert!(through == ["far"] || through.len() == 2 && !through.contains(&"far"), "{through:?}");
    assert!(visits.len() == through.len() + 2, "the others need no jump host");
}

#[test]
fn what_was_asked_for_goes_first_and_keeps_to_the_caps() {
    let mut dispatch = Dispatch::new(Rules { workers: 2, limits: vec![by_site(1)], ..Rules::default() });
    let fleet: Vec<_> = (0..50).map(|number| device(&format!("d{number}"), "ams", "x", &[])).collect();
    dispatch.open(usual("all"), fleet.iter().map(|device| wish(device, Duration::ZERO)).collect());
    let [(first, name)] = begun(&mut dispatch, SECOND).try_into().expect("one of that site");
    let wanted = fleet.iter().find(|device| device.id.as_str() != name).expect("another one");
    dispatch.open(RunRules { urgency: Urgency::Urgent, ..usual("asked") }, vec![wish(wanted, SECOND)]);
    assert!(begun(&mut dispatch, SECOND).is_empty(), "the site's cap holds for it as well");
    dispatch.ended(first, Ending::Answered, seconds(3));
    assert_eq!(names(&begun(&mut dispatch, seconds(3))), [wanted.id.as_str()]);
}

#[test]
fn who_waits_for_a_turn_to_log_in_waits_in_the_queue() {
    let mut dispatch = Dispatch::new(Rules { workers: 100, limits: vec![by_site(60)], ..Rules::default() });
    dispatch.share(1);
    let fleet: Vec<_> = (0..100).map(|number| device(&format!("d{number}"), "ams", "x", &[])).collect();
    let (asked, usually) = fleet.split_at(2);
    dispatch.open(usual("all"), usually.iter().map(|device| wish(device, Duration::ZERO)).collect());
    let visits = begun(&mut dispatch, SECOND);
    visits.iter().for_each(|(ticket, _)| dispatch.set_out(*ticket, SECOND));
    assert_eq!((visits.len(), dispatch.waiting().worker), (32, 66));
    let Next::Wait(until) = dispatch.next(SECOND) else { panic!("32 are on their way in") };
    assert_eq!(until, Some(SECOND + Duration::from_millis(40)), "then they wait for their devices");
    // Whoever was asked for has the place that is given back.
    let urgent = RunRules { urgency: Urgency::Urgent, ..usual("asked") };
    dispatch.open(urgent, asked.iter().map(|device| wish(device, SECOND)).collect());
    assert!(begun(&mut dispatch, SECOND).is_empty());
    assert!(dispatch.logged_in(visits[0].0) && !dispatch.logged_in(visits[0].0));
    dispatch.ended(visits[1].0, Ending::Failed, SECOND);
    let mut next = begun(&mut dispatch, SECOND);
    next.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    assert_eq!(names(&next), ["d0", "d1"]);
    // All other limits stand before it still.
    let later = begun(&mut dispatch, SECOND + Duration::from_millis(40));
    assert_eq!((later.len(), dispatch.busy()), (27, 60), "the site is full");
}

#[test]
fn of_those_due_together_the_slowest_begin_first() {
    let mut dispatch = Dispatch::new(Rules { workers: 3, ..Rules::default() });
    let took = [("quick", 1), ("dead", 10), ("slow", 4), ("quick2", 1)];
    let wishes = took.map(|(name, took)| Wish {
        expected: seconds(took),
        ..wish(&device(name, "s", "x", &[]), Duration::ZERO)
    });
    dispatch.open(usual("all"), wishes.to_vec());
    assert_eq!(names(&begun(&mut dispatch, SECOND))[..2], ["dead", "slow"]);
}

#[test]
fn a_small_sweep_gets_its_share_beside_a_big_one() {
    let mut dispatch = Dispatch::new(Rules { workers: 10, ..Rules::default() });
    let big: Vec<_> = (0..1000).map(|number| device(&format!("b{number}"), "s", "x", &[])).collect();
    dispatch.open(usual("big"), big.iter().map(|device| wish(device, Duration::ZERO)).collect());
    let mut going = begun(&mut dispatch, SECOND);
    let small: Vec<_> = (0..5).map(|number| device(&format!("s{number}"), "s", "x", &[])).collect();
    dispatch.open(usual("small"), small.iter().map(|device| wish(device, SECOND)).collect());
    let mut now = seconds(2);
    for _ in 0..5 {
        dispatch.ended(going.pop().expect("a visit").0, Ending::Answered, now);
        assert!(
            names(&begun(&mut dispatch, now))[0].starts_with('s'),
            "its turn comes with each free worker"
        );
        now += SECOND;
    }
}

#[test]
fn another_sweeps_fresh_result_is_taken_and_its_own_is_not() {
    let rules = Rules { workers: 2, fresh_for: seconds(60), ..Rules::default() };
    let one = device("one", "s", "x", &[]);
    for (second, later, expected_fresh) in [("other", 30, true), ("other", 61, false), ("all", 30, false)] {
        let mut dispatch = Dispatch::new(rules.clone());
        dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
        let [(ticket, _)] = begun(&mut dispatch, SECOND).try_into().expect("a visit");
        let now = seconds(10);
        let run = RunRules { fresh_for: seconds(60), ..usual(second) };
        dispatch.open(run, vec![wish(&one, now + seconds(later))]);
        dispatch.ended(ticket, Ending::Answered, now);
        let next = dispatch.next(now + seconds(later));
        assert_eq!(matches!(next, Next::Fresh(_, _, true)), expected_fresh, "{second} {later}: {next:?}");
        assert_eq!(matches!(next, Next::Visit(..)), !expected_fresh);
    }
}

#[test]
fn a_paused_run_begins_nothing_and_stands_in_nobodys_way() {
    let mut dispatch = Dispatch::new(Rules { workers: 4, limits: vec![by_site(1)], ..Rules::default() });
    let [a, b, c] = ["a", "b", "c"].map(|name| device(name, "ams", "x", &[]));
    let paused = dispatch.open(RunRules { paused: true, ..usual("dark") }, vec![wish(&a, Duration::ZERO)]);
    assert!(begun(&mut dispatch, SECOND).is_empty());
    assert_eq!(dispatch.waiting().blackout, 1);
    dispatch.open(usual("light"), [&b, &c].map(|device| wish(device, SECOND)).to_vec());
    let [(first, _)] = begun(&mut dispatch, SECOND).try_into().expect("one of the site");
    dispatch.resume(paused);
    assert!(begun(&mut dispatch, SECOND).is_empty(), "the site is full");
    dispatch.pause(paused, SECOND);
    dispatch.ended(first, Ending::Answered, seconds(5));
    let [(second, name)] = begun(&mut dispatch, seconds(5)).try_into().expect("the other run's next");
    assert_ne!(name, "a");
    dispatch.resume(paused);
    dispatch.ended(second, Ending::Answered, seconds(9));
    assert_eq!(names(&begun(&mut dispatch, seconds(9))), ["a"]);
}

#[test]
fn an_open_breaker_outlives_a_restart_and_a_change_of_the_rules() {
    let breaker = breaker::Rules { failures: 5, window: seconds(60), pause: seconds(300) };
    let rules = Rules { workers: 4, breaker, ..Rules::default() };
    let mut dispatch = Dispatch::new(rules.clone());
    let one = device("one", "s", "x", &[]);
    dispatch.reopen(&one.credential, seconds(100), Duration::ZERO);
    dispatch.set_rules(Rules { workers: 8, ..rules });
    dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
    assert!(matches!(dispatch.next(seconds(99)), Next::Held(..)));
    dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
    let Next::Visit(_, ticket, _) = dispatch.next(seconds(100)) else { panic!("the canary") };
    let turn = dispatch.tell(ticket, Verdict::Accepted, seconds(101));
    assert_eq!(turn, Some((one.credential.clone(), Turn::Closed)));
    assert!(!dispatch.gates()[0].open);
}

/// A wall clock that was set back makes the rest of a pause look like days.
#[test]
fn a_breaker_is_never_reopened_for_longer_than_its_pause() {
    let breaker = breaker::Rules { failures: 5, window: seconds(60), pause: seconds(300) };
    let mut dispatch = Dispatch::new(Rules { workers: 4, breaker, ..Rules::default() });
    let one = device("one", "s", "x", &[]);
    dispatch.reopen(&one.credential, seconds(2 * 86_400), seconds(10));
    dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
    assert!(matches!(dispatch.next(seconds(309)), Next::Held(..)));
    dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
    assert!(matches!(dispatch.next(seconds(310)), Next::Visit(..)));
}

/// A visit may begin long after it was handed out: its run or its core was busy.
#[test]
fn the_second_from_visit_to_visit_counts_from_the_login() {
    let mut dispatch = Dispatch::new(Rules { workers: 4, ..Rules::default() });
    let one = device("one", "s", "x", &[]);
    dispatch.open(usual("all"), vec![wish(&one, Duration::ZERO)]);
    dispatch.open(usual("some"), vec![wish(&one, Duration::ZERO)]);
    let first = begun(&mut dispatch, Duration::ZERO);
    dispatch.set_out(first[0].0, seconds(5));
    dispatch.ended(first[0].0, Ending::Answered, seconds(5));
    assert_eq!(names(&begun(&mut dispatch, seconds(5))), [""; 0]);
    assert_eq!(names(&begun(&mut dispatch, seconds(6))), ["one"]);
}

#[test]
fn what_was_handed_out_may_not_begin_once_the_breaker_is_open_unless_it_is_the_canary() {
    let breaker = breaker::Rules { failures: 2, window: seconds(60), pause: seconds(300) };
    let mut dispatch = Dispatch::new(Rules { workers: 9, breaker, ..Rules::default() });
    let fleet = (0..4).map(|number| wish(&device(&format!("d{number}"), "s", "x", &[]), Duration::ZERO));
    dispatch.open(usual("all"), fleet.collect());
    let visits = begun(&mut dispatch, Duration::ZERO);
    for (ticket, _) in &visits[..2] {
        assert_eq!(dispatch.still_may(*ticket), Permission::Go);
        dispatch.tell(*ticket, Verdict::Refused, SECOND);
    }
    assert_eq!(dispatch.still_may(visits[2].0), Permission::Held);
    let canary = wish(&device("canary", "s", "x", &[]), Duration::ZERO);
    dispatch.open(usual("later"), vec![canary]);
    let canary = begun(&mut dispatch, seconds(301));
    assert_eq!(dispatch.still_may(canary[0].0), Permission::Go);
    assert_eq!(dispatch.still_may(visits[3].0), Permission::Held);
}
