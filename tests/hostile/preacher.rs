//! A server that has nothing but banners to say once keys are exchanged: as much of SSH as it takes to get there, by hand,
//! since no server's library sends more than one. (RFC 4253; RFC 5656 and 8731 for the exchange, RFC 5647 for AES-GCM.)

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

const VERSION: &[u8] = b"SSH-2.0-Preacher";
const HOST_KEY: &str = "ssh-ed25519";

/// Message numbers.
const SERVICE_ACCEPT: u8 = 6;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const KEX_ECDH_REPLY: u8 = 31;
const USERAUTH_BANNER: u8 = 53;

/// Exchanges keys with a visitor, then says the banner for as long as somebody listens.
pub(crate) fn preach(tcp: TcpStream, banner: &str) {
    // It ends with an error when the visitor hangs up.
    let _ = try_to(tcp, banner);
}

fn try_to(mut tcp: TcpStream, banner: &str) -> io::Result<()> {
    let mut visitor = BufReader::new(tcp.try_clone()?);
    tcp.write_all(&[VERSION, b"\r\n"].concat())?;
    let mut client_version = Vec::new();
    visitor.read_until(b'\n', &mut client_version)?;
    let ours = offer();
    send(&mut tcp, &ours)?;
    let theirs = receive(&mut visitor)?;
    // The visitor's half of the key stands behind the message's number and a length.
    let client_half = receive(&mut visitor)?.get(5..).unwrap_or_default().to_vec();

    let random = SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
    let own_half = own.compute_public_key().unwrap().as_ref().to_vec();
    let peer = UnparsedPublicKey::new(&X25519, &client_half);
    let shared = agree_ephemeral(own, &peer, positive).unwrap();
    let host = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
    let host_key = [string(HOST_KEY.as_bytes()), string(host.public_key().as_ref())].concat();
    let said = [client_version.trim_ascii_end(), VERSION, &theirs, &ours, &host_key, &client_half, &own_half];
    let said: Vec<u8> = said.into_iter().flat_map(string).collect();
    let hash = digest(&[&said, &shared]);
    let signature = [string(HOST_KEY.as_bytes()), string(host.sign(&hash).as_ref())].concat();
    let reply = [vec![KEX_ECDH_REPLY], string(&host_key), string(&own_half), string(&signature)];
    send(&mut tcp, &reply.concat())?;
    send(&mut tcp, &[NEWKEYS])?;

    receive(&mut visitor)?;
    // The request for the login's service. Whatever the visitor says from here on is nobody's concern.
    visitor.fill_buf()?;
    thread::spawn(move || io::copy(&mut visitor, &mut io::sink()));
    let derived = |letter: u8| digest(&[&shared, &hash, &[letter], &hash]);
    let mut sealer = Sealer::new(&derived(b'D'), &derived(b'B'));
    tcp.write_all(&sealer.packet(&[vec![SERVICE_ACCEPT], string(b"ssh-userauth")].concat()))?;
    let banner = [vec![USERAUTH_BANNER], string(banner.as_bytes()), string(b"")].concat();
    loop {
        tcp.write_all(&sealer.packet(&banner))?;
    }
}

/// What is offered: one of each, so that there is nothing to choose.
fn offer() -> Vec<u8> {
    const CIPHER: &str = "aes256-gcm@openssh.com";
    let lists = ["curve25519-sha256", HOST_KEY, CIPHER, CIPHER, "hmac-sha2-256", "hmac-sha2-256"];
    let mut payload = [vec![KEXINIT], vec![7; 16]].concat();
    for list in lists.into_iter().chain(["none", "none", "", ""]) {
        payload.extend(string(list.as_bytes()));
    }
    payload.extend([0; 5]);
    payload
}

/// The numbers of AES-GCM count up from a first one.
struct Sealer {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl Sealer {
    fn new(key: &[u8], nonce: &[u8]) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        Self { key, nonce: nonce[..12].try_into().unwrap() }
    }

    fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let (length, mut body) = padded(payload, 16, 0);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(length), &mut body).unwrap();
        let count = u64::from_be_bytes(self.nonce[4..].try_into().unwrap()).wrapping_add(1);
        self.nonce[4..].copy_from_slice(&count.to_be_bytes());
        [&length[..], &body].concat()
    }
}

/// The length of a packet in clear, and the packet.
fn padded(payload: &[u8], block: usize, before: usize) -> ([u8; 4], Vec<u8>) {
    let padding = 2 * block - (before + 1 + payload.len()) % block;
    let mut body = vec![u8::try_from(padding).unwrap()];
    body.extend_from_slice(payload);
    body.resize(1 + payload.len() + padding, 0);
    (u32::try_from(body.len()).unwrap().to_be_bytes(), body)
}

fn send(tcp: &mut TcpStream, payload: &[u8]) -> io::Result<()> {
    let (length, body) = padded(payload, 8, 4);
    tcp.write_all(&[&length[..], &body].concat())
}

fn receive(visitor: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    visitor.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    visitor.read_exact(&mut body)?;
    let padding = usize::from(body[0]);
    Ok(body[1..body.len() - padding].to_vec())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A number that is not negative, as the hash wants it.
fn positive(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    string(&[sign, digits].concat())
}

fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}
