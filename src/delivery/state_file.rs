//! The state file: replaced as a whole, flushed, readable by its owner only, and of one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs4::TryLockError;

use crate::error::{Error, Result};
use crate::lock;

const NAME: &str = "b24events-state.json";
const NEXT_NAME: &str = "b24events-state.json.new";
const LOCK_NAME: &str = "b24events-state.lock";

/// The state file of one client, locked until it is dropped.
pub struct StateFile {
    folder: PathBuf,
    /// One writer at a time.
    writing: Mutex<()>,
    _lock: File,
}

impl StateFile {
    /// Locks the folder, which is made if need be.
    pub fn open(folder: &Path) -> Result<StateFile> {
        let failed = |error: io::Error| {
            Error::State(format!(
                "state.dir {} cannot be used: {error}; it must be a folder that this process may write",
                folder.display()
            ))
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock =
            owners_only().create(true).truncate(false).write(true).open(folder.join(LOCK_NAME)).map_err(failed)?;
        // Called by its path: newer standard libraries have a method of this name too.
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "state.dir {} is in use by another client; each process and each client needs a folder of its own",
                    folder.display()
                );
                return Err(Error::State(text));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(StateFile { folder: folder.to_owned(), writing: Mutex::new(()), _lock: lock })
    }

    /// What the file holds; `None` when there is none yet.
    pub fn read(&self) -> Result<Option<String>> {
        match fs::read_to_string(self.folder.join(NAME)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Makes sure that a file of `bytes` can be written: claims the space in the file that will replace the present one.
    pub fn make_room(&self, bytes: u64) -> Result<()> {
        let _writing = lock(&self.writing);
        let claim = || -> io::Result<()> {
            let mut file = owners_only().create(true).truncate(false).write(true).open(self.folder.join(NEXT_NAME))?;
            let spaces = [b' '; 4096];
            let mut left = bytes.saturating_sub(file.metadata()?.len());
            io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
            while left > 0 {
                let part = spaces.get(..left.min(4096) as usize).unwrap_or(&spaces);
                file.write_all(part)?;
                left -= part.len() as u64;
            }
            Ok(())
        };
        claim().map_err(|error| self.failed("written", &error))
    }

    /// Replaces the file. When this returns, the content is on the disk.
    pub fn write(&self, content: &[u8]) -> Result<()> {
        let _writing = lock(&self.writing);
        let replace = || -> io::Result<()> {
            let next = self.folder.join(NEXT_NAME);
            // Not truncated first: the space that `make_room` claimed is kept until the content is in it.
            let mut file = owners_only().create(true).truncate(false).write(true).open(&next)?;
            file.write_all(content)?;
            file.set_len(content.len() as u64)?;
            file.sync_all()?;
            fs::rename(&next, self.folder.join(NAME))?;
            sync_folder(&self.folder)
        };
        replace().map_err(|error| self.failed("written", &error))
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::State(format!(
            "the state in {} cannot be {what}: {error}; check the disk's free space and the folder's rights",
            self.folder.display()
        ))
    }
}

/// Files hold tokens, so only their owner may read them.
fn owners_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The new name of a file is on the disk only when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows keeps the order of a rename and the write before it by itself.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            Folder(std::env::temp_dir().join(format!("b24events-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_by_the_owner_only() {
        let folder = Folder::new("write");
        let file = StateFile::open(&folder.0).unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.write(b"a longer first state").unwrap();
        file.make_room(10_000).unwrap();
        file.write(b"second").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("second"));
        #[cfg(unix)]
        for name in [NAME, LOCK_NAME] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.0.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_folder_has_one_user() {
        let folder = Folder::new("lock");
        let first = StateFile::open(&folder.0).unwrap();
        assert!(matches!(StateFile::open(&folder.0), Err(Error::State(text)) if text.contains("in use")));
        drop(first);
        StateFile::open(&folder.0).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        assert!(matches!(StateFile::open(Path::new("/dev/null/x")), Err(Error::State(_))));
    }
}
