use super::*;

/// A folder that is removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("b24events-{name}-{}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> PrivateFile {
        PrivateFile::new(self.0.join("deeper/state.json")).unwrap()
    }

    /// Names of the files beside [`Folder::file`], without its lock.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("deeper")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_last_text_written_is_read_again() {
    let folder = Folder::new("write");
    let file = folder.file();
    assert_eq!(file.read().unwrap(), None);
    file.write(b"a longer first state").unwrap();
    file.reserve_space(10_000).unwrap();
    file.write(b"second").unwrap();
    assert_eq!(file.read().unwrap().as_deref(), Some("second"));
    assert_eq!(folder.names(), ["state.json"]);
}

#[test]
fn reserved_space_is_claimed_once_and_given_back() {
    let folder = Folder::new("space");
    let file = folder.file();
    for bytes in [5000, 5000, 9000] {
        file.reserve_space(bytes).unwrap();
        let [name] = folder.names().try_into().unwrap();
        assert_eq!(fs::metadata(folder.0.join("deeper").join(name)).unwrap().len(), bytes);
    }
    drop(file);
    assert!(folder.names().is_empty());
}

#[test]
fn one_at_a_time_holds_the_lock_and_removes_leftovers() {
    let folder = Folder::new("lock");
    let (first, second) = (folder.file(), folder.file());
    fs::write(folder.0.join("deeper/state.json.1-2.tmp"), "killed").unwrap();
    for foreign in ["other.json.tmp", "state.json.old.tmp", "state.json.shop2.1-2.tmp", "state.json.1-2.tmp.old"] {
        fs::write(folder.0.join("deeper").join(foreign), "not ours").unwrap();
    }
    let guard = first.try_lock().unwrap();
    assert!(guard.is_some() && second.try_lock().unwrap().is_none());
    assert_eq!(folder.names().len(), 4, "foreign files stay: {:?}", folder.names());
    assert!(!folder.names().contains(&"state.json.1-2.tmp".to_owned()));
    drop(guard);
    assert!(second.try_lock().unwrap().is_some());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let error = PrivateFile::new("/dev/null/x/state.json".into()).err().unwrap();
    assert!(matches!(error, Error::State(text) if text.contains("/dev/null/x")));
}

#[test]
fn what_is_too_long_is_not_read() {
    let folder = Folder::new("long");
    let file = folder.file();
    File::create(&file.path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(matches!(file.read(), Err(Error::State(text)) if text.contains("longer than")));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_belong_to_their_owner_only_whatever_was_there_before() {
        let folder = Folder::new("mode");
        let file = folder.file();
        for name in [file.path.clone(), file.beside("lock")] {
            fs::write(&name, "").unwrap();
            fs::set_permissions(&name, PermissionsExt::from_mode(0o666)).unwrap();
        }
        let _guard = file.try_lock().unwrap();
        file.write(b"secret").unwrap();
        assert_eq!((mode(&file.path), mode(&file.beside("lock"))), (0o600, 0o600));
    }

    #[test]
    fn symbolic_links_are_refused_and_what_they_lead_to_stays() {
        let folder = Folder::new("link");
        let file = folder.file();
        let target = folder.path().join("target");
        fs::write(&target, "somebody else's").unwrap();
        let refused = |result: Result<()>| {
            assert!(matches!(&result, Err(Error::State(text)) if text.contains("link")), "{result:?}");
        };
        symlink(&target, &file.path).unwrap();
        refused(file.write(b"secret"));
        assert!(file.read().is_err());
        refused(PrivateFile::new(file.path.clone()).map(drop));
        symlink(&target, file.beside("lock")).unwrap();
        assert!(file.try_lock().is_err());
        let by_link = folder.path().join("by_link");
        symlink(folder.path().join("deeper"), &by_link).unwrap();
        refused(PrivateFile::new(by_link.join("state.json")).map(drop));
        assert_eq!(fs::read_to_string(target).unwrap(), "somebody else's");
    }
}

#[test]
fn every_spelling_of_a_path_has_the_same_key() {
    let folder = Folder::new("spelling");
    std::fs::create_dir_all(folder.path().join("x")).unwrap();
    let key = |path: &str| PrivateFile::new(folder.path().join(path)).unwrap().key();
    assert_eq!(key("tokens.json"), key("x/../tokens.json"));
    assert_eq!(key("tokens.json"), key("./tokens.json"));
    assert_ne!(key("tokens.json"), key("x/tokens.json"));
    assert_eq!(key("tokens.json") == key("TOKENS.json"), cfg!(windows));
}
