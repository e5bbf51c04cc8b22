//! Packages of Debian and its relatives: what installing some would change, and doing it.

use std::fmt;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::program;

/// How wide a list of packages is printed.
const WIDTH: usize = 78;

/// What apt-get would change to install some packages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    install: Vec<String>,
    upgrade: Vec<String>,
    remove: Vec<String>,
}

impl Plan {
    /// Asks apt-get, which changes nothing and needs no rights for that.
    pub(super) fn of(packages: &[&str]) -> anyhow::Result<Self> {
        let mut simulate = install(Command::new("apt-get"), packages);
        simulate.arg("--simulate");
        let said = program::output(&mut simulate)?;
        Ok(Self::read(&said))
    }

    /// Reads what `apt-get install --simulate` prints.
    fn read(said: &str) -> Self {
        let mut plan = Self::default();
        for line in said.lines() {
            let mut words = line.split(' ');
            let (Some(action), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            // An upgrade names the version that is there first, as in `Inst a [1.0] (1.1 …)`.
            let is_there = words.next().is_some_and(|word| word.starts_with('['));
            match (action, is_there) {
                ("Inst", false) => plan.install.push(name.to_owned()),
                ("Inst", true) => plan.upgrade.push(name.to_owned()),
                ("Remv", _) => plan.remove.push(name.to_owned()),
                _ => {}
            }
        }
        plan
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("install", &self.install),
            ("upgrade", &self.upgrade),
            ("REMOVE", &self.remove),
        ];
        write!(f, "apt-get would")?;
        for (action, packages) in parts {
            match packages.len() {
                0 => write!(f, "\n  {action} nothing")?,
                count => write!(f, "\n  {action} {count}:{}", wrapped(packages))?,
            }
        }
        Ok(())
    }
}

/// The names, indented, on as many lines as they need.
fn wrapped(names: &[String]) -> String {
    let mut text = String::new();
    let mut column = WIDTH;
    for name in names {
        if column + 1 + name.len() > WIDTH {
            text.push_str("\n   ");
            column = 3;
        }
        text.push(' ');
        text.push_str(name);
        column += 1 + name.len();
    }
    text
}

/// Whether this machine has apt-get.
pub(super) fn is_there() -> anyhow::Result<bool> {
    program::succeeds("apt-get", &["--version"])
}

/// Fetches the lists of packages, which may be missing or old.
pub(super) fn refresh() -> anyhow::Result<()> {
    program::run(privileged()?.args(["update", "--quiet"]))
}

/// Does what `plan` said, and nothing else.
pub(super) fn carry_out(plan: &Plan, packages: &[&str]) -> anyhow::Result<()> {
    let mut install = install(privileged()?, packages);
    install.arg("--yes");
    if plan.remove.is_empty() {
        install.arg("--no-remove");
    }
    program::run(&mut install)
}

fn install(mut apt: Command, packages: &[&str]) -> Command {
    apt.args(["install", "--no-install-recommends", "--quiet"])
        .args(packages)
        // Lines are read that are translated otherwise, and nobody is there to answer questions.
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// apt-get with the right to change this machine.
fn privileged() -> anyhow::Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new("apt-get"));
    }
    let has_sudo = program::succeeds("sudo", &["--version"]).context("cannot look for sudo")?;
    ensure!(
        has_sudo,
        "only root may install system packages, and there is no sudo; run this as root once"
    );
    let mut sudo = Command::new("sudo");
    sudo.args(["--preserve-env=DEBIAN_FRONTEND,LC_ALL", "apt-get"]);
    Ok(sudo)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What Debian 12 printed where `qemu-utils` of its backports was installed.
    const SAID: &str = include_str!("testdata/apt-get-simulation.txt");

    #[test]
    fn a_plan_says_what_is_installed_upgraded_and_removed() {
        let plan = Plan::read(SAID);
        assert_eq!(plan.remove, ["qemu-utils"]);
        assert_eq!(
            plan.to_string(),
            "apt-get would\n  \
             install 4:\n    libfdt1 qemu-system-common qemu-system-data qemu-system-arm\n  \
             upgrade 1:\n    libslirp0\n  \
             REMOVE 1:\n    qemu-utils"
        );
    }

    #[test]
    fn a_long_list_fits_a_terminal_of_80_columns() {
        let install: Vec<String> = (0..40).map(|number| format!("package-{number}")).collect();
        let plan = Plan {
            install: install.clone(),
            ..Plan::default()
        };
        let text = plan.to_string();
        assert!(text.lines().all(|line| line.len() < 80), "{text}");
        for package in install {
            assert!(text.split_whitespace().any(|word| word == package));
        }
        assert!(text.ends_with("REMOVE nothing"), "{text}");
    }

    #[test]
    fn what_is_installed_already_changes_nothing() {
        let said = "Reading package lists...\nbash is already the newest version (5.2.15-2).\n\
                    0 upgraded, 0 newly installed, 0 to remove and 80 not upgraded.\n";
        assert_eq!(Plan::read(said), Plan::default());
    }

    #[test]
    fn apt_get_of_this_machine_is_understood() {
        if !is_there().unwrap() {
            return;
        }
        // It is in every Debian, so that it changes nothing, and the lists need not be there.
        let plan = Plan::of(&["base-files"]).unwrap();
        assert!(plan.remove.is_empty(), "{plan}");
    }
}
