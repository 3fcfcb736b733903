//! Raw HTTP/2 frames (RFC 9113), for input that no library would send.

#![allow(dead_code, reason = "the benchmark uses some of it")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Frame types.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

// Flags.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Encodes a frame with its header of nine bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes the headers of a call: indices into the static table of HPACK (RFC 7541), and uncompressed literals.
pub fn call_headers(path: &str) -> Vec<u8> {
    const POST: u8 = 0x83;
    const HTTP: u8 = 0x86;
    let mut block = vec![POST, HTTP];
    literal(&mut block, &[0x04], path);
    literal(&mut block, &[0x01], "localhost");
    literal(&mut block, &[0x0f, 0x10], "application/grpc");
    block.push(0x00);
    text(&mut block, "te");
    text(&mut block, "trailers");
    block
}

fn literal(block: &mut Vec<u8>, name: &[u8], value: &str) {
    block.extend(name);
    text(block, value);
}

fn text(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).ok().filter(|&len| len < 0x7f).expect("a short text"));
    block.extend(text.as_bytes());
}

/// Encodes an uncompressed gRPC message: a flag, its length, its bytes.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, bytes].concat()
}

/// Connection whose received frames are counted.
pub struct RawConnection {
    write: OwnedWriteHalf,
    /// Number of frames received, by type.
    received: watch::Receiver<[u64; 16]>,
    reading: JoinHandle<()>,
}

impl RawConnection {
    /// Connects without sending anything.
    pub async fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let (count, received) = watch::channel([0; 16]);
        let reading = tokio::spawn(read_all(read, count));
        Ok(Self { write, received, reading })
    }

    /// Connects and sends the HTTP/2 preface.
    pub async fn open(address: &str) -> std::io::Result<Self> {
        let mut connection = Self::connect(address).await?;
        connection.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
        Ok(connection)
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// Whether the server has closed it.
    pub fn is_closed(&self) -> bool {
        self.reading.is_finished()
    }

    /// Returns the number of frames of a type received so far.
    pub fn frames_received(&self, kind: u8) -> u64 {
        self.received.borrow()[usize::from(kind)]
    }

    /// Waits for a frame of a type, or for the end of the connection; returns whether the frame was received.
    pub async fn receives(&mut self, kind: u8) -> bool {
        self.received.wait_for(|received| received[usize::from(kind)] > 0).await.is_ok()
    }

    /// Waits until the server closes it.
    pub async fn closed(&mut self) {
        (&mut self.reading).await.expect("reading does not panic");
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read_all(mut read: OwnedReadHalf, count: watch::Sender<[u64; 16]>) {
    let mut header = [0; 9];
    // An error ends the connection as well.
    while read.read_exact(&mut header).await.is_ok() {
        let [a, b, c, kind, ..] = header;
        count.send_modify(|received| received[usize::from(kind & 0xf)] += 1);
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if read.read_exact(&mut payload).await.is_err() {
            return;
        }
    }
}
