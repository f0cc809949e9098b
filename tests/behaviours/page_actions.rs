//! The buttons of pages: who has them, what they do, and that no other site's page presses them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use versweep::activity::{Ask, Busy, Refusal, Wanted};
use versweep::config::Web;
use versweep::device::DeviceId;
use versweep::known::{Snapshot, SweepRecord};
use versweep::observation::SweepId;
use versweep::store::{Held, Letter, Outbox, Settled, Store};

use crate::daemon::eventually;
use crate::hostile_fleet;
use crate::http::{Answer, House, exchange, send};
use crate::pages::{between, upgraded};
use crate::site::Site;
use crate::source_server::{Reply, SourceServer};
use crate::web::{Gate, basic, users};
use crate::{fleet, kept};

/// Somebody at a browser.
struct Person {
    address: SocketAddr,
    /// What the browser calls the daemon.
    host: String,
    /// What it, or a proxy, says besides.
    headers: String,
}

impl Person {
    /// On the daemon's host.
    fn at(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), headers: String::new() }
    }

    fn saying(&self, headers: &str) -> Self {
        Self { address: self.address, host: self.host.clone(), headers: headers.to_owned() }
    }

    fn calling_it(&self, host: &str) -> Self {
        Self { address: self.address, host: host.to_owned(), headers: self.headers.clone() }
    }

    async fn get(&self, target: &str) -> String {
        let Self { host, headers, .. } = self;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        let answer = exchange(self.address, &request, b"").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.body
    }

    /// The button of a page that does this.
    async fn form(&self, target: &str, what: &str) -> Form {
        let page = self.get(target).await;
        let found = forms(&page).into_iter().find(|form| form.get("do") == what);
        found.unwrap_or_else(|| panic!("{target} has no button to {what}: {page}"))
    }

    /// Presses a button of the daemon's own page.
    async fn press(&self, form: &Form) -> Answer {
        self.post(form, &format!("Origin: http://{}\r\n", self.host)).await
    }

    /// Sends a form from where these headers tell.
    async fn post(&self, form: &Form, from: &str) -> Answer {
        self.send(
            &form.action,
            &form.body(),
            &format!("Content-Type: application/x-www-form-urlencoded\r\n{from}"),
        )
        .await
    }

    async fn send(&self, target: &str, body: &str, more: &str) -> Answer {
        let Self { host, headers, .. } = self;
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}{more}Content-Length: {length}\r\n\r\n"
        );
        exchange(self.address, &request, body.as_bytes()).await
    }
}

/// A form as a browser reads it.
#[derive(Clone)]
pub(crate) struct Form {
    action: String,
    fields: Vec<(String, String)>,
    words: String,
}

impl Form {
    /// One that no page has drawn.
    fn of(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { action: "/actions".to_owned(), fields, words: String::new() }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.fields.retain(|(key, _)| key != name);
        form.fields.push((name.to_owned(), value.to_owned()));
        form
    }

    pub(crate) fn body(&self) -> String {
        let pairs: Vec<String> =
            self.fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.join("&")
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").unwrap();
        out
    })
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

pub(crate) fn forms(page: &str) -> Vec<Form> {
    let form = |text: &str| {
        let fields = between(text, "<input type=\"hidden\" name=\"", "\">");
        let fields = fields.iter().map(|field| field.split_once("\" value=\"").unwrap());
        Form {
            action: text.split('"').next().unwrap().to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), unescaped(value))).collect(),
            words: unescaped(between(text, "<button aria-label=\"", "\"")[0]),
        }
    };
    between(page, "<form class=\"act\" method=\"post\" action=\"", "</form>").into_iter().map(form).collect()
}

/// A small fleet whose pages have buttons.
async fn house() -> House {
    house_of(fleet::snapshot(fleet::noon())).await
}

async fn house_of(snapshot: Snapshot) -> House {
    House::with(snapshot, Web { actions: true, ..Web::default() }).await
}

/// Where an answer leads back to.
fn leads_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap()
}

/// Presses a button, and does what the daemon does when it is asked for visits.
async fn asked(
    house: &mut House,
    person: &Person,
    form: &Form,
    answer: impl FnOnce(Wanted) -> Result<SweepId, Refusal>,
) -> Answer {
    let serve = async {
        let Ask { wanted, answer: back } = house.asks.as_mut().unwrap().recv().await.unwrap();
        back.send(answer(wanted)).unwrap();
    };
    tokio::join!(person.press(form), serve).0
}

fn nothing_was_asked_for(house: &mut House) {
    assert!(house.asks.as_mut().unwrap().try_recv().is_err());
    assert!(house.confirms.try_recv().is_err() && house.replays.try_recv().is_err());
}

#[tokio::test]
async fn without_the_key_there_is_no_button() {
    let mut plain = House::small().await;
    let locked = Web { actions: true, lifecycle: false, ..Web::default() };
    let mut locked = House::with(fleet::snapshot(fleet::noon()), locked).await;
    let form = Form::of(&[("do", "visit"), ("device", "core1.ams")]);
    for (house, status, words) in
        [(&mut plain, 404, "Nothing is served here"), (&mut locked, 403, "enable_lifecycle = false")]
    {
        let person = Person::at(house.address);
        for target in ["/", "/devices", "/devices/core1.ams", "/sweeps", "/events?sink=journal"] {
            assert!(!person.get(target).await.contains("method=\"post\""), "{target}");
        }
        let answer = person.press(&form).await;
        assert!(answer.status == status && answer.body.contains(words), "{answer:?}");
        nothing_was_asked_for(house);
    }
}

#[tokio::test]
async fn a_visit_is_asked_for_and_followed() {
    let mut house = house().await;
    let person = Person::at(house.address);
    let form = person.form("/devices/core1.ams", "visit").await;
    assert_eq!(form.words, "Visit now: core1.ams");
    let (book, mut slips) = (house.book.clone(), Vec::new());
    let answer = asked(&mut house, &person, &form, |wanted| {
        assert_eq!(wanted, Wanted::Device(DeviceId::new("core1.ams").unwrap()));
        let slip = book.enter(SweepId::starting(fleet::noon()), wanted, fleet::noon())?;
        let id = slip.id();
        slips.push(slip);
        Ok(id)
    })
    .await;
    let slip = slips.pop().unwrap();
    let back = leads_to(&answer).to_owned();
    assert_eq!(back, format!("/devices/core1.ams?asked={}", slip.id()));
    let waits = person.get(&back).await;
    assert!(waits.contains("</span>waits for its turn</span>"), "{waits}");
    assert!(waits.contains(&format!("href=\"{back}\">Look again</a>")), "{waits}");
    // Neither a link of that page nor another device's page tells of it.
    assert!(waits.contains("href=\"/devices/core1.ams?members=name\""), "{waits}");
    let elsewhere = person.get(&back.replace("core1", "core2")).await;
    assert!(!elsewhere.contains("id=\"notice\""), "{elsewhere}");

    let record = SweepRecord {
        id: slip.id(),
        name: "selection".to_owned(),
        reason: "request".to_owned(),
        started: fleet::noon(),
        ended: Some(fleet::noon()),
        devices: 1,
        answered: 0,
        failed: 1,
        complete: true,
    };
    slip.ended(record);
    let done = person.get(&back).await;
    assert!(done.contains("</span>visited in vain: why stands below</span>"), "{done}");
    assert_eq!(forms(&done).len(), 1, "it can be asked for again");
}

#[tokio::test]
async fn a_page_hears_of_its_visit() {
    let house = house().await;
    let wanted = Wanted::Device(DeviceId::new("core1.ams").unwrap());
    let slip = house.book.enter(SweepId::starting(fleet::noon()), wanted, fleet::noon()).unwrap();
    let drawn = house.get("/devices/core1.ams").await.body;
    let drawn = between(&drawn, "data-seen=\"", "\"")[0];
    let mut first = live(&house).await;
    wait_for(&mut first, "event: alive").await;
    // As long as nothing has come since it was drawn, the page need not ask again.
    assert_eq!(first.next_line().await.unwrap().unwrap(), format!("data:{drawn}"));
    drop(slip);
    wait_for(&mut first, "event: news").await;
    // A visit that is over before the page listens was never heard of.
    let mut second = live(&house).await;
    wait_for(&mut second, "event: alive").await;
    assert_ne!(second.next_line().await.unwrap().unwrap(), format!("data:{drawn}"));
}

async fn live(house: &House) -> Lines<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: versweep\r\n\r\n").await.unwrap();
    BufReader::new(stream).lines()
}

async fn wait_for(lines: &mut Lines<BufReader<TcpStream>>, words: &str) {
    while lines.next_line().await.unwrap().unwrap() != words {}
}

#[tokio::test]
async fn a_sweep_is_started() {
    let mut house = house().await;
    let person = Person::at(house.address);
    let form = person.form("/sweeps", "sweep").await;
    assert_eq!(form.words, "Sweep now: all");
    for (result, words) in [
        (Ok(SweepId::starting(fleet::noon())), "The sweep is asked for."),
        (Err(Busy.into()), "The sweep runs already."),
    ] {
        let answer = asked(&mut house, &person, &form, |wanted| {
            assert_eq!(wanted, Wanted::Sweep("all".to_owned()));
            result
        })
        .await;
        assert!(person.get(leads_to(&answer)).await.contains(words), "{answer:?}");
    }
    let stopping = asked(&mut house, &person, &form, |_| Err(Refusal::Stopping)).await;
    assert!(stopping.status == 503 && stopping.body.contains("versweep is stopping"), "{stopping:?}");
}

#[tokio::test]
async fn a_shorter_list_is_taken() {
    let mut house = house().await;
    let person = Person::at(house.address);
    let form = person.form("/sweeps", "take").await;
    assert_eq!(form.words, "Take this list: netbox");
    let why = "another list of \"netbox\" waits by now";
    for (result, status, words) in [
        (Ok(1), 303, "The list is taken"),
        (Err(why.to_owned()), 409, "another list of &quot;netbox&quot; waits by now"),
    ] {
        let serve = async {
            let request = house.confirms.recv().await.unwrap();
            assert_eq!((&*request.source, &*request.list), ("netbox", "1-0a0b"));
            request.answer.send(result).unwrap();
        };
        let (answer, ()) = tokio::join!(person.press(&form), serve);
        assert_eq!(answer.status, status, "{answer:?}");
        let page = if status == 303 { person.get(leads_to(&answer)).await } else { answer.body };
        assert!(page.contains(words), "{page}");
    }
    // One at a time; and none once the daemon takes nothing more.
    let wanted = "/-/inventory/confirm?source=netbox&list=1-0a0b";
    let first = tokio::spawn(send(house.address, "POST", wanted, "", b""));
    let request = house.confirms.recv().await.unwrap();
    let second = tokio::spawn(send(house.address, "POST", wanted, "", b""));
    while house.confirms.is_empty() {
        tokio::task::yield_now().await;
    }
    for busy in [person.press(&form).await, house.ask("POST", wanted, "").await] {
        assert!(
            busy.status == 409 && busy.body.contains("a confirmation is under way: try again"),
            "{busy:?}"
        );
    }
    request.answer.send(Ok(1)).unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    house.confirms.close();
    drop(house.confirms.recv().await);
    assert_eq!(second.await.unwrap().status, 503);
    for stopping in [person.press(&form).await, house.ask("POST", wanted, "").await] {
        assert!(stopping.status == 503 && stopping.body.contains("versweep is stopping"), "{stopping:?}");
    }
}

/// A dead letter of that sink's; its number.
fn dead_letter(house: &House, sink: &str) -> i64 {
    let path = kept::path_in(&house.folder);
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&[sink]).unwrap();
    drop(store);
    upgraded(house, "core2.ams", "7.9.2", "7.10.1", "new\n");
    let sequence = kept::last_sequence(&house.folder);
    let held = Held::first(sequence, DeviceId::new("core2.ams").unwrap().into());
    let letter = Letter { held, error: "the server answered 422".to_owned(), dead: true };
    let settled = Settled {
        passed: sequence,
        delivered: 0,
        letters: vec![letter],
        done: Vec::new(),
        waited: Duration::ZERO,
        now: fleet::noon(),
    };
    Outbox::open(&path, sink).unwrap().settle(&settled).unwrap();
    sequence
}

/// A button would have said that there was nothing to tell again, beside a letter that waits.
#[tokio::test]
async fn a_sink_that_is_no_longer_configured_has_letters_and_no_buttons() {
    let house = house().await;
    dead_letter(&house, "tickets");
    let page = Person::at(house.address).get("/events?sink=tickets").await;
    assert!(page.contains("What tickets doesn't have"), "{page}");
    assert!(page.contains("</span>no longer configured</span>") && page.contains("answered 422"), "{page}");
    assert!(forms(&page).is_empty() && !page.contains("events replay"), "{page}");
    let nobody = Person::at(house.address).get("/events?sink=nobody").await;
    assert!(nobody.contains("No sink of this name is configured"), "{nobody}");
}

#[tokio::test]
async fn dead_letters_are_told_again() {
    let mut house = house().await;
    let sequence = dead_letter(&house, "journal");
    let person = Person::at(house.address);
    let found = forms(&person.get("/events?sink=journal").await);
    let [one, all] = &found[..] else { panic!("{} buttons", found.len()) };
    assert_eq!(one.words, format!("Tell again: {sequence}"));
    assert_eq!(all.words, "Tell all dead letters again: journal");
    for (form, told, words) in [
        (one, Ok(1), "The sink is told again"),
        (all, Ok(7), "The sink is told again"),
        (all, Ok(0), "There was nothing"),
    ] {
        let serve = async {
            let request = house.replays.recv().await.unwrap();
            assert_eq!(request.sink, "journal");
            assert_eq!(request.id.as_deref().unwrap_or_default(), form.get("id"));
            request.answer.send(told).unwrap();
        };
        let (answer, ()) = tokio::join!(person.press(form), serve);
        assert!(leads_to(&answer).starts_with("/events?sink=journal&notice="), "{answer:?}");
        assert!(person.get(leads_to(&answer)).await.contains(words), "{answer:?}");
    }
    let serve = async {
        let request = house.replays.recv().await.unwrap();
        request.answer.send(Err("the disk is full".to_owned())).unwrap();
    };
    let (answer, ()) = tokio::join!(person.press(all), serve);
    assert_eq!(answer.status, 503, "{answer:?}");
}

/// Whoever could make this browser send something, and where it would read a token.
#[tokio::test]
async fn no_other_sites_page_presses_a_button() {
    let mut house = house().await;
    let person = Person::at(house.address);
    let form = person.form("/devices/core1.ams", "visit").await;
    let own = format!("Origin: http://{}\r\n", person.host);
    for from in [
        "",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
        // Another port of this host is another site.
        "Origin: http://127.0.0.1\r\n",
        "Sec-Fetch-Site: none\r\n",
        &format!("Sec-Fetch-Site: cross-site\r\n{own}"),
        &format!("Sec-Fetch-Site: same-site\r\n{own}"),
    ] {
        let answer = person.post(&form, from).await;
        assert!(answer.status == 403 && answer.body.contains("another site"), "{from}: {answer:?}");
    }
    // A name that leads here, and whoever a proxy speaks for: neither a token nor a button.
    for (host, headers) in [
        ("evil.example:9948", ""),
        ("localhost.evil.example", ""),
        ("192.0.2.1", ""),
        (&*person.host, "X-Forwarded-For: 192.0.2.1\r\n"),
        (&*person.host, "Via: 1.1 proxy\r\n"),
    ] {
        let other = person.calling_it(host).saying(headers);
        let page = other.get("/devices/core1.ams").await;
        assert!(!page.contains(form.get("token")) && forms(&page).is_empty(), "{host}: {page}");
        let answer = other.press(&form).await;
        assert!(answer.status == 403 && answer.body.contains("No buttons from there"), "{host}: {answer:?}");
    }
    nothing_was_asked_for(&mut house);
    for host in ["localhost", "LOCALHOST:9948", "127.0.0.1", "[::1]:9948"] {
        let other = person.calling_it(host);
        assert_eq!(other.form("/devices/core1.ams", "visit").await.get("token"), form.get("token"), "{host}");
    }
}

#[tokio::test]
async fn a_form_has_the_token_that_its_page_had() {
    let mut house = house().await;
    let others = self::house().await;
    let person = Person::at(house.address);
    let form = person.form("/devices/core1.ams", "visit").await;
    let token = form.get("token").to_owned();
    let foreign =
        Person::at(others.address).form("/devices/core1.ams", "visit").await.get("token").to_owned();
    assert_ne!(token, foreign, "each process has its own");
    for wrong in ["", "x", &foreign, &token[1..], &format!("{token}A")] {
        let answer = person.press(&form.with("token", wrong)).await;
        assert!(answer.status == 403 && answer.body.contains("load that page again"), "{wrong}: {answer:?}");
    }
    let own = format!("Origin: http://{}\r\n", person.host);
    let coded = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (body, kind) in [
        (form.body(), "Content-Type: text/plain\r\n"),
        (form.body(), ""),
        ("do=visit&device=core1.ams".to_owned(), coded),
        (format!("token={token}"), coded),
        (format!("token={token}&do=reboot&device=core1.ams"), coded),
        (format!("token={token}&do=visit"), coded),
        (format!("token={token}&do=visit&device=core1.ams&device=core2.ams"), coded),
        (String::new(), coded),
    ] {
        let answer = person.send("/actions", &body, &format!("{kind}{own}")).await;
        assert!(answer.status == 400 && !answer.body.contains(&token), "{body}: {answer:?}");
    }
    assert_eq!(house.get("/actions").await.status, 405);
    assert_eq!(
        person.send(&format!("/actions?{}", form.body()), "", &format!("{coded}{own}")).await.status,
        400
    );
    nothing_was_asked_for(&mut house);
}

/// Where passwords are asked for, they are what counts: from anywhere, by any name, through any proxy.
#[tokio::test]
async fn whoever_has_a_password_has_buttons_of_their_own() {
    let more = users("eve", "planted-too");
    let gate = Gate::new(&format!("{}{}", users("ops", "planted"), more.lines().nth(1).unwrap()));
    let mut house = gate.house_with(Web { actions: true, ..Web::default() }).await;
    let nobody = Person::at(house.address);
    let outside = nobody.calling_it("net.example.net");
    let ops = outside.saying(&format!("{}X-Forwarded-For: 192.0.2.1\r\n", basic("ops", "planted")));
    let eve = outside.saying(&basic("eve", "planted-too"));
    let form = ops.form("/devices/core1.ams", "visit").await;
    let theirs = eve.form("/devices/core1.ams", "visit").await;
    assert_ne!(form.get("token"), theirs.get("token"));
    for (person, form, from, status) in [
        (&nobody, &form, "Origin: http://net.example.net\r\n", 401),
        (&nobody.saying(&basic("ops", "wrong")), &form, "Origin: http://net.example.net\r\n", 401),
        (&eve, &form, "Origin: http://net.example.net\r\n", 403),
        (&ops, &theirs, "Origin: http://net.example.net\r\n", 403),
        (&ops, &form, "Origin: http://evil.example\r\n", 403),
        (&ops, &form, "Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(person.post(form, from).await.status, status, "{from}");
    }
    nothing_was_asked_for(&mut house);
    let id = SweepId::starting(fleet::noon());
    let answer = asked(&mut house, &ops, &form, |_| Ok(id)).await;
    assert_eq!(leads_to(&answer), format!("/devices/core1.ams?asked={id}"));
}

#[tokio::test]
async fn buttons_lie_below_the_prefix() {
    let web = Web {
        actions: true,
        route_prefix: "/vs".to_owned(),
        external_url: Some("https://net.example.net/tools/vs/".parse().unwrap()),
        ..Web::default()
    };
    // Nobody shows who they are, and the proxy doesn't say whom it speaks for: the page's name does.
    let mut open = House::with(fleet::snapshot(fleet::noon()), web.clone()).await;
    let stranger = Person::at(open.address);
    let mut form = stranger.form("/vs/devices/core1.ams", "visit").await;
    form.action = "/vs/actions".to_owned();
    for from in [
        "Origin: https://net.example.net\r\n",
        "Sec-Fetch-Site: same-origin\r\nOrigin: https://net.example.net\r\n",
    ] {
        assert_eq!(stranger.post(&form, from).await.status, 403, "{from}");
    }
    nothing_was_asked_for(&mut open);

    let gate = Gate::new(&users("ops", "planted"));
    let mut house = gate.house_with(web).await;
    let person = Person::at(house.address).saying(&basic("ops", "planted"));
    let mut form = person.form("/vs/devices/core1.ams", "visit").await;
    assert_eq!(form.action, "/tools/vs/actions");
    assert_eq!(person.press(&form).await.status, 404, "the proxy makes it /vs");
    form.action = "/vs/actions".to_owned();
    let id = SweepId::starting(fleet::noon());
    let answer = asked(&mut house, &person, &form, |_| Ok(id)).await;
    assert_eq!(leads_to(&answer), format!("/tools/vs/devices/core1.ams?asked={id}"));
    // A proxy that doesn't pass the Host on.
    let serve = async {
        let ask = house.asks.as_mut().unwrap().recv().await.unwrap();
        ask.answer.send(Ok(id)).unwrap();
    };
    let (answer, ()) = tokio::join!(person.post(&form, "Origin: https://net.example.net\r\n"), serve);
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(person.post(&form, "Origin: http://net.example.net\r\n").await.status, 403);
}

#[tokio::test]
async fn a_hostile_name_stays_what_it_is() {
    let mut house = house_of(hostile_fleet::snapshot()).await;
    let person = Person::at(house.address);
    let page = format!("/devices/{}", encoded(hostile_fleet::NAME));
    let form = person.form(&page, "visit").await;
    assert_eq!(form.get("device"), hostile_fleet::NAME, "as it is");
    assert_eq!(form.words, "Visit now: <b>\"r1\u{fffd}'/../x</b>", "what is shown is tame");
    let id = SweepId::starting(fleet::noon());
    let answer = asked(&mut house, &person, &form, |wanted| {
        assert_eq!(wanted, Wanted::Device(DeviceId::new(hostile_fleet::NAME).unwrap()));
        Ok(id)
    })
    .await;
    let back = "/devices/%3cb%3e%22r1%e2%80%ae%27%2f..%2fx%3c%2fb%3e?asked=";
    assert!(leads_to(&answer).starts_with(back), "{answer:?}");
    // What is no device of the inventory says nothing on the page that tells so.
    let strange = form.with("device", "<script>\u{1b}[2J\u{202e}</script>");
    let answer = person.press(&strange).await;
    assert!(answer.status == 404 && !answer.body.contains("<script>"), "{answer:?}");
    let strange = form.with("do", "<script>alert(1)</script>");
    let answer = person.press(&strange).await;
    assert!(answer.status == 400 && !answer.body.contains("<script>"), "{answer:?}");
    // No link puts words on a page.
    let link = format!("/sweeps?notice={}", encoded("<b>The sweep is asked for</b>"));
    assert!(!person.get(&link).await.contains("id=\"notice\""));
    assert_eq!(house.get(&format!("{page}?asked=x")).await.status, 400);
}

/// The usual configuration, with buttons.
pub(crate) fn with_buttons(site: &Site, when: &str) -> String {
    site.config(when, 8).replacen("[web]\n", "[web]\nactions = true\n", 1)
}

/// The whole way: a browser's form, the daemon, the device, the sink, and the page again.
#[test]
fn the_daemon_does_what_its_pages_ask_for() {
    let site = Site::new(2);
    site.write("versweep.toml", &with_buttons(&site, "every = '1h'"));
    let mut daemon = site.daemon();
    crate::daemon_run::until_all_are_known(&daemon, &site);
    let (runtime, person) = (Runtime::new().unwrap(), Person::at(site.web()));
    let device = &site.devices()[0];
    site.upgrade(device, 1);
    let page = format!("/devices/{}", device.name());
    let form = runtime.block_on(person.form(&page, "visit"));
    let back = leads_to(&runtime.block_on(person.press(&form))).to_owned();
    eventually("the visit is done", || daemon.page(&back).contains("visited: it answered"));
    eventually("the change is told", || site.events().len() == 1);

    let id = site.events()[0]["id"].as_str().unwrap().to_owned();
    let replay = form.with("do", "replay").with("sink", "jsonl").with("id", &id);
    for (form, notice) in [
        (&replay, "notice=replay"),
        (&replay.with("id", "no:such:event"), "notice=nothing"),
        (&replay.with("sink", "nobody"), "notice=nothing"),
    ] {
        let answer = runtime.block_on(person.press(form));
        assert!(leads_to(&answer).ends_with(notice), "{answer:?}");
    }
    eventually("it comes again, the same", || {
        let events = site.events();
        events.len() == 2 && events[0] == events[1]
    });
    let log = daemon.log().join("\n");
    assert!(log.contains("asked for on a page") && log.contains(device.name()), "{log}");
    assert!(!log.contains(form.get("token")), "{log}");
    assert!(daemon.stop().success());
}

#[test]
fn a_shrunken_list_is_taken_by_its_button() {
    let server = SourceServer::start(|_| Reply::Whole(200, SourceServer::groups(1..=10)));
    let site = Site::new(1);
    let source = format!(
        "type = 'http_sd'\nname = 'sd'\nurl = 'http://{}/sd'\nallow_private = true\ninterval = '1s'\n",
        server.address()
    );
    let config = with_buttons(&site, "schedule = 'never'");
    site.write("versweep.toml", &config.replace("type = 'file'\npath = 'devices.toml'\n", &source));
    let mut daemon = site.daemon();
    let has = |words: &str| daemon.page("/devices").contains(words);
    assert!(has("10 devices"));
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=5)));
    let (runtime, person) = (Runtime::new().unwrap(), Person::at(site.web()));
    let page = || runtime.block_on(person.get("/sweeps"));
    let button = |page: &str| forms(page).into_iter().find(|form| form.get("do") == "take");
    eventually("a shorter list waits", || button(&page()).is_some());
    let form = button(&page()).unwrap();
    let other = runtime.block_on(person.press(&form.with("list", "9-0000")));
    assert!(other.status == 409 && other.body.contains("waits by now"), "{other:?}");
    let answer = runtime.block_on(person.press(&form));
    assert!(leads_to(&answer).ends_with("notice=taken"), "{answer:?}");
    eventually("it is in force", || has("5 devices"));
    assert!(button(&page()).is_none());
    assert!(daemon.stop().success());
}
