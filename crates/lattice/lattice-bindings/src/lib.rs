//! Makes the bindings of a component's world with every imported call fallible, for its `build.rs`.
//!
//! wasmCloud ends a component whose call over the lattice fails: its caller sees a broken call, a
//! browser a closed connection. Only where a function returns `result<T, rpc-error>` a failure
//! becomes the error, and `T` alone is what travels. So the contracts in `wit/` stay as they are for
//! everyone, and this crate wraps each result on the way from there to Rust.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};
use wit_bindgen_core::wit_parser::{
    Handle, InterfaceId, Resolve, Result_, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, WorldId,
    WorldItem,
};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::WithOption;

/// From the folder of the component whose build script asks.
const WIT: &str = "../../wit";

/// Writes the bindings of a world of `wit/worlds.wit` to `bindings.rs` in `OUT_DIR`.
///
/// They are what `wit_bindgen::generate!` makes, `export!` macro included, but for the functions
/// that the world imports from packages of the namespace `fieldledger`: each returns
/// `Result<what the contract says, wrpc::rpc::error::Error>`. Other imports, such as the host's own
/// secrets, do not travel over the lattice and stay as they are, and so do exports. The types of
/// interfaces with the name `types` are those of `fieldledger-contract`, on which the component
/// depends.
///
/// # Errors
/// Where there is no such world, it does not import `wrpc:rpc/error`, a contract cannot be read, or
/// the file not be written.
pub fn generate(world: &str) -> Result<()> {
    println!("cargo::rerun-if-changed={WIT}");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let path = out_dir.join("bindings.rs");
    fs::write(&path, bindings(Path::new(WIT), world)?)
        .with_context(|| format!("writing {}", path.display()))
}

fn bindings(wit: &Path, world_name: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("reading the contracts in {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(world_name))?;

    let imports = imported_interfaces(&resolve, world);
    let rpc_error = rpc_error_type(&resolve, &imports)
        .with_context(|| format!("world {world_name} must import wrpc:rpc/error@0.1.0"))?;
    for interface in imports {
        if is_ours(&resolve, interface) && !resolve.interfaces[interface].functions.is_empty() {
            make_fallible(&mut resolve, interface, rpc_error);
        }
    }

    let options = wit_bindgen_rust::Opts {
        generate_all: true,
        with: contract_types(&resolve, world),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&resolve, world, &mut files)?;
    let (_, text) = files.iter().next().context("no bindings were generated")?;
    Ok(text.to_owned())
}

fn imported_interfaces(resolve: &Resolve, world: WorldId) -> Vec<InterfaceId> {
    let imports = resolve.worlds[world].imports.values();
    imports
        .filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        })
        .collect()
}

fn rpc_error_type(resolve: &Resolve, imports: &[InterfaceId]) -> Option<TypeId> {
    let interface = imports.iter().find(|id| {
        namespace(resolve, **id) == Some("wrpc")
            && resolve.interfaces[**id].name.as_deref() == Some("error")
    })?;
    resolve.interfaces[*interface].types.get("error").copied()
}

fn is_ours(resolve: &Resolve, interface: InterfaceId) -> bool {
    namespace(resolve, interface) == Some("fieldledger")
}

fn namespace(resolve: &Resolve, interface: InterfaceId) -> Option<&str> {
    let package = resolve.interfaces[interface].package?;
    Some(&resolve.packages[package].name.namespace)
}

/// The interfaces of types that the world uses, each with the module of `fieldledger-contract` that
/// has these types: the bindings use them in place of their own.
fn contract_types(resolve: &Resolve, world: WorldId) -> Vec<(String, WithOption)> {
    let imports = resolve.worlds[world].imports.iter();
    imports
        .filter_map(|(key, item)| match item {
            WorldItem::Interface { id, .. } if is_of_types(resolve, *id) => {
                let package = resolve.interfaces[*id].package?;
                let module = resolve.packages[package].name.name.replace('-', "_");
                let path = format!("::fieldledger_contract::{module}");
                Some((resolve.name_world_key(key), WithOption::Path(path)))
            }
            _ => None,
        })
        .collect()
}

fn is_of_types(resolve: &Resolve, interface: InterfaceId) -> bool {
    is_ours(resolve, interface) && resolve.interfaces[interface].name.as_deref() == Some("types")
}

/// Lets each function of the interface return `result<what it returned, own<rpc-error>>`.
fn make_fallible(resolve: &mut Resolve, interface: InterfaceId, rpc_error: TypeId) {
    // What `use wrpc:rpc/error.{error as rpc-error}` in the interface would have declared.
    let alias = resolve.types.alloc(TypeDef {
        name: Some("rpc-error".to_owned()),
        owner: TypeOwner::Interface(interface),
        ..anonymous(TypeDefKind::Type(Type::Id(rpc_error)))
    });
    let declared = &mut resolve.interfaces[interface].types;
    declared.insert("rpc-error".to_owned(), alias);

    let own = resolve
        .types
        .alloc(anonymous(TypeDefKind::Handle(Handle::Own(alias))));
    let types = &mut resolve.types;
    for function in resolve.interfaces[interface].functions.values_mut() {
        let fallible = types.alloc(anonymous(TypeDefKind::Result(Result_ {
            ok: function.result,
            err: Some(Type::Id(own)),
        })));
        function.result = Some(Type::Id(fallible));
    }
}

fn anonymous(kind: TypeDefKind) -> TypeDef {
    TypeDef {
        name: None,
        kind,
        owner: TypeOwner::None,
        docs: Default::default(),
        stability: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The bindings of a world. Tests run in this crate's folder, not in a component's.
    fn of_world(name: &str) -> Result<Vec<u8>> {
        bindings(Path::new("../../../wit"), name)
    }

    /// What the bindings say that a function returns, without spaces.
    fn returned(bindings: &str, function: &str) -> String {
        let (_, rest) = bindings.split_once(&format!("fn {function}(")).unwrap();
        let (signature, _) = rest.split_once(['{', ';']).unwrap();
        let (_, returned) = signature.split_once("->").unwrap();
        returned.split_whitespace().collect()
    }

    #[test]
    fn calls_over_the_lattice_are_fallible_and_nothing_else_is() {
        let bindings = String::from_utf8(of_world("audit-api").unwrap()).unwrap();
        for imported in ["append", "inclusion"] {
            let result = returned(&bindings, imported);
            assert!(result.starts_with("Result<Result<"), "{imported}: {result}");
            assert!(result.ends_with("RpcError>"), "{imported}: {result}");
        }
        // `get` is the host's secrets, `write` and `proof` are exports.
        for other in ["get", "write", "proof"] {
            let result = returned(&bindings, other);
            assert!(result.starts_with("Result<"), "{other}: {result}");
            assert!(!result.contains("RpcError"), "{other}: {result}");
        }
    }

    #[test]
    fn a_world_that_cannot_be_wrapped_is_named() {
        let without_the_error = of_world("ui").unwrap_err().to_string();
        assert_eq!(
            without_the_error,
            "world ui must import wrpc:rpc/error@0.1.0"
        );
        let unknown = format!("{:#}", of_world("no-such-world").unwrap_err());
        assert!(unknown.contains("no-such-world"), "{unknown}");
    }
}
