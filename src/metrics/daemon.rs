//! The daemon's own part: counters that outlive a restart, and what it is doing at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::failure::{FailureKind, Stage};
use crate::known::{Snapshot, SweepRecord};
use crate::metrics::family::{self, Family, counter, flag, gauge, number, seconds, seconds_or_zero};
use crate::metrics::page::PartWriter;
use crate::metrics::{Live, policy, queue};
use crate::status::{Histogram, SinkStatus, SourceStatus, SweepForecast, SweepStatus, Totals};

/// The stages that have a histogram; parsing takes no time worth one.
const TIMED_STAGES: [Stage; 4] = [Stage::Connect, Stage::Kex, Stage::Auth, Stage::Command];

/// Writes every family of the daemon's part.
pub(super) fn render(snapshot: &Snapshot, live: &Live, out: &mut PartWriter) -> io::Result<()> {
    let visits = visit_families(&snapshot.totals);
    let sweeps = Sweeps::new(snapshot, live);
    let families = visits
        .into_iter()
        .chain(sweeps.now())
        .chain(sweeps.past())
        .chain(gate_families(live))
        .chain(queue::families(snapshot, live))
        .chain(sink_families(live))
        .chain(inventory_families(live))
        .chain(policy::fetched(live))
        .chain(self_families(live));
    for mut family in families {
        family.write(out)?;
    }
    Ok(())
}

fn visit_families(totals: &Totals) -> Vec<Family> {
    let mut visits = counter("versweep_visits_total", "Visits that ended, answered or not.");
    visits.sample(&[], number(totals.visits));
    let mut failures = counter("versweep_visit_failures_total", "Visits that failed, by reason.");
    for kind in FailureKind::ALL {
        let count = totals.failures.get(&kind).copied().unwrap_or(0);
        failures.sample(&[("reason", kind.as_str())], number(count));
    }
    let mut stages = family::histogram(
        "versweep_visit_stage_duration_seconds",
        "How long the finished stages of visits took, since the daemon's start.",
    );
    let none = Histogram::default();
    for stage in TIMED_STAGES {
        stages.distribution(&[("stage", stage.as_str())], totals.stages.get(&stage).unwrap_or(&none));
    }
    let mut changes = counter("versweep_changes_total", "Changes found, by kind.");
    let mut events =
        counter("versweep_events_total", "Events queued for the sinks, by type; one for each change.");
    for kind in ChangeKind::ALL {
        let count = number(totals.changes.get(&kind).copied().unwrap_or(0));
        changes.sample(&[("kind", kind.as_str())], count);
        events.sample(&[("type", kind.as_str())], count);
    }
    vec![visits, failures, stages, changes, events]
}

fn gate_families(live: &Live) -> Vec<Family> {
    let mut open = gauge(
        "versweep_breaker_open",
        "Whether the credential was refused on several devices and nobody logs in with it.",
    );
    let mut budget =
        gauge("versweep_login_budget_per_second", "Logins a second that the credential may be used for.");
    for gate in &live.gates {
        let labels = [("credential", gate.credential.as_str())];
        open.sample(&labels, flag(gate.open));
        if let Some(rate) = gate.logins_per_second {
            budget.sample(&labels, rate);
        }
    }
    let mut held_off = gauge(
        "versweep_held_off_devices",
        "Devices that no schedule visits for a while, because they failed too often.",
    );
    held_off.sample(&[], number(live.held_off as u64));
    vec![open, budget, held_off]
}

/// The items, the first one of each name: a series that stands twice makes Prometheus refuse the whole page.
fn once_each<'a, T, N: Ord + ?Sized + 'a>(
    items: &'a [T],
    name: impl Fn(&'a T) -> &'a N,
) -> impl Iterator<Item = &'a T> {
    let mut seen = BTreeSet::new();
    items.iter().filter(move |item| seen.insert(name(item)))
}

/// The sweeps by name: the configured ones. One that left the configuration leaves the page.
struct Sweeps<'a> {
    totals: &'a Totals,
    last_complete: &'a BTreeMap<String, Timestamp>,
    each: Vec<Sweep<'a>>,
}

struct Sweep<'a> {
    name: &'a str,
    status: &'a SweepStatus,
    /// The newest run, ended or not.
    newest: Option<&'a SweepRecord>,
    /// The newest run that ended.
    ended: Option<&'a SweepRecord>,
    forecast: Option<&'a SweepForecast>,
}

impl<'a> Sweeps<'a> {
    fn new(snapshot: &'a Snapshot, live: &'a Live) -> Self {
        let each = once_each(&live.sweeps, |(name, _)| name).map(|(name, status)| Sweep {
            name,
            status,
            newest: snapshot.newest_run(name),
            ended: snapshot.last_ended(name),
            forecast: live.forecasts.iter().find(|forecast| forecast.sweep == *name),
        });
        Self { totals: &snapshot.totals, last_complete: &snapshot.last_complete, each: each.collect() }
    }

    /// A family with one value per sweep; `None` leaves the sweep out.
    fn each(&self, mut family: Family, value: impl Fn(&Sweep<'_>) -> Option<f64>) -> Family {
        for sweep in &self.each {
            if let Some(value) = value(sweep) {
                family.sample(&[("sweep", sweep.name)], value);
            }
        }
        family
    }

    fn now(&self) -> Vec<Family> {
        let mut devices = gauge(
            "versweep_sweep_devices",
            "Devices of the run that is on, or of the last one, by state: waiting, busy, answered, failed.",
        );
        for sweep in &self.each {
            for (state, count) in sweep.devices() {
                devices.sample(&[("sweep", sweep.name), ("state", state)], number(count));
            }
        }
        vec![
            self.each(gauge("versweep_sweep_running", "Whether a run is on."), |sweep| {
                Some(flag(sweep.status.running.is_some()))
            }),
            self.each(
                gauge("versweep_sweep_progress_ratio", "The part of the run that is done; 1 between runs."),
                |sweep| Some(sweep.status.progress()),
            ),
            devices,
            self.each(
                gauge(
                    "versweep_sweep_next_timestamp_seconds",
                    "When the next run is due; absent for a sweep that runs on demand only.",
                ),
                |sweep| sweep.status.next.map(seconds),
            ),
            self.each(
                gauge(
                    "versweep_sweep_expected_duration_seconds",
                    "How long a run that visits all its devices is expected to take, by their last visits.",
                ),
                |sweep| Some(sweep.forecast?.expected.as_secs_f64()),
            ),
            self.each(
                gauge(
                    "versweep_sweep_period_seconds",
                    "The shortest time from one due run to the next; absent for a sweep that runs on demand only.",
                ),
                |sweep| Some(sweep.forecast?.period?.as_secs_f64()),
            ),
        ]
    }

    fn past(&self) -> Vec<Family> {
        let count =
            |counts: &BTreeMap<String, u64>, name: &str| number(counts.get(name).copied().unwrap_or(0));
        let mut skipped = counter(
            "versweep_sweeps_skipped_total",
            "Due runs that did not start, by reason; they are not made up.",
        );
        for sweep in &self.each {
            let labels = [("sweep", sweep.name), ("reason", "running")];
            skipped.sample(&labels, count(&self.totals.skipped, sweep.name));
            let labels = [("sweep", sweep.name), ("reason", "blackout")];
            skipped.sample(&labels, count(&self.totals.blackouts, sweep.name));
        }
        let complete = |sweep: &Sweep<'_>| self.last_complete.get(sweep.name).copied();
        vec![
            self.each(counter("versweep_sweeps_total", "Runs that ended, complete or stopped."), |sweep| {
                Some(count(&self.totals.sweeps, sweep.name))
            }),
            skipped,
            self.each(
                gauge("versweep_sweep_last_start_timestamp_seconds", "When the newest run began; 0 = never."),
                |sweep| Some(seconds_or_zero(sweep.newest.map(|record| record.started))),
            ),
            self.each(
                gauge("versweep_sweep_last_end_timestamp_seconds", "When a run last ended; 0 = never."),
                |sweep| {
                    let ended = sweep.ended.and_then(|record| record.ended);
                    Some(seconds_or_zero(ended.max(complete(sweep))))
                },
            ),
            self.each(
                gauge(
                    "versweep_sweep_last_success_timestamp_seconds",
                    "When a run last ended that visited all its devices, whether they answered or not; 0 = never.",
                ),
                |sweep| Some(seconds_or_zero(complete(sweep))),
            ),
            self.each(
                gauge("versweep_sweep_last_duration_seconds", "How long the last run that ended took."),
                |sweep| {
                    let record = sweep.ended?;
                    Some((record.ended? - record.started).as_seconds_f64())
                },
            ),
        ]
    }
}

impl Sweep<'_> {
    /// Devices by state, of the run that is on or else of the newest one on record.
    fn devices(&self) -> [(&'static str, u64); 4] {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (total, busy, answered, failed) = match (&self.status.running, self.newest) {
            (Some(_), _) | (None, None) => {
                let s = self.status;
                (wide(s.total), wide(s.busy), wide(s.answered), wide(s.failed))
            }
            (None, Some(record)) => (record.devices, 0, record.answered, record.failed),
        };
        let waiting = total.saturating_sub(busy + answered + failed);
        [("waiting", waiting), ("busy", busy), ("answered", answered), ("failed", failed)]
    }
}

fn sink_families(live: &Live) -> Vec<Family> {
    let each = |mut family: Family, value: fn(&SinkStatus) -> f64| {
        for (name, status) in once_each(&live.sinks, |(name, _)| name) {
            family.sample(&[("sink", name)], value(status));
        }
        family
    };
    vec![
        each(counter("versweep_sink_deliveries_total", "Events delivered; kept across restarts."), |sink| {
            number(sink.deliveries)
        }),
        each(
            counter("versweep_sink_failures_total", "Failed tries to deliver, since the daemon's start."),
            |sink| number(sink.failures),
        ),
        each(gauge("versweep_sink_pending", "Events that are not delivered yet."), |sink| {
            number(sink.pending)
        }),
        each(
            gauge(
                "versweep_sink_oldest_pending_timestamp_seconds",
                "When the oldest event that is not delivered yet happened; 0 = none is waiting.",
            ),
            |sink| seconds_or_zero(sink.oldest_pending),
        ),
        each(
            gauge("versweep_sink_held_devices", "Devices whose events wait because the sink refused one."),
            |sink| number(sink.held_devices),
        ),
        each(
            counter(
                "versweep_sink_dead_total",
                "Events given up after a day of trying; kept across restarts.",
            ),
            |sink| number(sink.dead),
        ),
        each(gauge("versweep_sink_dead_letters", "Events given up that can be asked for again."), |sink| {
            number(sink.kept)
        }),
        each(
            counter(
                "versweep_sink_dropped_total",
                "Events given up and not even kept; kept across restarts.",
            ),
            |sink| number(sink.dropped),
        ),
    ]
}

fn inventory_families(live: &Live) -> Vec<Family> {
    let each = |mut family: Family, value: fn(&SourceStatus) -> f64| {
        for status in once_each(&live.sources, |status| &status.source) {
            family.sample(&[("source", &status.source)], value(status));
        }
        family
    };
    let mut failure = gauge(
        "versweep_inventory_failure_info",
        "Why the source's last refresh brought nothing that could be used; only while it did not.",
    );
    for status in once_each(&live.sources, |status| &status.source) {
        if let Some(reason) = status.failure {
            failure.sample(&[("source", &status.source), ("reason", reason.as_str())], 1.0);
        }
    }
    vec![
        each(
            gauge("versweep_inventory_devices", "Devices that the source gave at its last good refresh."),
            |source| number(source.devices),
        ),
        each(
            gauge("versweep_inventory_last_refresh_success", "Whether the last refresh was good."),
            |source| flag(source.failure.is_none() && source.good.is_some()),
        ),
        each(
            gauge("versweep_inventory_last_refresh_timestamp_seconds", "When the source was last refreshed."),
            |source| seconds_or_zero(source.looked),
        ),
        each(
            gauge(
                "versweep_inventory_last_success_timestamp_seconds",
                "When a refresh of the source was last good; 0 = not since the daemon's start.",
            ),
            |source| seconds_or_zero(source.good),
        ),
        each(
            gauge(
                "versweep_inventory_dropped_entries",
                "Entries of the source's list that are not used: by relabelling, or because something is wrong with them.",
            ),
            |source| number(source.dropped),
        ),
        each(
            gauge(
                "versweep_inventory_unconfirmed",
                "Whether a list of the source waits for a confirmation, because so many devices are missing from it.",
            ),
            |source| flag(source.pending.is_some()),
        ),
        failure,
    ]
}

fn self_families(live: &Live) -> Vec<Family> {
    let single = |mut family: Family, value: Option<f64>| {
        if let Some(value) = value {
            family.sample(&[], value);
        }
        family
    };
    let mut build = gauge("versweep_build_info", "What the running binary was built from; always 1.");
    let info = &live.build;
    let labels = [("version", info.version), ("revision", info.revision), ("rustversion", info.rustversion)];
    build.sample(&labels, 1.0);
    vec![
        single(
            gauge("versweep_workers_limit", "The cap on devices visited at once, all sweeps together."),
            Some(number(live.workers.limit)),
        ),
        single(
            gauge("versweep_workers_busy", "Devices being visited at this moment."),
            Some(number(live.workers.busy)),
        ),
        single(
            gauge(
                "versweep_config_last_reload_successful",
                "Whether the last reload was taken; the start counts as one.",
            ),
            live.reload.as_ref().map(|reload| flag(reload.successful)),
        ),
        single(
            gauge(
                "versweep_config_last_reload_success_timestamp_seconds",
                "When a configuration was last taken.",
            ),
            live.reload.as_ref().map(|reload| seconds(reload.success_at)),
        ),
        single(
            gauge("versweep_store_size_bytes", "Size of the database file with its write-ahead log."),
            live.store_bytes.map(number),
        ),
        build,
    ]
}
