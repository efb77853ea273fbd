//! How messages are written for a subscriber.

use super::message::{Message, array, envelopes};
use super::query::Parameters;
use super::{json_rpc, protobuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Envelopes,
    /// `format=json`, version 4 and up.
    Array,
    /// `binaryMode=true`, version 4.
    Protobuf,
    /// `jsonRpc=true`, version 5.
    JsonRpc,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Text(String),
    Binary(Vec<u8>),
}

impl Format {
    /// A version ignores parameters that it does not know.
    pub fn of(parameters: &Parameters, version: u32) -> Self {
        let asked = |parameter: &Option<String>, value| parameter.as_deref() == Some(value);
        if version >= 5 && asked(&parameters.json_rpc, "true") {
            Self::JsonRpc
        } else if version >= 4 && asked(&parameters.format, "json") {
            Self::Array
        } else if version == 4 && asked(&parameters.binary_mode, "true") {
            Self::Protobuf
        } else {
            Self::Envelopes
        }
    }

    pub fn write(self, messages: &[Message], version: u32) -> Written {
        match self {
            Self::Envelopes => Written::Text(envelopes(messages, version)),
            Self::Array => Written::Text(array(messages, version)),
            Self::JsonRpc => Written::Text(json_rpc::incoming(messages)),
            Self::Protobuf => Written::Binary(protobuf::batch(messages)),
        }
    }
}

impl Written {
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_version_knows() {
        let of = |query, version| Format::of(&Parameters::parse(query), version);
        assert_eq!(of("format=json", 3), Format::Envelopes);
        assert_eq!(of("format=json", 4), Format::Array);
        assert_eq!(of("binaryMode=true", 3), Format::Envelopes);
        assert_eq!(of("binaryMode=true", 4), Format::Protobuf);
        assert_eq!(of("jsonRpc=true", 4), Format::Envelopes);
        assert_eq!(of("jsonRpc=true&format=json", 5), Format::JsonRpc);
        assert_eq!(of("", 5), Format::Envelopes);
    }
}
