//! The lattice's server: an operator, an account for the lattice, and one user in it.
//!
//! The keys that signed them are thrown away, so nobody can make another user. New ones are made where
//! the files are missing; nothing is lost with the old, because a lattice is built anew at every start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nkeys::KeyPair;

use super::{jwt, secret};
use crate::error::SiteError;
use crate::process::file_error;

/// The user's credentials, in the format of every NATS client.
pub(crate) fn credentials(folder: &Path) -> PathBuf {
    folder.join("lattice.creds")
}

/// Public key of the lattice's account, in a file of its own.
fn account_file(folder: &Path) -> PathBuf {
    folder.join("lattice.account")
}

fn accounts_file(folder: &Path) -> PathBuf {
    folder.join("accounts.conf")
}

/// What belongs into the server's configuration; with the credentials beside it.
pub(crate) fn configuration(folder: &Path) -> Result<String, SiteError> {
    let files = [accounts_file, credentials, account_file].map(|file| file(folder));
    if !files.iter().all(|file| file.exists()) {
        let made = make().map_err(|error| SiteError::Secret {
            operation: "sign the lattice's accounts",
            problem: error.to_string(),
        })?;
        let [accounts, credentials, account] = &files;
        secret::write(account, &made.account)?;
        secret::write(credentials, &made.credentials)?;
        secret::write(accounts, &made.accounts)?;
    }
    read(&accounts_file(folder))
}

/// Makes the server in `folder` one of the lattice whose first server is in `hub`: the same accounts,
/// the same user. Another machine needs the same three files.
pub(crate) fn join(folder: &Path, hub: &Path) -> Result<(), SiteError> {
    secret::folder(folder)?;
    for file in [accounts_file, credentials, account_file] {
        secret::write(&file(folder), &read(&file(hub))?)?;
    }
    Ok(())
}

/// The account that the server in `folder` joins with others of the lattice.
pub(crate) fn account(folder: &Path) -> Result<String, SiteError> {
    read(&account_file(folder))
}

fn read(path: &Path) -> Result<String, SiteError> {
    fs::read_to_string(path).map_err(|source| file_error("read", path, source))
}

struct Made {
    accounts: String,
    account: String,
    credentials: String,
}

fn make() -> Result<Made, nkeys::error::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let operator = KeyPair::new_operator();
    let (system, lattice) = (KeyPair::new_account(), KeyPair::new_account());
    let user = KeyPair::new_user();
    let claims = jwt::operator(&system);
    let operator_jwt = jwt::sign(&operator, &operator, "fieldledger", now, &claims)?;
    let system_jwt = jwt::sign(&operator, &system, "SYS", now, &jwt::account(false))?;
    let lattice_jwt = jwt::sign(&operator, &lattice, "LATTICE", now, &jwt::account(true))?;
    let user_jwt = jwt::sign(&lattice, &user, "lattice", now, &jwt::user())?;
    let accounts = format!(
        "operator: {operator_jwt:?}\n\
         system_account: {system}\n\
         resolver: MEMORY\n\
         resolver_preload {{\n\
         \x20   {system}: {system_jwt:?}\n\
         \x20   {lattice}: {lattice_jwt:?}\n\
         }}\n",
        system = system.public_key(),
        lattice = lattice.public_key(),
    );
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
        seed = user.seed()?,
    );
    Ok(Made {
        accounts,
        account: lattice.public_key(),
        credentials,
    })
}
