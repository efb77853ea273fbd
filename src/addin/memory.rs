//! The platform's memory manager: what is handed to 1C has to come from it.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::abi::MemoryManager;
use super::error::AddinError;

/// The platform's memory manager, once it is set.
#[derive(Default)]
pub(super) struct Memory(AtomicPtr<c_void>);

impl Memory {
    /// Uses this manager from now on; NULL is refused.
    ///
    /// # Safety
    ///
    /// `manager` is NULL or an `IMemoryManager` that outlives the object and may be called from any thread.
    pub(super) unsafe fn set(&self, manager: *mut c_void) -> bool {
        if !manager.is_null() {
            self.0.store(manager, Ordering::Release);
        }
        !manager.is_null()
    }

    /// A copy of `items` in the platform's memory. The platform frees it.
    pub(super) fn copy<T: Copy>(&self, items: &[T]) -> Result<*mut T, AddinError> {
        let manager = self.0.load(Ordering::Acquire);
        let bytes = size_of_val(items).try_into().map_err(|_| AddinError::NoMemory)?;
        if manager.is_null() {
            return Err(AddinError::NoMemory);
        }
        let mut block = std::ptr::null_mut::<c_void>();
        // SAFETY: `set` was promised an `IMemoryManager`, which begins with a pointer to its table.
        let allocated = unsafe {
            let table = *manager.cast::<*const MemoryManager>();
            ((*table).alloc_memory)(manager, &mut block, bytes)
        };
        let block = block.cast::<T>();
        if allocated == 0 || block.is_null() || !block.is_aligned() {
            return Err(AddinError::NoMemory);
        }
        // SAFETY: the block is fresh, aligned (checked) and as large as requested.
        unsafe { block.copy_from_nonoverlapping(items.as_ptr(), items.len()) };
        Ok(block)
    }
}
