//! An HTTP server that plays an inventory source: what it answers is decided by the test, request by request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// What a request gets.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole answer.
    Whole(u16, String),
    /// A whole answer, whose second half comes when the gate is opened.
    Slowly(String, Gate),
    /// A beginning of an answer that never ends.
    Never,
}

/// Opened once, for all who wait at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |open| !*open).unwrap());
    }
}

/// One request: its path with the query, and its `Authorization`.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

type Answers = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// A running server; dropping it ends it.
pub(crate) struct SourceServer {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl SourceServer {
    pub(crate) fn start(answers: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (replies, count, stopped) = (Arc::clone(&answers), Arc::clone(&asked), Arc::clone(&stop));
        let serving = std::thread::spawn(move || {
            // Connections that get no answer are held open until the end.
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                held.extend(serve(stream, &replies));
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        Self { address, answers, asked, stop, serving: Some(serving) }
    }

    /// Target groups of that many devices, named `r1` and so on, at addresses of documentation.
    pub(crate) fn groups(devices: std::ops::RangeInclusive<usize>) -> String {
        let device = |n: usize| {
            let address = format!("198.51.{}.{}", 100 + n / 250, n % 250);
            serde_json::json!({ "targets": [format!("{address}:9100")], "labels": { "name": format!("r{n}"), "site": "ams" } })
        };
        serde_json::Value::Array(devices.map(device).collect()).to_string()
    }

    /// Another way to answer from now on.
    pub(crate) fn answer(&self, answers: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests were answered.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for SourceServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The accept that waits ends with this connection.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

fn head(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

fn serve(stream: TcpStream, answers: &Mutex<Answers>) -> Option<TcpStream> {
    let mut reader = BufReader::new(&stream);
    let (mut path, mut authorization) = (String::new(), None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.to_owned());
        }
    }
    let reply = (answers.lock().unwrap())(&Asked { path, authorization });
    match reply {
        Reply::Whole(status, body) => {
            let head = head(status, &body);
            // A client that has seen enough may have gone.
            let _gone =
                (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(body.as_bytes()));
            None
        }
        Reply::Slowly(body, gate) => {
            let (first, second) = body.split_at(body.len() / 2);
            let half = head(200, &body) + first;
            let _gone = (&stream).write_all(half.as_bytes());
            gate.pass();
            let _gone = (&stream).write_all(second.as_bytes());
            None
        }
        Reply::Never => {
            let _gone = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[");
            Some(stream)
        }
    }
}
