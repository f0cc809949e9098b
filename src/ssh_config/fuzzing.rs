//! What must hold whatever stands in an ssh_config file: checked by the fuzz target, and by a test with its seeds.

use super::{SshConfig, expand};

/// Reads any text as a file and asks it for the hosts that it names: nothing panics, remarks are about lines of the file,
/// and a host gets the same answer twice.
///
/// # Panics
/// When that doesn't hold.
pub fn ssh_config(text: &str) {
    let config = SshConfig::parse(text);
    let lines = text.lines().count();
    for remark in config.faults.iter().chain(&config.warnings) {
        assert!((1..=lines).contains(&remark.line), "{remark:?} of {lines} lines");
        assert!(!remark.text.is_empty());
    }
    let words = text.split(|c: char| c.is_whitespace() || c == '=' || c == ',').take(64);
    for name in words.chain(["core1.ams", "192.0.2.1", ""]) {
        let entry = config.host(name);
        assert_eq!(entry, config.host(name));
        for file in config.known_hosts().chain(entry.identity_file.as_deref()) {
            let filled = expand(file, Some("/home/x"), name, entry.user.as_deref().unwrap_or("x"));
            // A file's name grows by what is filled in for each of its tokens, and by nothing else.
            let most = file.len() * (name.len() + entry.user.as_ref().map_or(1, String::len) + 8);
            assert!(filled.is_none_or(|filled| filled.len() <= most), "{file}");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds::replay;

    #[test]
    fn the_seeds_of_ssh_config_hold() {
        replay("ssh_config", |bytes| super::ssh_config(&String::from_utf8_lossy(bytes)));
    }
}
