//! `#[derive(Wire)]`: what the binding generators would have made for a type of `wit/`, and
//! `#[derive(Packed)]`: the type as one text.
//!
//! Both generators accept types from elsewhere in place of those they would generate, if these have
//! what the generated code relies on. `wit-bindgen` takes records and variants apart by name and
//! needs nothing more but, for an enum, the function `_lift`. `wit-bindgen-wrpc` needs a codec.
//!
//! The derived code refers to `crate::wire` and `crate::packed`, so it works in `fieldledger-contract` only.
#![forbid(unsafe_code)]

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DataEnum, DataStruct, DeriveInput, Error, Fields, Ident, Type};

/// Derives the codec of wRPC (with the feature `wrpc`), and for an enum `_lift`.
///
/// Records, variants with at most one payload per case, and enums can be derived. The order of
/// members and cases must be that of `wit/`.
#[proc_macro_derive(Wire)]
pub fn derive_wire(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    let wire = match &input.data {
        Data::Struct(data) => record(&input, data),
        Data::Enum(data) if data.variants.iter().all(|case| case.fields.is_empty()) => {
            Ok(enumeration(&input.ident, data))
        }
        Data::Enum(data) => variant(&input.ident, data),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "WIT has no unions")),
    };
    let shape = shape(&input);
    let wire = wire.unwrap_or_else(Error::into_compile_error);
    quote! { #shape #wire }.into()
}

/// Derives `crate::packed::Packed` for a record, or for an enum that derives `Wire`.
#[proc_macro_derive(Packed)]
pub fn derive_packed(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    let name = &input.ident;
    let (pack, unpack) = match &input.data {
        Data::Struct(data) => {
            let members: Vec<&Ident> = data
                .fields
                .iter()
                .filter_map(|field| field.ident.as_ref())
                .collect();
            (
                quote! {
                    let Self { #(#members),* } = self;
                    #(crate::packed::Packed::pack(#members, packed);)*
                },
                quote! {
                    Ok(Self { #(#members: crate::packed::Packed::unpack(packed)?),* })
                },
            )
        }
        Data::Enum(_) => (
            quote! { packed.number(*self as u64); },
            quote! { Ok(Self::CASES[packed.case(Self::CASES.len())?]) },
        ),
        Data::Union(_) => {
            let error = Error::new_spanned(name, "WIT has no unions");
            return error.into_compile_error().into();
        }
    };
    quote! {
        impl<'packed> crate::packed::Packed<'packed> for #name {
            fn pack(&self, packed: &mut crate::packed::Packing) {
                #pack
            }

            fn unpack(
                packed: &mut crate::packed::Unpacking<'packed>,
            ) -> Result<Self, crate::packed::PackedError> {
                #unpack
            }
        }
    }
    .into()
}

/// Derives nothing but the names of the type's parts, for the test that holds them against `wit/`: for
/// what travels packed.
#[proc_macro_derive(Shape)]
pub fn derive_shape(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    shape(&syn::parse_macro_input!(input as DeriveInput)).into()
}

/// The names of the type's parts, for the test that holds them against `wit/`.
fn shape(input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    let parts: Vec<String> = match &input.data {
        Data::Struct(data) => {
            let members = data.fields.iter().filter_map(|field| field.ident.as_ref());
            members.map(ToString::to_string).collect()
        }
        Data::Enum(data) => {
            let cases = data.variants.iter();
            cases.map(|case| case.ident.to_string()).collect()
        }
        Data::Union(_) => Vec::new(),
    };
    quote! {
        #[cfg(test)]
        impl crate::agreement::Shape for #name {
            const NAME: &'static str = stringify!(#name);
            const PARTS: &'static [&'static str] = &[#(#parts),*];
        }
    }
}

/// A record travels as its members do, one after the other.
fn record(input: &DeriveInput, data: &DataStruct) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(name, "a record has named members"));
    };
    let types: Vec<&Type> = fields.named.iter().map(|field| &field.ty).collect();
    if types.iter().all(|ty| is_plain(ty)) && !is_repr_c(input) {
        let reason = "a record that may hold numbers alone needs #[repr(C)]: a list of such is copied as it lies in memory";
        return Err(Error::new_spanned(name, reason));
    }
    let members: Vec<&Ident> = fields
        .named
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .collect();
    Ok(codec(
        name,
        &quote! {
            #[derive(Default)]
            pub struct State {
                #(#members: crate::wire::Member<#types>,)*
            }
        },
        &quote! {
            #(if !state.#members.fill(src)? {
                return Ok(None);
            })*
            Ok(Some(Self {
                #(#members: state.#members.take(),)*
            }))
        },
        &quote! {
            #(crate::wire::encode_member(&self.#members, dst)?;)*
            Ok(())
        },
    ))
}

/// An enum travels as the number of its case.
fn enumeration(name: &Ident, data: &DataEnum) -> TokenStream {
    let cases: Vec<&Ident> = data.variants.iter().map(|case| &case.ident).collect();
    let codec = codec(
        name,
        &quote! {
            #[derive(Default)]
            pub struct State;
        },
        &quote! {
            let _: &mut State = state;
            let Some(number) = crate::wire::case_number(src)? else {
                return Ok(None);
            };
            let case = Self::CASES.get(number as usize).copied();
            case.map(Some).ok_or_else(|| crate::wire::unknown_case(number))
        },
        &quote! { crate::wire::encode_case(*self as u32, dst) },
    );
    quote! {
        impl #name {
            const CASES: &'static [Self] = &[#(Self::#cases),*];

            /// The case of this number, for the code that `wit-bindgen` generates.
            #[doc(hidden)]
            #[must_use]
            pub fn _lift(number: u8) -> Self {
                // The host has checked it.
                Self::CASES[usize::from(number)]
            }
        }

        #codec
    }
}

/// A variant travels as the number of its case and the payload.
fn variant(name: &Ident, data: &DataEnum) -> syn::Result<TokenStream> {
    let mut states = Vec::new();
    let mut starts = Vec::new();
    let mut decoders = Vec::new();
    let mut encoders = Vec::new();
    for (number, case) in data.variants.iter().enumerate() {
        let ident = &case.ident;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        match &case.fields {
            Fields::Unit => {
                starts.push(quote! { #number => return Ok(Some(Self::#ident)), });
                encoders.push(quote! { Self::#ident => crate::wire::encode_case(#number, dst), });
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let ty = &fields.unnamed[0].ty;
                states.push(quote! { #ident(crate::wire::Member<#ty>), });
                starts.push(quote! { #number => State::#ident(Default::default()), });
                decoders.push(quote! {
                    State::#ident(member) => {
                        if !member.fill(src)? {
                            return Ok(None);
                        }
                        Self::#ident(member.take())
                    }
                });
                encoders.push(quote! {
                    Self::#ident(payload) => {
                        crate::wire::encode_case(#number, dst)?;
                        crate::wire::encode_member(payload, dst)
                    }
                });
            }
            _ => {
                let reason = "a case of a variant has one payload without a name, or none";
                return Err(Error::new_spanned(case, reason));
            }
        }
    }
    Ok(codec(
        name,
        &quote! {
            #[derive(Default)]
            pub enum State {
                #[default]
                Start,
                #(#states)*
            }
        },
        &quote! {
            if matches!(state, State::Start) {
                let Some(number) = crate::wire::case_number(src)? else {
                    return Ok(None);
                };
                *state = match number {
                    #(#starts)*
                    _ => return Err(crate::wire::unknown_case(number)),
                };
            }
            let value = match state {
                // A case without a payload has been returned.
                State::Start => return Ok(None),
                #(#decoders)*
            };
            *state = State::Start;
            Ok(Some(value))
        },
        &quote! { match self { #(#encoders)* } },
    ))
}

/// `crate::wire::Value` from its parts, and the traits of wRPC by it.
fn codec(
    name: &Ident,
    state: &TokenStream,
    decode: &TokenStream,
    encode: &TokenStream,
) -> TokenStream {
    let module = format_ident!("wire_of_{}", name.to_string().to_lowercase());
    quote! {
        #[cfg(feature = "wrpc")]
        #[allow(missing_docs, unreachable_pub)]
        mod #module {
            use super::*;

            #state

            impl crate::wire::Value for #name {
                type State = State;

                fn decode(
                    state: &mut State,
                    src: &mut crate::wire::BytesMut,
                ) -> std::io::Result<Option<Self>> {
                    #decode
                }

                fn encode(&self, dst: &mut crate::wire::BytesMut) -> std::io::Result<()> {
                    #encode
                }
            }

            crate::wire::travels!(#name);
        }
    }
}

/// Whether each pattern of bits is a value of this type, as far as its name tells.
fn is_plain(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    !["String", "Vec", "Option", "bool"]
        .iter()
        .any(|other| last.ident == other)
}

fn is_repr_c(input: &DeriveInput) -> bool {
    input.attrs.iter().any(|attribute| {
        let mut is_c = false;
        if attribute.path().is_ident("repr") {
            // What else is wrong with it the compiler says.
            let _ = attribute.parse_nested_meta(|meta| {
                is_c |= meta.path.is_ident("C");
                Ok(())
            });
        }
        is_c
    })
}
