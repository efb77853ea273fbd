//! JSON as PHP writes it: numbers as strings, and `[]` for an empty map (docs/protocol.md §2).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::calendar::parse_iso8601;

/// A text, or a number or boolean in its place. `null` and `false` are the empty text.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }
        fn visit_str<E>(self, value: &str) -> Result<String, E> {
            Ok(value.to_owned())
        }
        fn visit_string<E>(self, value: String) -> Result<String, E> {
            Ok(value)
        }
        fn visit_u64<E>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }
        fn visit_i64<E>(self, value: i64) -> Result<String, E> {
            Ok(value.to_string())
        }
        fn visit_f64<E>(self, value: f64) -> Result<String, E> {
            Ok(value.to_string())
        }
        fn visit_bool<E>(self, value: bool) -> Result<String, E> {
            Ok(if value { "1".into() } else { String::new() })
        }
        fn visit_unit<E>(self) -> Result<String, E> {
            Ok(String::new())
        }
    }
    deserializer.deserialize_any(Text)
}

/// A whole number, or a text in its place. Anything that is not a number is 0.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = text(deserializer)?;
    // `1795485144.12` is a time with a fraction; only the seconds matter.
    Ok(text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0))
}

/// A number, or a text in its place. Anything else is 0.
pub fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = text(deserializer)?.parse().unwrap_or(0.0);
    Ok(if f64::is_finite(number) { number } else { 0.0 })
}

/// A time, as a number or in ISO 8601, in seconds since 1970. Anything else is 0.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = text(deserializer)?;
    let number = text.split('.').next().and_then(|whole| whole.parse().ok());
    Ok(number.or_else(|| parse_iso8601(&text)).unwrap_or(0))
}

/// A map, or `[]`, `false` or `null` in place of an empty one.
pub fn map<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    struct Map<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Map<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map or an empty list")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(map))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            while seq.next_element::<de::IgnoredAny>()?.is_some() {}
            Ok(T::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
    }
    deserializer.deserialize_any(Map(PhantomData))
}

/// The values of a list, or of a map in its place; `false` and `null` have none.
pub fn values<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Values<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list or a map")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            std::iter::from_fn(|| seq.next_element().transpose()).collect()
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
            let entries = std::iter::from_fn(|| map.next_entry::<de::IgnoredAny, T>().transpose());
            entries.map(|entry| entry.map(|(_, value)| value)).collect()
        }
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<Vec<T>, E> {
            if value { Err(E::invalid_type(de::Unexpected::Bool(value), &self)) } else { Ok(Vec::new()) }
        }
        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Values(PhantomData))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize, Default, Debug, PartialEq)]
    #[serde(default)]
    struct Answer {
        #[serde(deserialize_with = "super::text")]
        id: String,
        #[serde(deserialize_with = "super::number")]
        count: u64,
        #[serde(deserialize_with = "super::map")]
        fields: BTreeMap<String, u8>,
    }

    fn read(json: &str) -> Answer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_and_texts_are_interchangeable() {
        assert_eq!(read(r#"{"id":2,"count":"7"}"#), read(r#"{"id":"2","count":7}"#));
        assert_eq!(read(r#"{"id":null,"count":"x"}"#), Answer::default());
        assert_eq!(read(r#"{"count":1795485144.12}"#).count, 1795485144);
    }

    #[test]
    fn a_number_with_a_fraction_may_be_a_text() {
        let read = |json: &str| super::float(&mut serde_json::Deserializer::from_str(json)).unwrap();
        assert_eq!([read("1.5"), read("\"1.5\""), read("2"), read("null"), read("\"inf\"")], [1.5, 1.5, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_time_is_a_number_or_iso_8601() {
        let read = |json: &str| super::time(&mut serde_json::Deserializer::from_str(json)).unwrap();
        for json in ["1795550268", "\"1795550268\"", "1795550268.25", "\"2026-11-24T21:57:48+02:00\""] {
            assert_eq!(read(json), 1_795_550_268, "{json}");
        }
        for json in ["null", "\"\"", "\"tomorrow\"", "\"2026-11-24\"", "false"] {
            assert_eq!(read(json), 0, "{json}");
        }
    }

    #[test]
    fn an_empty_map_may_be_a_list() {
        for empty in ["[]", "{}", "false", "null", "[1,[2]]"] {
            assert_eq!(read(&format!(r#"{{"fields":{empty}}}"#)), Answer::default(), "{empty}");
        }
        assert_eq!(read(r#"{"fields":{"a":1}}"#).fields["a"], 1);
    }
}
