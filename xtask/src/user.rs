//! `cargo xtask user`: who may connect to the field's server.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fieldledger_attest::identity::PublicKey;
use fieldledger_device::sensor::{DEVICE_NUMBER, derived_id};
use fieldledger_site::{Artifacts, DEVICE_PREFIX, FieldAddress, FieldUsers, NewUser, Role, User};
use uuid::Uuid;

use crate::device_settings::DeviceSettings;

/// Options of `user`.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// Folder of the site's state [default: `state` in the checkout].
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,

    #[command(subcommand)]
    task: UserTask,
}

#[derive(Debug, Subcommand)]
enum UserTask {
    /// Add a device, which may use the subjects of its ids only.
    AddDevice(DeviceArgs),
    /// Add a program, which may publish events and nothing else.
    AddProgram(ProgramArgs),
    /// Remove a device or program; its connections are closed.
    Remove {
        /// Its name.
        name: String,
    },
    /// List devices, programs and the site's own users.
    List,
}

#[derive(Debug, Args)]
struct DeviceArgs {
    /// Its name: letters, digits, `-` and `_`.
    name: String,

    /// Its public nkey, as `fieldledger-device keygen` prints it; the device logs in to NATS with the key.
    #[arg(long, value_name = "U…")]
    nkey: Option<String>,

    /// Number of its sensors whose ids are derived from its key.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "nkey")]
    sensors: u32,

    /// An id that it may use, its own or a sensor's; repeat for more.
    #[arg(long = "id", value_name = "UUID")]
    ids: Vec<Uuid>,

    /// Make a password, for MQTT, and print it; only its hash is stored.
    #[arg(long)]
    password: bool,
}

#[derive(Debug, Args)]
struct ProgramArgs {
    /// Its name: letters, digits, `-` and `_`.
    name: String,

    /// Its public nkey.
    #[arg(long, value_name = "U…")]
    nkey: Option<String>,

    /// Make a password and print it; only its hash is stored.
    #[arg(long)]
    password: bool,
}

/// Changes the users; a running server heeds it at once.
pub(crate) fn run(args: UserArgs) -> anyhow::Result<()> {
    let state = match args.state {
        Some(folder) => folder,
        None => Artifacts::of_checkout().root().join("state"),
    };
    // As `cargo xtask up` names it to the server, which is found by that.
    let state = std::path::absolute(&state)
        .with_context(|| format!("{} is not a path", state.display()))?;
    let server = state.join("nats");
    let users = FieldUsers::of(&server);
    match args.task {
        UserTask::AddDevice(device) => {
            let ids = ids(&device)?;
            let settings = FieldAddress::read(&server)?.map(|address| DeviceSettings {
                address,
                user: device.password.then(|| device.name.clone()),
                has_nkey: device.nkey.is_some(),
            });
            add(
                &users,
                NewUser {
                    name: device.name,
                    role: Role::Device { ids },
                    nkey: device.nkey,
                    has_password: device.password,
                },
            )?;
            if let Some(settings) = settings {
                println!("settings for fieldledger-device:\n{settings}");
            }
            Ok(())
        }
        UserTask::AddProgram(program) => add(
            &users,
            NewUser {
                name: program.name,
                role: Role::Program,
                nkey: program.nkey,
                has_password: program.password,
            },
        ),
        UserTask::Remove { name } => {
            users.remove(&name)?;
            println!("{name} may no longer connect");
            Ok(())
        }
        UserTask::List => {
            for (name, user) in users.all()? {
                println!("{name:<24} {}", described(&user));
            }
            Ok(())
        }
    }
}

/// The ids that were given, and those that follow from the key.
fn ids(device: &DeviceArgs) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = device.ids.clone();
    if let Some(nkey) = &device.nkey {
        let (_kind, bytes) = nkeys::from_public_key(nkey).context("--nkey is not a public nkey")?;
        let key = PublicKey::from_bytes(&bytes).context("--nkey is not the key of a device")?;
        for number in (0..device.sensors).chain([DEVICE_NUMBER]) {
            ids.push(Uuid::from_bytes(derived_id(&key, number)));
        }
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn add(users: &FieldUsers, new: NewUser) -> anyhow::Result<()> {
    let name = new.name.clone();
    if let Role::Device { ids } = &new.role {
        println!("{name} may use the subjects below {DEVICE_PREFIX} of");
        for id in ids {
            println!("  {id}");
        }
    }
    match users.add(new)? {
        Some(password) => println!("password of {name}: {password}"),
        None => println!("{name} may connect"),
    }
    Ok(())
}

fn described(user: &User) -> String {
    let role = match &user.role {
        Role::Device { ids } => format!("device, {} ids", ids.len()),
        Role::Program => "program".to_owned(),
        Role::Polling => "the polling provider".to_owned(),
        Role::Events => "the event logger".to_owned(),
        Role::Site { domain } => format!("the field's server of site {domain}"),
        Role::Simulator => "the simulated field".to_owned(),
        Role::Open => "whoever does not log in".to_owned(),
        Role::Operator => "the operator".to_owned(),
    };
    let means = match (&user.nkey, &user.password) {
        (Some(_), Some(_)) => "by key or password",
        (Some(_), None) => "by key",
        (None, _) => "by password",
    };
    match user.role {
        Role::Open => role,
        _ => format!("{role}, {means}"),
    }
}
