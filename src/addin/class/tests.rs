use std::collections::HashSet;

use super::*;

#[test]
fn every_name_is_found_once_in_either_language_and_any_case() {
    let mut names = HashSet::new();
    for (number, method) in METHODS.iter().enumerate() {
        for name in [method.english, method.russian] {
            assert!(names.insert(name.to_lowercase()), "{name} is there twice");
            assert_eq!(find_method(&name.to_uppercase()), Some(number));
            assert_eq!(find_method(&name.to_lowercase()), Some(number));
            assert_eq!(find_property(name), None);
        }
    }
    for (number, property) in PROPERTIES.iter().enumerate() {
        for name in [property.english, property.russian] {
            assert!(names.insert(name.to_lowercase()), "{name} is there twice");
            assert_eq!(find_property(&name.to_uppercase()), Some(number));
        }
    }
    assert_eq!(find_method("Connec"), None);
    assert_eq!(find_method(""), None);
}

#[test]
fn names_are_identifiers_of_1c_and_required_parameters_come_first() {
    let is_name = |name: &str| name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase);
    for method in METHODS {
        assert!(is_name(method.english) && method.english.is_ascii(), "{}", method.english);
        assert!(is_name(method.russian) && !method.russian.is_ascii(), "{}", method.russian);
        let optional = method.params.iter().skip_while(|param| param.default == Default::Required);
        assert!(optional.clone().all(|param| param.default != Default::Required), "{}", method.english);
        for param in method.params {
            assert!(is_name(param.english) && is_name(param.russian), "{}", param.english);
            if let Some(value) = param.default.value().filter(|value| *value != Value::Empty) {
                assert_eq!(param.expected.accept(value.clone()), Ok(value), "{}: the default fits", param.english);
            }
        }
    }
}

#[test]
fn values_are_taken_in_the_types_that_fit() {
    let text = |text: &str| Ok(Value::Text(text.into()));
    assert_eq!(Expected::Scalar.accept(Value::Integer(50)), text("50"));
    assert_eq!(Expected::Scalar.accept(Value::Boolean(true)), text("true"));
    assert_eq!(Expected::Scalar.accept(Value::Date(1_709_209_815)), text("1709209815"));
    assert_eq!(Expected::Text.accept(Value::Blob("ключ".into())), text("ключ"));
    for bad in [Value::Integer(1), Value::Boolean(true), Value::Date(0), Value::Blob(vec![0xff]), Value::BrokenText] {
        assert_eq!(Expected::Text.accept(bad.clone()), Err(bad));
    }
    assert_eq!(Expected::Bytes.accept(Value::Text("ключ".into())), Ok(Value::Blob("ключ".into())));
    assert_eq!(Expected::Bytes.accept(Value::Blob(vec![0xff])), Ok(Value::Blob(vec![0xff])));
    assert_eq!(Expected::Bytes.accept(Value::Integer(1)), Err(Value::Integer(1)));
    for bad in [Value::Real(1.5), Value::Text("1".into()), Value::Empty] {
        assert_eq!(Expected::Integer.accept(bad.clone()), Err(bad));
    }
}

#[test]
fn the_reference_names_everything() {
    for (in_russian, sample) in
        [(false, "`Acknowledge(BatchId, [MessageIds])`"), (true, "`СледующийПакет([ТаймаутМс=30000]) → Строка`")]
    {
        let page = markdown(in_russian);
        assert!(page.contains(sample), "{page}");
        assert_eq!(page.lines().count(), METHODS.len() + PROPERTIES.len() + 5);
    }
}
