//! A client of `/api/v1/events` that reads the stream as it comes.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

/// An open stream.
pub(crate) struct EventStream {
    lines: Lines<BufReader<TcpStream>>,
    /// The id of the last event, as a browser would send it back.
    pub(crate) last_id: Option<i64>,
}

/// One event, or a sign of life without data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Opens a stream; the status and head of the answer where it is refused.
    pub(crate) async fn open(
        address: SocketAddr,
        query: &str,
        last_id: Option<i64>,
    ) -> Result<Self, (u16, String)> {
        let last = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect(address).await.map_err(|error| (0, error.to_string()))?;
        let request = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: versweep\r\nAccept: text/event-stream\r\n{last}\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| (0, error.to_string()))?;
        Self::of(stream, last_id).await
    }

    /// A stream that was asked for by that connection.
    pub(crate) async fn of(stream: TcpStream, last_id: Option<i64>) -> Result<Self, (u16, String)> {
        let mut stream = Self { lines: BufReader::new(stream).lines(), last_id };
        let mut head = String::new();
        while let Ok(Some(line)) = stream.lines.next_line().await {
            if line.is_empty() {
                break;
            }
            head.push_str(&line.to_ascii_lowercase());
            head.push('\n');
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 200 {
            return Err((status, head));
        }
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Ok(stream)
    }

    /// The next event with data; nothing once the stream has ended. Chunk sizes stand on lines of their own and look
    /// like no field.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let mut told = Told { kind: "message".to_owned(), data: Value::Null };
        loop {
            let line = self.lines.next_line().await.ok()??;
            match line.split_once(": ") {
                Some(("id", id)) => self.last_id = Some(id.parse().expect("a sequence")),
                Some(("event", kind)) => told.kind = kind.to_owned(),
                Some(("data", data)) => told.data = serde_json::from_str(data).expect("JSON"),
                _ if line.is_empty() && !told.data.is_null() => return Some(told),
                _ => {}
            }
        }
    }

    /// The sequences of the next so many events.
    pub(crate) async fn sequences(&mut self, count: usize) -> Vec<i64> {
        let mut sequences = Vec::new();
        while sequences.len() < count {
            let told = self.next().await.expect("another event");
            sequences.push(told.data["sequence"].as_i64().expect("a sequence"));
        }
        sequences
    }
}
