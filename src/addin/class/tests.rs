use std::collections::HashSet;

use super::*;

#[test]
fn every_name_is_found_once_in_either_language_and_any_case() {
    let mut names = HashSet::new();
    for (number, method) in METHODS.iter().enumerate() {
        for name in [method.english, method.russian] {
            assert!(names.insert(name.to_lowercase()), "{name} is used twice");
            assert_eq!(find_method(&name.to_uppercase()), Some(number));
            assert_eq!(find_method(&name.to_lowercase()), Some(number));
            assert_eq!(find_property(name), None);
        }
    }
    for (number, property) in PROPERTIES.iter().enumerate() {
        for name in [property.english, property.russian] {
            assert!(names.insert(name.to_lowercase()), "{name} is used twice");
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
        let optional = method.params.iter().skip_while(|param| param.default == DefaultValue::Required);
        assert!(optional.clone().all(|param| param.default != DefaultValue::Required), "{}", method.english);
        for param in method.params {
            assert!(is_name(param.english) && is_name(param.russian), "{}", param.english);
        }
    }
}

#[test]
fn the_reference_names_everything() {
    for (in_russian, sample) in
        [(false, "`Acknowledge(BatchId, [MessageIds=\"*\"])`"), (true, "`СледующийПакет([ТаймаутМс=30000]) → Строка`")]
    {
        let page = markdown(in_russian);
        assert!(page.contains(sample), "{page}");
        assert_eq!(page.lines().count(), METHODS.len() + PROPERTIES.len() + 5);
    }
}
