//! Answers to clients that speak TLS to a port without, or plain text to a port with TLS.
//!
//! Without an answer such a client reports a broken connection, which looks like a server that is down. The answer is a few fixed
//! bytes that carry a sentence, in the protocol that the client speaks where that is possible.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Time for which the answer may wait for a client that keeps sending.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// First byte of a TLS handshake record (RFC 8446).
const TLS_HANDSHAKE: u8 = 22;
/// First bytes of the HTTP/2 client preface (RFC 9113).
const HTTP2_PREFACE: &[u8] = b"PRI";

// Parts of HTTP/2 frames (RFC 9113).
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const INADEQUATE_SECURITY: u32 = 0xc;

/// Protocol that a client speaks and the port does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtocolMismatch {
    /// TLS to a port without.
    Tls,
    /// HTTP/2 without TLS to a port with.
    PlainHttp2,
    /// Other plain text, such as HTTP/1.1, to a port with TLS.
    PlainText,
}

impl ProtocolMismatch {
    /// Compares the first bytes of a connection with what the port expects.
    pub(super) fn of(first_bytes: &[u8], expects_tls: bool) -> Option<Self> {
        let is_tls = first_bytes.first() == Some(&TLS_HANDSHAKE);
        match (is_tls, expects_tls) {
            (true, true) | (false, false) => None,
            (true, false) => Some(Self::Tls),
            // The preface may come in pieces.
            (false, true) if HTTP2_PREFACE.starts_with(&first_bytes[..first_bytes.len().min(HTTP2_PREFACE.len())]) => {
                Some(Self::PlainHttp2)
            }
            (false, true) => Some(Self::PlainText),
        }
    }

    /// Sentence for the client, and for the log.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Tls => "this port serves gRPC without TLS: connect without TLS (http://)",
            Self::PlainHttp2 | Self::PlainText => "this port serves gRPC with TLS: connect with TLS (https://)",
        }
    }

    /// Bytes that carry the sentence.
    fn answer(self) -> Vec<u8> {
        match self {
            // A GOAWAY may carry a text, which most clients report.
            Self::PlainHttp2 => {
                let mut payload = vec![0; 4];
                payload.extend(INADEQUATE_SECURITY.to_be_bytes());
                payload.extend(self.sentence().as_bytes());
                [frame(SETTINGS, &[]), frame(GOAWAY, &payload)].concat()
            }
            // A TLS client shows no text, but most recognize HTTP and say so.
            Self::Tls | Self::PlainText => {
                let sentence = self.sentence();
                format!(
                    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{sentence}\n",
                    sentence.len() + 1
                )
                .into_bytes()
            }
        }
    }

    /// Sends the answer and closes the connection.
    pub(super) async fn reject(self, mut stream: TcpStream) {
        let answered = async {
            stream.write_all(&self.answer()).await?;
            stream.shutdown().await?;
            // A connection that is closed with unread bytes is reset, and the client may lose the answer.
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await? > 0 {}
            std::io::Result::Ok(())
        };
        // An error or a timeout means that the client is gone, or does not stop sending.
        let _closed = tokio::time::timeout(CLOSE_TIMEOUT, answered).await;
    }
}

/// Encodes a frame of the connection itself (stream 0), without flags.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocols_apart() {
        for (first_bytes, expects_tls, mismatch) in [
            (&[22, 3, 1][..], true, None),
            (b"PRI * HTTP/2.0", false, None),
            (b"GET / HTTP/1.1", false, None),
            (&[22, 3, 1], false, Some(ProtocolMismatch::Tls)),
            (&[22], false, Some(ProtocolMismatch::Tls)),
            (b"PRI * HTTP/2.0", true, Some(ProtocolMismatch::PlainHttp2)),
            (b"P", true, Some(ProtocolMismatch::PlainHttp2)),
            (b"POST / HTTP/1.1", true, Some(ProtocolMismatch::PlainText)),
            (b"x", true, Some(ProtocolMismatch::PlainText)),
        ] {
            assert_eq!(ProtocolMismatch::of(first_bytes, expects_tls), mismatch, "{first_bytes:?}");
        }
    }

    #[test]
    fn the_answer_to_http2_is_settings_and_a_goaway_with_the_sentence() {
        let answer = ProtocolMismatch::PlainHttp2.answer();
        let sentence = ProtocolMismatch::PlainHttp2.sentence().as_bytes();
        let length = u8::try_from(sentence.len() + 8).expect("short");
        let head = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12];
        assert_eq!(answer, [&head[..], sentence].concat());
    }
}
