//! Those who come in by their certificate alone: each has form tokens of their own, and a name in the log.

use tokio::runtime::Runtime;

use crate::authority::{Authority, Signed};
use crate::daemon::{Daemon, eventually};
use crate::http::{Answer, exchange_on};
use crate::page_actions::{forms, with_buttons};
use crate::site::Site;
use crate::web::{TLS, connected};

/// A daemon that asks for certificates, and who vouches for them.
struct House {
    site: Site,
    ours: Authority,
    runtime: Runtime,
}

impl House {
    fn new() -> Self {
        let (site, ours) = (Site::new(1), Authority::new("ours"));
        let server = ours.sign(&["localhost"]);
        let web =
            format!("{TLS}  client_ca_file: clients.pem\n  client_auth_type: RequireAndVerifyClientCert\n");
        for (name, text) in [
            ("server.pem", server.certificate),
            ("server.key", server.key),
            ("clients.pem", ours.pem()),
            ("web.yml", web),
            (
                "versweep.toml",
                with_buttons(&site, "schedule = 'never'").replacen(
                    "[web]\n",
                    "[web]\nweb_config = 'web.yml'\n",
                    1,
                ),
            ),
        ] {
            site.write(name, &text);
        }
        Self { site, ours, runtime: Runtime::new().unwrap() }
    }

    fn ask(&self, shows: &Signed, head: &str, body: &str) -> std::io::Result<Answer> {
        let request = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.runtime.block_on(async {
            let stream = connected(self.site.web(), &self.ours, Some(shows)).await?;
            Ok(exchange_on(stream, &request, body.as_bytes()).await)
        })
    }
}

#[test]
fn whoever_shows_a_certificate_has_buttons_and_a_name_of_their_own() {
    let house = House::new();
    let [alice, alice_again, bob] = ["alice", "alice", "bob"].map(|name| house.ours.sign(&[name]));
    let mut daemon = Daemon::spawn(&house.site.path("versweep.toml"), house.site.web());
    let is_ready = || house.ask(&alice, "GET /-/ready", "").is_ok_and(|answer| answer.status == 200);
    eventually("it is ready", is_ready);

    let page = format!("GET /devices/{}", house.site.devices()[0].name());
    let form = |shows: &Signed| {
        let found = forms(&house.ask(shows, &page, "").unwrap().body);
        found.into_iter().find(|form| form.get("do") == "visit").unwrap()
    };
    let (hers, his) = (form(&alice), form(&bob));
    assert_ne!(hers.get("token"), his.get("token"));
    assert_eq!(hers.get("token"), form(&alice_again).get("token"), "a renewed certificate is still hers");
    let press = |shows: &Signed, body: &str| house.ask(shows, "POST /actions", body).unwrap().status;
    assert_eq!(press(&bob, &hers.body()), 403);
    assert_eq!(press(&alice, &hers.body()), 303);
    let asked =
        |daemon: &mut Daemon| daemon.log().iter().find(|line| line.contains("asked for on a page")).cloned();
    eventually("it is logged", || asked(&mut daemon).is_some());
    let line = asked(&mut daemon).unwrap();
    assert!(line.contains("user=\"cert:alice\" ") && !line.contains(hers.get("token")), "{line}");
    assert!(daemon.stop().success());
}
