//! An HTTP server that takes events by POST and answers as the test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The head, with lower-case names of headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What it was answered, a status code.
    pub(crate) status: u16,
}

impl Received {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a request is answered: the status line behind the version, with headers where there are any.
type Answers = dyn Fn(&Received) -> String + Send + Sync;

/// A receiver; its threads end with the test's process.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Answers each request by the function, such as with `"204 No Content"` or `"429 Later\r\nRetry-After: 1"`.
    pub(crate) fn start(answers: impl Fn(&Received) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers): (_, Arc<Answers>) = (Arc::clone(&received), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
                std::thread::spawn(move || serve(&stream, &seen, &*answers));
            }
        });
        Self { address, received }
    }

    /// Where events are posted to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All requests so far, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The bodies that were taken, as JSON.
    pub(crate) fn taken(&self) -> Vec<Value> {
        self.all()
            .iter()
            .filter(|received| (200..300).contains(&received.status))
            .map(Received::json)
            .collect()
    }
}

/// Serves one connection until the client closes it.
fn serve(stream: &TcpStream, seen: &Mutex<Vec<Received>>, answers: &Answers) {
    let mut reader = BufReader::new(stream);
    while let Some(mut received) = request(&mut reader) {
        let answer = answers(&received);
        received.status = answer.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        // Noted before it is answered: what a client is told was taken is there.
        seen.lock().unwrap().push(received);
        if write!(&mut &*stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").is_err() {
            break;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            let name = name.to_lowercase();
            if name == "content-length" {
                length = value.parse().ok()?;
            }
            head.push_str(&format!("{name}: {value}\n"));
        } else {
            head.push_str(line);
            head.push('\n');
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { head, body, status: 0 })
}
