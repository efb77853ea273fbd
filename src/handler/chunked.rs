//! Decodes a body with `Transfer-Encoding: chunked` as it arrives.

use httparse::Status;

/// Maximum length of a line between chunks, with extensions and trailer fields.
const MAX_LINE_BYTES: usize = 256;
/// How much longer than the body its encoding may be. Chunks of one byte need six times the length.
const MAX_OVERHEAD: usize = 8;

/// The decoder of one body.
#[derive(Default)]
pub struct ChunkedDecoder {
    /// What comes next.
    part: Part,
    /// The line under way.
    line: Vec<u8>,
    /// Bytes fed so far: chunks and their framing.
    received: usize,
}

#[derive(Default, Clone, Copy)]
enum Part {
    #[default]
    Size,
    /// This many bytes of a chunk.
    Data(usize),
    /// The line end after a chunk.
    DataEnd,
    Trailer,
}

impl ChunkedDecoder {
    /// Appends the decoded part of `input` to `body`. Returns whether the body is complete, or the HTTP status that
    /// rejects it.
    pub fn feed(&mut self, mut input: &[u8], body: &mut Vec<u8>, max_bytes: usize) -> Result<bool, u16> {
        self.received += input.len();
        if self.received > MAX_OVERHEAD * max_bytes {
            return Err(413);
        }
        while !input.is_empty() {
            match self.part {
                Part::Data(left) => {
                    let (data, rest) = input.split_at(left.min(input.len()));
                    body.extend_from_slice(data);
                    input = rest;
                    let left = left - data.len();
                    self.part = if left == 0 { Part::DataEnd } else { Part::Data(left) };
                }
                Part::Size | Part::DataEnd | Part::Trailer => {
                    let end = input.iter().position(|byte| *byte == b'\n');
                    let (line, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
                    input = rest;
                    self.line.extend_from_slice(line);
                    if self.line.len() > MAX_LINE_BYTES {
                        return Err(400);
                    }
                    if end.is_some() && self.line_ended(body.len(), max_bytes)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn line_ended(&mut self, length: usize, max_bytes: usize) -> Result<bool, u16> {
        let line = std::mem::take(&mut self.line);
        let content = line.strip_suffix(b"\r\n").ok_or(400_u16)?;
        match self.part {
            Part::Size => match chunk_size(&line)? {
                0 => self.part = Part::Trailer,
                size if size > max_bytes.saturating_sub(length) => return Err(413),
                size => self.part = Part::Data(size),
            },
            Part::DataEnd if content.is_empty() => self.part = Part::Size,
            Part::Trailer => return Ok(content.is_empty()),
            Part::DataEnd | Part::Data(_) => return Err(400),
        }
        Ok(false)
    }
}

/// The size in a chunk's first line, or the HTTP status that rejects it. Extensions after the size are ignored.
fn chunk_size(line: &[u8]) -> Result<usize, u16> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match httparse::parse_chunk_size(line) {
        // httparse reads a line without digits as size 0, which would end the body.
        _ if digits == 0 => Err(400),
        Ok(Status::Complete((_, size))) => usize::try_from(size).map_err(|_| 413),
        // The size does not fit into a `u64`.
        Err(_) if digits > 16 => Err(413),
        _ => Err(400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], size: usize) -> (Result<bool, u16>, Vec<u8>) {
        let (mut decoder, mut body) = (ChunkedDecoder::default(), Vec::new());
        let mut outcome = Ok(false);
        for part in input.chunks(size) {
            outcome = decoder.feed(part, &mut body, 32);
            if outcome != Ok(false) {
                break;
            }
        }
        (outcome, body)
    }

    #[test]
    fn a_body_is_decoded_whatever_the_pieces() {
        let input = b"5\r\nhello\r\n6 ;x=y\r\n world\r\n0\r\nSum: 1\r\n\r\n";
        for size in 1..=input.len() {
            assert_eq!(decode(input, size), (Ok(true), b"hello world".to_vec()), "{size}");
            let cut = &input[..input.len() - 1];
            assert_eq!(decode(cut, size).0, Ok(false), "{size}");
        }
    }

    #[test]
    fn malformed_and_long_bodies_are_rejected() {
        for (bad, status) in [
            ("x\r\n", 400),
            ("\r\n", 400),
            (" \r\n", 400),
            (";x\r\n", 400),
            ("5 5\r\n", 400),
            ("5;x\ry\r\n", 400),
            ("-1\r\n", 400),
            ("+1\r\n", 400),
            ("5\nhello", 400),
            ("5\r\nhello!\r\n", 400),
            ("5\r\nhello0\r\n\r\n", 400),
            ("21\r\n", 413),
            ("20\r\n0123456789abcdef0123456789abcdef\r\n1\r\nx", 413),
            ("ffffffffffffffff\r\n", 413),
            ("ffffffffffffffffffffffffffffff\r\n", 413),
        ] {
            for size in [1, 1000] {
                assert_eq!(decode(bad.as_bytes(), size).0, Err(status), "{bad:?}");
            }
        }
        assert_eq!(decode(&[b'1'; 300], 7).0, Err(413), "too much framing");
        let endless = format!("1;{}", "x".repeat(250));
        assert_eq!(ChunkedDecoder::default().feed(endless.repeat(2).as_bytes(), &mut Vec::new(), 1000), Err(400));
    }
}
