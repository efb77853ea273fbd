//! A body with `Transfer-Encoding: chunked`, decoded as it comes.

/// Longest line between chunks, extensions and trailer fields included.
const MOST_LINE: usize = 256;

/// Where in the body we are.
#[derive(Default)]
pub struct Chunked {
    place: Place,
    line: Vec<u8>,
    /// Bytes on the way, chunks and what is around them.
    raw: usize,
}

#[derive(Default, Clone, Copy)]
enum Place {
    #[default]
    Size,
    Data(usize),
    /// The line end after a chunk.
    DataEnd,
    Trailer,
}

impl Chunked {
    /// Takes what came in, and puts what belongs to the body into it. Returns whether the body has come to its end; else
    /// the HTTP status of what is wrong with it.
    pub fn feed(&mut self, mut input: &[u8], body: &mut Vec<u8>, most: usize) -> Result<bool, u16> {
        self.raw += input.len();
        // A body in chunks of one byte is six times as long on the way.
        if self.raw > 8 * most {
            return Err(413);
        }
        while !input.is_empty() {
            match self.place {
                Place::Data(left) => {
                    let (data, rest) = input.split_at(left.min(input.len()));
                    body.extend_from_slice(data);
                    input = rest;
                    let left = left - data.len();
                    self.place = if left == 0 { Place::DataEnd } else { Place::Data(left) };
                }
                Place::Size | Place::DataEnd | Place::Trailer => {
                    let end = input.iter().position(|byte| *byte == b'\n');
                    let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
                    input = rest;
                    self.line.extend_from_slice(part);
                    if self.line.len() > MOST_LINE {
                        return Err(400);
                    }
                    if end.is_some() && self.line_ended(body.len(), most)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn line_ended(&mut self, length: usize, most: usize) -> Result<bool, u16> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or(400_u16)?;
        match self.place {
            Place::Size => match size(line).ok_or(400_u16)? {
                0 => self.place = Place::Trailer,
                size if size > most.saturating_sub(length) => return Err(413),
                size => self.place = Place::Data(size),
            },
            Place::DataEnd if line.is_empty() => self.place = Place::Size,
            Place::Trailer => return Ok(line.is_empty()),
            Place::DataEnd | Place::Data(_) => return Err(400),
        }
        Ok(false)
    }
}

/// A chunk's size; extensions after it say nothing to us.
fn size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    // More than a `usize` holds is far too much in any case.
    Some(usize::from_str_radix(digits, 16).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], piece: usize) -> (Result<bool, u16>, Vec<u8>) {
        let (mut chunked, mut body) = (Chunked::default(), Vec::new());
        let mut outcome = Ok(false);
        for piece in input.chunks(piece) {
            outcome = chunked.feed(piece, &mut body, 32);
            if outcome != Ok(false) {
                break;
            }
        }
        (outcome, body)
    }

    #[test]
    fn a_body_comes_together_however_it_is_cut() {
        let input = b"5\r\nhello\r\n6 ;x=y\r\n world\r\n0\r\nSum: 1\r\n\r\n";
        for piece in 1..=input.len() {
            assert_eq!(decode(input, piece), (Ok(true), b"hello world".to_vec()), "{piece}");
            let cut = &input[..input.len() - 1];
            assert_eq!(decode(cut, piece).0, Ok(false), "{piece}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for (bad, status) in [
            ("x\r\n", 400),
            ("\r\n", 400),
            ("-1\r\n", 400),
            ("+1\r\n", 400),
            ("5\nhello", 400),
            ("5\r\nhello!\r\n", 400),
            ("5\r\nhello0\r\n\r\n", 400),
            ("21\r\n", 413),
            ("20\r\n0123456789abcdef0123456789abcdef\r\n1\r\nx", 413),
            ("ffffffffffffffffffffffffffffff\r\n", 413),
        ] {
            for piece in [1, 1000] {
                assert_eq!(decode(bad.as_bytes(), piece).0, Err(status), "{bad:?}");
            }
        }
        assert_eq!(decode(&[b'1'; 300], 7).0, Err(413), "eight times as much as fits");
        let endless = format!("1;{}", "x".repeat(250));
        assert_eq!(Chunked::default().feed(endless.repeat(2).as_bytes(), &mut Vec::new(), 1000), Err(400));
    }
}
