//! The anchor: where the newest signed tree head is kept, apart from the log.
//!
//! Who has a log's folder can copy it, or put an old copy in its place, and write on from there: two
//! histories under one name. So the tree head that is signed last lies elsewhere, and moves by
//! compare-and-swap only: who does not hold what is there signs nothing more. An old copy of the log
//! is shorter than its anchor says, a second writer finds another tree head than it left, and both
//! are refused.

mod error;
mod folder;
mod objects;
mod place;

use std::path::Path;
use std::time::Duration;

use crate::error::{OpenError, StoreError};
use crate::store::disk::Disk;
use folder::FolderAnchor;
use objects::ObjectAnchor;

pub(crate) use error::{AnchorError, size_of};
pub use place::AnchorPlace;

/// Holds the newest signed tree head.
#[derive(Debug)]
pub(crate) enum Anchor {
    Folder(FolderAnchor),
    Objects(ObjectAnchor),
    /// Of a log that is read-only: the note that it will always have.
    Fixed(Vec<u8>),
}

impl Anchor {
    /// The anchor of a log that is read-only.
    pub(crate) fn fixed(note: &str) -> Self {
        Self::Fixed(note.as_bytes().to_vec())
    }

    /// Opens the anchor of the ledger in the folder `data`. One that another process holds is
    /// waited for.
    pub(crate) fn open(
        place: &AnchorPlace,
        data: &Path,
        disk: &Disk,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        if let AnchorPlace::Objects(folder) = place {
            return Ok(Self::Objects(ObjectAnchor::new(folder.clone(), disk)));
        }
        let folder = place.folder(data).ok_or_else(|| OpenError::Setting {
            setting: "anchor",
            problem: format!(
                "{} has no name of its own, so no folder lies beside it; set a folder",
                data.display()
            ),
        })?;
        if is_within(&folder, data) {
            tracing::warn!(
                anchor = %folder.display(),
                folder = %data.display(),
                "the anchor lies within the log's folder: who restores an old copy of that folder \
                 restores the anchor with it, and nothing notices"
            );
        }
        Ok(Self::Folder(FolderAnchor::open(&folder, disk, patience)?))
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Folder(anchor) => anchor.path().display().to_string(),
            Self::Objects(anchor) => anchor.url(),
            Self::Fixed(_) => "of a log that is read-only".to_owned(),
        }
    }

    /// The signed note in it; none if it never had one.
    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(anchor) => anchor.read(),
            Self::Objects(anchor) => anchor.read(),
            Self::Fixed(note) => Ok(Some(note.clone())),
        }
    }

    /// Another note, not newer, for when a loss of power has torn the one that [`Anchor::read`] gives.
    pub(crate) fn read_other(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(anchor) => anchor.read_other(),
            // An object is written whole or not at all.
            Self::Objects(_) | Self::Fixed(_) => Ok(None),
        }
    }

    /// Before the ledger is closed: puts the newest note, which is there already, wherever
    /// [`Anchor::read_other`] looks.
    pub(crate) fn settle(&mut self, note: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Folder(anchor) => anchor.settle(note),
            Self::Objects(_) | Self::Fixed(_) => Ok(()),
        }
    }

    /// Replaces the note, if it is the expected one. A crash of this process does not undo that; a
    /// power loss may, until [`Anchor::sync`].
    pub(crate) fn swap(&mut self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), AnchorError> {
        if let (Some(old), Some(new)) = (expected.and_then(size_of), size_of(new))
            && new < old
        {
            let place = self.place();
            return Err(AnchorError::Smaller { place, old, new });
        }
        match self {
            Self::Folder(anchor) => anchor.swap(expected, new),
            Self::Objects(anchor) => anchor.swap(expected, new),
            Self::Fixed(note) => Err(AnchorError::Changed {
                place: "a log that is read-only".to_owned(),
                expected: expected.map(<[u8]>::to_vec),
                found: Some(note.clone()),
            }),
        }
    }

    /// Whether an error may pass: a network comes back, a broken disk does not.
    pub(crate) fn is_worth_waiting_for(&self) -> bool {
        matches!(self, Self::Objects(_))
    }

    /// Whether [`Anchor::sync`] should be called.
    pub(crate) fn sync_is_due(&self) -> bool {
        match self {
            Self::Folder(anchor) => anchor.sync_is_due(),
            Self::Objects(_) | Self::Fixed(_) => false,
        }
    }

    /// Lets the note survive a power loss.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Folder(anchor) => anchor.sync(),
            // What is answered is kept.
            Self::Objects(_) | Self::Fixed(_) => Ok(()),
        }
    }
}

/// What is in an anchor that may be another's: the note, and the other note. Nothing is locked,
/// created or written.
pub(crate) fn peek(
    place: &AnchorPlace,
    data: &Path,
    disk: &Disk,
) -> Result<[Option<Vec<u8>>; 2], StoreError> {
    match (place, place.folder(data)) {
        (AnchorPlace::Objects(folder), _) => {
            Ok([ObjectAnchor::new(folder.clone(), disk).read()?, None])
        }
        (_, Some(folder)) => Ok([
            disk.read_if_there(&folder::path_in(&folder))?,
            disk.read_if_there(&folder::other_path_in(&folder))?,
        ]),
        (_, None) => Ok([None, None]),
    }
}

/// Where an anchor is: a path, or a URL.
pub(crate) fn name_of(place: &AnchorPlace, data: &Path) -> String {
    match (place, place.folder(data)) {
        (AnchorPlace::Objects(folder), _) => {
            ObjectAnchor::new(folder.clone(), &Disk::default()).url()
        }
        (_, Some(folder)) => folder::path_in(&folder).display().to_string(),
        (_, None) => String::new(),
    }
}

/// As far as the names say.
fn is_within(inner: &Path, outer: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute(inner).starts_with(absolute(outer))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::objects::ObjectFolder;

    fn note(size: u64) -> Vec<u8> {
        format!("log\n{size}\nroot\n\n— log signature\n").into_bytes()
    }

    fn open(place: &AnchorPlace) -> Anchor {
        Anchor::open(place, Path::new("data"), &Disk::default(), Duration::ZERO).unwrap()
    }

    fn anchor(folder: &Path) -> Anchor {
        open(&AnchorPlace::Folder(folder.to_owned()))
    }

    #[test]
    fn it_moves_from_what_is_expected_only() {
        let folder = tempfile::tempdir().unwrap();
        moves_from_what_is_expected_only(anchor(folder.path()));
        let objects = ObjectFolder::in_memory("x").unwrap();
        moves_from_what_is_expected_only(open(&AnchorPlace::Objects(objects)));
    }

    fn moves_from_what_is_expected_only(mut anchor: Anchor) {
        assert_eq!(anchor.read().unwrap(), None);
        let error = anchor.swap(Some(&note(1)), &note(2)).unwrap_err();
        assert!(matches!(error, AnchorError::Changed { .. }), "{error}");
        anchor.swap(None, &note(3)).unwrap();
        let error = anchor.swap(None, &note(4)).unwrap_err();
        assert!(error.to_string().contains("a tree of 3 entries"), "{error}");
        for size in [3, 10, 11, 100] {
            let before = anchor.read().unwrap();
            anchor.swap(before.as_deref(), &note(size)).unwrap();
            assert_eq!(anchor.read().unwrap().unwrap(), note(size));
        }
        anchor.sync().unwrap();
        assert!(!anchor.sync_is_due());
    }

    #[test]
    fn it_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut anchor = anchor(folder.path());
        anchor.swap(None, &note(5)).unwrap();
        let error = anchor.swap(Some(&note(5)), &note(4)).unwrap_err();
        assert!(
            matches!(error, AnchorError::Smaller { old: 5, new: 4, .. }),
            "{error}"
        );
        assert_eq!(anchor.read().unwrap().unwrap(), note(5));
    }

    #[test]
    fn a_note_from_elsewhere_stops_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut anchor = anchor(folder.path());
        anchor.swap(None, &note(5)).unwrap();
        std::fs::write(folder.path().join("checkpoint"), note(7)).unwrap();
        let error = anchor.swap(Some(&note(5)), &note(6)).unwrap_err();
        assert!(error.to_string().contains("a tree of 7 entries"), "{error}");
        assert_eq!(anchor.read().unwrap().unwrap(), note(7));
    }

    #[test]
    fn a_second_writer_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let first = anchor(folder.path());
        let place = AnchorPlace::Folder(folder.path().to_owned());
        let second = Anchor::open(&place, Path::new("data"), &Disk::default(), Duration::ZERO);
        assert!(matches!(second.unwrap_err(), OpenError::Locked { .. }));
        drop(first);
        anchor(folder.path());
    }

    #[test]
    fn of_two_writers_to_an_object_one_goes_on() {
        let place = AnchorPlace::Objects(ObjectFolder::in_memory("x").unwrap());
        let (mut one, mut other) = (open(&place), open(&place));
        assert_eq!(one.read().unwrap(), None);
        assert_eq!(other.read().unwrap(), None);
        one.swap(None, &note(1)).unwrap();
        let error = other
            .swap(None, &note(1))
            .map(|()| other.swap(Some(&note(1)), &note(2)));
        // The same first note is not another history; after it each is on its own.
        error.unwrap().unwrap();
        let error = one.swap(Some(&note(1)), &note(3)).unwrap_err();
        assert!(error.to_string().contains("a tree of 2 entries"), "{error}");
        other.swap(Some(&note(2)), &note(3)).unwrap();
        assert_eq!(one.read().unwrap().unwrap(), note(3));
    }

    #[test]
    fn places_are_read() {
        let read = |text: &str| text.parse::<AnchorPlace>();
        assert_eq!(read("").unwrap(), AnchorPlace::Beside);
        assert_eq!(read("a/b").unwrap(), AnchorPlace::Folder("a/b".into()));
        assert_eq!(
            read("file:///a/b").unwrap(),
            AnchorPlace::Folder("/a/b".into())
        );
        assert!(matches!(read("s3://a/b").unwrap(), AnchorPlace::Objects(_)));
        assert!(read("file://a/b").is_err() && read("ftp://a/b").is_err());
        let beside = AnchorPlace::Beside;
        assert_eq!(
            beside.folder(Path::new("state/ledger")).unwrap(),
            Path::new("state/ledger-anchor")
        );
        assert_eq!(beside.folder(Path::new("/")), None);
    }
}
