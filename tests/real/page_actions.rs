//! The buttons of pages in a real Chromium: pressed by keyboard, without scripts, behind a password; and not by another
//! site's page, as the browser tells of it.

use crate::browser::{Browser, ENTER};
use crate::daemon::{Daemon, eventually, get};
use crate::pages::look;
use crate::site::Site;

/// A few devices, one sweep that is over soon, and pages with buttons.
fn site(web: &str) -> Site {
    let site = Site::new(3);
    let config = site.config("every = '1h'", 8);
    site.write("versweep.toml", &config.replacen("[web]\n", &format!("[web]\nactions = true\n{web}"), 1));
    site
}

#[test]
#[ignore = "needs Chromium; make test installs it"]
fn a_person_asks_for_a_visit_by_keyboard() {
    let site = site("");
    let mut daemon = site.daemon();
    let base = format!("http://{}", site.web());
    let browser = Browser::open();
    browser.look(1600, false);
    let device = &site.devices()[0];
    let page = format!("{base}/devices/{}", device.name());
    browser.go(&page);
    browser.wait_for("#facts", &device.version());
    let (_, after) = site.upgrade(device, 1);
    browser.tab_to("main form button");
    assert_eq!(browser.text("main form button"), "Visit now");
    browser.picture("action-focus");
    browser.keys(ENTER);
    browser.wait_for("#notice", "visited: it answered");
    browser.wait_for("#facts", &after);
    browser.wait_for("#device-changes", "upgrade");
    assert!(browser.place().contains("?asked="), "{}", browser.place());
    assert_eq!(browser.console(), Vec::<String>::new());
    let mut wrong = look(&browser, &base, &browser.place(), "action-visited");

    // The sweeps: the button goes while the sweep runs, and comes back.
    browser.go(&format!("{base}/sweeps"));
    browser.tab_to("#sweeps form button");
    browser.keys(ENTER);
    browser.wait_for("#notice", "The sweep is asked for");
    browser.wait_for("#runs", "request");
    browser.wait_for("#sweeps form", "Sweep now");
    wrong.extend(look(&browser, &base, &browser.place(), "action-swept"));

    // Without scripts one looks again by oneself.
    browser.scripts(false);
    browser.go(&page);
    browser.click("main form button");
    eventually("its page is there", || browser.place().contains("?asked="));
    eventually("it is seen", || {
        browser.go(&format!("{base}{}", browser.place()));
        browser.text("#notice").contains("visited: it answered")
    });
    browser.picture("action-without-scripts");
    browser.scripts(true);
    wrong.extend(browser.console());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    another_site_presses(&browser, &base, device.name());
    assert!(daemon.stop().success());
}

/// Pages of other origins, each with a token that it can't have: the daemon knows them by what the browser says.
fn another_site_presses(browser: &Browser, base: &str, device: &str) {
    browser.go(&format!("{base}/devices/{device}"));
    let token = browser.script("return document.querySelector('main form').elements.token.value");
    let token = token.as_str().unwrap();
    let requests =
        || get(base.trim_start_matches("http://").parse().unwrap(), "/api/v1/requests").unwrap().body;
    let before = requests();
    let form = format!(
        "<form method=post action={base}/actions><input name=token value={token}><input name=do value=visit>\
         <input name=device value={device}><button>Win</button></form>"
    );
    browser.go(&format!("data:text/html,{form}"));
    browser.click("button");
    browser.wait_for("h1", "Another site's page may not do that");
    browser.picture("action-refused");
    // The daemon's own page, by a name that somebody made to lead here.
    let rebound = base.replace("127.0.0.1", "evil.example.net");
    browser.go(&format!("{rebound}/devices/{device}"));
    browser.wait_for("h1", device);
    assert_eq!(browser.script("return document.querySelectorAll('form[method=post]').length"), 0);
    browser.script(&format!("document.body.innerHTML = '{}'", form.replace(base, &rebound)));
    browser.click("button");
    browser.wait_for("h1", "No buttons from there");
    assert_eq!(requests(), before, "nothing was asked for");
}

/// Over plain HTTP from outside a browser says by Origin alone where a form comes from.
#[test]
#[ignore = "needs Chromium; make test installs it"]
fn whoever_has_the_password_presses_from_outside() {
    let site = site("web_config = 'web.yml'\n");
    let hash = bcrypt::hash_with_salt("planted", 4, [7; 16]).unwrap();
    site.write("web.yml", &format!("basic_auth_users: {{ops: {hash}}}\n"));
    let mut daemon = Daemon::spawn(&site.path("versweep.toml"), site.web());
    eventually("it asks for the password", || get(site.web(), "/").is_ok_and(|answer| answer.status == 401));
    let browser = Browser::open();
    browser.look(1600, false);
    let device = &site.devices()[0];
    let outside = format!("net.example.net:{}", site.web().port());
    browser.go(&format!("http://ops:planted@{outside}/devices/{}", device.name()));
    browser.wait_for("#facts", &device.version());
    assert_eq!(browser.script("return isSecureContext"), false, "else the browser tells by Sec-Fetch-Site");
    browser.tab_to("main form button");
    browser.keys(ENTER);
    browser.wait_for("#notice", "visited: it answered");
    assert_eq!(browser.console(), Vec::<String>::new());
    assert!(daemon.stop().success());
    assert!(
        daemon.log().iter().any(|line| line.contains("asked for on a page") && line.contains("user=\"ops\""))
    );
}
