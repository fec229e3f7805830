//! `#[proves("ID", …)]`: reports the ledger ids of a test once it has run and passed.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Error, ItemFn, LitStr, Result, Token, parse::Parser};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let ids = Punctuated::<LitStr, Token![,]>::parse_terminated.parse2(arguments)?;
    for id in &ids {
        if !well_formed(&id.value()) {
            return Err(Error::new(id.span(), "a ledger id looks like \"CLI-012\""));
        }
    }
    if ids.is_empty() {
        return Err(Error::new(proc_macro2::Span::call_site(), "name at least one ledger id"));
    }
    let mut function: ItemFn = syn::parse2(item)?;
    let name = function.sig.ident.to_string();
    let ids = ids.iter();
    // The guard prints on drop, so that an early `return Ok(())` reports too; a panic or an `Err` does not pass.
    let body = &function.block;
    let returns = &function.sig.output;
    let wrapped = if function.sig.asyncness.is_some() {
        quote! { (async move #body).await }
    } else {
        quote! { (move || #returns #body)() }
    };
    function.block = syn::parse2(quote! {{
        let outcome = #wrapped;
        if ::drover_base::proof::passed(&outcome) {
            #( println!("proves {} by {}::{}", #ids, module_path!(), #name); )*
        }
        outcome
    }})?;
    Ok(quote! { #function })
}

fn well_formed(id: &str) -> bool {
    id.split_once('-').is_some_and(|(area, number)| {
        (2..=4).contains(&area.len())
            && area.bytes().all(|byte| byte.is_ascii_uppercase())
            && (2..=3).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
