//! JSON in the spelling of the vendor's `Main\Web\Json::encode`: everything outside ASCII and `/ < > & ' "` escaped.
//!
//! The spelling matters: MESSAGE_ID is the md5 of such a text.

use std::io::{self, Write};

use crate::php::value::Value;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

struct PhpFormatter;

impl Formatter for PhpFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0_u16; 2];
        for c in fragment.chars() {
            match c {
                '/' => writer.write_all(b"\\/")?,
                '<' | '>' | '&' | '\'' => write!(writer, "\\u{:04X}", u32::from(c))?,
                ' '..='~' => write!(writer, "{c}")?,
                _ => {
                    for unit in c.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let text = match escape {
            CharEscape::Quote => "\\u0022",
            CharEscape::ReverseSolidus => "\\\\",
            CharEscape::Solidus => "\\/",
            CharEscape::Backspace => "\\b",
            CharEscape::FormFeed => "\\f",
            CharEscape::LineFeed => "\\n",
            CharEscape::CarriageReturn => "\\r",
            CharEscape::Tab => "\\t",
            CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04x}"),
        };
        writer.write_all(text.as_bytes())
    }
}

/// An empty map becomes `[]`, as PHP cannot tell the two apart.
pub fn encode(value: &Value) -> String {
    let mut out = Vec::with_capacity(256);
    // A `Value` into memory: neither the data nor the writer can fail.
    let written = without_empty_maps(value).serialize(&mut Serializer::with_formatter(&mut out, PhpFormatter));
    debug_assert!(written.is_ok());
    String::from_utf8(out).unwrap_or_default()
}

fn without_empty_maps(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.is_empty() => Value::Array(Vec::new()),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), without_empty_maps(value))).collect(),
        Value::Array(list) => list.iter().map(without_empty_maps).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::value::json;

    #[test]
    fn spelling() {
        assert_eq!(
            encode(&json!({"a/b": "Я<\"'&>\n", "m": {}, "n": 1.5, "emoji": "😀"})),
            r#"{"a\/b":"\u042f\u003C\u0022\u0027\u0026\u003E\n","m":[],"n":1.5,"emoji":"\ud83d\ude00"}"#
        );
    }
}
