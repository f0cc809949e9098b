//! What this process uses, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The kernel's clock ticks a second in `/proc`: 100 on every Linux, whatever its own timer does (proc_pid_stat(5)).
const TICKS: u64 = 100;

/// The state before a measurement.
#[derive(Debug)]
pub(super) struct Usage {
    cpu: Duration,
    resident: u64,
}

/// What a measurement found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    /// User and system time of all threads.
    pub(super) cpu: Duration,
    /// The most memory that was resident, in bytes.
    pub(super) peak: u64,
    /// What the peak lies above the beginning, in bytes.
    pub(super) growth: u64,
}

impl Usage {
    /// Begins to measure; earlier peaks of memory are forgotten.
    ///
    /// # Errors
    /// Without a `/proc` that can be read.
    pub(super) fn begin() -> anyhow::Result<Self> {
        // 5 resets the peak (proc_pid_clear_refs(5)). Where that isn't allowed, an earlier peak may show.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Ok(Self { cpu: cpu()?, resident: memory("VmRSS:")? })
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// Without a `/proc` that can be read.
    pub(super) fn end(&self) -> anyhow::Result<Used> {
        let peak = memory("VmHWM:")?;
        Ok(Used { cpu: cpu()?.saturating_sub(self.cpu), peak, growth: peak.saturating_sub(self.resident) })
    }
}

/// How many sockets this process has open.
///
/// # Errors
/// Without a `/proc` that can be read.
pub(super) fn sockets() -> anyhow::Result<usize> {
    let files = fs::read_dir("/proc/self/fd").context("can't read /proc/self/fd")?;
    // One that was closed meanwhile can't be looked at, and is none.
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
}

fn cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("can't read /proc/self/stat")?;
    cpu_of(&stat).context("can't make sense of /proc/self/stat")
}

/// User and system time are fields 14 and 15; the second field is a name in parentheses that may hold blanks.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS))
}

fn memory(field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("can't read /proc/self/status")?;
    memory_of(&status, field).with_context(|| format!("can't find {field} in /proc/self/status"))
}

fn memory_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let stat = "42 (a ) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 200";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(3)));
        assert_eq!(memory_of("Name:\tx\nVmHWM:\t    2048 kB\n", "VmHWM:"), Some(2 * 1024 * 1024));
        assert_eq!(memory_of("Name:\tx\n", "VmHWM:"), None);
    }
}
