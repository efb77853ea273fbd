//! What belongs to one process. A child made by `fork` has a copy of its parent's memory, but not of its threads: locks
//! that they held stay locked, and sockets and files are shared with the parent.

use once_cell::race::OnceBox;

/// The process that made something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This process.
    pub fn current() -> Process {
        Process(std::process::id())
    }

    /// Whether it is this process, and not one that this process was forked from.
    pub fn is_current(self) -> bool {
        self == Process::current()
    }
}

impl Default for Process {
    fn default() -> Process {
        Process::current()
    }
}

/// A value that every process has for itself: for statics with a lock inside. A child starts with the default, and
/// leaves what its parent had alone.
pub struct PerProcess<T>(OnceBox<Generation<T>>);

struct Generation<T> {
    process: Process,
    value: T,
    /// The values of its children.
    next: PerProcess<T>,
}

impl<T: Default> PerProcess<T> {
    /// No process has a value yet.
    pub const fn new() -> PerProcess<T> {
        PerProcess(OnceBox::new())
    }

    /// The value of this process.
    pub fn get(&self) -> &T {
        let mut values = self;
        loop {
            // Takes no lock, which another thread could hold while the process forks.
            let generation = values.0.get_or_init(Box::default);
            if generation.process.is_current() {
                return &generation.value;
            }
            values = &generation.next;
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> PerProcess<T> {
        PerProcess::new()
    }
}

impl<T: Default> Default for Generation<T> {
    fn default() -> Generation<T> {
        Generation { process: Process::current(), value: T::default(), next: PerProcess::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_process_has_one_value_and_leaves_those_of_its_parents_alone() {
        let values = PerProcess::<Mutex<u32>>::new();
        *crate::lock(values.get()) = 7;
        assert_eq!(*crate::lock(values.get()), 7);

        let inherited = Generation { process: Process(0), value: Mutex::new(1), next: PerProcess::new() };
        let values = PerProcess(OnceBox::with_value(Box::new(inherited)));
        // As if a thread of the parent held it.
        let held_by_parent = crate::lock(&values.0.get().unwrap().value);
        *crate::lock(values.get()) += 5;
        assert_eq!(*crate::lock(values.get()), 5);
        assert_eq!(*held_by_parent, 1);
        assert!(!Process(0).is_current());
    }
}
