//! versweep against real software. Each test needs an installed server and is run by `make test`.

#[path = "support/devices.rs"]
mod devices;
#[path = "support/sshd.rs"]
mod sshd_server;

mod real {
    mod sshd;
}
