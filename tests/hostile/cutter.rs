//! A wire with a cutter on it: it hands on what a well-behaved server says, packet by packet, and turns on the visitor
//! after so many of them. With AES-GCM a packet's length stands in clear on the wire (RFC 5647), so they can be told apart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// The message that all packets after it are encrypted behind (RFC 4253, section 12).
const NEWKEYS: u8 = 21;

/// The tag of AES-GCM behind each encrypted packet.
const TAG: usize = 16;

/// What happens to the visitor after the last good packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection is reset.
    Reset,
    /// It is closed in order.
    Close,
    /// Nothing comes any more, and nobody hangs up.
    Silence,
    /// The rest comes a byte at a time.
    Drip,
    /// The next packet says that it is so long.
    Length(u32),
}

/// Starts a wire to `server` for one visitor; where to connect, and how many packets have been handed on.
pub(crate) fn cutter(server: SocketAddr, after: usize, then: Then) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handed_on = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handed_on);
    thread::spawn(move || {
        let (visitor, _) = listener.accept().unwrap();
        let server = TcpStream::connect(server).unwrap();
        let (from_visitor, to_server) = (visitor.try_clone().unwrap(), server.try_clone().unwrap());
        let cut = Arc::new(AtomicBool::new(false));
        let asking = thread::spawn({
            let cut = Arc::clone(&cut);
            move || ask(from_visitor, to_server, &cut)
        });
        // It ends with an error when either side hangs up.
        let _ = answer(server, &visitor, after, then, &counter);
        if then == Then::Reset {
            set_socket_linger(&visitor, Some(Duration::ZERO)).unwrap();
        }
        cut.store(matches!(then, Then::Reset | Then::Close), Ordering::Relaxed);
        drop(visitor);
        // The last descriptor to close tells the visitor; this one goes with the other half of the wire.
        let _ = asking.join();
    });
    (address, handed_on)
}

/// Hands on what the visitor says, until it hangs up or the wire is cut.
fn ask(mut visitor: TcpStream, mut server: TcpStream, cut: &AtomicBool) {
    visitor.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let mut buffer = [0; 4096];
    while !cut.load(Ordering::Relaxed) {
        match visitor.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if server.write_all(&buffer[..count]).is_err() => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

fn answer(
    mut server: TcpStream,
    mut visitor: &TcpStream,
    after: usize,
    then: Then,
    handed_on: &AtomicUsize,
) -> io::Result<()> {
    let mut encrypted = false;
    for number in 0.. {
        let mut packet =
            if number == 0 { identification(&mut server)? } else { read(&mut server, encrypted)? };
        if number < after {
            encrypted |= number > 0 && packet.get(5) == Some(&NEWKEYS);
            visitor.write_all(&packet)?;
            handed_on.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        match then {
            Then::Reset | Then::Close => return Ok(()),
            Then::Silence => {
                io::copy(&mut server, &mut io::sink())?;
                return Ok(());
            }
            Then::Drip => {
                for byte in &packet {
                    visitor.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Then::Length(length) => {
                packet.iter_mut().zip(length.to_be_bytes()).for_each(|(byte, wrong)| *byte = wrong);
                visitor.write_all(&packet)?;
                io::copy(&mut server, &mut visitor)?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn identification(server: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(line)
}

fn read(server: &mut TcpStream, encrypted: bool) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    server.read_exact(&mut length)?;
    let rest = u32::from_be_bytes(length) as usize + if encrypted { TAG } else { 0 };
    let mut packet = length.to_vec();
    packet.resize(4 + rest, 0);
    server.read_exact(&mut packet[4..])?;
    Ok(packet)
}
