//! One object of the class: its life and the dispatch of calls to the table.

use std::ffi::{c_long, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::call_gate::{Gate, Phase};
use super::class::{self, Arguments, METHODS, Method, PROPERTIES, Property};
use super::fault::Fault;
use super::platform::Platform;
use super::session::Session;
use super::variant::Value;

/// How long the end of an object waits for calls in other threads. They are interrupted and end at once, unless the
/// system is just resolving a name or opening a connection for them.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Component {
    pub(super) platform: Arc<Platform>,
    pub(super) session: Session,
    pub(super) gate: Gate,
}

impl Component {
    /// `Init`.
    ///
    /// # Safety
    ///
    /// As [`Platform::connect`].
    pub(super) unsafe fn init(&self, connection: *mut c_void) -> bool {
        // SAFETY: the same contract.
        let connected = unsafe { self.platform.connect(connection) };
        if connected {
            self.session.begin();
            self.gate.set(Phase::Open);
        } else {
            self.gate.set(Phase::Failed);
            // There is nobody to tell, but who asks `LastError` learns it.
            self.platform.keep(&Fault::InitFailed);
        }
        connected
    }

    /// `Done`, and the end: afterwards no thread is left, nobody is inside, and the platform is not touched. Doing it
    /// again does nothing.
    pub(super) fn end(&self) {
        self.gate.set(Phase::Ended);
        self.session.end();
        self.gate.wait_until_empty(FAREWELL);
        self.platform.disconnect(FAREWELL);
    }

    /// A call of 1C: true when it succeeded; else the platform and `LastError` have the reason.
    pub(super) fn attempt(&self, usable: Result<(), Fault>, work: impl FnOnce() -> Result<(), Fault>) -> bool {
        match usable.and_then(|()| work()) {
            Ok(()) => {
                self.platform.clear_error();
                true
            }
            Err(fault) => {
                self.platform.report(&fault);
                false
            }
        }
    }

    /// Calls a method with values as the platform passed them.
    pub(super) fn call(&self, method: &'static Method, values: Vec<Value>) -> Result<Value, Fault> {
        (method.run)(self, Arguments::check(method, values)?)
    }

    /// Reads a property. It never fails for the state that the object is in, and leaves `LastError` alone.
    pub(super) fn get(&self, number: c_long) -> Result<Value, Fault> {
        (property(number).ok_or(Fault::NoProperty(number))?.get)(self)
    }

    /// Writes a property.
    pub(super) fn set(&self, number: c_long, value: Value) -> Result<(), Fault> {
        let property = property(number).ok_or(Fault::NoProperty(number))?;
        let set = property.set.ok_or(Fault::NotWritable(property))?;
        match class::Expected::Text.accept(value) {
            Ok(Value::Text(text)) => set(self, text),
            Ok(found) | Err(found) => Err(Fault::WrongPropertyType { property, found }),
        }
    }
}

/// The method with this number, if there is one.
pub(super) fn method(number: c_long) -> Option<&'static Method> {
    METHODS.get(usize::try_from(number).ok()?)
}

/// The property with this number, if there is one.
pub(super) fn property(number: c_long) -> Option<&'static Property> {
    PROPERTIES.get(usize::try_from(number).ok()?)
}
