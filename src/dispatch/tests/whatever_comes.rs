//! Any order of runs, ends, pauses, reloads and waits, beside a shadow that knows the rules and nothing of the insides.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::claims::BETWEEN_VISITS;
use super::*;
use crate::budget::Budget;

/// What the test knows of the dispatch without looking into it.
struct Shadow {
    dispatch: Dispatch,
    rules: Rules,
    now: Duration,
    /// Visits that go on.
    going: BTreeMap<Ticket, (RunId, Arc<Device>)>,
    /// Those that are on their way in, with until when they count, where that is counted.
    on_their_way: Option<BTreeMap<Ticket, Duration>>,
    /// When each device was last begun, and whether it is being visited.
    begun: BTreeMap<DeviceId, Duration>,
    /// Not handed out yet, with when it is due.
    waiting: BTreeMap<RunId, BTreeMap<DeviceId, (Duration, Arc<Device>)>>,
    paused: BTreeSet<RunId>,
    budgets: BTreeMap<CredentialId, Budget>,
    /// After a lower cap more may go on than it allows, but nothing begins.
    handed_out: usize,
}

impl Shadow {
    fn new(rules: Rules, one_core: bool) -> Self {
        let budget = |(credential, rate): (&CredentialId, &f64)| {
            (credential.clone(), Budget::per_second(*rate).expect("a rate"))
        };
        let mut dispatch = Dispatch::new(rules.clone());
        dispatch.share(usize::from(one_core));
        Self {
            dispatch,
            on_their_way: one_core.then(BTreeMap::new),
            budgets: rules.logins_per_second.iter().map(budget).collect(),
            rules,
            now: SECOND,
            going: BTreeMap::new(),
            begun: BTreeMap::new(),
            waiting: BTreeMap::new(),
            paused: BTreeSet::new(),
            handed_out: 0,
        }
    }

    fn groups(limit: &Limit, device: &Device) -> Vec<String> {
        match (&limit.by, &device.route) {
            (By::Credential, _) => vec![device.credential.to_string()],
            (By::Label(name), _) => device.labels.get(name).map(str::to_owned).into_iter().collect(),
            (By::Jump, Route::Via(hosts)) => hosts.iter().map(|host| host.name.to_string()).collect(),
            (By::Jump, Route::Direct) => Vec::new(),
        }
    }

    fn has_room(&self, device: &Device) -> bool {
        self.rules.limits.iter().all(|limit| {
            Self::groups(limit, device).iter().all(|value| {
                let same = |(_, going): &&(RunId, Arc<Device>)| Self::groups(limit, going).contains(value);
                limit.max.is_none_or(|max| self.going.values().filter(same).count() < max)
            })
        })
    }

    fn is_free(&self, device: &DeviceId) -> bool {
        let begun = self.begun.get(device).copied();
        let visited = self.going.values().any(|(_, going)| going.id == *device);
        !visited && begun.is_none_or(|begun| self.now >= begun + BETWEEN_VISITS)
    }

    /// Whether another visit may be on its way in.
    fn is_let_in(&self) -> bool {
        let counts = |until: &&Duration| **until > self.now;
        self.on_their_way.as_ref().is_none_or(|inside| inside.values().filter(counts).count() < 32)
    }

    /// Hands out all that may begin, checking each, and then that nothing waits without a reason.
    fn pump(&mut self) -> Result<Option<Duration>, TestCaseError> {
        loop {
            match self.dispatch.next(self.now) {
                Next::Visit(run, ticket, device) => {
                    prop_assert!(self.going.len() < self.rules.workers, "more than the workers");
                    prop_assert!(self.has_room(&device), "{} is over a cap", device.id);
                    prop_assert!(self.is_free(&device.id), "two sessions on {}", device.id);
                    prop_assert!(self.is_let_in(), "too many on their way in");
                    if let Some(budget) = self.budgets.get_mut(&device.credential) {
                        prop_assert!(
                            budget.take(self.now).is_ok(),
                            "over the budget of {}",
                            device.credential
                        );
                    }
                    prop_assert!(!self.paused.contains(&run));
                    self.hand_out(run, &device.id)?;
                    self.begun.insert(device.id.clone(), self.now);
                    self.going.insert(ticket, (run, device));
                    if let Some(inside) = &mut self.on_their_way {
                        inside.insert(ticket, self.now + SECOND);
                    }
                }
                Next::Held(run, device) | Next::Fresh(run, device, _) => self.hand_out(run, &device.id)?,
                Next::Wait(until) => {
                    self.nobody_idles()?;
                    prop_assert_eq!(self.dispatch.busy(), self.going.len());
                    return Ok(until);
                }
            }
        }
    }

    fn hand_out(&mut self, run: RunId, device: &DeviceId) -> Result<(), TestCaseError> {
        let gone = self.waiting.get_mut(&run).and_then(|waiting| waiting.remove(device));
        prop_assert!(gone.is_some_and(|(due, _)| due <= self.now), "{device}: not wanted, not due, or twice");
        self.handed_out += 1;
        Ok(())
    }

    fn nobody_idles(&self) -> Result<(), TestCaseError> {
        if self.going.len() >= self.rules.workers || !self.is_let_in() {
            return Ok(());
        }
        for (run, waiting) in self.waiting.iter().filter(|(run, _)| !self.paused.contains(run)) {
            for (due, device) in waiting.values().filter(|(due, _)| *due <= self.now) {
                let budget =
                    self.budgets.get(&device.credential).map_or(Ok(()), |budget| budget.peek(self.now));
                let reason = !self.is_free(&device.id) || !self.has_room(device) || budget.is_err();
                prop_assert!(reason, "{:?}: {} is due since {due:?} and waits for nothing", run, device.id);
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, fleet: &[Arc<Device>]) -> Result<(), TestCaseError> {
        match step {
            Step::Open { urgent, spread, fresh, from, count, paused } => {
                let due = |place: usize| self.now + Duration::from_millis(spread * place as u64);
                let chosen = fleet.iter().skip(*from).take(*count).enumerate();
                let wishes: Vec<_> = chosen.map(|(place, device)| wish(device, due(place))).collect();
                let waiting = wishes.iter().map(|w| (w.device.id.clone(), (w.due, Arc::clone(&w.device))));
                let waiting = waiting.collect();
                let run = RunRules {
                    urgency: if *urgent { Urgency::Urgent } else { Urgency::Usual },
                    fresh_for: seconds(*fresh),
                    paused: *paused,
                    ..usual(if *urgent { "asked" } else { "all" })
                };
                let run = self.dispatch.open(run, wishes);
                self.waiting.insert(run, waiting);
                if *paused {
                    self.paused.insert(run);
                }
            }
            Step::End { which, answered } => {
                let Some(ticket) = self.going.keys().nth(which % self.going.len().max(1)).copied() else {
                    return Ok(());
                };
                self.going.remove(&ticket);
                if let Some(inside) = &mut self.on_their_way {
                    inside.remove(&ticket);
                }
                let (verdict, ending) = match answered {
                    true => (Verdict::Accepted, Ending::Answered),
                    false => (Verdict::Refused, Ending::Failed),
                };
                self.dispatch.tell(ticket, verdict, self.now);
                self.dispatch.ended(ticket, ending, self.now);
            }
            Step::SetOut { which } => self.set_out(*which),
            Step::LoggedIn { which } => self.log_in(*which)?,
            Step::Later { milliseconds } => self.now += Duration::from_millis(*milliseconds),
            Step::Pause { which } => {
                let Some(run) = self.waiting.keys().nth(which % self.waiting.len().max(1)).copied() else {
                    return Ok(());
                };
                if self.paused.insert(run) {
                    self.dispatch.pause(run, self.now);
                } else {
                    self.paused.remove(&run);
                    self.dispatch.resume(run);
                }
            }
            Step::Close { which } => {
                let Some(run) = self.waiting.keys().nth(which % self.waiting.len().max(1)).copied() else {
                    return Ok(());
                };
                self.dispatch.close(run, self.now);
                self.waiting.remove(&run);
                self.paused.remove(&run);
            }
            Step::Rules { workers, site } => {
                self.rules.workers = *workers;
                if let Some(limit) = self.rules.limits.first_mut() {
                    limit.max = Some(*site);
                }
                self.dispatch.set_rules(self.rules.clone());
            }
        }
        Ok(())
    }

    fn set_out(&mut self, which: usize) {
        let Some(ticket) = self.on_its_way(which) else { return };
        self.dispatch.set_out(ticket, self.now);
        let (_, device) = &self.going[&ticket];
        self.begun.insert(device.id.clone(), self.now);
        if let Some(until) = self.on_their_way.as_mut().and_then(|inside| inside.get_mut(&ticket))
            && *until > self.now
        {
            *until = self.now + Duration::from_millis(40);
        }
    }

    fn log_in(&mut self, which: usize) -> Result<(), TestCaseError> {
        let Some(ticket) = self.on_its_way(which) else { return Ok(()) };
        let counted = self.on_their_way.as_mut().and_then(|inside| inside.remove(&ticket));
        prop_assert!(!self.dispatch.logged_in(ticket) || counted.is_some());
        Ok(())
    }

    fn on_its_way(&self, which: usize) -> Option<Ticket> {
        let inside = self.on_their_way.as_ref()?;
        inside.keys().nth(which % inside.len().max(1)).copied()
    }

    /// Goes on until nothing waits: every device that was wanted is handed out.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        for run in std::mem::take(&mut self.paused) {
            self.dispatch.resume(run);
        }
        for _ in 0..100_000 {
            let until = self.pump()?;
            if self.going.is_empty() && self.waiting.values().all(BTreeMap::is_empty) {
                return Ok(());
            }
            match (self.going.is_empty(), until) {
                (false, _) => {
                    self.now += Duration::from_millis(20);
                    self.step(&Step::End { which: 0, answered: true }, &[])?;
                }
                (true, Some(until)) => self.now = self.now.max(until),
                (true, None) => prop_assert!(false, "it waits for ever"),
            }
        }
        prop_assert!(false, "it never comes to an end");
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Open { urgent: bool, spread: u64, fresh: u64, from: usize, count: usize, paused: bool },
    SetOut { which: usize },
    LoggedIn { which: usize },
    End { which: usize, answered: bool },
    Later { milliseconds: u64 },
    Pause { which: usize },
    Close { which: usize },
    Rules { workers: usize, site: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let spread = prop_oneof![Just(0), 0..300_u64];
    let open = (any::<bool>(), spread, 0..20_u64, 0..40_usize, 1..40_usize, prop::bool::weighted(0.2));
    let open = open.prop_map(|(urgent, spread, fresh, from, count, paused)| Step::Open {
        urgent,
        spread,
        fresh,
        from,
        count,
        paused,
    });
    prop_oneof![
        2 => open,
        20 => (0..50_usize, prop::bool::weighted(0.8)).prop_map(|(which, answered)| Step::End { which, answered }),
        8 => (0..50_usize).prop_map(|which| Step::SetOut { which }),
        8 => (0..50_usize).prop_map(|which| Step::LoggedIn { which }),
        12 => (0..2500_u64).prop_map(|milliseconds| Step::Later { milliseconds }),
        2 => (0..9_usize).prop_map(|which| Step::Pause { which }),
        1 => (0..9_usize).prop_map(|which| Step::Close { which }),
        1 => (1..9_usize, 1..5_usize).prop_map(|(workers, site)| Step::Rules { workers, site }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes: never over a cap, never two sessions on one device, never over a budget, never too many on their way
    /// in; nothing waits without a reason; and in the end everything that was wanted was handed out once.
    #[test]
    fn all_caps_hold_and_nobody_waits_without_a_reason(
        steps in prop::collection::vec(step(), 1..120),
        workers in 1..9_usize,
        caps in (1..5_usize, 1..5_usize, 1..5_usize),
        // Too many on their way in are only where there is room for many.
        (roomy, one_core) in any::<(bool, bool)>(),
        rate in 1..40_u32,
    ) {
        let (workers, caps) = if roomy { (workers * 20, (60, 60, 60)) } else { (workers, caps) };
        let limit = |by, max| Limit { by, max: Some(max), logins_per_second: None };
        let slow = CredentialId::new("c0").expect("a name");
        let rules = Rules {
            workers,
            limits: vec![
                limit(By::Label("site".to_owned()), caps.0),
                limit(By::Jump, caps.1),
                limit(By::Credential, caps.2),
            ],
            breaker: breaker::Rules { failures: 3, window: seconds(5), pause: seconds(10) },
            logins_per_second: [(slow, f64::from(rate))].into(),
            fresh_for: seconds(20),
        };
        let jumps: [&[&str]; 3] = [&[], &["j1"], &["j1", "j2"]];
        let fleet: Vec<_> = (0..60)
            .map(|n| device(&format!("d{n}"), &format!("s{}", n % 4), &format!("c{}", n % 3), jumps[n / 20]))
            .collect();
        let mut shadow = Shadow::new(rules, one_core);
        for step in &steps {
            shadow.step(step, &fleet)?;
            shadow.pump()?;
        }
        shadow.drain()?;
    }
}
