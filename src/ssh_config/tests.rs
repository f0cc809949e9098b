//! What files say, in the words of ssh_config(5).

use proptest::prelude::*;

use super::*;

const FILE: &str = r#"
# The first value counts.
GlobalKnownHostsFile /etc/ssh/known "/etc/ssh/more known"
Host core1.ams
    HostName 192.0.2.1
    Port=2222
    User = netops
    IdentityFile ~/.ssh/id_ed25519
    IdentityFile ~/.ssh/id_rsa
    ProxyJump "bastion,gate@10.0.0.1:2200,ssh://[2001:db8::1]:22"
Host old-* !old-9    # a comment
    KexAlgorithms +diffie-hellman-group1-sha1
    StrictHostKeyChecking yes
Match exec "true"
    User nobody
host *.lab
    hostname %h.example.net
    Ciphers aes256-ctr
    proxyjump none
Host *
    User everybody
    Ciphers 3des-*
    UserKnownHostsFile ~/.ssh/known_hosts
"#;

fn hop(host: &str, user: Option<&str>, port: Option<u16>) -> Hop {
    Hop { host: host.to_owned(), user: user.map(str::to_owned), port }
}

#[test]
fn the_first_value_of_each_setting_counts() {
    let config = SshConfig::parse(FILE);
    assert_eq!(config.faults, []);
    let entry = config.host("core1.ams");
    assert_eq!(entry.host_name.as_deref(), Some("192.0.2.1"));
    assert_eq!((entry.port, entry.user.as_deref()), (Some(2222), Some("netops")));
    assert_eq!(entry.identity_file.as_deref(), Some("~/.ssh/id_ed25519"));
    let way = [
        hop("bastion", None, None),
        hop("10.0.0.1", Some("gate"), Some(2200)),
        hop("2001:db8::1", None, Some(22)),
    ];
    assert_eq!(entry.proxy_jump.as_deref(), Some(&way[..]));
    assert!(entry.legacy, "3des-* is what Host * names");
    let lab = config.host("r1.LAB");
    assert_eq!(lab.host_name.as_deref(), Some("r1.LAB.example.net"));
    assert_eq!((lab.proxy_jump, lab.legacy), (Some(Vec::new()), false));
    let old = config.host("old-1");
    assert_eq!((old.strict, old.legacy, old.user.as_deref()), (Some(true), true, Some("everybody")));
    assert_eq!(config.host("old-9").strict, None);
}

#[test]
fn known_hosts_count_where_they_are_for_all() {
    let config = SshConfig::parse(FILE);
    let files: Vec<_> = config.known_hosts().collect();
    assert_eq!(files, ["/etc/ssh/known", "/etc/ssh/more known", "~/.ssh/known_hosts"]);
    let narrow = SshConfig::parse("Host lab*\nUserKnownHostsFile lab_hosts");
    assert_eq!(narrow.known_hosts().count(), 0);
    assert_eq!(narrow.warnings[0].line, 2);
}

#[test]
fn what_is_not_followed_is_said() {
    let text = "Host a\nProxyCommand nc %h %p\nProxyCommand none\nInclude conf.d/*\nMatch all\nUser me\nMatch host b\nUser b";
    let config = SshConfig::parse(text);
    let told: Vec<_> = config.warnings.iter().map(|w| (w.line, w.keyword.as_str())).collect();
    assert_eq!(told, [(2, "ProxyCommand"), (4, "Include"), (7, "Match")]);
    assert_eq!(config.host("b").user.as_deref(), Some("me"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let text = "Port 0\nHost\nUser \"two words\"\nHostName a b\nHostName a/b\nUser \"x\nProxyJump a,,b\nPort 70000\nProxyJump a:x\nUser a:b\nProxyJump a:b@c";
    let config = SshConfig::parse(text);
    let told: Vec<_> = config.faults.iter().map(|f| (f.line, f.keyword.as_str())).collect();
    let wrong = [
        (1, "Port"),
        (2, "Host"),
        (3, "User"),
        (5, "HostName"),
        (6, "User"),
        (7, "ProxyJump"),
        (8, "Port"),
        (9, "ProxyJump"),
        // `ssh_config:USER:FILE` has to be told apart again.
        (10, "User"),
        (11, "ProxyJump"),
    ];
    assert_eq!(told, wrong);
}

#[test]
fn lists_of_algorithms_name_old_ones_or_do_not() {
    for (list, legacy) in [
        ("+ssh-rsa", true),
        ("^ssh-rsa,ssh-dss", true),
        ("-ssh-rsa", false),
        ("rsa-sha2-256,ssh-ed25519", false),
        ("ssh-ed25519,ssh-rsa", true),
        ("+ssh-*", true),
        ("aes128-ctr", false),
    ] {
        let config = SshConfig::parse(&format!("HostKeyAlgorithms {list}"));
        assert_eq!(config.host("r1").legacy, legacy, "{list}");
    }
}

#[test]
fn names_of_files_are_filled_in() {
    let expand = |text| expand(text, Some("/home/me"), "r1", "netops");
    assert_eq!(expand("~/.ssh/id_%h_%r").as_deref(), Some("/home/me/.ssh/id_r1_netops"));
    assert_eq!(expand("%d/100%%").as_deref(), Some("/home/me/100%"));
    assert_eq!(expand("/keys/%C"), None);
    assert_eq!(super::expand("~/id", None, "r1", "me"), None);
}

proptest! {
    #[test]
    fn whatever_stands_in_a_file_is_read_without_harm(text in "[ -~\n\t]{0,400}", name in "[a-z.*]{0,12}") {
        let config = SshConfig::parse(&text);
        let _ = config.host(&name);
        prop_assert!(config.faults.len() + config.warnings.len() <= text.lines().count());
    }
}
