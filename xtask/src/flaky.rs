//! Tests that needed another try: nextest reports them among hundreds that did not, this at the end.
//!
//! Only tests of real servers have another try; `.config/nextest.toml` names them. One that needed
//! it is a fault to be mended, so its seed and what it printed are kept.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::program;

/// Where nextest reports, from the root of the sources, wherever cargo builds.
const REPORT: &str = "../target/nextest/default/junit.xml";

/// How a test prints the seed of what it draws: see the crate `fieldledger-chance`.
const SEED: &str = "FIELDLEDGER_SEED=";

/// A test that failed, and then passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FlakyTest {
    /// As nextest names its program: the package, and the file in `tests/`.
    program: String,
    name: String,
    /// Of the last try that failed; none of a test that draws nothing.
    seed: Option<String>,
    /// What it printed, each try that failed.
    log: PathBuf,
}

impl fmt::Display for FlakyTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            name,
            seed,
            log,
        } = self;
        let seed = match seed {
            Some(seed) => format!("{SEED}{seed}"),
            None => "no seed: it had drawn nothing".to_owned(),
        };
        write!(
            formatter,
            "{program} {name}\n    {seed}\n    {}",
            log.display()
        )
    }
}

/// Removes the report of an earlier run, which would be taken for that of one which came to none.
pub(crate) fn forget() -> anyhow::Result<()> {
    let report = report();
    match fs::remove_file(&report) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", report.display()))
        }
        _gone => Ok(()),
    }
}

/// Reads the report of the run that has ended, if it came to one, and writes the log of each test
/// that needed another try.
pub(crate) fn collect() -> anyhow::Result<Vec<FlakyTest>> {
    let report = report();
    match fs::read_to_string(&report) {
        Ok(text) => parse(&text, &program::target_folder().join("flaky"))
            .with_context(|| format!("cannot read the flaky tests in {}", report.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", report.display())),
    }
}

fn report() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(REPORT)
}

/// From nextest's report in the format of JUnit; what they printed goes into this folder.
fn parse(report: &str, logs: &Path) -> anyhow::Result<Vec<FlakyTest>> {
    let Report { programs } = quick_xml::de::from_str(report)?;
    let mut flaky = Vec::new();
    for Program {
        name: program,
        tests,
    } in programs
    {
        for Test { name, failures } in tests {
            if failures.is_empty() {
                continue;
            }
            let mut text = String::new();
            for Failure {
                message,
                stdout,
                stderr,
            } in &failures
            {
                writeln!(text, "=== {message}\n{stdout}{stderr}")?;
            }
            let file = format!("{program}-{name}.log").replace("::", "-");
            let log = logs.join(file);
            fs::create_dir_all(logs)
                .with_context(|| format!("cannot create {}", logs.display()))?;
            fs::write(&log, &text).with_context(|| format!("cannot write {}", log.display()))?;
            flaky.push(FlakyTest {
                program: program.clone(),
                name,
                seed: last_seed(&text),
                log,
            });
        }
    }
    Ok(flaky)
}

/// The seed that was printed last: a test that goes through several fails with that one.
fn last_seed(log: &str) -> Option<String> {
    let (_, rest) = log.rsplit_once(SEED)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "testsuite", default)]
    programs: Vec<Program>,
}

#[derive(Deserialize)]
struct Program {
    #[serde(rename = "@name")]
    name: String,
    #[serde(rename = "testcase", default)]
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(rename = "@name")]
    name: String,
    /// Before it passed.
    #[serde(rename = "flakyFailure", default)]
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(rename = "system-out", default)]
    stdout: String,
    #[serde(rename = "system-err", default)]
    stderr: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Written by nextest 0.9.143, shortened: one test passed at once, one at its second try, one at its
    /// third, and one never.
    const REPORTED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="4" skipped="0" failures="1" errors="0">
    <testsuite name="scratch" tests="3" skipped="0" errors="0" failures="1">
        <testcase name="tests::passes_at_once" classname="scratch" time="0.006"/>
        <testcase name="tests::passes_at_the_second_try" classname="scratch" time="0.006">
            <flakyFailure time="0.008" message="thread &apos;tests::passes_at_the_second_try&apos; panicked at src/lib.rs:5:9" type="test failure with exit code 101">thread &apos;tests::passes_at_the_second_try&apos; panicked at src/lib.rs:5:9:
assertion `left != right` failed: first try
                <system-out>
running 1 test
</system-out>
                <system-err>
assertion `left != right` failed: first try
</system-err>
            </flakyFailure>
        </testcase>
        <testcase name="tests::never_passes" classname="scratch" time="0.017">
            <failure message="thread &apos;tests::never_passes&apos; panicked at src/lib.rs:8:25" type="test failure with exit code 101">never</failure>
            <rerunFailure time="0.012" message="thread &apos;tests::never_passes&apos; panicked at src/lib.rs:8:25" type="test failure with exit code 101">never
                <system-out>running 1 test</system-out>
                <system-err>FIELDLEDGER_SEED=5 repeats what this test draws</system-err>
            </rerunFailure>
            <system-out>running 1 test</system-out>
            <system-err>FIELDLEDGER_SEED=5 repeats what this test draws</system-err>
        </testcase>
    </testsuite>
    <testsuite name="scratch::server" tests="1" skipped="0" errors="0" failures="0">
        <testcase name="passes_at_the_third_try" classname="scratch::server" time="0.011">
            <flakyFailure time="0.012" message="panicked at tests/server.rs:8:5" type="test failure with exit code 101">panicked at tests/server.rs:8:5
                <system-out>1 &lt; 7
</system-out>
                <system-err>FIELDLEDGER_SEED=7 repeats what this test draws
</system-err>
            </flakyFailure>
            <flakyFailure time="0.011" message="terminated due to timeout" type="test timeout">
                <system-out>1 &lt; 8
</system-out>
                <system-err>FIELDLEDGER_SEED=7 repeats what this test draws
FIELDLEDGER_SEED=8 repeats what this test draws
</system-err>
            </flakyFailure>
        </testcase>
    </testsuite>
</testsuites>
"#;

    #[test]
    fn a_test_that_passed_after_all_is_listed_with_its_seed_and_log() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("flaky");
        let second = FlakyTest {
            program: "scratch".to_owned(),
            name: "tests::passes_at_the_second_try".to_owned(),
            seed: None,
            log: logs.join("scratch-tests-passes_at_the_second_try.log"),
        };
        let third = FlakyTest {
            program: "scratch::server".to_owned(),
            name: "passes_at_the_third_try".to_owned(),
            seed: Some("8".to_owned()),
            log: logs.join("scratch-server-passes_at_the_third_try.log"),
        };
        let listed = format!(
            "scratch::server passes_at_the_third_try\n    FIELDLEDGER_SEED=8\n    {}",
            third.log.display()
        );
        assert_eq!(third.to_string(), listed);
        let printed = "\
=== panicked at tests/server.rs:8:5
1 < 7
FIELDLEDGER_SEED=7 repeats what this test draws

=== terminated due to timeout
1 < 8
FIELDLEDGER_SEED=7 repeats what this test draws
FIELDLEDGER_SEED=8 repeats what this test draws

";
        assert_eq!(parse(REPORTED, &logs).unwrap(), [second, third]);
        let log = logs.join("scratch-server-passes_at_the_third_try.log");
        assert_eq!(fs::read_to_string(log).unwrap(), printed);
    }

    #[test]
    fn a_run_without_tests_has_no_flaky_ones() {
        let report = r#"<testsuites name="nextest-run" tests="0" failures="0" errors="0"/>"#;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(parse(report, folder.path()).unwrap(), []);
    }

    #[test]
    fn nextest_reports_where_it_is_looked_for() {
        let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.config/nextest.toml");
        let settings = fs::read_to_string(settings).unwrap();
        assert!(settings.contains("[profile.default.junit]\npath = \"junit.xml\"\n"));
    }
}
