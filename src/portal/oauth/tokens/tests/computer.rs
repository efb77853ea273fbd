//! The computer of the model: its disk, which fills up, and the moments at which processes are killed.

use super::*;
use crate::state::storage::Guard;

/// What a client of the model is killed with. Unwinding runs no code of the library that writes.
pub(super) struct Killed;

/// The disk of a computer.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) files: HashMap<String, String>,
    pub(super) locked: Vec<String>,
    reserved: HashMap<String, u64>,
    pub(super) full: bool,
    /// So many moments until the running client is killed.
    pub(super) kill_in: Option<u32>,
    pub(super) kill_in_callback: bool,
}

#[derive(Clone, Default)]
pub(super) struct Computer(Arc<Mutex<Disk>>);

impl Computer {
    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.0)
    }

    /// A moment at which the client may be killed.
    pub(super) fn moment(&self) {
        let mut disk = self.disk();
        let Some(left) = disk.kill_in.as_mut() else { return };
        *left -= 1;
        if *left == 0 {
            disk.kill_in = None;
            drop(disk);
            resume_unwind(Box::new(Killed));
        }
    }
}

pub(super) struct ModelFile {
    pub(super) computer: Computer,
    pub(super) name: String,
}

struct ModelLock(Computer, String);

impl Drop for ModelLock {
    fn drop(&mut self) {
        self.0.disk().locked.retain(|name| *name != self.1);
    }
}

impl Storage for ModelFile {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn key(&self) -> String {
        self.name.clone()
    }

    fn try_lock(&self) -> Result<Option<Guard>> {
        let mut disk = self.computer.disk();
        if disk.locked.contains(&self.name) {
            return Ok(None);
        }
        disk.locked.push(self.name.clone());
        disk.reserved.remove(&self.name);
        drop(disk);
        Ok(Some(Box::new(ModelLock(self.computer.clone(), self.name.clone()))))
    }

    fn read(&self) -> Result<Option<String>> {
        Ok(self.computer.disk().files.get(&self.name).cloned())
    }

    fn reserve_space(&self, bytes: u64) -> Result<()> {
        self.computer.moment();
        let mut disk = self.computer.disk();
        let reserved = disk.reserved.get(&self.name).copied().unwrap_or(0);
        if disk.full && bytes > reserved {
            return Err(Error::State("the disk is full".into()));
        }
        disk.reserved.insert(self.name.clone(), bytes.max(reserved));
        Ok(())
    }

    fn write(&self, content: &[u8]) -> Result<()> {
        self.computer.moment();
        let mut disk = self.computer.disk();
        assert!(disk.locked.contains(&self.name), "written without the lock");
        let reserved = disk.reserved.remove(&self.name).unwrap_or(0);
        if disk.full && content.len() as u64 > reserved {
            return Err(Error::State("the disk is full".into()));
        }
        disk.files.insert(self.name.clone(), String::from_utf8(content.to_vec()).unwrap());
        drop(disk);
        self.computer.moment();
        Ok(())
    }
}
