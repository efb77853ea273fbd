//! A file that is replaced as a whole, durable when a write returns, and readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fs4::TryLockError;

use super::sharing::retried;
use super::storage::{Guard, Storage};
use crate::error::{Error, Result};
use crate::lock;

/// Longest content that is read. A state of 1,000 records and five years of tokens has a tenth of it.
pub(super) const MAX_BYTES: u64 = 32 << 20;

/// A file that holds secrets. Only the holder of its lock may write it: see [`Storage::try_lock`].
pub struct PrivateFile {
    path: PathBuf,
    /// See [`Storage::key`].
    key: String,
    /// The file that will replace the present one, with the space that was reserved for it.
    next: Mutex<Option<NextFile>>,
}

/// A new file beside the one it will replace. It is removed when dropped.
struct NextFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Drop for NextFile {
    fn drop(&mut self) {
        // After the file has taken its place, this path is gone.
        let _ = fs::remove_file(&self.path);
    }
}

impl PrivateFile {
    /// A file at this path, which need not exist. Creates its folder if needed, and checks that the folder can make
    /// writes durable.
    pub fn new(path: PathBuf) -> Result<PrivateFile> {
        let mut file = PrivateFile { path, key: String::new(), next: Mutex::default() };
        file.key = file.prepare_folder().map_err(|error| file.failed("use the folder of", &error))?;
        refuse_link(&file.path).map_err(|error| file.failed("use", &error))?;
        Ok(file)
    }

    /// Returns the file's key.
    fn prepare_folder(&self) -> io::Result<String> {
        let folder = self.folder();
        refuse_link(folder)?;
        fs::create_dir_all(folder)?;
        sync_folder(folder)?;
        let key = folder.canonicalize()?.join(self.path.file_name().unwrap_or_default()).display().to_string();
        // Windows does not tell letters of different case apart.
        Ok(if cfg!(windows) { key.to_lowercase() } else { key })
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

    /// A new file beside this one, under a name that nobody else uses.
    fn create_next(&self) -> io::Result<NextFile> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = self.beside(&format!("{}-{number}.{TEMPORARY}", std::process::id()));
            match retried(|| private().create_new(true).write(true).open(&path)) {
                Ok(file) => return Ok(NextFile { path, file, bytes: 0 }),
                // Left behind by a process that had our number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes what killed processes have left behind, and what this one reserved under an earlier lock. Only for the
    /// holder of the lock. What cannot be removed now is removed another time.
    fn remove_leftovers(&self) {
        drop(lock(&self.next).take());
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if is_temporary(&name.to_string_lossy(), &file) {
                let _ = retried(|| fs::remove_file(entry.path()));
            }
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        let path = self.path.display();
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free disk space",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "give this user write access to the folder",
            _ => "check the disk and the permissions of the folder",
        };
        Error::State(format!("cannot {what} {path}: {error}; {advice}"))
    }
}

/// Ending of the names of files that will replace others.
const TEMPORARY: &str = "tmp";

/// Whether `name` is one that [`PrivateFile::create_next`] gives: `FILE.PROCESS-NUMBER.tmp`.
fn is_temporary(name: &str, file: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let middle = name.strip_prefix(file).and_then(|rest| rest.strip_prefix('.')).and_then(|rest| {
        rest.strip_suffix(TEMPORARY).and_then(|rest| rest.strip_suffix('.')).and_then(|rest| rest.split_once('-'))
    });
    middle.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

impl Storage for PrivateFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    /// The lock is a file of its own beside this one, as this one is replaced with each write. It ends with the process,
    /// however that ends.
    fn try_lock(&self) -> Result<Option<Guard>> {
        let failed = |error| self.failed("lock", &error);
        let path = self.beside("lock");
        let open = || private().create(true).truncate(false).write(true).open(&path);
        let file = retried(open).and_then(|file| keep_private(&file).map(|()| file)).map_err(failed)?;
        // Called by its path: newer standard libraries have a method of this name too.
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => {
                self.remove_leftovers();
                Ok(Some(Box::new(file)))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn read(&self) -> Result<Option<String>> {
        let read = || {
            let mut text = String::new();
            let file = without_links().read(true).open(&self.path)?;
            if file.metadata()?.len() > MAX_BYTES {
                return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {MAX_BYTES} bytes")));
            }
            file.take(MAX_BYTES).read_to_string(&mut text)?;
            Ok(text)
        };
        match retried(read) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    fn reserve_space(&self, bytes: u64) -> Result<()> {
        let mut next = lock(&self.next);
        let mut claim = || -> io::Result<NextFile> {
            let mut claimed = next.take().map_or_else(|| self.create_next(), Ok)?;
            let spaces = [b' '; 4096];
            while claimed.bytes < bytes {
                let part = spaces.get(..(bytes - claimed.bytes).min(4096) as usize).unwrap_or(&spaces);
                claimed.file.write_all(part)?;
                claimed.bytes += part.len() as u64;
            }
            Ok(claimed)
        };
        *next = Some(claim().map_err(|error| self.failed("write", &error))?);
        Ok(())
    }

    fn write(&self, content: &[u8]) -> Result<()> {
        let mut next = lock(&self.next);
        let mut replace = || -> io::Result<()> {
            let mut new = next.take().map_or_else(|| self.create_next(), Ok)?;
            // Not truncated first: the space that was reserved is kept until the content is in it.
            io::Seek::rewind(&mut new.file)?;
            new.file.write_all(content)?;
            new.file.set_len(content.len() as u64)?;
            new.file.sync_all()?;
            refuse_link(&self.path)?;
            retried(|| fs::rename(&new.path, &self.path))?;
            make_rename_durable(self.folder(), &self.path)
        };
        replace().map_err(|error| self.failed("write", &error))
    }
}

/// A symbolic link would lead secrets to a place that somebody else chose.
fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_symlink() => {
            Err(io::Error::other(format!("{} is a symbolic link; name the place that it leads to", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn without_links() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    options
}

#[cfg(unix)]
fn private() -> OpenOptions {
    let mut options = without_links();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A file that was there before may have had another mode.
#[cfg(unix)]
fn keep_private(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn without_links() -> OpenOptions {
    OpenOptions::new()
}

/// On Windows a file has the permissions of its folder.
#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(not(unix))]
fn keep_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// The new name of a file is durable when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn make_rename_durable(folder: &Path, _: &Path) -> io::Result<()> {
    sync_folder(folder)
}

/// Windows has no way to flush a folder.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Flushing the renamed file flushes the file system's log with the renaming in it.
#[cfg(not(unix))]
fn make_rename_durable(_: &Path, path: &Path) -> io::Result<()> {
    retried(|| OpenOptions::new().write(true).open(path))?.sync_all()
}

#[cfg(test)]
pub(crate) mod tests;
