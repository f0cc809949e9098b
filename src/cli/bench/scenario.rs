//! The scenarios with a target: a fleet's figures, and what must come of them.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::report::Report;
use super::run::Visitor;

/// How often each visitor of a scenario sweeps.
pub(super) const ROUNDS: u32 = 3;

/// A fleet and its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// 2,000 devices without a delay, 64 at once: CPU for a visit
    A,
    /// 10,000 devices of 2 s, 1,024 at once: wall time against whole waves
    B,
    /// 10,000 devices of 2 s, all at once: wall time against bare russh, and memory
    C,
}

/// A figure that must not pass a bound.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Goal {
    what: &'static str,
    allowed: f64,
    measured: f64,
    met: bool,
}

impl Scenario {
    pub(super) fn devices(self) -> u32 {
        match self {
            Self::A => 2_000,
            Self::B | Self::C => 10_000,
        }
    }

    pub(super) fn workers(self) -> u32 {
        match self {
            Self::A => 64,
            Self::B => 1_024,
            Self::C => 10_000,
        }
    }

    pub(super) fn delay(self) -> Duration {
        match self {
            Self::A => Duration::ZERO,
            Self::B | Self::C => Duration::from_secs(2),
        }
    }

    /// What came of the targets; one whose visitor did not sweep is left out.
    pub(super) fn goals(self, report: &Report) -> Vec<Goal> {
        let first = Visitor::First;
        let goals = match self {
            Self::A => vec![("CPU a visit / bare", 1.0, report.cpu_ratio(first))],
            Self::B => vec![("wall / whole waves", 1.05, report.wall_to_waves(first))],
            Self::C => vec![
                ("wall / bare", 1.15, report.wall_to_bare(first)),
                ("KiB a session", 64.0, report.kibibytes_per_session(first)),
            ],
        };
        let told =
            goals.into_iter().filter_map(|(what, allowed, measured)| Goal::of(what, allowed, measured?));
        told.collect()
    }
}

impl Goal {
    fn of(what: &'static str, allowed: f64, measured: f64) -> Option<Self> {
        measured.is_finite().then_some(Self { what, allowed, measured, met: measured <= allowed })
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        let met = if self.met { "met" } else { "missed" };
        format!("target {} at most {}: {:.3}, {met}", self.what, self.allowed, self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::Goal;

    #[test]
    fn a_target_is_met_up_to_its_bound() {
        let lines = [1.05, 1.051].map(|measured| Goal::of("wall", 1.05, measured).map(|goal| goal.line()));
        let told = ["target wall at most 1.05: 1.050, met", "target wall at most 1.05: 1.051, missed"];
        assert_eq!(lines.map(Option::unwrap_or_default), told);
        assert!(Goal::of("wall", 1.05, f64::NAN).is_none());
    }
}
