//! Derives and attributes that the other crates share: `Wire` for the public JSON types and `proves` for tests.
//!
//! `Wire` exists because the API's JSON rules are not serde's: keys match in any case, the last duplicate wins, an
//! unknown key is ignored, `null` means the field's zero value, and whole types leave out empty fields. It implements
//! serde's `Serialize` and `Deserialize` with these rules, so that any serde format can carry the types.

mod change;
mod proves;
mod wire;

use proc_macro::TokenStream;

/// Implements the JSON contract for a struct with named fields.
///
/// A field's JSON name is its Rust name in PascalCase unless `#[wire("Name")]` gives it. `#[wire(omit_empty)]` on the
/// struct leaves out empty fields when encoding (on a field: that field only).
///
/// What a plan makes of a field follows from its type (`drover_api::told`); what does not stands in `#[plan(…)]`. On a struct:
/// `with_empty`, `lists`, `known_by = "Field"`. On a field: `untold`, `flat`, `unchanged`, `alone`, `label = "Name"`,
/// `default = "text"`, `position = 1`, `without = ["Field"]`.
#[proc_macro_derive(Wire, attributes(wire, plan))]
pub fn derive_wire(input: TokenStream) -> TokenStream {
    wire::derive(syn::parse_macro_input!(input)).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Says of every field what another value means for an allocation that runs: `#[change(ignore)]`, `#[change(in_place)]`,
/// `#[change(replace)]`, `#[change(inside)]` for what its own fields say, `#[change(by = function)]` for what a function of both
/// values says. A plan tells it as a field unless `untold` or `object = POSITION` is added, under its name in the API unless
/// `name = "…"` is, and announces the effect unless `announced = EFFECT` is.
#[proc_macro_derive(Change, attributes(change))]
pub fn derive_change(input: TokenStream) -> TokenStream {
    change::derive(syn::parse_macro_input!(input)).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Names the ledger ids that a test proves: `#[proves("CLI-012", "CLI-013")]`, placed above `#[test]`.
///
/// A line `proves CLI-012 by path::of::test` is printed when the test has passed; `cargo xtask parity` reads it.
#[proc_macro_attribute]
pub fn proves(arguments: TokenStream, item: TokenStream) -> TokenStream {
    proves::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
