//! The folder with the field's users: a file for each, from which the server's is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use uuid::Uuid;

use super::secret;
use super::user::{Role, User};
use crate::error::SiteError;
use crate::process::file_error;

/// The longest name of a user.
const LONGEST_NAME: usize = 64;

/// Name of the user that stands for who names none.
const OPEN: &str = "open";

/// Before the name of another site in the name of its user.
const SITE: &str = "site-";

/// The site's own users, which may not be there yet when the first device is let in.
const OWN: [&str; 5] = ["polling", "operator", "events", "simulator", OPEN];

/// Users of a field's server, in the folder of that server.
#[derive(Debug, Clone)]
pub struct FieldUsers {
    server: PathBuf,
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The public key that it connects with.
    pub nkey: Option<String>,
    /// Whether it gets a password; MQTT 3.1.1 knows nothing else.
    pub has_password: bool,
}

impl FieldUsers {
    /// The users of the server whose folder is `server`, such as `state/nats`.
    #[must_use]
    pub fn of(server: &Path) -> Self {
        Self {
            server: server.to_owned(),
        }
    }

    /// The seed with which a service proves that it is one of the site's.
    pub(crate) fn seed_file(&self, name: &str) -> PathBuf {
        self.server.join(format!("{name}.nk"))
    }

    /// The operator's seed: `nats --nkey` takes this file.
    #[must_use]
    pub fn operator_seed(&self) -> PathBuf {
        self.seed_file("operator")
    }

    /// The polling provider's seed.
    #[must_use]
    pub fn polling_seed(&self) -> PathBuf {
        self.seed_file("polling")
    }

    /// User and password of the simulated field, with a colon between them.
    #[must_use]
    pub fn simulator_login(&self) -> PathBuf {
        self.login_file("simulator")
    }

    /// User and password of the event logger, with a colon between them.
    pub(crate) fn events_login(&self) -> Result<String, SiteError> {
        let path = self.login_file("events");
        fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))
    }

    /// User and password, with a colon between them, of the field's server at another site. Made where
    /// there is none yet.
    pub(crate) fn site_login(&self, site: &str) -> Result<String, SiteError> {
        let name = format!("{SITE}{site}");
        let path = self.login_file(&name);
        let _lock = self.lock()?;
        if !path.exists() {
            let password = secret::password()?;
            let user = User {
                role: Role::Site {
                    domain: site.to_owned(),
                },
                nkey: None,
                password: Some(secret::hash(&password)?),
            };
            self.store(&name, &user)?;
            secret::write(&path, &format!("{name}:{password}"))?;
            self.write_included()?;
            self.reload()?;
        }
        fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))
    }

    fn login_file(&self, name: &str) -> PathBuf {
        self.server.join(format!("{name}.login"))
    }

    /// The file that the server's configuration includes.
    pub(crate) fn included_file(&self) -> PathBuf {
        self.server.join("users.conf")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.server.join("nats-server.pid")
    }

    fn folder(&self) -> PathBuf {
        self.server.join("users")
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.json"))
    }

    /// Makes the site's own users where they are missing, and writes the server's file.
    pub(crate) fn prepare(&self, is_open: bool) -> Result<(), SiteError> {
        let _lock = self.lock()?;
        for (name, role) in [("polling", Role::Polling), ("operator", Role::Operator)] {
            if !self.seed_file(name).exists() {
                let key = KeyPair::new_user();
                let seed = key.seed().map_err(|error| SiteError::Secret {
                    operation: "make a key",
                    problem: error.to_string(),
                })?;
                let user = User {
                    role,
                    nkey: Some(key.public_key()),
                    password: None,
                };
                self.store(name, &user)?;
                secret::write(&self.seed_file(name), &seed)?;
            }
        }
        for (name, role) in [("events", Role::Events), ("simulator", Role::Simulator)] {
            if !self.login_file(name).exists() {
                let password = secret::password()?;
                let user = User {
                    role,
                    nkey: None,
                    password: Some(secret::hash(&password)?),
                };
                self.store(name, &user)?;
                secret::write(&self.login_file(name), &format!("{name}:{password}"))?;
            }
        }
        let open = self.file_of(OPEN);
        match (is_open, open.exists()) {
            (true, false) => {
                // Nobody needs the password: this user is who names none. nats-server logs them in with
                // what stands here, which therefore must not be a hash.
                let user = User {
                    role: Role::Open,
                    nkey: None,
                    password: Some(secret::password()?),
                };
                self.store(OPEN, &user)?;
            }
            (false, true) => remove(&open)?,
            (true, true) | (false, false) => {}
        }
        self.write_included()
    }

    /// The lines beside the users: what includes them, and who stands for those who name no user.
    pub(crate) fn configuration(&self, is_open: bool) -> String {
        let open = if is_open {
            format!("no_auth_user: {OPEN}\n")
        } else {
            String::new()
        };
        format!(
            "pid_file: {pid:?}\n\
             accounts {{\n\
             \x20   FIELD {{\n\
             \x20       jetstream: enabled\n\
             \x20       include ./users.conf\n\
             \x20   }}\n\
             }}\n{open}",
            pid = self.pid_file(),
        )
    }

    /// All users by name.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] or [`SiteError::User`] for a file that cannot be read.
    pub fn all(&self) -> Result<BTreeMap<String, User>, SiteError> {
        let folder = self.folder();
        let failed = |source| file_error("list", &folder, source);
        let mut users = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(name) = name.strip_suffix(".json") else {
                continue;
            };
            let text =
                fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))?;
            let user = serde_json::from_str(&text).map_err(|error| SiteError::User {
                name: name.to_owned(),
                problem: error.to_string(),
            })?;
            users.insert(name.to_owned(), user);
        }
        Ok(users)
    }

    /// Adds a user; its password, where it gets one, which is kept nowhere else. A running server lets
    /// it in from now on.
    ///
    /// # Errors
    ///
    /// [`SiteError::User`] for a name that is taken or none, for an id or key that is another's, and
    /// where there is nothing to connect with.
    pub fn add(&self, new: NewUser) -> Result<Option<String>, SiteError> {
        let _lock = self.lock()?;
        self.check(&new)?;
        let password = match new.has_password {
            true => Some(secret::password()?),
            false => None,
        };
        let user = User {
            role: new.role,
            nkey: new.nkey,
            password: password.as_deref().map(secret::hash).transpose()?,
        };
        self.store(&new.name, &user)?;
        self.write_included()?;
        self.reload()?;
        Ok(password)
    }

    /// Removes a device or a program. A running server closes its connections.
    ///
    /// # Errors
    ///
    /// [`SiteError::User`] where there is none of that name, or where the site needs it.
    pub fn remove(&self, name: &str) -> Result<(), SiteError> {
        let _lock = self.lock()?;
        let users = self.all()?;
        let role = users.get(name).map(|user| &user.role);
        match role {
            Some(Role::Device { .. } | Role::Program) => {}
            Some(_) => return Err(refused(name, "the site itself needs this user")),
            None => return Err(refused(name, "there is no such user")),
        }
        remove(&self.file_of(name))?;
        self.write_included()?;
        self.reload()
    }

    fn check(&self, new: &NewUser) -> Result<(), SiteError> {
        let name = new.name.as_str();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
            let problem = format!("a name is 1 to {LONGEST_NAME} letters, digits, '-' or '_'");
            return Err(refused(name, &problem));
        }
        if OWN.contains(&name) || name.starts_with(SITE) {
            return Err(refused(name, "the site itself has a user of that name"));
        }
        if new.nkey.is_none() && !new.has_password {
            return Err(refused(
                name,
                "it needs a key or a password to connect with",
            ));
        }
        let key = new.nkey.as_deref().map(KeyPair::from_public_key);
        if key.is_some_and(|key| key.is_err()) {
            return Err(refused(name, "its key is not a public nkey"));
        }
        let own: &[Uuid] = match &new.role {
            Role::Device { ids } if ids.is_empty() => {
                return Err(refused(name, "a device needs an id, its own or a sensor's"));
            }
            Role::Device { ids } => ids,
            _ => &[],
        };
        for (other, user) in self.all()? {
            if other == name {
                return Err(refused(name, "there is a user of that name"));
            }
            if new.nkey.is_some() && user.nkey == new.nkey {
                return Err(refused(name, &format!("its key is that of {other}")));
            }
            let Role::Device { ids } = &user.role else {
                continue;
            };
            if let Some(id) = own.iter().find(|id| ids.contains(id)) {
                return Err(refused(name, &format!("{other} speaks for {id}")));
            }
        }
        Ok(())
    }

    fn store(&self, name: &str, user: &User) -> Result<(), SiteError> {
        let text = serde_json::to_string_pretty(user)
            .expect("a user is texts and lists, which JSON can hold");
        secret::write(&self.file_of(name), &text)
    }

    fn write_included(&self) -> Result<(), SiteError> {
        let users = self.all()?;
        let users = users.iter();
        let users: Vec<Value> = users
            .flat_map(|(name, user)| user.configuration(name))
            .collect();
        let users = serde_json::to_string_pretty(&users).expect("a JSON value can be written");
        let text = format!("# Written from the folder users.\nusers: {users}\n");
        secret::write(&self.included_file(), &text)
    }

    /// One change at a time, also of several processes.
    fn lock(&self) -> Result<File, SiteError> {
        secret::folder(&self.folder())?;
        let path = self.folder().join("lock");
        let file = File::create(&path).map_err(|source| file_error("create", &path, source))?;
        file.lock()
            .map_err(|source| file_error("lock", &path, source))?;
        Ok(file)
    }

    /// Has a running server read its configuration again. Where none runs, the next start does.
    fn reload(&self) -> Result<(), SiteError> {
        let pid = fs::read_to_string(self.pid_file()).unwrap_or_default();
        let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        // After a crash the number may be another process's.
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        let command = command.unwrap_or_default();
        let configuration = self.server.join("nats-server.conf");
        let configuration = configuration.as_os_str().as_encoded_bytes();
        if !command
            .split(|byte| *byte == 0)
            .any(|part| part == configuration)
        {
            return Ok(());
        }
        kill_process(pid, Signal::HUP).map_err(|error| SiteError::Start {
            name: "the reload of nats-server".to_owned(),
            source: error.into(),
        })
    }
}

fn refused(name: &str, problem: &str) -> SiteError {
    SiteError::User {
        name: name.chars().take(LONGEST_NAME).collect(),
        problem: problem.to_owned(),
    }
}

fn remove(path: &Path) -> Result<(), SiteError> {
    fs::remove_file(path).map_err(|source| file_error("remove", path, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn device(name: &str, id: u128) -> NewUser {
        NewUser {
            name: name.to_owned(),
            role: Role::Device {
                ids: vec![Uuid::from_u128(id)],
            },
            nkey: None,
            has_password: true,
        }
    }

    #[test]
    fn users_are_kept_and_nothing_of_them_is_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let users = FieldUsers::of(folder.path());
        users.prepare(true).unwrap();
        let seed = fs::read_to_string(users.operator_seed()).unwrap();
        let password = users.add(device("press", 1)).unwrap().unwrap();
        users.prepare(true).unwrap();
        assert_eq!(fs::read_to_string(users.operator_seed()).unwrap(), seed);
        let names: Vec<String> = users.all().unwrap().into_keys().collect();
        let expected = [
            "events",
            "open",
            "operator",
            "polling",
            "press",
            "simulator",
        ];
        assert_eq!(names, expected);
        let included = fs::read_to_string(users.included_file()).unwrap();
        assert!(included.contains("field.00000000-0000-0000-0000-000000000001.read"));
        assert!(!included.contains(&password) && !included.contains(&seed));
        for path in [
            users.operator_seed(),
            users.included_file(),
            users.file_of("press"),
        ] {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        users.prepare(false).unwrap();
        assert!(!users.all().unwrap().contains_key("open"));
    }

    #[test]
    fn a_user_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let users = FieldUsers::of(folder.path());
        users.prepare(false).unwrap();
        users.add(device("press", 1)).unwrap();
        let without_means = NewUser {
            has_password: false,
            ..device("saw", 2)
        };
        let wrong_key = NewUser {
            nkey: Some("U123".to_owned()),
            ..device("saw", 2)
        };
        let without_id = NewUser {
            role: Role::Device { ids: Vec::new() },
            ..device("saw", 2)
        };
        for (new, reason) in [
            (device("press", 2), "of that name"),
            (device("saw", 1), "press speaks for 0000"),
            (device("../saw", 2), "letters, digits"),
            (device("polling", 2), "the site itself"),
            (without_means, "key or a password"),
            (wrong_key, "not a public nkey"),
            (without_id, "needs an id"),
        ] {
            let error = users.add(new).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = users.remove("polling").unwrap_err().to_string();
        assert!(error.contains("needs this user"), "{error}");
        users.remove("press").unwrap();
        assert!(users.remove("press").is_err());
    }
}
