//! What versweep does, seen from outside: one file per behaviour, one binary to link.

#[cfg(test)]
#[path = "support/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "support/ssh_server.rs"]
mod ssh_server;

#[cfg(test)]
mod behaviours {
    mod host_keys;
    mod hostile_server;
    mod transport_conformance;
}
