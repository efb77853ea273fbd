//! `objects.methods`: which REST method returns the object that an event is about.

/// How to get the object of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMethod {
    /// The event's name in upper case, with or without the action at its end (`ADD`, `UPDATE`, …).
    pub(crate) event: String,
    /// The REST method.
    pub(crate) method: String,
    /// Its parameters: name and value.
    pub(crate) params: Vec<(String, ParamValue)>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// The same for every record.
    Literal(String),
    /// The first of these paths in `EVENT_DATA` that holds a value, such as `FIELDS`, `ID`.
    Data(Vec<Vec<String>>),
}

/// Reads entries such as `ONCRMDEAL=crm.deal.get?id={FIELDS.ID}`, separated by white space or semicolons. The error is
/// the entry that cannot be read.
pub(crate) fn parse(text: &str) -> Result<Vec<ObjectMethod>, &str> {
    let entries = text.split(|c: char| c == ';' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.map(|entry| parse_entry(entry).ok_or(entry)).collect()
}

fn parse_entry(entry: &str) -> Option<ObjectMethod> {
    let (event, call) = entry.split_once('=')?;
    let (method, query) = call.split_once('?')?;
    let is_name = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    if !is_name(event, "_:.\\") || !is_name(method, "_.") {
        return None;
    }
    let params: Option<Vec<_>> = query.split('&').map(parse_param).collect();
    // Without a value from the record, every record would be about the same object.
    let params = params.filter(|params| params.iter().any(|(_, value)| matches!(value, ParamValue::Data(_))))?;
    Some(ObjectMethod { event: event.to_ascii_uppercase(), method: method.to_owned(), params })
}

fn parse_param(param: &str) -> Option<(String, ParamValue)> {
    let (name, value) = param.split_once('=')?;
    if name.is_empty() {
        return None;
    }
    let Some(paths) = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return (!value.contains(['{', '}'])).then(|| (name.to_owned(), ParamValue::Literal(value.to_owned())));
    };
    let path = |path: &str| path.split('.').map(|key| Some(key.to_owned()).filter(|key| !key.is_empty())).collect();
    let paths: Option<Vec<Vec<String>>> = paths.split('|').map(path).collect();
    Some((name.to_owned(), ParamValue::Data(paths?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let read = parse("onMy.Event=my.get?TYPE=5&FILTER[ID]={FIELDS.ID|ID}\n; OTHER=other.get?id={ID}").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].event.as_str(), read[0].method.as_str()), ("ONMY.EVENT", "my.get"));
        let paths = vec![vec!["FIELDS".to_owned(), "ID".to_owned()], vec!["ID".to_owned()]];
        let expected =
            [("TYPE".to_owned(), ParamValue::Literal("5".into())), ("FILTER[ID]".to_owned(), ParamValue::Data(paths))];
        assert_eq!(read[0].params, expected);
        assert!(parse(" ;\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for entry in [
            "x",
            "E=m",
            "E=m?",
            "=m?id={ID}",
            "E=?id={ID}",
            "E=m?id=5",
            "E=m?={ID}",
            "E=m?id={}",
            "E=m?id={A..B}",
            "E=m?id={A",
            "E=m/x?id={A}",
            "É=m?id={A}",
        ] {
            assert_eq!(parse(&format!("OK=ok.get?id={{ID}};{entry}")), Err(entry));
        }
    }
}
