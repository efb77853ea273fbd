//! `binaryMode=true` of version 4: the vendor's `ResponseBatch`, of which subscribers receive one kind of response.
//!
//! `ResponseBatch { repeated Response responses = 1 }`, `Response { OutgoingMessagesResponse outgoingMessages = 1 }`,
//! `OutgoingMessagesResponse { repeated OutgoingMessage messages = 1 }`,
//! `OutgoingMessage { bytes id = 1; string body = 2; fixed32 created = 4; Sender sender = 5 }`,
//! `Sender { SenderType type = 1 }`.

use super::message::Message;

/// `SenderType`: the portal.
const BACKEND: u8 = 2;
/// Wire types, the low three bits of a key.
const VARINT: u8 = 0;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

pub fn batch(messages: &[Message]) -> Vec<u8> {
    let mut outgoing = Vec::new();
    for message in messages {
        put(&mut outgoing, 1, &outgoing_message(message));
    }
    let mut response = Vec::new();
    put(&mut response, 1, &outgoing);
    let mut batch = Vec::new();
    put(&mut batch, 1, &response);
    batch
}

fn outgoing_message(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 1, &id(&message.mid));
    put(&mut out, 2, message.text.as_bytes());
    out.push(key(4, FIXED32));
    out.extend(u32::try_from(message.time).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut out, 5, &[key(1, VARINT), BACKEND]);
    out
}

/// A message id is sent as the bytes that its hexadecimal digits stand for.
fn id(mid: &str) -> Vec<u8> {
    let digits: Vec<u8> = mid.bytes().filter_map(|digit| u8::try_from(char::from(digit).to_digit(16)?).ok()).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

fn put(out: &mut Vec<u8>, field: u8, data: &[u8]) {
    out.push(key(field, LENGTH));
    let mut length = data.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push((length & 0x7f) as u8);
    out.extend_from_slice(data);
}

fn key(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_batch() {
        let message = Message::new(1, 1, 1_795_485_144, "c", r#"{"a":1}"#.to_owned());
        let inner = [
            &b"\x0a\x0d\x17\x95\x48\x51\x44\x00\x00\x00\x00\x00\x00\x00\x01"[..],
            b"\x12\x07{\"a\":1}",
            b"\x25\xd8\xed\x04\x6b",
            b"\x2a\x02\x08\x02",
        ]
        .concat();
        let length = u8::try_from(inner.len()).unwrap();
        assert_eq!(batch(&[message]), [&[0x0a, length + 4, 0x0a, length + 2, 0x0a, length][..], &inner].concat());
        let mut long = Vec::new();
        put(&mut long, 1, &[0; 300]);
        assert_eq!(long[..3], [0x0a, 0xac, 0x02]);
    }
}
