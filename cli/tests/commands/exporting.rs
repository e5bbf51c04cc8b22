//! `export`, and `verify` of what it wrote.

use std::fs::{self, File};
use std::path::Path;

use fieldledger_ledger::EventColumns;
use futures::executor::block_on;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::json;

use crate::site::{Site, problem_indices, problem_texts};

/// Exports the log to a file of this name.
fn export(site: &Site, name: &str, more: &[&str]) -> std::path::PathBuf {
    let file = site.file(name);
    let mut arguments = vec!["export", "--output", file.to_str().unwrap()];
    arguments.extend(more);
    let (code, exported) = site.json(&arguments);
    assert_eq!(code, 0, "{exported}");
    file
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write(file: &Path, lines: &[String]) {
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

#[test]
fn an_exported_log_is_what_was_signed() {
    let site = Site::with(2_500);
    site.ledger
        .erase(1_200, "a visitor asked", "the data officer")
        .unwrap();
    let file = export(&site, "log.jsonl", &[]);
    let (code, report) = site.verify(&file);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["what"], "export");
    assert_eq!(report["entries"], 2_501);
    assert_eq!(report["without_envelope"], 1);
    let root = report["root_hash"].as_str().unwrap();
    assert_eq!(root, site.ledger.checkpoint().root_hash);

    let another = Site::with(1);
    let (code, report) = another.verify(&file);
    assert_eq!(code, 1, "{report}");
}

#[test]
fn every_way_to_tamper_with_an_export_is_found_where_it_is() {
    let site = Site::with(40);
    let honest = lines(&export(&site, "log.jsonl", &[]));
    let file = site.file("tampered.jsonl");
    // Line 0 is the header, entry n is on line n + 1, the checkpoint is the last line.
    let tampered = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = honest.clone();
        change(&mut lines);
        assert_ne!(lines, honest);
        write(&file, &lines);
        let (code, report) = site.verify(&file);
        assert_eq!(code, 1, "{report}");
        report
    };
    let edited = tampered(&|lines| lines[8] = lines[8].replace("event 7", "event 8"));
    assert_eq!(problem_indices(&edited), [Some(7)]);
    assert!(
        problem_texts(&edited).contains("envelope was changed"),
        "{edited}"
    );

    let dropped = tampered(&|lines| drop(lines.remove(8)));
    assert_eq!(problem_indices(&dropped)[0], Some(7));

    let doubled = tampered(&|lines| lines.insert(8, lines[7].clone()));
    assert_eq!(problem_indices(&doubled)[0], Some(7));

    let swapped = tampered(&|lines| lines.swap(8, 9));
    assert_eq!(problem_indices(&swapped)[0], Some(7));

    let renumbered = tampered(&|lines| lines[8] = lines[8].replace("\"index\":7", "\"index\":9"));
    assert_eq!(problem_indices(&renumbered), [Some(7)]);

    let swapped_payloads = tampered(&|lines| {
        let envelope = |line: &str| line.split_once("\"envelope\":").unwrap().1.to_owned();
        let (seventh, eighth) = (envelope(&lines[8]), envelope(&lines[9]));
        lines[8] = lines[8].replace(&seventh, &eighth);
        lines[9] = lines[9].replace(&eighth, &seventh);
    });
    assert_eq!(problem_indices(&swapped_payloads), [Some(7), Some(8)]);

    let leaf = tampered(&|lines| {
        let leaf = |line: &str| line.split('"').nth(5).unwrap().to_owned();
        let (seventh, eighth) = (leaf(&lines[8]), leaf(&lines[9]));
        lines[8] = lines[8].replace(&seventh, &eighth);
    });
    assert_eq!(problem_indices(&leaf)[0], Some(7));

    let removed = tampered(&|lines| {
        let (start, _) = lines[8].split_once("\"envelope\":").unwrap();
        lines[8] = format!("{start}\"envelope\":null}}");
    });
    assert_eq!(problem_indices(&removed), [Some(7)]);
    assert!(
        problem_texts(&removed).contains("no entry of the log says"),
        "{removed}"
    );

    let garbage = tampered(&|lines| lines[8] = "{\"nothing\":1}".to_owned());
    assert!(problem_texts(&garbage).contains("line 9"), "{garbage}");

    let renamed = tampered(&|lines| {
        let origin = site.ledger.checkpoint().origin;
        lines[0] = lines[0].replace(&origin, "another/log");
    });
    assert!(problem_texts(&renamed).contains("another/log"), "{renamed}");

    let unsigned = tampered(&|lines| drop(lines.pop()));
    assert!(
        problem_texts(&unsigned).contains("does not end with a checkpoint"),
        "{unsigned}"
    );

    let shortened = tampered(&|lines| drop(lines.drain(31..41)));
    assert!(
        problem_texts(&shortened).contains("there are 30 entries, but 40 were signed"),
        "{shortened}"
    );

    let resized = tampered(&|lines| lines[41] = lines[41].replacen("\\n40\\n", "\\n39\\n", 1));
    assert!(problem_texts(&resized).contains("signature"), "{resized}");

    let unfinished = honest.join("\n");
    fs::write(&file, &unfinished[..unfinished.len() - 20]).unwrap();
    let (code, report) = site.verify(&file);
    assert_eq!(code, 1);
    assert!(problem_texts(&report).contains("cut off"), "{report}");
}

#[test]
fn an_old_checkpoint_does_not_hide_newer_entries() {
    let site = Site::with(10);
    let old = lines(&export(&site, "old.jsonl", &[]));
    site.append(10, 15);
    let mut new = lines(&export(&site, "new.jsonl", &[]));
    *new.last_mut().unwrap() = old.last().unwrap().clone();
    let file = site.file("replayed.jsonl");
    write(&file, &new);
    let (code, report) = site.verify(&file);
    assert_eq!(code, 1);
    assert!(
        problem_texts(&report).contains("there are 15 entries, but 10 were signed"),
        "{report}"
    );
}

#[test]
fn an_export_goes_on_where_it_was_interrupted() {
    let site = Site::with(1_700);
    for format in ["jsonl", "csv"] {
        let whole = export(&site, &format!("whole.{format}"), &["--format", format]);
        let whole = fs::read(whole).unwrap();
        let file = site.file(&format!("cut.{format}"));
        // At line ends, within lines, within quoted fields.
        for at in [600, 5_000, 5_001, 5_002, whole.len() / 2, whole.len() - 2] {
            fs::write(&file, &whole[..at]).unwrap();
            let arguments = [
                "export",
                "--resume",
                "--format",
                format,
                "-o",
                file.to_str().unwrap(),
            ];
            let run = site.run(&arguments);
            assert_eq!(run.code, 0, "{format}, {at}: {run:?}");
            assert!(fs::read(&file).unwrap() == whole, "{format}, {at}");
        }
    }
    // What is new is added, and the file is still one that can be checked.
    let file = site.file("cut.jsonl");
    site.append(1_700, 1_900);
    for _ in 0..2 {
        let run = site.run(&["export", "--resume", "-o", file.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{run:?}");
        let (code, report) = site.verify(&file);
        assert_eq!((code, &report["entries"]), (0, &json!(1_900)), "{report}");
    }
    let exists = site.run(&["export", "-o", file.to_str().unwrap()]);
    assert_eq!(exists.code, 2);
    assert!(exists.stderr.contains("--resume"), "{exists:?}");
    let another = Site::with(2_000);
    let mixed = another.run(&[
        "export",
        "--resume",
        "--from",
        "3",
        "-o",
        file.to_str().unwrap(),
    ]);
    assert_eq!(mixed.code, 2, "{mixed:?}");
}

#[test]
fn a_selection_is_proved_entry_by_entry() {
    let site = Site::with(2_300);
    site.index();
    let by_query = export(&site, "valves.jsonl", &["action:VALVE"]);
    let by_index = export(&site, "range.jsonl", &["--from", "100", "--to", "1400"]);
    let all_time = export(
        &site,
        "time.jsonl",
        &["--start", "1d", "--where", "action=VALVE"],
    );
    assert_eq!(lines(&by_query).len(), lines(&all_time).len());
    for (file, entries, first) in [(&by_query, 230, 3), (&by_index, 1_300, 100)] {
        let (code, report) = site.verify(file);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["what"], "selection");
        assert_eq!(
            (&report["entries"], &report["first"]),
            (&json!(entries), &json!(first))
        );
    }
    let honest = lines(&by_query);
    let file = site.file("tampered.jsonl");
    for (from, to) in [
        ("event 3,", "event 4,"),
        ("\"index\":3,", "\"index\":4,"),
        ("=\",\"", "=\",\"A"),
    ] {
        let mut changed = honest.clone();
        changed[2] = changed[2].replacen(from, to, 1);
        assert_ne!(changed, honest, "{from}");
        write(&file, &changed);
        let (code, report) = site.verify(&file);
        assert_eq!(code, 1, "{from}: {report}");
    }
    let mut unsigned = honest.clone();
    unsigned.remove(1);
    write(&file, &unsigned);
    assert_eq!(site.verify(&file).0, 1);
}

#[test]
fn more_entries_than_one_search_holds_are_found() {
    let site = Site::with(10_600);
    site.index();
    let file = export(&site, "pumps.csv", &["--format", "csv", "SUCCESS"]);
    let mut reader = csv::Reader::from_path(file).unwrap();
    let indices = reader
        .records()
        .map(|record| record.unwrap()[0].parse().unwrap());
    let indices: Vec<u64> = indices.collect();
    let all: Vec<u64> = (0..10_600).collect();
    assert!(indices == all);
}

#[test]
fn csv_is_as_rfc_4180_has_it() {
    let site = Site::with(3);
    let plain = export(&site, "plain.csv", &["--format", "csv"]);
    let text = fs::read_to_string(&plain).unwrap();
    assert!(text.starts_with("index,received_at,action,"), "{text}");
    assert!(
        text.contains("\"event 1, \"\"quoted\"\"\r\nand = on, ü\""),
        "{text}"
    );
    let record = |path: &Path| {
        csv::Reader::from_path(path)
            .unwrap()
            .records()
            .nth(1)
            .unwrap()
            .unwrap()
    };
    assert_eq!(&record(&plain)[3], "=HYPERLINK(\"x\")");
    let values = ["-3.5", "-3.5 bar", "@x"].map(|value| EventColumns {
        message: vec!["Kühler".to_owned()],
        new: vec![value.to_owned()],
        ..EventColumns::default()
    });
    for event in values {
        block_on(site.ledger.append(event)).unwrap();
    }
    let safe = export(&site, "safe.csv", &["--format", "csv", "--spreadsheet"]);
    assert!(
        fs::read(&safe)
            .unwrap()
            .starts_with("\u{feff}index,".as_bytes())
    );
    let new: Vec<String> = csv::Reader::from_path(&safe)
        .unwrap()
        .records()
        .skip(3)
        .map(|record| record.unwrap()[9].to_owned())
        .collect();
    assert_eq!(new, ["-3.5", "'-3.5 bar", "'@x"]);
    assert_eq!(&record(&safe)[3], "'=HYPERLINK(\"x\")");
    assert_eq!(&record(&safe)[7], "event 1, \"quoted\"\r\nand = on, ü");

    let printed = site.run(&["export", "--format", "csv", "--to", "3", "--output", "-"]);
    assert_eq!(printed.stdout, text);
}

#[test]
fn parquet_holds_the_same_rows() {
    let site = Site::with(1_234);
    site.ledger
        .erase(7, "a visitor asked", "the data officer")
        .unwrap();
    let file = export(&site, "log.parquet", &["--format", "parquet"]);
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 1_235);
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.get_long(0).unwrap(), i64::try_from(index).unwrap());
        assert!(row.get_timestamp_micros(1).unwrap() > 1_700_000_000_000_000);
    }
    assert_eq!(rows[1].get_string(3).unwrap(), "=HYPERLINK(\"x\")");
    assert_eq!(
        rows[1].get_string(7).unwrap(),
        "event 1, \"quoted\"\r\nand = on, ü"
    );
    assert_eq!(rows[7].get_string(14).unwrap(), "erased");
    assert!(rows[7].get_string(7).is_err());
    assert_eq!(rows[1_234].get_string(15).unwrap(), "ledger/erasure");
    assert_eq!(rows[1_234].get_long(16).unwrap(), 7);
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let site = Site::with(1);
    for arguments in [
        &["--format", "parquet", "-o", "-"][..],
        &["--format", "parquet", "--resume", "-o", "x"],
        &["--resume", "-o", "-"],
        &["--spreadsheet", "-o", "-"],
        &["--where", "nonsense", "-o", "-"],
        &["--where", "colour=red", "-o", "-"],
        &["--start", "yesterday-ish", "-o", "-"],
        &["--from", "99", "-o", "-"],
        &["-o", "/nowhere/at/all"],
    ] {
        let run = site.run(&[&["export"], arguments].concat());
        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
    }
    assert_eq!(site.run(&["export"]).code, 2);
}
