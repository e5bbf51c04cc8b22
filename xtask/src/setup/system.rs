//! Programs of this system that tests need and that do not live in the tools folder.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use fieldledger_site::{DEBIAN_GO_PATH, find_qemu_arm};

use super::SystemPackages;
use super::apt::{self, Plan};
use crate::program;

/// The oldest Node that the SDKs run on: major and minor number.
const OLDEST_NODE: (u32, u32) = (20, 11);

/// Something that has to be on this machine.
struct Requirement {
    what: &'static str,
    /// What is tested with it.
    purpose: &'static str,
    is_there: fn() -> anyhow::Result<bool>,
    /// Packages of Debian; none where those of a release still in use are too old.
    debian: &'static [&'static str],
    /// How it is had on other systems.
    elsewhere: &'static str,
}

const REQUIREMENTS: [Requirement; 4] = [
    Requirement {
        what: "QEMU for Arm machines, 7.2 or newer (qemu-system-arm)",
        purpose: "firmware on an emulated microcontroller",
        is_there: has_qemu,
        debian: &["qemu-system-arm"],
        elsewhere: "Fedora qemu-system-arm-core, Arch qemu-system-arm, Homebrew qemu",
    },
    Requirement {
        what: "Go with the source of golang.org/x/mod in /usr/share/gocode",
        purpose: "an independent reader of the log",
        is_there: has_go,
        debian: &["golang-go", "golang-golang-x-mod-dev"],
        elsewhere: "Fedora golang golang-x-mod-devel",
    },
    Requirement {
        what: "Python 3 with pip and venv",
        purpose: "Pangea's SDK, S3 and COSE receipts",
        is_there: has_python,
        debian: &["python3", "python3-pip", "python3-venv"],
        elsewhere: "Fedora python3 python3-pip, Arch python python-pip, Homebrew python",
    },
    Requirement {
        what: "Node 20.11 or newer with npm",
        purpose: "Pangea's SDK, and MicroPython as WebAssembly",
        is_there: has_node,
        debian: &[],
        elsewhere: "https://nodejs.org; Debian 13, Fedora, Arch: nodejs npm, Homebrew node",
    },
];

/// Sees that all is there. Installs packages only if it may, and after it has shown what that changes.
pub(super) fn provide(options: SystemPackages) -> anyhow::Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let packages = packages(&missing);
    let by_hand = missing.iter().any(|missing| missing.debian.is_empty());
    let has_apt = apt::is_there()?;
    if !options.install_system || by_hand || !has_apt {
        bail!("{}", explained(&missing, has_apt));
    }
    let plan = agreed_plan(&packages, options)?;
    if let Err(error) = apt::carry_out(&plan, &packages) {
        println!("{error:#}; once more, with new lists of packages");
        apt::refresh()?;
        let plan = agreed_plan(&packages, options)?;
        apt::carry_out(&plan, &packages)?;
    }
    let missing = self::missing()?;
    ensure!(
        missing.is_empty(),
        "apt-get has installed {}, but not all is there: {}",
        packages.join(", "),
        explained(&missing, has_apt)
    );
    Ok(())
}

/// What apt-get would do, shown, and agreed to where somebody is to be asked.
fn agreed_plan(packages: &[&str], options: SystemPackages) -> anyhow::Result<Plan> {
    let plan = match Plan::of(packages) {
        Ok(plan) => plan,
        // The lists of packages are missing, or older than what they name.
        Err(_) => {
            apt::refresh()?;
            Plan::of(packages)?
        }
    };
    println!("for {}, {plan}", packages.join(", "));
    if !options.yes {
        ask()?;
    }
    Ok(plan)
}

fn missing() -> anyhow::Result<Vec<&'static Requirement>> {
    let mut missing = Vec::new();
    for requirement in &REQUIREMENTS {
        if !(requirement.is_there)()? {
            missing.push(requirement);
        }
    }
    Ok(missing)
}

fn packages(missing: &[&Requirement]) -> Vec<&'static str> {
    let packages = missing.iter().flat_map(|missing| missing.debian);
    packages.copied().collect()
}

/// What is missing, and how to get it.
fn explained(missing: &[&Requirement], has_apt: bool) -> String {
    let mut text = String::from("the tests need what is not on this machine:");
    for requirement in missing {
        let Requirement {
            what,
            purpose,
            debian,
            elsewhere,
            ..
        } = requirement;
        let _ = write!(text, "\n  {what}\n    for {purpose}");
        match (has_apt, debian.is_empty()) {
            (true, false) => {}
            (false, false) => {
                let debian = debian.join(" ");
                let _ = write!(text, "\n    packages: Debian {debian}, {elsewhere}");
            }
            (_, true) => {
                let _ = write!(text, "\n    install it by hand: {elsewhere}");
            }
        }
    }
    let packages = packages(missing);
    if packages.is_empty() {
        return text;
    }
    if !has_apt {
        text.push_str("\nthere is no apt-get here; install them with what this system has");
        return text;
    }
    let packages = packages.join(" ");
    let _ = write!(
        text,
        "\n`--install-system` installs {packages} with apt-get, after it has shown what that \
         installs and removes"
    );
    text
}

/// Asks whether to go on with the plan that was shown.
fn ask() -> anyhow::Result<()> {
    ensure!(
        stdin().is_terminal(),
        "nobody can be asked whether to do that; `--yes` does it without asking"
    );
    print!("do that? [y/N] ");
    stdout().flush().context("cannot ask")?;
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    ensure!(agreed, "nothing was installed");
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of several like it")]
fn has_qemu() -> anyhow::Result<bool> {
    Ok(find_qemu_arm().is_ok())
}

fn has_go() -> anyhow::Result<bool> {
    let source = Path::new(DEBIAN_GO_PATH).join("src/golang.org/x/mod/sumdb/tlog");
    Ok(source.is_dir() && program::succeeds("go", &["version"])?)
}

/// Debian has a `venv` that makes nothing where its package python3-venv is missing.
fn has_python() -> anyhow::Result<bool> {
    program::succeeds("python3", &["-c", "import pip, venv, ensurepip"])
}

fn has_node() -> anyhow::Result<bool> {
    if !program::succeeds("npm", &["--version"])? || !program::succeeds("node", &["--version"])? {
        return Ok(false);
    }
    let version = program::output(Command::new("node").arg("--version"))?;
    Ok(node_version(&version).is_some_and(|version| version >= OLDEST_NODE))
}

/// Reads `v20.11.1`.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_names_all_that_is_missing_and_how_to_get_it() {
        let [qemu, go, _, node] = &REQUIREMENTS;
        let text = explained(&[qemu, go, node], true);
        for requirement in [qemu, go, node] {
            assert!(text.contains(requirement.what), "{text}");
        }
        let install =
            "`--install-system` installs qemu-system-arm golang-go golang-golang-x-mod-dev";
        assert!(text.contains(install), "{text}");
        assert!(text.contains("by hand: https://nodejs.org"), "{text}");
    }

    #[test]
    fn without_apt_get_the_names_of_other_systems_are_given() {
        let [qemu, ..] = &REQUIREMENTS;
        let text = explained(&[qemu], false);
        assert!(text.contains("Debian qemu-system-arm, Fedora"), "{text}");
        assert!(!text.contains("--install-system"), "{text}");
    }

    #[test]
    fn what_only_a_hand_can_install_is_not_promised() {
        let [.., node] = &REQUIREMENTS;
        let text = explained(&[node], true);
        assert!(!text.contains("--install-system"), "{text}");
    }

    #[test]
    fn versions_of_node_compare_as_numbers() {
        assert!(node_version("v20.11.1\n") >= Some(OLDEST_NODE));
        assert!(node_version("v9.20.0") < Some(OLDEST_NODE));
        assert_eq!(node_version("20"), None);
    }
}
