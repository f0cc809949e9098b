//! Policies behind a URL: in force once fetched, kept when the server gives nonsense or nothing, also over a restart.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::daemon::{Daemon, eventually, request, sample};
use crate::site::Site;

/// A web server with one file, until it is dropped.
struct Web {
    address: SocketAddr,
    /// Status line and body; nothing ends the server.
    file: Arc<Mutex<Option<(&'static str, String)>>>,
    server: Option<JoinHandle<()>>,
}

impl Web {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let file = Arc::new(Mutex::new(Some(("404 Not Found", String::new()))));
        let served = Arc::clone(&file);
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some((status, body)) = served.lock().unwrap().clone() else { return };
                let mut stream = stream.unwrap();
                let mut asked = [0; 4096];
                let _request = stream.read(&mut asked);
                let length = body.len();
                let _gone = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { address, file, server: Some(server) }
    }

    fn gives(&self, status: &'static str, body: &str) {
        *self.file.lock().unwrap() = Some((status, body.to_owned()));
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        *self.file.lock().unwrap() = None;
        let _wakes = TcpStream::connect(self.address);
        let _ended = self.server.take().map(JoinHandle::join);
    }
}

fn shows(daemon: &Daemon, series: &str, value: f64) {
    eventually(series, || sample(&daemon.page("/metrics"), series) == Some(value));
}

fn reload(site: &Site) {
    assert_eq!(request(site.web(), "POST", "/-/reload").unwrap().status, 200);
}

#[test]
fn the_last_good_answer_stays_in_force() {
    const SUCCESS: &str = "versweep_policies_last_refresh_success ";
    let (site, web) = (Site::new(1), Web::new());
    let device = &site.devices()[0];
    let compliant = format!("versweep_device_compliant{{device=\"{}\",policy=\"remote\"}}", device.name());
    let policies =
        format!("[policies]\nurl = 'http://{}/p?key=planted'\nallow_private = true\n", web.address);
    site.write("versweep.toml", &(site.config("every = '1s'", 8) + &policies));
    web.gives("200 OK", &format!("[[policy]]\nname = 'remote'\napproved = '{}'\n", device.version()));

    let mut daemon = site.daemon();
    shows(&daemon, &compliant, 1.0);
    shows(&daemon, SUCCESS, 1.0);
    web.gives("200 OK", "[[policy]]\nname = 'remote'\n[defaults]\nport = 22\n");
    reload(&site);
    shows(&daemon, SUCCESS, 0.0);
    shows(&daemon, &compliant, 1.0);
    let log = daemon.log().join("\n");
    assert!(log.contains("asks for nothing") && log.contains("defaults: unknown key"), "{log}");
    assert!(!log.contains("planted"), "the rest of a URL may be a secret: {log}");
    assert!(daemon.stop().success());

    web.gives("503 Service Unavailable", "");
    let mut daemon = site.daemon();
    shows(&daemon, &compliant, 1.0);
    shows(&daemon, SUCCESS, 0.0);
    web.gives("200 OK", "[[policy]]\nname = 'remote'\nbanned = ['*']\n");
    reload(&site);
    shows(&daemon, SUCCESS, 0.0);
    web.gives("200 OK", &format!("[[policy]]\nname = 'remote'\nbanned = ['{}']\n", device.version()));
    reload(&site);
    shows(&daemon, &compliant, 0.0);
    let told = || site.events().iter().filter(|event| event["type"] == "policy_lost").count();
    eventually("the loss is told", || told() == 1);
    assert!(daemon.stop().success());
    assert_eq!(told(), 1);
}

#[test]
fn a_reload_does_not_go_back_behind_what_was_fetched() {
    let (site, web) = (Site::new(1), Web::new());
    let device = &site.devices()[0];
    let compliant = format!("versweep_device_compliant{{device=\"{}\",policy=\"remote\"}}", device.name());
    let policies = format!("[policies]\nurl = 'http://{}/p'\nallow_private = true\n", web.address);
    site.write("versweep.toml", &(site.config("every = '1s'", 8) + &policies));
    web.gives("200 OK", &format!("[[policy]]\nname = 'remote'\napproved = '{}'\n", device.version()));
    let mut daemon = site.daemon();
    shows(&daemon, &compliant, 1.0);

    // No file can take the place of a folder: the copy stays behind what is fetched.
    let copy = site.path("versweep.db-policies.toml");
    std::fs::rename(&copy, site.path("older")).unwrap();
    std::fs::create_dir_all(copy.join("in-the-way")).unwrap();
    web.gives("200 OK", &format!("[[policy]]\nname = 'remote'\nbanned = ['{}']\n", device.version()));
    reload(&site);
    shows(&daemon, &compliant, 0.0);
    std::fs::remove_dir_all(&copy).unwrap();
    std::fs::rename(site.path("older"), &copy).unwrap();

    web.gives("503 Service Unavailable", "");
    reload(&site);
    shows(&daemon, "versweep_policies_last_refresh_success ", 0.0);
    assert!(daemon.stop().success());
    let told: Vec<_> = site.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(told, ["policy_lost"]);
}
