//! The process's own limits: open files, of which every visit needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the daemon needs beside its visits: store, sinks, listeners, scrapes, logs.
pub const FILES_BESIDE_VISITS: usize = 128;

/// The limit of open files doesn't suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} open files are needed, but the hard limit is {limit}: \
     raise it (LimitNOFILE={needed} in the unit, or `ulimit -Hn {needed}`) or ask for less at once"
)]
pub struct TooFewFiles {
    /// Files needed.
    pub needed: usize,
    /// Files allowed.
    pub limit: usize,
}

/// Raises the soft limit of open files to the hard one and returns it; `usize::MAX` where there is none.
#[must_use]
pub fn raise_open_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    // A refusal leaves the soft limit as it is, and that is what is then counted with.
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    allowed.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Checks that `needed` files can be open at once.
///
/// # Errors
/// [`TooFewFiles`] with the figure needed.
pub fn require_open_files(needed: usize) -> Result<(), TooFewFiles> {
    let limit = raise_open_files();
    if needed > limit { Err(TooFewFiles { needed, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_beyond_the_limit_is_refused_with_the_figure() {
        assert_eq!(require_open_files(16), Ok(()));
        let refused = TooFewFiles { needed: 70_000, limit: 1024 };
        assert!(refused.to_string().contains("LimitNOFILE=70000"));
    }
}
