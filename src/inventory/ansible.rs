//! Ansible's inventories, INI and YAML: hosts in groups of groups, ranges, variables by precedence, also from
//! `group_vars` and `host_vars` beside the inventory.
//!
//! <https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html>. Scripts and plugins are not run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entry::Entry;
use crate::source::Vaulted;

mod beside;
mod ini;
mod ranges;
mod tree;

pub(super) use beside::BESIDE;
pub(super) use ini::read as read_ini;
pub(super) use tree::read as read_yaml;

/// The variables that say something of a device.
const USED: [&str; 8] = [
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_ssh_port",
    "ansible_connection",
    "ansible_network_os",
    "site",
    "role",
];

/// The most hosts of one inventory: a range of a few characters could name more than there are addresses.
const HOSTS_MAX: usize = 1_000_000;

/// The group of all hosts, and the one of those in no other.
const ALL: &str = "all";

/// What a text begins with that ansible-vault has encrypted.
const VAULT: &str = "$ANSIBLE_VAULT";

type Vars = BTreeMap<String, String>;

/// Hosts and groups as they stand in a file.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// In the order in which they were first named, with the line of that.
    hosts: Vec<Host>,
    places: BTreeMap<String, usize>,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Host {
    name: String,
    line: Option<usize>,
    vars: Vars,
    /// Those of `host_vars`.
    beside: Vars,
    groups: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Group {
    parents: BTreeSet<String>,
    vars: Vars,
    /// Those of `group_vars`.
    beside: Vars,
}

impl Group {
    /// Among groups of one depth, the one with the greater number goes over the others.
    fn priority(&self) -> i64 {
        self.vars.get("ansible_group_priority").and_then(|text| text.trim().parse().ok()).unwrap_or(1)
    }
}

/// What is wrong, with its line where there is one.
pub(super) type Wrong = (Option<usize>, String);

impl Tree {
    /// Adds the hosts of a pattern to a group.
    fn hosts(&mut self, pattern: &str, line: Option<usize>, group: &str, vars: &Vars) -> Result<(), Wrong> {
        let (pattern, port) = with_port(pattern);
        for name in ranges::expand(pattern, HOSTS_MAX).map_err(|problem| (line, problem))? {
            let at = *self.places.entry(name.clone()).or_insert(self.hosts.len());
            if at == self.hosts.len() {
                if at >= HOSTS_MAX {
                    return Err((line, format!("more than {HOSTS_MAX} hosts")));
                }
                let (vars, beside) = (Vars::new(), Vars::new());
                self.hosts.push(Host { name, line, vars, beside, groups: BTreeSet::new() });
            }
            let host = &mut self.hosts[at];
            host.groups.insert(group.to_owned());
            host.vars.extend(port.map(|port| ("ansible_port".to_owned(), port.to_owned())));
            host.vars.extend(vars.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        self.group(group);
        Ok(())
    }

    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    fn child(&mut self, parent: &str, child: &str) {
        self.group(parent);
        self.group(child).parents.insert(parent.to_owned());
    }

    /// The hosts with their variables: those of `all` first, then of groups from the outermost to the innermost, the
    /// host's own last; what stands in files beside the inventory goes over what the inventory itself says, of groups
    /// as of hosts.
    pub(super) fn entries(&self, file: &Arc<str>, vaulted: Vaulted) -> Result<Vec<Entry>, Wrong> {
        let mut depths = BTreeMap::new();
        for name in self.groups.keys() {
            self.depth(name, &mut depths, &mut Vec::new())?;
        }
        self.hosts.iter().map(|host| self.entry(host, file, &depths, vaulted)).collect()
    }

    /// How many groups stand above a group at most; a group above itself is an error.
    fn depth(
        &self,
        name: &str,
        depths: &mut BTreeMap<String, usize>,
        below: &mut Vec<String>,
    ) -> Result<usize, Wrong> {
        if name == ALL {
            return Ok(0);
        }
        if let Some(depth) = depths.get(name) {
            return Ok(*depth);
        }
        if below.iter().any(|other| other == name) || below.len() > 100 {
            return Err((None, format!("group {name} is a child of itself")));
        }
        below.push(name.to_owned());
        let mut depth = 1;
        for parent in self.groups.get(name).into_iter().flat_map(|group| &group.parents) {
            depth = depth.max(self.depth(parent, depths, below)? + 1);
        }
        below.pop();
        depths.insert(name.to_owned(), depth);
        Ok(depth)
    }

    fn entry(
        &self,
        host: &Host,
        file: &Arc<str>,
        depths: &BTreeMap<String, usize>,
        vaulted: Vaulted,
    ) -> Result<Entry, Wrong> {
        let mut groups = BTreeSet::new();
        let mut waiting: Vec<&String> = host.groups.iter().collect();
        while let Some(name) = waiting.pop() {
            if groups.insert(name.as_str()) {
                waiting.extend(self.groups.get(name).into_iter().flat_map(|group| &group.parents));
            }
        }
        groups.remove(ALL);
        let mut order: Vec<&str> = groups.iter().copied().collect();
        let priority = |name: &str| self.groups.get(name).map_or(1, Group::priority);
        order.sort_by_key(|name| (depths.get(*name).copied().unwrap_or_default(), priority(name), *name));
        let of_groups: Vec<&Group> =
            [ALL].into_iter().chain(order).filter_map(|name| self.groups.get(name)).collect();
        let mut vars = Vars::new();
        let layers =
            of_groups.iter().map(|group| &group.vars).chain(of_groups.iter().map(|group| &group.beside));
        for layer in layers.chain([&host.vars, &host.beside]) {
            vars.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let encrypted: Vec<String> =
            vars.extract_if(.., |_, value| value.starts_with(VAULT)).map(|(name, _)| name).collect();
        match encrypted.iter().find(|name| USED.contains(&name.as_str())) {
            Some(name) if vaulted == Vaulted::Refused => {
                let problem = format!("{name} of {} is encrypted by ansible-vault", host.name);
                Err((host.line, problem))
            }
            _ => Ok(entry(host, file, &vars, &groups)),
        }
    }
}

fn entry(host: &Host, file: &Arc<str>, vars: &Vars, groups: &BTreeSet<&str>) -> Entry {
    let mut entry = Entry::new(file, host.line);
    entry.push("name", host.name.clone());
    let var = |name: &str| vars.get(name).filter(|value| !value.is_empty() && !value.contains("{{"));
    let mut push = |key: &str, value: Option<&String>| {
        if let Some(value) = value {
            entry.push(key, value.clone());
        }
    };
    push("address", var("ansible_host").or_else(|| var("ansible_ssh_host")));
    // The port of another protocol is not that of SSH.
    let over_ssh = var("ansible_connection").is_none_or(|way| {
        let way = way.rsplit('.').next().unwrap_or(way);
        ["ssh", "smart", "paramiko", "paramiko_ssh", "network_cli", "libssh"].contains(&way)
    });
    push("port", var("ansible_port").or_else(|| var("ansible_ssh_port")).filter(|_| over_ssh));
    push("platform", var("ansible_network_os"));
    push("site", var("site"));
    push("role", var("role"));
    for (name, value) in vars {
        // What may be a secret is nobody's label, not even by a slip of relabelling.
        if !["pass", "secret", "token", "key", "become"]
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word))
        {
            push(&format!("__var_{name}"), Some(value));
        }
    }
    let joined = groups.iter().copied().collect::<Vec<_>>().join(",");
    push("__groups", Some(&format!(",{joined},")));
    entry
}

/// `host:port`, where the colon is not one of a range or of an IPv6 address.
fn with_port(pattern: &str) -> (&str, Option<&str>) {
    match pattern.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty()
                && host.matches('[').count() == host.matches(']').count()
                && (!host.contains(':') || host.contains('['))
                && port.parse::<u16>().is_ok() =>
        {
            (host, Some(port))
        }
        _ => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tree: &Tree) -> Vec<String> {
        let tell = |entry: &Entry| {
            let keys = ["name", "address", "port", "platform", "site", "__groups", "__var_tier"];
            keys.map(|key| entry.text(key).unwrap_or_default().into_owned()).join(" ")
        };
        tree.entries(&Arc::from("hosts"), Vaulted::Refused).unwrap().iter().map(tell).collect()
    }

    const INI: &str = "
lone ansible_host=192.0.2.99

[core]
core[01:03].ams ansible_host=192.0.2.1 tier='one two'
# a comment
core-x:2222 ansible_port_unused=1   # behind it

[edge]
edge-[a:c]
core01.ams

[network:children]
core
edge

[network:vars]
ansible_network_os=cisco.iosxr.iosxr
site = ams
tier=outer

[edge:vars]
tier=inner
[all:vars]
site=all
ansible_password=planted
";

    #[test]
    fn ini_with_groups_of_groups_ranges_and_vars() {
        let tree = read_ini(INI).unwrap();
        assert_eq!(
            told(&tree),
            [
                "lone 192.0.2.99   all ,ungrouped, ",
                "core01.ams 192.0.2.1  cisco.iosxr.iosxr ams ,core,edge,network, one two",
                "core02.ams 192.0.2.1  cisco.iosxr.iosxr ams ,core,network, one two",
                "core03.ams 192.0.2.1  cisco.iosxr.iosxr ams ,core,network, one two",
                "core-x  2222 cisco.iosxr.iosxr ams ,core,network, outer",
                "edge-a   cisco.iosxr.iosxr ams ,edge,network, inner",
                "edge-b   cisco.iosxr.iosxr ams ,edge,network, inner",
                "edge-c   cisco.iosxr.iosxr ams ,edge,network, inner",
            ]
        );
        let entries = tree.entries(&Arc::from("hosts"), Vaulted::Refused).unwrap();
        assert!(!format!("{entries:?}").contains("planted"));
        assert_eq!(entries[1].place(), "hosts:5");
    }

    #[test]
    fn yaml_says_the_same() {
        let yaml = "all:
  vars: {site: all, ansible_password: planted}
  hosts:
    lone: {ansible_host: 192.0.2.99}
  children:
    network:
      vars: {ansible_network_os: cisco.iosxr.iosxr, site: ams, tier: outer}
      children:
        core:
          hosts:
            core[01:03].ams: {ansible_host: 192.0.2.1, tier: one two}
            core-x: {ansible_port: 2222}
        edge:
          hosts:
            edge-[a:c]:
            core01.ams:
          vars: {tier: inner}
";
        let mut wanted = told(&read_ini(INI).unwrap());
        wanted[0] = "lone 192.0.2.99   all ,, ".to_owned();
        wanted.sort();
        let mut told = told(&read_yaml(yaml).unwrap());
        told.sort();
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_is_no_inventory_is_told_with_its_line() {
        let wrong = |text: &str| read_ini(text).err().unwrap();
        assert_eq!(wrong("a\n[b"), (Some(2), "a section without its ]".to_owned()));
        assert_eq!(wrong("a[1:x]").1, "\"a[1:x]\" is no range of hosts");
        assert_eq!(wrong("a[1:99999999]").1, "\"a[1:99999999]\" names more than 1000000 hosts");
        assert_eq!(wrong("[a:parents]\nb").1, "[a:parents] is neither hosts nor children nor vars");
        let cycle = read_ini("[a:children]\nb\n[b:children]\na\n").unwrap();
        assert!(
            cycle.entries(&Arc::from("h"), Vaulted::Refused).unwrap_err().1.contains("is a child of itself")
        );
        assert!(read_yaml("all: [a, b]").is_err());
        assert!(read_yaml("all:\n  hots: {}\n").unwrap_err().1.contains("hots"));
    }

    #[test]
    fn a_port_is_told_from_a_range_and_from_ipv6() {
        assert_eq!(with_port("a:22"), ("a", Some("22")));
        assert_eq!(with_port("a[1:3]"), ("a[1:3]", None));
        assert_eq!(with_port("a[1:3]:22"), ("a[1:3]", Some("22")));
        assert_eq!(with_port("2001:db8::1"), ("2001:db8::1", None));
        let ini = "[2001:db8::1]:2222 site=ams\n[2001:db8::2]\n2001:db8::3\n";
        let yaml = "all: {hosts: {'[2001:db8::1]:2222': {site: ams}, '[2001:db8::2]': , '2001:db8::3': }}";
        for tree in [read_ini(ini).unwrap(), read_yaml(yaml).unwrap()] {
            let entries = tree.entries(&Arc::from("hosts"), Vaulted::Refused).unwrap();
            let mut told: Vec<_> =
                entries.iter().map(|entry| (entry.text("name").unwrap(), entry.text("port"))).collect();
            // The YAML form has no order of its own.
            told.sort();
            let names: Vec<_> = told.iter().map(|(name, _)| name.as_ref()).collect();
            assert_eq!(names, ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
            assert_eq!(told[0].1.as_deref(), Some("2222"));
        }
    }
}
