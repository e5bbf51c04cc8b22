//! The folder that holds a site's state, who may use it, and in which version it is.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fieldledger_site::stop_leftovers;

/// Name of the lock file, which stays when all else is cleared.
const LOCK: &str = "lock";

/// Name of the file that says how the folder is laid out.
const FORMAT_FILE: &str = "format";

/// The layout that this program makes and understands. The log in it has versions of its own.
const FORMAT: u32 = 1;

/// What only a site has in its folder. Before there was a format, that is what tells one.
const SIGNS: [&str; 2] = ["nats", "ledger"];

/// A state folder that is this process's alone while this lives.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    _lock: File,
}

/// What is in a folder.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing yet.
    Nothing,
    /// What a site of this layout left.
    Site,
    /// What a site left before layouts had numbers. Its layout is this one; the server's streams are
    /// moved where they belong when it starts.
    Unnumbered,
    /// What a later version of this program left.
    Later(u32),
    /// A format that nobody has written.
    Damaged(String),
    /// Files of somebody else, of which this is one.
    Foreign(String),
}

impl State {
    /// Takes the folder, which is created if it is not there. Where it is to be cleared, it may be in any
    /// version, but not somebody else's.
    pub(super) fn lock(folder: &Path, to_be_cleared: bool) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder)
            .with_context(|| format!("{} is not a path", folder.display()))?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let found = Found::read(&folder)?;
        let path = folder.display();
        match &found {
            Found::Nothing | Found::Site => {}
            Found::Unnumbered => {
                println!("{path} was made before its format had a number; it is taken over");
            }
            Found::Later(_) | Found::Damaged(_) if to_be_cleared => {}
            Found::Later(number) => bail!(
                "{path} was made by a later version of this program (format {number}, and this one \
                 knows {FORMAT}); run that version, name another folder with `--state`, or forget what \
                 is in it with `--fresh`"
            ),
            Found::Damaged(text) => bail!(
                "{path}/{FORMAT_FILE} says {text:?} instead of a number; write {FORMAT} into it if the \
                 site was made by this version, or forget what is in the folder with `--fresh`"
            ),
            Found::Foreign(file) => bail!(
                "{path} has files that are not a site's, such as {file:?}; \
                 name an empty folder, or a new one, with `--state`"
            ),
        }
        let lock = take_lock(&folder)?;
        if matches!(found, Found::Nothing | Found::Unnumbered) {
            write_format(&folder)?;
        }
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder, as an absolute path.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops what an earlier run left behind because it was killed, and returns its names.
    pub(super) fn stop_leftovers(&self) -> Vec<String> {
        stop_leftovers(&self.folder)
    }

    /// Deletes all state.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        for path in entries(&self.folder)? {
            if path.ends_with(LOCK) {
                continue;
            }
            let deleted = match path.is_dir() && !path.is_symlink() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            deleted.with_context(|| format!("cannot delete {}", path.display()))?;
        }
        write_format(&self.folder)
    }
}

impl Found {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FORMAT_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(match text.trim().parse() {
                Ok(FORMAT) => Self::Site,
                Ok(number) if number > FORMAT => Self::Later(number),
                Ok(_) | Err(_) => Self::Damaged(text.trim().to_owned()),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::without_format(folder),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Ok(Self::Damaged("bytes that are not text".to_owned()))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn without_format(folder: &Path) -> anyhow::Result<Self> {
        if SIGNS.iter().any(|sign| folder.join(sign).is_dir()) {
            return Ok(Self::Unnumbered);
        }
        // A run that was stopped early leaves the lock, and the root of a disk has a folder for repairs.
        let nobodys = [LOCK, "lost+found"];
        let mut entries = entries(folder)?.into_iter();
        let foreign = entries.find(|path| !nobodys.iter().any(|name| path.ends_with(name)));
        Ok(match foreign.as_deref().and_then(Path::file_name) {
            Some(name) => Self::Foreign(name.to_string_lossy().into_owned()),
            None => Self::Nothing,
        })
    }
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = || -> std::io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    listed().with_context(|| format!("cannot list {}", folder.display()))
}

fn write_format(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(FORMAT_FILE);
    fs::write(&path, format!("{FORMAT}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn take_lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            bail!(
                "another `cargo xtask up` (process {}) uses {}; stop it, \
                 or give this one a folder of its own with `--state`",
                owner.trim(),
                folder.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refused(folder: &Path, to_be_cleared: bool) -> String {
        State::lock(folder, to_be_cleared).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_one_process_s_and_survives_clearing() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::lock(folder.path(), false).unwrap();
        fs::create_dir(folder.path().join("ledger")).unwrap();
        state.clear().unwrap();
        assert!(!folder.path().join("ledger").exists());

        let second = refused(folder.path(), false);
        assert!(second.contains(&std::process::id().to_string()), "{second}");
        drop(state);
        State::lock(folder.path(), false).unwrap();
    }

    #[test]
    fn state_from_before_formats_had_numbers_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["ledger/tree", "logs/host.log"] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        assert_eq!(Found::read(folder.path()).unwrap(), Found::Unnumbered);
        drop(State::lock(folder.path(), false).unwrap());
        assert_eq!(Found::read(folder.path()).unwrap(), Found::Site);
        assert!(folder.path().join("ledger/tree").is_file());
    }

    #[test]
    fn state_of_a_later_version_is_left_alone_unless_it_is_to_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [("2\n", "a later version"), ("two", "\"two\" instead of")] {
            fs::write(folder.path().join(FORMAT_FILE), text).unwrap();
            let error = refused(folder.path(), false);
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("--fresh"), "{error}");
            let state = State::lock(folder.path(), true).unwrap();
            state.clear().unwrap();
            assert_eq!(Found::read(folder.path()).unwrap(), Found::Site);
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_neither_used_nor_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("letters.txt");
        fs::write(&file, "dear").unwrap();
        for to_be_cleared in [false, true] {
            let error = refused(folder.path(), to_be_cleared);
            assert!(error.contains("letters.txt"), "{error}");
        }
        assert_eq!(entries(folder.path()).unwrap(), [file]);
    }
}
