//! Reads an HTTP request from pieces of input, within limits. Has no socket.

use httparse::Status;
use memchr::memmem;

use super::body::MAX_BYTES;
use super::chunked::ChunkedDecoder;

/// Maximum length of the head: request line and header fields.
const MAX_HEAD_BYTES: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;

/// A complete request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `Content-Type`, or an empty text.
    pub content_type: String,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// What a request needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More input.
    Incomplete,
    /// More input, which the sender holds back until it is told to continue (`Expect: 100-continue`).
    ContinueExpected,
    /// An answer: the request is complete.
    Complete(Request),
    /// An answer with this HTTP status, whatever else arrives.
    Rejected(u16),
}

/// A request under way.
pub struct RequestReader {
    head: Vec<u8>,
    request: Request,
    framing: Framing,
}

enum Framing {
    /// The head is incomplete.
    Unknown,
    /// This many bytes of the body are missing.
    Sized(usize),
    Chunked(ChunkedDecoder),
}

/// What the head states.
struct Head {
    content_type: String,
    framing: Framing,
    expects_continue: bool,
}

impl Default for RequestReader {
    fn default() -> RequestReader {
        let request = Request { content_type: String::new(), body: Vec::new() };
        RequestReader { head: Vec::new(), request, framing: Framing::Unknown }
    }
}

impl RequestReader {
    /// Reads a piece of input. `path`: the one that calls are accepted on.
    pub fn feed(&mut self, input: &[u8], path: &str) -> Progress {
        let read = match self.framing {
            Framing::Unknown => self.feed_head(input, path),
            _ => self.feed_body(input).map(|complete| (complete, false)),
        };
        match read {
            Ok((true, _)) => {
                let empty = Request { content_type: String::new(), body: Vec::new() };
                Progress::Complete(std::mem::replace(&mut self.request, empty))
            }
            Ok((false, true)) => Progress::ContinueExpected,
            Ok((false, false)) => Progress::Incomplete,
            Err(status) => Progress::Rejected(status),
        }
    }

    /// Returns whether the request is complete, and whether the sender waits to be told to continue.
    fn feed_head(&mut self, input: &[u8], path: &str) -> Result<(bool, bool), u16> {
        // The blank line may have begun in an earlier piece.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(input);
        // A method begins with a letter. Other protocols, such as TLS, would wait for an answer until the timeout.
        if !self.head.first().is_none_or(u8::is_ascii_uppercase) {
            return Err(400);
        }
        let Some(end) = self.head.get(from..).and_then(end_of_head).map(|end| from + end) else {
            return if self.head.len() > MAX_HEAD_BYTES { Err(431) } else { Ok((false, false)) };
        };
        if end > MAX_HEAD_BYTES {
            return Err(431);
        }
        let rest = self.head.split_off(end);
        let head = read_head(&self.head, path)?;
        self.head = Vec::new();
        self.request.content_type = head.content_type;
        self.framing = head.framing;
        let complete = self.feed_body(&rest)?;
        Ok((complete, head.expects_continue && rest.is_empty()))
    }

    fn feed_body(&mut self, input: &[u8]) -> Result<bool, u16> {
        let body = &mut self.request.body;
        match &mut self.framing {
            Framing::Unknown => Ok(false),
            Framing::Sized(left) => {
                // Input after the body would be another request; a connection has only one.
                let part = input.get(..*left).unwrap_or(input);
                body.extend_from_slice(part);
                *left -= part.len();
                Ok(*left == 0)
            }
            Framing::Chunked(chunked) => chunked.feed(input, body, MAX_BYTES),
        }
    }
}

/// The position after the blank line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let after = |blank: &[u8]| memmem::find(bytes, blank).map(|start| start + blank.len());
    after(b"\n\r\n").into_iter().chain(after(b"\n\n")).min()
}

fn read_head(bytes: &[u8], path: &str) -> Result<Head, u16> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(400),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    }
    if request.path.is_none_or(|target| target.split('?').next() != Some(path)) {
        return Err(404);
    }
    if request.method != Some("POST") {
        return Err(405);
    }
    let fields = &*request.headers;
    let all = |name: &'static str| {
        fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
    };
    let framing = framing(all("content-length"), all("transfer-encoding"), request.version == Some(1))?;
    let content_type = String::from_utf8_lossy(all("content-type").next().unwrap_or_default()).into_owned();
    let expects_continue = all("expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    Ok(Head { content_type, framing, expects_continue })
}

/// How the end of the body is recognised. A head that states it in two ways is rejected, because it could mean two
/// ends.
fn framing<'a>(
    mut lengths: impl Iterator<Item = &'a [u8]>,
    encodings: impl Iterator<Item = &'a [u8]>,
    is_http_1_1: bool,
) -> Result<Framing, u16> {
    let encodings: Vec<&[u8]> = encodings.collect();
    let length = lengths.next();
    match (length, encodings.as_slice()) {
        (None, [only]) if only.eq_ignore_ascii_case(b"chunked") && is_http_1_1 => {
            Ok(Framing::Chunked(ChunkedDecoder::default()))
        }
        (None, []) => Err(411),
        (Some(length), []) if lengths.all(|other| other == length) => {
            let digits = std::str::from_utf8(length).ok().filter(|digits| !digits.is_empty());
            let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).ok_or(400_u16)?;
            // What does not fit into a `usize` is too long in any case.
            match digits.parse().unwrap_or(usize::MAX) {
                length if length > MAX_BYTES => Err(413),
                length => Ok(Framing::Sized(length)),
            }
        }
        _ => Err(400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], size: usize) -> Progress {
        let mut reader = RequestReader::default();
        for part in input.chunks(size) {
            match reader.feed(part, "/b24") {
                Progress::Incomplete | Progress::ContinueExpected => {}
                end => return end,
            }
        }
        Progress::Incomplete
    }

    fn assert_rejected(input: &str, status: u16) {
        for size in [1, 7, 100_000] {
            assert_eq!(read(input.as_bytes(), size), Progress::Rejected(status), "{input:.120?} by {size}");
        }
    }

    #[test]
    fn a_request_is_read_whatever_the_pieces() {
        let body = "a=1&b=2";
        let head = "POST /b24?x=y HTTP/1.1\r\nHost: h\r\ncontent-TYPE:  text/x \r\n";
        let sized = format!("{head}Content-Length: 7\r\ncontent-length: 7\r\n\r\n{body}");
        let chunked = format!("{head}Transfer-Encoding: Chunked\r\n\r\n3\r\na=1\r\n4\r\n&b=2\r\n0\r\n\r\n");
        let old = sized.replace("HTTP/1.1", "HTTP/1.0");
        let bare = sized.replace("\r\n", "\n");
        let more = format!("{sized}POST /b24 HTTP/1.1\r\n");
        for input in [sized, chunked, old, bare, more] {
            for size in 1..input.len() {
                let request = Request { content_type: "text/x".into(), body: body.into() };
                assert_eq!(read(input.as_bytes(), size), Progress::Complete(request), "{input:?} by {size}");
            }
        }
    }

    #[test]
    fn a_sender_that_expects_it_is_told_to_continue() {
        let head = b"POST /b24 HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
        let mut reader = RequestReader::default();
        assert_eq!(reader.feed(head, "/b24"), Progress::ContinueExpected);
        assert!(matches!(reader.feed(b"x", "/b24"), Progress::Complete(_)));
        let impatient = [head.as_slice(), b"x"].concat();
        assert!(matches!(RequestReader::default().feed(&impatient, "/b24"), Progress::Complete(_)));
    }

    #[test]
    fn malformed_and_foreign_requests_are_rejected() {
        let with = |fields: &str| format!("POST /b24 HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_rejected("\x16\x03\x01", 400);
        assert_rejected("POST /b24\r\n\r\n", 400);
        assert_rejected("POST /b24 HTTP/1.1\r\nno colon\r\n\r\n", 400);
        assert_rejected("POST /b24 HTTP/2.0\r\n\r\n", 400);
        assert_rejected("POST /other HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 404);
        assert_rejected("POST /b24/ HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 404);
        assert_rejected("GET /b24 HTTP/1.1\r\n\r\n", 405);
        assert_rejected(&with("Host: h"), 411);
        for lie in ["x", "", "-1", "+1", "1 1", "1,1", "0x1", "1\r\nContent-Length: 2"] {
            assert_rejected(&with(&format!("Content-Length: {lie}")), 400);
        }
        for lie in ["gzip", "chunked, gzip", "chunked\r\nTransfer-Encoding: chunked", "chunked\r\nContent-Length: 1"] {
            assert_rejected(&with(&format!("Transfer-Encoding: {lie}")), 400);
        }
        assert_rejected("POST /b24 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
        for much in ["65537", "10485760", "99999999999999999999999999"] {
            assert_rejected(&with(&format!("Content-Length: {much}")), 413);
        }
        assert_rejected(&format!("{}FFFFF\r\n", with("Transfer-Encoding: chunked")), 413);
        assert_rejected(&with(&format!("X: {}", "x".repeat(9000))), 431);
        assert_rejected(&format!("POST /{} HTTP/1.1\r\n", "x".repeat(9000)), 431);
        assert_rejected(&with(&"X: y\r\n".repeat(70)), 431);
    }

    #[test]
    fn a_body_of_the_maximum_length_is_accepted() {
        let head = "POST /b24 HTTP/1.1\r\nContent-Length: 65536\r\n\r\n";
        let input = [head.as_bytes(), &vec![b'x'; MAX_BYTES]].concat();
        assert!(matches!(read(&input, 8192), Progress::Complete(request) if request.body.len() == MAX_BYTES));
        assert_eq!(read(&input[..input.len() - 1], 8192), Progress::Incomplete);
    }
}
