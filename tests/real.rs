//! What needs an installed server or root, one file per behaviour; `make test` runs these too.

#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/visits.rs"]
mod visits;

#[path = "real/disk_refuses.rs"]
mod disk_refuses;
