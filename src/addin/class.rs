//! The class `B24Events` as 1C sees it: one table of methods and one of properties. The tables only describe; the
//! dispatch, the defaults, the reference for developers ([`markdown`]) and the test of the examples read them.

mod markdown;
mod methods;
mod properties;

pub use markdown::markdown;
pub use methods::METHODS;
pub use properties::PROPERTIES;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::text::folded;

/// Name of the class.
pub const CLASS: &str = "B24Events";
/// Stands for "all" where a parameter names some of many.
pub const ALL: &str = "*";

/// A text in both languages.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// In English.
    pub english: &'static str,
    /// In Russian.
    pub russian: &'static str,
}

/// A method. 1C calls it as a procedure or as a function; without a result, the function returns Undefined.
#[derive(Debug)]
pub struct Method {
    /// Which one it is.
    pub id: MethodId,
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// In their order; those with a default come last.
    pub params: &'static [Param],
    /// What it returns, if anything.
    pub returns: Option<ReturnType>,
    /// What it does.
    pub text: Text,
}

/// Names a method to the dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table describes them")]
pub enum MethodId {
    SetParameter,
    GetParameter,
    Connect,
    BindEvent,
    UnbindEvent,
    WaitEvent,
    Fetch,
    NextBatch,
    Acknowledge,
    MarkFailed,
    FetchFailed,
    GetObjects,
    FindLost,
    CallMethod,
    CallMethods,
    Authorize,
    SetTokens,
    BindHandler,
    UnbindHandler,
    AcceptHandlerCall,
    EnableNotifications,
    DisableNotifications,
    Diagnose,
    Disconnect,
}

/// A parameter of a method.
#[derive(Debug)]
pub struct Param {
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// The values that it accepts.
    pub accepts: ParamType,
    /// Its value when it is left out.
    pub default: DefaultValue,
}

/// The values that a parameter accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// A string, or binary data that is UTF-8.
    Text,
    /// A string, which becomes UTF-8, or binary data.
    Bytes,
    /// A number of any of the number types, without a fraction.
    Integer,
    /// The same, from 0 to this number.
    Unsigned(u32),
    /// A value of a configuration key: a string, a whole number or a boolean.
    Scalar,
}

/// What a method returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnType {
    /// A string.
    Text,
    /// A number.
    Number,
}

/// The value of a parameter that is left out. It is never Undefined: some hosts take that for "no default".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The parameter cannot be left out.
    Required,
    /// A number.
    Integer(i32),
    /// A string.
    Text(&'static str),
    /// [`ALL`]. An explicit Undefined is refused instead of replaced: a variable without a value must not mean "all".
    All,
}

/// A property.
#[derive(Debug)]
pub struct Property {
    /// Which one it is.
    pub id: PropertyId,
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// What it holds.
    pub text: Text,
    /// Whether 1C code may assign to it.
    pub is_writable: bool,
}

/// Names a property to the dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table describes them")]
pub enum PropertyId {
    Version,
    Connected,
    State,
    Statistics,
    AuthorizationAddress,
    LastError,
    LastErrorCode,
    IsTransient,
}

/// Numbers by folded name; 1C looks a method up before it calls it.
type Numbers = LazyLock<HashMap<String, usize>>;

static METHOD_NUMBERS: Numbers = LazyLock::new(|| numbers(METHODS.iter().map(|it| [it.english, it.russian])));
static PROPERTY_NUMBERS: Numbers = LazyLock::new(|| numbers(PROPERTIES.iter().map(|it| [it.english, it.russian])));

fn numbers(names: impl Iterator<Item = [&'static str; 2]>) -> HashMap<String, usize> {
    names.enumerate().flat_map(|(number, names)| names.map(|name| (folded(name), number))).collect()
}

/// The number of the method with this name, in either language.
pub(super) fn find_method(name: &str) -> Option<usize> {
    METHOD_NUMBERS.get(&folded(name)).copied()
}

/// The number of the property with this name, in either language.
pub(super) fn find_property(name: &str) -> Option<usize> {
    PROPERTY_NUMBERS.get(&folded(name)).copied()
}

#[cfg(test)]
mod tests;
