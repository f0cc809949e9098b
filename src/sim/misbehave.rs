//! How ill devices behave on the wire.

use std::time::Duration;

use russh::ChannelId;
use russh::server::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Gone, say};

/// How many meaningless bytes are an answer: more than a screen, less than any limit on output.
pub(super) const GARBAGE_BYTES: usize = 4096;

/// How much of a flood is sent at a time.
const FLOOD_CHUNK: usize = 32 * 1024;

/// Says nothing until the peer gives up.
pub(super) async fn stay_silent(mut stream: TcpStream) {
    let mut unread = [0; 512];
    while matches!(stream.read(&mut unread).await, Ok(read) if read > 0) {}
}

/// Greets like an SSH server, then says nothing until the peer gives up.
pub(super) async fn stall(mut stream: TcpStream, ssh_id: &str) {
    if stream.write_all(format!("{ssh_id}\r\n").as_bytes()).await.is_ok() {
        stay_silent(stream).await;
    }
}

/// Greets like an SSH server, waits for the client's key exchange to begin, and resets the connection.
pub(super) async fn reset_in_kex(mut stream: TcpStream, ssh_id: &str) {
    if stream.write_all(format!("{ssh_id}\r\n").as_bytes()).await.is_err() {
        return;
    }
    let mut first_packet = [0; 512];
    let mut seen = 0;
    // A client's identification alone is shorter than this; beyond it the key exchange has begun.
    while seen < 256 {
        match stream.read(&mut first_packet).await {
            Ok(read) if read > 0 => seen += read,
            _ => return,
        }
    }
    // Closing a socket that lingers for no time sends a reset in place of an orderly end.
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

/// Talks like the web server of some appliance, then closes.
pub(super) async fn speak_http(mut stream: TcpStream) {
    let page = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(page.as_bytes()).await;
    let _ = stream.shutdown().await;
    // Reads what the client had sent; closing over unread bytes would turn the end into a reset.
    stay_silent(stream).await;
}

/// Answers one byte a second.
pub(super) async fn drip(handle: &Handle, channel: ChannelId, output: Vec<u8>) -> Result<(), Gone> {
    for byte in output {
        say(handle, channel, vec![byte]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Repeats the answer until the session is over. russh holds back what the peer's window doesn't allow, so that the
/// flood costs no memory here.
pub(super) async fn flood(handle: &Handle, channel: ChannelId, output: &[u8]) -> Result<(), Gone> {
    let chunk: Vec<u8> = output.iter().copied().cycle().take(FLOOD_CHUNK).collect();
    loop {
        say(handle, channel, chunk.clone()).await?;
    }
}
