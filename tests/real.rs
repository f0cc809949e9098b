//! versweep against real software. Each test needs an installed server and is run by `make test`.

#[cfg(test)]
#[path = "support/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "support/sshd.rs"]
mod sshd_server;

#[cfg(test)]
mod real {
    mod sshd;
}
