//! The figures of a benchmark, as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::run::{Run, Visitor};
use super::scenario::Goal;

/// All figures: for each visitor the medians of its sweeps.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) devices: u32,
    workers: u32,
    delay_seconds: f64,
    rounds: usize,
    /// All delays laid end to end and shared among the workers: devices x delay / workers.
    ideal_seconds: f64,
    /// What whole waves of visits would take: the last wave need not be full and takes as long.
    waves_seconds: f64,
    sweeps: Vec<Sweep>,
    /// Scenario A's fleet, for scenarios that are held against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beside_a: Option<Run>,
    /// What each step of a visit may take, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<f64>,
    /// What came of the scenario's targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) goals: Vec<Goal>,
}

/// One visitor's figures.
#[derive(Debug, Clone, Serialize)]
struct Sweep {
    visitor: Visitor,
    #[serde(flatten)]
    median: Run,
    /// Wall time over the ideal; absent without a delay.
    wall_ratio: Option<f64>,
    /// CPU for one visit over that of bare russh; absent where that did not sweep.
    cpu_ratio: Option<f64>,
}

impl Report {
    pub(super) fn of(
        devices: u32,
        workers: u32,
        delay: Duration,
        runs: &BTreeMap<Visitor, Vec<Run>>,
    ) -> Self {
        let (count, at_once, delay) = (f64::from(devices), f64::from(workers), delay.as_secs_f64());
        let ideal = count * delay / at_once;
        let medians: Vec<_> =
            runs.iter().filter_map(|(visitor, runs)| Some((*visitor, median(runs)?))).collect();
        let bare = medians.iter().find(|(visitor, _)| *visitor == Visitor::Bare);
        // A clock tick is the least that can be told; less than that divides by nothing.
        let bare = bare.map(|(_, run)| run.cpu_ms_per_visit.max(1e-3));
        let sweeps = medians.into_iter().map(|(visitor, median)| Sweep {
            visitor,
            wall_ratio: (median.ideal_seconds > 0.0).then(|| median.wall_seconds / median.ideal_seconds),
            cpu_ratio: bare.map(|bare| median.cpu_ms_per_visit / bare),
            median,
        });
        Self {
            devices,
            workers,
            delay_seconds: delay,
            rounds: runs.values().map(Vec::len).max().unwrap_or(0),
            ideal_seconds: ideal,
            waves_seconds: (count / at_once).ceil() * delay,
            sweeps: sweeps.collect(),
            beside_a: None,
            timeout_seconds: None,
            goals: Vec::new(),
        }
    }

    /// How many visits failed, in all medians.
    pub(super) fn failed(&self) -> usize {
        self.sweeps.iter().flat_map(|sweep| sweep.median.failures.values()).sum()
    }

    /// The first visitor's wall time over the ideal.
    pub(super) fn ratio(&self) -> Option<f64> {
        self.sweeps.first()?.wall_ratio
    }

    /// CPU for a visit over that of bare russh.
    pub(super) fn cpu_ratio(&self, visitor: Visitor) -> Option<f64> {
        self.sweep(visitor)?.cpu_ratio
    }

    /// Wall time over that of whole waves of visits.
    pub(super) fn wall_to_waves(&self, visitor: Visitor) -> Option<f64> {
        let wall = self.sweep(visitor)?.median.wall_seconds;
        (self.waves_seconds > 0.0).then(|| wall / self.waves_seconds)
    }

    /// Wall time over that of bare russh.
    pub(super) fn wall_to_bare(&self, visitor: Visitor) -> Option<f64> {
        Some(self.sweep(visitor)?.median.wall_seconds / self.sweep(Visitor::Bare)?.median.wall_seconds)
    }

    /// What the process grew by for each visit under way.
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    pub(super) fn kibibytes_per_session(&self, visitor: Visitor) -> Option<f64> {
        Some(self.sweep(visitor)?.median.resident_bytes_per_session as f64 / 1024.0)
    }

    /// CPU for a visit, in milliseconds.
    pub(super) fn cpu(&self, visitor: Visitor) -> Option<f64> {
        Some(self.sweep(visitor)?.median.cpu_ms_per_visit)
    }

    /// The same over that of scenario A's first sweep.
    pub(super) fn cpu_to_a(&self, visitor: Visitor) -> Option<f64> {
        Some(self.cpu(visitor)? / self.beside_a.as_ref()?.cpu_ms_per_visit)
    }

    /// Wall time over the ideal.
    pub(super) fn wall_to_ideal(&self, visitor: Visitor) -> Option<f64> {
        self.sweep(visitor)?.wall_ratio
    }

    /// The same for a wall that is shorter by one timeout.
    pub(super) fn wall_but_a_timeout(&self, visitor: Visitor) -> Option<f64> {
        let median = &self.sweep(visitor)?.median;
        Some((median.wall_seconds - self.timeout_seconds?) / median.ideal_seconds)
    }

    /// The most memory that any sweep had resident.
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    pub(super) fn mebibytes(&self) -> Option<f64> {
        let peaks = self.sweeps.iter().map(|sweep| sweep.median.peak_resident_bytes);
        peaks.max().map(|peak| peak as f64 / f64::from(1 << 20))
    }

    /// What the store grew by for each device.
    pub(super) fn store_growth(&self, visitor: Visitor) -> Option<f64> {
        self.sweep(visitor)?.median.store_bytes_per_visit
    }

    /// Tasks and sockets that were still there after a sweep, of all sweeps.
    #[expect(clippy::cast_precision_loss, reason = "tasks are far below 2^52")]
    pub(super) fn left_over(&self) -> Option<f64> {
        Some(self.sweeps.iter().map(|sweep| sweep.median.left_over).sum::<usize>() as f64)
    }

    fn sweep(&self, visitor: Visitor) -> Option<&Sweep> {
        self.sweeps.iter().find(|sweep| sweep.visitor == visitor)
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header([
            "sweep",
            "wall",
            "/ ideal",
            "CPU a visit",
            "/ bare",
            "peak",
            "a session",
            "store a visit",
            "answered",
            "rightly ill",
            "failed",
        ]);
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        let beside = self.beside_a.iter().map(|run| ("scenario a".to_owned(), run, None, None));
        let swept = self.sweeps.iter().map(|sweep| {
            let name = format!("{:?}", sweep.visitor).to_lowercase();
            (name, &sweep.median, sweep.wall_ratio, sweep.cpu_ratio)
        });
        for (name, run, wall_ratio, cpu_ratio) in swept.chain(beside) {
            let failures: Vec<_> =
                run.failures.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            table.add_row([
                name,
                format!("{:.2} s", run.wall_seconds),
                ratio(wall_ratio),
                format!("{:.3} ms", run.cpu_ms_per_visit),
                ratio(cpu_ratio),
                format!("{} MiB", run.peak_resident_bytes >> 20),
                format!("{} KiB", run.resident_bytes_per_session >> 10),
                run.store_bytes_per_visit.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0} B")),
                run.answered.to_string(),
                run.ill.to_string(),
                failures.join(", "),
            ]);
        }
        let goals: String = self.goals.iter().map(|goal| format!("\n{}", goal.line())).collect();
        format!(
            "{} devices of {} s, {} at once, ideal {:.2} s ({:.2} s in whole waves), median of {}\n{table}{goals}",
            self.devices,
            self.delay_seconds,
            self.workers,
            self.ideal_seconds,
            self.waves_seconds,
            self.rounds
        )
    }
}

/// Of each figure the median; failures are of the run that had the most.
pub(super) fn median(runs: &[Run]) -> Option<Run> {
    let middle = |figure: fn(&Run) -> f64| {
        let mut figures: Vec<f64> = runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    };
    let bytes = |figure: fn(&Run) -> u64| {
        let mut figures: Vec<u64> = runs.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied()
    };
    let worst = runs.iter().max_by_key(|run| run.failures.values().sum::<usize>())?;
    let stores = runs.iter().all(|run| run.store_bytes_per_visit.is_some());
    let grown = if stores { middle(|run| run.store_bytes_per_visit.unwrap_or(0.0)) } else { None };
    Some(Run {
        visits: worst.visits,
        ideal_seconds: middle(|run| run.ideal_seconds)?,
        wall_seconds: middle(|run| run.wall_seconds)?,
        cpu_ms_per_visit: middle(|run| run.cpu_ms_per_visit)?,
        peak_resident_bytes: bytes(|run| run.peak_resident_bytes)?,
        resident_bytes_per_session: bytes(|run| run.resident_bytes_per_session)?,
        answered: worst.answered,
        ill: worst.ill,
        failures: worst.failures.clone(),
        left_over: runs.iter().map(|run| run.left_over).max()?,
        store_bytes_per_visit: grown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wall: f64, cpu: f64, answered: usize) -> Run {
        let failures = BTreeMap::from([("timeout".to_owned(), 10 - answered)]);
        Run {
            visits: 10,
            ideal_seconds: 2.0,
            wall_seconds: wall,
            cpu_ms_per_visit: cpu,
            peak_resident_bytes: 1 << 20,
            resident_bytes_per_session: 1 << 10,
            answered,
            ill: 0,
            left_over: 0,
            store_bytes_per_visit: None,
            failures: failures.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }

    #[test]
    fn medians_are_of_each_figure_and_failures_of_the_worst_run() {
        let first = vec![run(3.0, 0.5, 10), run(1.0, 0.6, 9), run(2.0, 0.7, 10)];
        let runs = BTreeMap::from([(Visitor::First, first), (Visitor::Bare, vec![run(2.0, 0.3, 10)])]);
        let report = Report::of(10, 5, Duration::from_secs(1), &runs);
        let sweep = &report.sweeps[0];
        assert_eq!((sweep.median.wall_seconds, sweep.median.cpu_ms_per_visit), (2.0, 0.6));
        assert_eq!((sweep.wall_ratio, sweep.cpu_ratio), (Some(1.0), Some(2.0)));
        assert_eq!((report.failed(), report.ratio(), report.waves_seconds), (1, Some(1.0), 2.0));
        assert!(report.table().contains("timeout 1"), "{}", report.table());
    }

    #[test]
    fn without_a_delay_there_is_no_ideal() {
        let runs = BTreeMap::from([(Visitor::First, vec![Run { ideal_seconds: 0.0, ..run(3.0, 0.5, 10) }])]);
        let report = Report::of(10, 5, Duration::ZERO, &runs);
        assert_eq!((report.ratio(), report.sweeps[0].cpu_ratio), (None, None));
    }
}
