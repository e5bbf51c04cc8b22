//! Holds every type against its namesake in `wit/`: members and cases, and their order, which is what
//! travels. Whether a member has the right type the compiler checks where the bindings are generated.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use wit_bindgen_core::wit_parser::{Resolve, TypeDefKind};

use crate::{audit, base, field, ledger, ui};

/// What a type consists of, from `#[derive(Wire)]`.
pub(crate) trait Shape {
    const NAME: &'static str;
    const PARTS: &'static [&'static str];
}

type Shapes = BTreeMap<(String, String), Vec<String>>;

fn of<T: Shape>(package: &str) -> ((String, String), Vec<String>) {
    let parts = T::PARTS.iter().map(|part| (*part).to_owned()).collect();
    ((package.to_owned(), T::NAME.to_owned()), parts)
}

macro_rules! shapes {
    ($($package:ident { $($type:ident)* })*) => {
        Shapes::from([$($(of::<$package::$type>(stringify!($package))),*),*])
    };
}

fn in_rust() -> Shapes {
    shapes! {
        base { WallTime InvalidField Error }
        audit {
            EventColumns Written Order SearchQuery Checkpoint RemovalKind Removal Entry SearchPage
            InclusionProof EntryRange
        }
        field {
            Range Calibration SensorProfile Outcome Attestation PollBatch Ingested IngestError
            DeadLetter Liveness Standing SensorState RefusalKind Refusal PollingStatus
        }
        ledger {
            ArchiveStatus LedgerStatus ClockProblem Erasure KeyChange Successor Freeze RetentionScope Retained
            Retention Reading Bucket Series GapKind GapState MissingRange Gap GapQuery GapTotals
            GapPage PangeaRoot PangeaEvent PangeaPage PangeaLogged WitnessReply WitnessState
            OwnWitnesses WatchedLog AsWitness Witnessing
        }
        ui { Asset }
    }
}

fn in_wit() -> Shapes {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit");
    resolve.push_dir(&folder).unwrap();
    let mut shapes = Shapes::new();
    for (_, package) in &resolve.packages {
        if package.name.namespace != "fieldledger" {
            continue;
        }
        for (name, interface) in &package.interfaces {
            for (type_name, id) in &resolve.interfaces[*interface].types {
                let parts: Vec<String> = match &resolve.types[*id].kind {
                    TypeDefKind::Record(record) => {
                        let members = record.fields.iter();
                        members
                            .map(|member| member.name.replace('-', "_"))
                            .collect()
                    }
                    TypeDefKind::Enum(cases) => {
                        cases.cases.iter().map(|case| camel(&case.name)).collect()
                    }
                    TypeDefKind::Variant(cases) => {
                        cases.cases.iter().map(|case| camel(&case.name)).collect()
                    }
                    // Used from another interface.
                    TypeDefKind::Type(_) => continue,
                    other => panic!("{type_name} is a {}", other.as_str()),
                };
                assert_eq!(name, "types", "{type_name} belongs to the interface types");
                let key = (package.name.name.clone(), camel(type_name));
                shapes.insert(key, parts);
            }
        }
    }
    shapes
}

fn camel(kebab: &str) -> String {
    let words = kebab.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect()
}

#[test]
fn every_type_of_wit_is_here_with_its_parts_in_order() {
    let (in_rust, in_wit) = (in_rust(), in_wit());
    assert!(!in_wit.is_empty());
    for (name, parts) in &in_wit {
        assert_eq!(in_rust.get(name), Some(parts), "{name:?}");
    }
    assert_eq!(in_rust.len(), in_wit.len());
}
