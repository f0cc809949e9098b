//! Servers that do everything wrong, one row each. Whatever they do: the visit ends by its limits with a failure of the
//! right kind, in bounded memory, and leaves no task and no socket. The rows take turns, so that what this process holds is
//! theirs.

#[cfg(test)]
#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/devices.rs"]
mod devices;
#[cfg(test)]
#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/shell_server.rs"]
mod shell_server;
#[cfg(test)]
#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/ssh_server.rs"]
mod ssh_server;

#[cfg(test)]
#[path = "hostile/cutter.rs"]
mod cutter;
#[cfg(test)]
#[path = "hostile/preacher.rs"]
mod preacher;
#[cfg(test)]
#[path = "hostile/rows.rs"]
mod rows;
#[cfg(test)]
#[path = "hostile/visitor.rs"]
mod visitor;
