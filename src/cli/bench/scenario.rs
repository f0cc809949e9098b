//! The scenarios with a target: a fleet's figures, and what must come of them.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::report::Report;
use super::run::Visitor;
use crate::sim::KeyExchange;

/// How often each visitor of a scenario sweeps.
pub(super) const ROUNDS: u32 = 3;

/// The six ways to be dead, all of them together one device in ten.
const DEAD: &str = "drop=1.6667%,refuse=1.6667%,silent=1.6667%,stall=1.6667%,hang=1.6667%,mute=1.6667%";

/// A fleet and its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// 2,000 devices without a delay, 64 at once: CPU for a visit
    A,
    /// 10,000 devices of 2 s, 1,024 at once: wall time against whole waves
    B,
    /// 10,000 devices of 2 s, all at once: wall time against bare russh, and memory
    C,
    /// 10,000 devices of 2 s, one in ten dead in six ways, 1,024 at once: wall time, kinds, what is left over
    D,
    /// 100,000 devices of 0.2 s, 2,048 at once, with the store and the metrics: CPU, memory, the store's growth
    E,
    /// 300 devices with Diffie-Hellman group 14 only, 64 at once: CPU for a visit
    H,
}

/// A scenario's fleet and who sweeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) devices: u32,
    pub(super) workers: u32,
    pub(super) delay: Duration,
    /// What each step of a visit may take; far more than it takes where that isn't said.
    pub(super) timeout: Option<Duration>,
    pub(super) visitors: &'static [Visitor],
    pub(super) faults: &'static str,
    pub(super) key_exchange: KeyExchange,
    /// Whether scenario A's fleet is swept as well, to compare with.
    pub(super) beside_a: bool,
}

impl Default for Figures {
    /// Without a scenario.
    fn default() -> Self {
        Self {
            devices: 2_000,
            workers: 256,
            delay: Duration::from_secs(2),
            timeout: None,
            visitors: &[Visitor::First, Visitor::Again, Visitor::Bare],
            faults: "",
            key_exchange: KeyExchange::Curve25519,
            beside_a: false,
        }
    }
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
    pub(super) fn figures(self) -> Figures {
        let usual = Figures::default();
        match self {
            Self::A => Figures { workers: 64, delay: Duration::ZERO, ..usual },
            Self::B => Figures { devices: 10_000, workers: 1_024, ..usual },
            Self::C => Figures { devices: 10_000, workers: 10_000, ..usual },
            Self::D => Figures {
                devices: 10_000,
                workers: 1_024,
                timeout: Some(Duration::from_secs(10)),
                visitors: &[Visitor::Learning, Visitor::Learned, Visitor::HeldOff],
                faults: DEAD,
                ..usual
            },
            Self::E => Figures {
                devices: 100_000,
                workers: 2_048,
                delay: Duration::from_millis(200),
                visitors: &[Visitor::Learning, Visitor::Learned],
                beside_a: true,
                ..usual
            },
            Self::H => Figures {
                devices: 300,
                workers: 64,
                delay: Duration::ZERO,
                visitors: &[Visitor::First, Visitor::Bare],
                key_exchange: KeyExchange::DhGroup14,
                ..usual
            },
        }
    }

    /// What came of the targets; one whose visitor did not sweep is left out.
    pub(super) fn goals(self, report: &Report) -> Vec<Goal> {
        let (first, learning, learned) = (Visitor::First, Visitor::Learning, Visitor::Learned);
        let goals = match self {
            Self::A => vec![("CPU a visit / bare", 1.0, report.cpu_ratio(first))],
            Self::B => vec![("wall / whole waves", 1.05, report.wall_to_waves(first))],
            Self::C => vec![
                ("wall / bare", 1.15, report.wall_to_bare(first)),
                ("KiB a session", 64.0, report.kibibytes_per_session(first)),
            ],
            Self::D => vec![
                ("first sweep, (wall - one timeout) / ideal", 1.05, report.wall_but_a_timeout(learning)),
                ("slowest first, wall / ideal", 1.05, report.wall_to_ideal(learned)),
                ("dead ones held off, wall / ideal", 1.05, report.wall_to_ideal(Visitor::HeldOff)),
                ("tasks and sockets left over", 0.0, report.left_over()),
            ],
            Self::E => vec![
                ("first sweep, CPU a visit / scenario A's", 1.15, report.cpu_to_a(learning)),
                ("nothing new, CPU a visit / scenario A's", 1.15, report.cpu_to_a(learned)),
                ("resident MiB", 1024.0, report.mebibytes()),
                ("nothing new, the store grows by bytes a device", 300.0, report.store_growth(learned)),
            ],
            Self::H => vec![("CPU a visit in ms", 5.0, report.cpu(first))],
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
