//! What versweep does, seen from outside: one file per behaviour, one binary to link.

#[path = "support/devices.rs"]
mod devices;
#[path = "support/ssh_server.rs"]
mod ssh_server;

mod behaviours {
    mod host_keys;
    mod hostile_server;
    mod transport_conformance;
}
