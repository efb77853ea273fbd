//! A file that is replaced as a whole, flushed, and readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs4::TryLockError;

use crate::error::{Error, Result};
use crate::lock;

/// A file that holds secrets. Whoever may write it, only one at a time does: see [`PrivateFile::try_lock`].
pub struct PrivateFile {
    path: PathBuf,
    /// One writer of this process at a time.
    writing: Mutex<()>,
}

/// Held while nobody else may use a [`PrivateFile`]; in another process neither. Let go by dropping it.
pub struct FileLock {
    _file: File,
}

impl PrivateFile {
    /// A file at this path, which need not be there yet. Its folder is made if need be.
    pub fn new(path: PathBuf) -> Result<PrivateFile> {
        let file = PrivateFile { path, writing: Mutex::new(()) };
        fs::create_dir_all(file.folder()).map_err(|error| file.failed("made", &error))?;
        Ok(file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Locks it; `None` when another client has it. The lock is a file of its own beside it, as the file itself is
    /// replaced with each write. It ends with the process, however that ends.
    pub fn try_lock(&self) -> Result<Option<FileLock>> {
        let failed = |error| self.failed("locked", &error);
        let file = owners_only().create(true).truncate(false).write(true).open(self.beside("lock")).map_err(failed)?;
        // Called by its path: newer standard libraries have a method of this name too.
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What it holds; `None` when there is none yet.
    pub fn read(&self) -> Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Makes sure that `bytes` can be written: claims the space in the file that will replace the present one.
    pub fn reserve_space(&self, bytes: u64) -> Result<()> {
        let _writing = lock(&self.writing);
        let claim = || -> io::Result<()> {
            let mut file = owners_only().create(true).truncate(false).write(true).open(self.beside("new"))?;
            let spaces = [b' '; 4096];
            let mut left = bytes.saturating_sub(file.seek(SeekFrom::End(0))?);
            while left > 0 {
                let part = spaces.get(..left.min(4096) as usize).unwrap_or(&spaces);
                file.write_all(part)?;
                left -= part.len() as u64;
            }
            Ok(())
        };
        claim().map_err(|error| self.failed("written", &error))
    }

    /// Replaces it. When this returns, the content is on the disk.
    pub fn write(&self, content: &[u8]) -> Result<()> {
        let _writing = lock(&self.writing);
        let replace = || -> io::Result<()> {
            let next = self.beside("new");
            // Not truncated first: the space that `reserve_space` claimed is kept until the content is in it.
            let mut file = owners_only().create(true).truncate(false).write(true).open(&next)?;
            file.write_all(content)?;
            file.set_len(content.len() as u64)?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            sync_folder(self.folder())
        };
        replace().map_err(|error| self.failed("written", &error))
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        let path = self.path.display();
        Error::State(format!(
            "{path} cannot be {what}: {error}; check the disk's free space and the rights of the folder"
        ))
    }
}

/// These files hold tokens.
#[cfg(unix)]
fn owners_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// On Windows a file has the rights of its folder.
#[cfg(not(unix))]
fn owners_only() -> OpenOptions {
    OpenOptions::new()
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

        fn file(&self) -> PrivateFile {
            PrivateFile::new(self.0.join("deeper/kept.json")).unwrap()
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
        let file = folder.file();
        assert_eq!(file.read().unwrap(), None);
        file.write(b"a longer first state").unwrap();
        file.reserve_space(10_000).unwrap();
        file.write(b"second").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("second"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(file.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_has_one_user() {
        let folder = Folder::new("lock");
        let (first, second) = (folder.file(), folder.file());
        let held = first.try_lock().unwrap();
        assert!(held.is_some() && second.try_lock().unwrap().is_none());
        drop(held);
        assert!(second.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let error = PrivateFile::new("/dev/null/x/kept.json".into()).err().unwrap();
        assert!(matches!(error, Error::State(text) if text.contains("/dev/null/x")));
    }
}
