//! Folders in an object store: a local folder, or a bucket that speaks S3.
//!
//! The ledger's threads block; the object store's client does not. So calls are handed to a thread
//! with a runtime of its own, and waited for.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, Error as ObjectError, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};

use crate::error::StoreError;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// How long a request is repeated that the store did not answer, or refused for the time being.
const RETRY: Duration = Duration::from_secs(10);

/// A folder in an object store. Clones are the same.
#[derive(Clone)]
pub struct ObjectFolder(Arc<Inner>);

struct Inner {
    /// Its URL.
    name: String,
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where it is on this machine's disk.
    local: Option<PathBuf>,
    runtime: Option<Runtime>,
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there, in this version.
    Done(Version),
    /// Something else is there.
    Refused,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(UpdateVersion);

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime must not wait for its end where an async task drops it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for ObjectFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("ObjectFolder")
            .field(&self.0.name)
            .finish()
    }
}

impl PartialEq for ObjectFolder {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ObjectFolder {}

impl FromStr for ObjectFolder {
    type Err = String;

    /// Reads a URL; see [`ObjectFolder::open`].
    fn from_str(url: &str) -> Result<Self, String> {
        Self::open(url, [])
    }
}

impl ObjectFolder {
    /// The folder with this URL: `file:///path`, or `s3://bucket/prefix`. For S3 the environment's
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`
    /// and their like are heeded, and `settings` of the same names in lower case go before them.
    /// Nothing is read or written yet.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn open<'a>(
        url: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let url = url.trim_end_matches('/');
        match url.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Self::local(path.into()),
            Some(("s3", rest)) if !rest.starts_with('/') => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let store = s3(bucket, settings)?;
                Self::new(url.to_owned(), Arc::new(store), prefix, None)
            }
            _ => Err(format!(
                "{url:?} is not an object store; right would be file:///folder or s3://bucket/prefix"
            )),
        }
    }

    /// A folder of this machine.
    fn local(path: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| error.to_string())?;
        let name = format!("file://{}", path.display());
        Self::new(name, Arc::new(store), "", Some(path))
    }

    /// An object store in memory, gone with the process: for tests.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn in_memory(name: &str) -> Result<Self, String> {
        let store = Arc::new(InMemory::new());
        Self::new(format!("memory://{name}"), store, "", None)
    }

    fn new(
        name: String,
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        local: Option<PathBuf>,
    ) -> Result<Self, String> {
        let prefix = Key::parse(prefix).map_err(|error| error.to_string())?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ledger-objects")
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self(Arc::new(Inner {
            name,
            store,
            prefix,
            local,
            runtime: Some(runtime),
        })))
    }

    /// URL of an object in it, for messages.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.0.name)
    }

    /// Path of an object on this machine's disk, if it has one.
    pub(crate) fn local_path(&self, path: &str) -> Option<PathBuf> {
        let folder = self.0.local.as_ref()?;
        Some(folder.join(path))
    }

    /// The object's bytes and version; none where there is no such object.
    pub(crate) fn get(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let key = self.key(path);
        let got = self.run("read", path, move |store| async move {
            let got = store.get(&key).await?;
            let version = UpdateVersion {
                e_tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            Ok((got.bytes().await?.to_vec(), Version(version)))
        });
        none_if_missing(got)
    }

    /// Bytes of an object; none where there is no such object.
    pub(crate) fn get_range(
        &self,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let key = self.key(path);
        let got = self.run("read", path, move |store| async move {
            Ok(store.get_range(&key, range).await?.to_vec())
        });
        none_if_missing(got)
    }

    /// Writes an object, whatever was there.
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let key = self.key(path);
        self.run("write", path, move |store| async move {
            store.put(&key, PutPayload::from(bytes)).await?;
            Ok(())
        })
    }

    /// Writes an object if the one that is there has this version; if there is none, for none.
    pub(crate) fn put_if(
        &self,
        path: &str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> Result<Put, StoreError> {
        let key = self.key(path);
        let mode = expected.map_or(PutMode::Create, |Version(version)| PutMode::Update(version));
        self.run("write", path, move |store| async move {
            let options = PutOptions::from(mode);
            match store.put_opts(&key, PutPayload::from(bytes), options).await {
                Ok(put) => Ok(Put::Done(Version(put.into()))),
                Err(ObjectError::AlreadyExists { .. } | ObjectError::Precondition { .. }) => {
                    Ok(Put::Refused)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Removes an object; none need be there.
    pub(crate) fn delete(&self, path: &str) -> Result<(), StoreError> {
        let key = self.key(path);
        let deleted = self.run("remove", path, move |store| async move {
            store.delete(&key).await
        });
        none_if_missing(deleted).map(|_| ())
    }

    fn key(&self, path: &str) -> Key {
        path.split('/')
            .fold(self.0.prefix.clone(), |key, part| key.child(part))
    }

    fn run<T, W>(
        &self,
        operation: &'static str,
        path: &str,
        work: impl FnOnce(Arc<dyn ObjectStore>) -> W,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, ObjectError>> + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.0.store));
        if let Some(runtime) = &self.0.runtime {
            runtime.spawn(async move {
                // Who asked waits for it.
                let _ = answer.send(work.await);
            });
        }
        let result = answered.recv().unwrap_or_else(|_| {
            Err(ObjectError::Generic {
                store: "object store",
                source: "the request was given up".into(),
            })
        });
        result.map_err(|source| StoreError::Object {
            operation,
            url: self.url(path),
            source: Box::new(source),
        })
    }
}

fn s3<'a>(
    bucket: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<AmazonS3, String> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(ClientOptions::new().with_timeout(REQUEST))
        .with_retry(RetryConfig {
            retry_timeout: RETRY,
            ..RetryConfig::default()
        });
    for (name, value) in settings {
        let key: AmazonS3ConfigKey = name
            .parse()
            .map_err(|_| format!("{name} is not a setting of S3"))?;
        builder = builder.with_config(key, value);
    }
    builder.build().map_err(|error| error.to_string())
}

fn none_if_missing<T>(got: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match got {
        Ok(got) => Ok(Some(got)),
        Err(StoreError::Object { source, .. })
            if matches!(*source, ObjectError::NotFound { .. }) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for wrong in ["", "folder", "ftp://x", "file://relative", "s3:///x"] {
            let error = wrong.parse::<ObjectFolder>().unwrap_err();
            assert!(error.contains("s3://bucket/prefix"), "{error}");
        }
        let folder = ObjectFolder::open("s3://b/some/where/", [("aws_region", "eu-1")]).unwrap();
        assert_eq!(folder.url("x/y"), "s3://b/some/where/x/y");
        assert_eq!(folder.key("x/y").as_ref(), "some/where/x/y");
        assert!(ObjectFolder::open("s3://b", [("aws_regino", "eu-1")]).is_err());
    }

    #[test]
    fn objects_are_written_and_read() {
        let place = tempfile::tempdir().unwrap();
        let local = format!("file://{}/new", place.path().display());
        for folder in [
            local.parse().unwrap(),
            ObjectFolder::in_memory("x").unwrap(),
        ] {
            assert_eq!(folder.get("a/b").unwrap(), None);
            assert_eq!(folder.get_range("a/b", 0..1).unwrap(), None);
            folder.put("a/b", b"12345".to_vec()).unwrap();
            assert_eq!(folder.get("a/b").unwrap().unwrap().0, b"12345");
            assert_eq!(folder.get_range("a/b", 1..3).unwrap().unwrap(), b"23");
        }
    }

    #[test]
    fn a_version_is_replaced_once() {
        let folder = ObjectFolder::in_memory("x").unwrap();
        let Put::Done(first) = folder.put_if("a", b"1".to_vec(), None).unwrap() else {
            panic!("it was not there");
        };
        assert_eq!(
            folder.put_if("a", b"2".to_vec(), None).unwrap(),
            Put::Refused
        );
        let second = folder
            .put_if("a", b"2".to_vec(), Some(first.clone()))
            .unwrap();
        assert!(matches!(second, Put::Done(_)));
        let late = folder.put_if("a", b"3".to_vec(), Some(first)).unwrap();
        assert_eq!(late, Put::Refused);
        assert_eq!(folder.get("a").unwrap().unwrap().0, b"2");
    }

    /// Who calls may be an async task.
    #[test]
    fn it_can_be_used_and_dropped_anywhere() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = ObjectFolder::in_memory("x").unwrap();
            folder.put("a", b"1".to_vec()).unwrap();
        });
    }
}
