//! The web surface of the real program: flags over keys, sockets from systemd, what a reload exchanges.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Command;

use tempfile::TempDir;

use crate::authority::Authority;
use crate::daemon::{Daemon, eventually, free_address, get, request};
use crate::site::versweep;

/// A folder with a configuration of a daemon without devices.
struct Place(TempDir);

impl Place {
    fn new(web: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        place.configure(web);
        place
    }

    fn configure(&self, web: &str) {
        let text = format!(
            "# planted\n[web]\n{web}\n[store]\npath = 'versweep.db'\n[[sink]]\ntype = 'webhook'\n\
             url = 'https://hooks.example.net/planted'\n"
        );
        std::fs::write(self.0.path().join("versweep.toml"), text).unwrap();
    }

    fn run(&self, flags: &[&str]) -> Command {
        let mut command = versweep(&["run", "--config.file"]);
        command.arg(self.0.path().join("versweep.toml")).args(flags);
        command
    }

    fn daemon(&self, address: SocketAddr, flags: &[&str]) -> Daemon {
        Daemon::spawn_as(self.run(flags), address)
    }
}

/// Waits until this path answers with this status.
fn answers(address: SocketAddr, path: &str, status: u16) -> String {
    let mut body = String::new();
    eventually(&format!("{path} answers {status}"), || {
        get(address, path).is_ok_and(|answer| {
            body = answer.body;
            answer.status == status
        })
    });
    body
}

#[test]
fn flags_stand_over_the_keys_at_a_reload_too() {
    let (unused, first, second) = (free_address(), free_address(), free_address());
    let place = Place::new(&format!("listen = '{unused}'\nroute_prefix = '/key'"));
    let listen = [first, second].map(|address| format!("--web.listen-address={address}"));
    let url = "--web.external-url=https://net.example.net/flag/";
    let mut daemon = place.daemon(first, &[&listen[0], &listen[1], url, "--web.route-prefix=/own"]);
    answers(first, "/own/-/ready", 200);
    answers(second, "/own/metrics", 200);
    assert!(get(unused, "/").is_err());
    assert_eq!(get(first, "/key/metrics").unwrap().status, 404);
    assert!(get(first, "/own/").unwrap().body.contains("href=\"/flag/"));
    daemon.signal("HUP");
    eventually("it reloads", || daemon.log().iter().any(|line| line.contains("configuration reloaded")));
    answers(first, "/own/metrics", 200);
    assert!(daemon.stop().success());
}

#[test]
fn wrong_flags_are_refused_as_arguments() {
    let place = Place::new("");
    for flags in [
        &["--web.listen-address=localhost:1"][..],
        &["--web.external-url=net.example.net"],
        &["--web.route-prefix=x"],
        &["--web.enable-lifecycle=perhaps"],
        &["--web.systemd-socket", "--web.listen-address=127.0.0.1:1"],
    ] {
        let output = place.run(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{flags:?}");
    }
    // Without systemd there is no socket to take, and the message says where to look.
    let output = place.run(&["--web.systemd-socket"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("versweep.socket"), "{said}");
}

/// As systemd does it: the socket is descriptor 3, and the variables name the process.
#[test]
fn a_socket_of_systemd_is_served() {
    let place = Place::new("systemd_socket = true");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let run = place.run(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" 3<&0 0</dev/null"]);
    command.arg(run.get_program()).args(run.get_args()).stdin(OwnedFd::from(listener));
    let mut daemon = Daemon::spawn_as(command, address);
    daemon.wait_ready();
    assert!(daemon.page("/metrics").contains("versweep_build_info"));
    assert!(daemon.stop().success());
}

#[test]
fn a_reload_exchanges_all_but_the_sockets() {
    let address = free_address();
    let listen = format!("listen = '{address}'");
    let place = Place::new(&listen);
    let mut daemon = place.daemon(address, &[]);
    daemon.wait_ready();
    let shown = daemon.page("/config");
    assert!(
        shown.contains(&address.to_string()) && shown.contains("https://hooks.example.net/<secret>"),
        "{shown}"
    );
    assert!(!shown.contains("planted"), "{shown}");

    place.configure(&format!("{listen}\nweb_config = 'web.yml'"));
    let refused = request(address, "POST", "/-/reload").unwrap();
    assert!(refused.status == 500 && refused.body.contains("web.yml: can't be read"), "{}", refused.body);
    let hash = bcrypt::hash_with_salt("planted", 4, [7; 16]).unwrap();
    std::fs::write(place.0.path().join("web.yml"), format!("basic_auth_users: {{ops: {hash}}}\n")).unwrap();
    assert_eq!(request(address, "POST", "/-/reload").unwrap().status, 200);
    assert_eq!(get(address, "/metrics").unwrap().status, 401);

    // Warnings of a file that is read again were swallowed, and an empty one let everybody in.
    let web = |text: &str| std::fs::write(place.0.path().join("web.yml"), text).unwrap();
    web(&format!("http_server_config: {{http2: true}}\nbasic_auth_users: {{ops: {hash}}}\n"));
    assert_eq!(get(address, "/metrics").unwrap().status, 401);
    web("");
    assert_eq!(get(address, "/metrics").unwrap().status, 401);
    for said in ["HTTP/2 is not offered", "asks for less than before"] {
        eventually(said, || daemon.log().iter().any(|line| line.contains(said)));
    }

    place.configure(&format!("{listen}\nenable_lifecycle = false"));
    daemon.signal("HUP");
    answers(address, "/metrics", 200);
    assert_eq!(request(address, "POST", "/-/reload").unwrap().status, 403);
    assert!(!daemon.log().join("\n").contains("planted"));
    assert!(daemon.stop().success());
}

/// What the commands that ask a daemon say of one behind TLS, a certificate and a password.
#[test]
fn a_daemon_behind_all_locks_is_asked() {
    let (ours, address) = (Authority::new("ours"), free_address());
    let place = Place::new(&format!("listen = '{address}'\nweb_config = 'web.yml'"));
    let write = |name: &str, text: &str| std::fs::write(place.0.path().join(name), text).unwrap();
    let (server, client) = (ours.sign(&["127.0.0.1"]), ours.sign(&["operator"]));
    for (name, text) in [
        ("ca.pem", ours.pem()),
        ("server.pem", server.certificate),
        ("server.key", server.key),
        ("client.pem", client.certificate),
        ("client.key", client.key),
        ("password", "planted\n".to_owned()),
        ("wrong", "planted-too\n".to_owned()),
    ] {
        write(name, &text);
    }
    let hash = bcrypt::hash_with_salt("planted", 4, [7; 16]).unwrap();
    write(
        "web.yml",
        &format!(
            "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n  \
             client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users: {{ops: {hash}}}\n"
        ),
    );
    let mut daemon = place.daemon(address, &[]);
    let url = format!("https://{address}");
    let ask = |subcommand: &str, url: &str, flags: &[&str]| {
        let mut command = versweep(&[subcommand, "--output", "json", "--url", url]);
        let output = command.args(flags).current_dir(place.0.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("planted"), "{said}");
        (output.status.code(), said)
    };
    let trusts = ["--ca-file", "ca.pem"];
    let shows = [&trusts[..], &["--cert-file", "client.pem", "--key-file", "client.key"]].concat();
    let says = |file| [&shows[..], &["--user", "ops", "--password-file", file]].concat();
    eventually("it answers", || ask("sweeps", &url, &says("password")).0 == Some(0));
    for subcommand in ["devices", "changes"] {
        assert_eq!(ask(subcommand, &url, &says("password")), (Some(0), String::new()), "{subcommand}");
    }
    for (url, flags, hint) in [
        (&url, Vec::new(), "--ca-file names who does"),
        (&url, trusts.to_vec(), "--cert-file and --key-file"),
        (&url, shows.clone(), "--user NAME --password-file FILE"),
        (&url, says("wrong"), "it doesn't know ops by this password"),
        (&url, says("nowhere"), "--password-file nowhere"),
        (&format!("http://{address}"), says("password"), "write https:// in --url"),
    ] {
        let (code, said) = ask("devices", url, &flags);
        assert!(code == Some(1) && said.contains(hint), "{flags:?}: {said}");
    }
    let output = versweep(&["devices", "--url", &format!("https://ops:x@{address}")]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(64) && said.contains("--password-file"), "{said}");
    assert!(daemon.stop().success());
}
