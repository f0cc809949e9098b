//! `versweep plan`: how long each sweep will take, and what it waits for, before anybody is logged in to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{Output, line};
use super::{ConfigFile, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::{SweepConfig, WebFlags};
use crate::daemon::{Ask, PATIENCE, World, aside};
use crate::device::Device;
use crate::dispatch::{Rules, spread_over};
use crate::duration::HumanDuration;
use crate::forecast::{Cap, Forecast, Visit, forecast, workers_within};
use crate::store::{LastVisitTook, Reader};
use crate::transport::ssh::SshTransport;

/// Of so many devices one is taken for dead, to tell what dead devices cost: 5 %.
const ONE_DEAD_OF: usize = 20;

/// Tell how long each sweep will take, which cap it waits for, and what dead devices cost. Nobody is logged in to.
///
/// The visits are played through as the daemon would make them: with the workers, limits, budgets and the spread of the
/// configuration, for the devices of the inventory, each as long as its last visit took. Each sweep is taken by itself.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep plan --config.file versweep.toml\n  versweep plan --sweep all --within 5m"
)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this sweep
    #[arg(long, value_name = "NAME")]
    sweep: Option<String>,
    /// Also tell how many workers it takes to be done within this time
    #[arg(long, value_name = "TIME")]
    within: Option<HumanDuration>,
    /// How long a visit takes of which nothing is known, while no visit of any device is
    #[arg(long, value_name = "TIME", default_value = "2s")]
    assume: HumanDuration,
    /// How to print; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = World::load_until(&stop, &self.config.path, &WebFlags::default(), &clock).await?;
        let Some(world) = loaded else { return Ok(Exit::Failed) };
        let Some(world) = stop.run_until_cancelled(world.asked(Ask::Unknown, PATIENCE)).await else {
            return Ok(Exit::Failed);
        };
        let output = self.output;
        // Days of visits are played through for each sweep.
        let Some(all) = aside(&stop, move || self.tell_all(&world)).await? else { return Ok(Exit::Failed) };
        let mut out = io::stdout();
        for told in all? {
            match output {
                Output::Json => line(&mut out, &told.json().to_string())?,
                Output::Table => told.text().iter().try_for_each(|text| line(&mut out, text))?,
            }
        }
        Ok(Exit::Done)
    }

    fn tell_all(&self, world: &World<SshTransport>) -> anyhow::Result<Vec<Told>> {
        let asked = |sweep: &&SweepConfig| self.sweep.as_ref().is_none_or(|name| sweep.name == *name);
        let sweeps: Vec<&SweepConfig> = world.config.sweeps.iter().filter(asked).collect();
        if let (Some(name), true) = (&self.sweep, sweeps.is_empty()) {
            anyhow::bail!("no sweep {name:?} in {}", self.config.path.display());
        }
        let took = Took::of(world, self.assume.0)?;
        Ok(sweeps.into_iter().map(|sweep| self.tell(world, &took, sweep)).collect())
    }

    fn tell(&self, world: &World<SshTransport>, took: &Took, sweep: &SweepConfig) -> Told {
        let devices: Vec<&Arc<Device>> =
            world.inventory.devices.iter().filter(|device| sweep.select.matches(device)).collect();
        let visits: Vec<Visit> = devices.iter().map(|device| took.visit(sweep, device)).collect();
        let rules = world.rules();
        let dead: Vec<Visit> = visits.iter().enumerate().map(|(place, visit)| dying(place, visit)).collect();
        Told {
            sweep: sweep.name.clone(),
            period: sweep.timetable.period(SystemClock.now()),
            workers: rules.workers,
            known: devices.iter().filter(|device| took.by_device.contains_key(device.id.as_str())).count(),
            failed: devices.iter().filter(|device| took.failed(device)).count(),
            usual: took.usual,
            with_dead: forecast(rules.clone(), &dead),
            within: self.within.map(|within| (within.0, workers_within(&rules, &visits, within.0))),
            logins: peak_of_budgets(&rules),
            forecast: forecast(rules, &visits),
        }
    }
}

/// A device that doesn't answer costs its connect timeout, and once more at the end of the sweep.
fn dying(place: usize, visit: &Visit) -> Visit {
    let takes =
        if place.is_multiple_of(ONE_DEAD_OF) { visit.device.timeouts.connect * 2 } else { visit.takes };
    Visit { takes, ..visit.clone() }
}

/// The least budget of logins, where there is one.
fn peak_of_budgets(rules: &Rules) -> Option<f64> {
    rules.logins_per_second.values().copied().min_by(f64::total_cmp)
}

/// How long visits take.
struct Took {
    by_device: BTreeMap<String, LastVisitTook>,
    /// The median of those that answered.
    usual: Duration,
}

impl Took {
    fn of(world: &World<SshTransport>, assume: Duration) -> anyhow::Result<Self> {
        let store = &world.config.store;
        // Before the first sweep there is none.
        let by_device = if store.exists() { Reader::open(store)?.last_visits()? } else { BTreeMap::new() };
        let mut answered: Vec<Duration> =
            by_device.values().filter(|last| last.answered).map(|last| last.took).collect();
        answered.sort_unstable();
        let usual = answered.get(answered.len() / 2).copied().unwrap_or(assume);
        Ok(Self { by_device, usual })
    }

    fn failed(&self, device: &Device) -> bool {
        self.by_device.get(device.id.as_str()).is_some_and(|last| !last.answered)
    }

    fn visit(&self, sweep: &SweepConfig, device: &Arc<Device>) -> Visit {
        let takes = self.by_device.get(device.id.as_str()).map_or(self.usual, |last| last.took);
        Visit { device: Arc::clone(device), due: spread_over(sweep.spread, &device.id), takes }
    }
}

/// What is told of one sweep.
struct Told {
    sweep: String,
    period: Option<Duration>,
    workers: usize,
    known: usize,
    failed: usize,
    usual: Duration,
    forecast: Forecast,
    with_dead: Forecast,
    within: Option<(Duration, Option<usize>)>,
    logins: Option<f64>,
}

impl Told {
    fn fits(&self) -> bool {
        self.period.is_none_or(|period| self.forecast.took <= period)
    }

    fn logins_per_second(&self, took: Duration) -> f64 {
        if took.is_zero() { 0.0 } else { count(self.forecast.visits) / took.as_secs_f64() }
    }

    fn text(&self) -> Vec<String> {
        let Forecast { took, visits, busy, busy_most, binds } = &self.forecast;
        let period = self.period.map(|period| format!(", due every {}", short(period))).unwrap_or_default();
        let mut lines = vec![
            format!("sweep {}: {visits} devices{period}", self.sweep),
            format!(
                "  takes {} with {} workers: {busy:.1} busy on the mean, {busy_most} at most; {:.1} logins a second",
                short(*took),
                self.workers,
                self.logins_per_second(*took)
            ),
        ];
        let waits: Vec<String> = binds
            .iter()
            .map(|(cap, share)| format!("{} {:.0} % of the time", name(cap), share * 100.0))
            .collect();
        lines.push(format!(
            "  waits for {}",
            if waits.is_empty() { "nothing".to_owned() } else { waits.join(", ") }
        ));
        lines.push(format!(
            "  durations: {} of {visits} devices known, {} of them failed last time; the others are taken for {}",
            self.known,
            self.failed,
            short(self.usual)
        ));
        lines.push(format!(
            "  with 5 % of them dead, found out by their connect_timeout: {}",
            short(self.with_dead.took)
        ));
        if let Some((within, workers)) = self.within {
            let logins = self.logins_per_second(within);
            lines.push(match workers {
                Some(workers) => {
                    format!("  within {}: {workers} workers, {logins:.1} logins a second", short(within))
                }
                None => format!(
                    "  within {}: no number of workers is enough: see what it waits for",
                    short(within)
                ),
            });
        }
        if !self.fits() {
            lines.push(
                "  WARNING: it takes longer than its period, so that due runs will be skipped".to_owned(),
            );
        }
        lines
    }

    fn json(&self) -> Value {
        let binds: Vec<Value> = self
            .forecast
            .binds
            .iter()
            .map(|(cap, share)| json!({ "cap": name(cap), "share": share }))
            .collect();
        json!({
            "sweep": self.sweep,
            "devices": self.forecast.visits,
            "period_seconds": self.period.map(|period| period.as_secs_f64()),
            "workers": self.workers,
            "takes_seconds": self.forecast.took.as_secs_f64(),
            "fits": self.fits(),
            "busy_mean": self.forecast.busy,
            "busy_most": self.forecast.busy_most,
            "logins_per_second": self.logins_per_second(self.forecast.took),
            "least_login_budget": self.logins,
            "waits_for": binds,
            "known": self.known,
            "failed_last_time": self.failed,
            "assumed_seconds": self.usual.as_secs_f64(),
            "takes_seconds_with_5_percent_dead": self.with_dead.took.as_secs_f64(),
            "within": self.within.map(|(within, workers)| json!({
                "seconds": within.as_secs_f64(), "workers": workers,
                "logins_per_second": self.logins_per_second(within) })),
        })
    }
}

fn name(cap: &Cap) -> String {
    match cap {
        Cap::Workers => "workers".to_owned(),
        Cap::Limit(by) => format!("the limit by {by}"),
        Cap::Logins => "the login budget".to_owned(),
        Cap::Spread => "the spread alone".to_owned(),
    }
}

/// No more of a time than one wants to read.
fn short(time: Duration) -> HumanDuration {
    let step = if time < Duration::from_secs(10) { 10 } else { 1000 };
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    HumanDuration(Duration::from_millis(milliseconds.div_ceil(step).saturating_mul(step)))
}

fn count(visits: usize) -> f64 {
    f64::from(u32::try_from(visits).unwrap_or(u32::MAX))
}
