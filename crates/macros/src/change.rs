//! The `Change` derive: what another value of each field means for an allocation that runs, and how a plan tells it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitInt, LitStr, Path, Result, Type};

use crate::wire::pascal_case;

/// What a field's change means.
enum Rule {
    /// Always the same.
    Effect(TokenStream),
    /// What its own fields say.
    Inside,
    /// What a function of both values says.
    By(Path),
}

struct Field {
    ident: Ident,
    ty: Type,
    name: String,
    rule: Rule,
    announced: Option<TokenStream>,
    told: TokenStream,
}

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Change is for structs with named fields"));
    };
    let Fields::Named(named) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "Change is for structs with named fields"));
    };
    let mut fields = Vec::new();
    for field in &named.named {
        let ident = field.ident.clone().ok_or_else(|| Error::new_spanned(field, "a field needs a name"))?;
        fields.push(parse(&ident, &field.ty, &field.attrs)?);
    }
    let ident = &input.ident;
    let effects = fields.iter().map(|Field { ident, ty, rule, .. }| match rule {
        Rule::Effect(effect) => quote! { if self.#ident == new.#ident { crate::change::Effect::None } else { #effect } },
        Rule::Inside => quote! { <#ty as crate::change::Change>::effect(&self.#ident, &new.#ident) },
        Rule::By(path) => quote! { #path(&self.#ident, &new.#ident) },
    });
    let table = fields.iter().map(|Field { name, rule, announced, told, .. }| {
        let effect = match (announced, rule) {
            (Some(announced), _) | (None, Rule::Effect(announced)) => announced.clone(),
            (None, Rule::Inside | Rule::By(_)) => quote! { crate::change::Effect::Replace },
        };
        quote! { crate::change::FieldChange { name: #name, announced: #effect, told: #told } }
    });
    Ok(quote! {
        impl crate::change::Change for #ident {
            const FIELDS: &'static [crate::change::FieldChange] = &[ #( #table ),* ];
            fn effect(&self, new: &Self) -> crate::change::Effect {
                let mut effect = crate::change::Effect::None;
                #( effect = effect.max(#effects); )*
                effect
            }
        }
    })
}

fn effect(word: &Ident) -> Result<TokenStream> {
    match word.to_string().as_str() {
        "ignore" => Ok(quote! { crate::change::Effect::None }),
        "in_place" => Ok(quote! { crate::change::Effect::InPlace }),
        "replace" => Ok(quote! { crate::change::Effect::Replace }),
        _ => Err(Error::new_spanned(word, "expected `ignore`, `in_place` or `replace`")),
    }
}

fn parse(ident: &Ident, ty: &Type, attributes: &[Attribute]) -> Result<Field> {
    let (mut rule, mut announced, mut told, mut name) = (None, None, quote! { crate::change::Told::Field }, None);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("change")) {
        attribute.parse_nested_meta(|meta| {
            let word = meta.path.require_ident()?.clone();
            match word.to_string().as_str() {
                "inside" => rule = Some(Rule::Inside),
                "by" => rule = Some(Rule::By(meta.value()?.parse()?)),
                "announced" => announced = Some(effect(&meta.value()?.parse()?)?),
                "untold" => told = quote! { crate::change::Told::No },
                "object" => {
                    let position: LitInt = meta.value()?.parse()?;
                    told = quote! { crate::change::Told::Object(#position) };
                }
                "name" => name = Some(meta.value()?.parse::<LitStr>()?.value()),
                _ => rule = Some(Rule::Effect(effect(&word)?)),
            }
            Ok(())
        })?;
    }
    let rule = rule.ok_or_else(|| {
        Error::new_spanned(
            ident,
            "say what a change of this field means for an allocation that runs: #[change(ignore | in_place | replace | inside | by = …)]",
        )
    })?;
    let name = name.unwrap_or_else(|| pascal_case(ident.to_string().trim_start_matches("r#")));
    Ok(Field { ident: ident.clone(), ty: ty.clone(), name, rule, announced, told })
}
