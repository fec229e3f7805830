//! The `Wire` derive: serde impls that follow the API's JSON conventions, with what schemas and plans say of each field.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Expr, ExprArray, ExprLit, Fields, Ident, Lit, LitInt, LitStr, Result, Type};

struct Field {
    ident: Ident,
    ty: Type,
    name: String,
    doc: String,
    omit_empty: bool,
    telling: TokenStream,
}

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Wire is for structs with named fields"));
    };
    let Fields::Named(named) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "Wire is for structs with named fields"));
    };
    let whole = options(&input.attrs)?;
    let mut fields = Vec::new();
    for field in &named.named {
        let ident = field.ident.clone().ok_or_else(|| Error::new_spanned(field, "a field needs a name"))?;
        let own = options(&field.attrs)?;
        fields.push(Field {
            name: own.name.unwrap_or_else(|| pascal_case(ident.to_string().trim_start_matches("r#"))),
            doc: doc(&field.attrs),
            omit_empty: whole.omit_empty || own.omit_empty,
            telling: telling(&field.attrs)?,
            ty: field.ty.clone(),
            ident,
        });
    }
    let encode = encode(&input.ident, &doc(&input.attrs), &shape(&input.attrs)?, &fields);
    let decode = decode(&input.ident, &fields);
    Ok(quote! { #encode #decode })
}

/// The doc comment of a type or field as one text.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
        Some(text.value().trim().to_owned())
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[derive(Default)]
struct Options {
    name: Option<String>,
    omit_empty: bool,
}

fn options(attributes: &[Attribute]) -> Result<Options> {
    let mut options = Options::default();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("wire")) {
        if let Ok(name) = attribute.parse_args::<LitStr>() {
            options.name = Some(name.value());
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("omit_empty") {
                options.omit_empty = true;
                Ok(())
            } else {
                Err(meta.error("expected a name or `omit_empty`"))
            }
        })?;
    }
    Ok(options)
}

/// How a plan tells the objects of a type: `#[plan(…)]` beside its declaration.
fn shape(attributes: &[Attribute]) -> Result<TokenStream> {
    let mut parts = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("plan")) {
        attribute.parse_nested_meta(|meta| {
            parts.push(match meta.path.require_ident()?.to_string().as_str() {
                "with_empty" => quote! { with_empty: true },
                "lists" => quote! { lists: true },
                "known_by" => {
                    let name: LitStr = meta.value()?.parse()?;
                    quote! { known_by: Some(#name) }
                }
                _ => return Err(meta.error("expected `with_empty`, `lists` or `known_by`")),
            });
            Ok(())
        })?;
    }
    Ok(quote! { crate::told::Shape { properties: Self::PROPERTIES, #( #parts, )* ..crate::told::Shape::PLAIN } })
}

/// How a plan tells a field: `#[plan(…)]` beside its declaration.
fn telling(attributes: &[Attribute]) -> Result<TokenStream> {
    let mut parts = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("plan")) {
        attribute.parse_nested_meta(|meta| {
            parts.push(match meta.path.require_ident()?.to_string().as_str() {
                "untold" => quote! { untold: true },
                "flat" => quote! { flat: true },
                "unchanged" => quote! { unchanged: true },
                "alone" => quote! { alone: true },
                "label" => {
                    let label: LitStr = meta.value()?.parse()?;
                    quote! { label: Some(#label) }
                }
                "default" => {
                    let default: LitStr = meta.value()?.parse()?;
                    quote! { default: Some(#default) }
                }
                "position" => {
                    let position: LitInt = meta.value()?.parse()?;
                    quote! { position: #position }
                }
                "without" => {
                    let names: ExprArray = meta.value()?.parse()?;
                    quote! { without: &#names }
                }
                _ => {
                    let words = "`untold`, `flat`, `unchanged`, `alone`, `label`, `default`, `position` or `without`";
                    return Err(meta.error(format!("expected {words}")));
                }
            });
            Ok(())
        })?;
    }
    Ok(match parts.is_empty() {
        true => quote! { &crate::told::Telling::PLAIN },
        false => quote! { &crate::told::Telling { #( #parts, )* ..crate::told::Telling::PLAIN } },
    })
}

pub(crate) fn pascal_case(snake: &str) -> String {
    snake
        .split('_')
        .map(|word| match word {
            "id" => "ID".to_owned(),
            word => {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
            }
        })
        .collect()
}

fn encode(ident: &Ident, doc: &str, shape: &TokenStream, fields: &[Field]) -> TokenStream {
    let type_name = ident.to_string();
    let count = fields.len();
    let writes = fields.iter().map(|field| {
        let (ident, name) = (&field.ident, &field.name);
        let write = quote! { serde::ser::SerializeStruct::serialize_field(&mut out, #name, &self.#ident)?; };
        if field.omit_empty {
            quote! { if crate::wire::every_field() || !crate::wire::Empty::is_empty(&self.#ident) { #write } }
        } else {
            write
        }
    });
    let empties = fields.iter().map(|field| {
        let ident = &field.ident;
        quote! { crate::wire::Empty::is_empty(&self.#ident) }
    });
    let names = fields.iter().map(|field| &field.name);
    let properties = fields.iter().map(|Field { name, doc, omit_empty, telling, ty, .. }| {
        quote! {
            crate::schema::Property {
                name: #name,
                doc: #doc,
                omit_empty: #omit_empty,
                schema: <#ty as crate::schema::Schema>::schema,
                form: <#ty as crate::told::Told>::form,
                telling: #telling,
            }
        }
    });
    quote! {
        impl serde::Serialize for #ident {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut out = serde::Serializer::serialize_struct(serializer, #type_name, #count)?;
                #( #writes )*
                serde::ser::SerializeStruct::end(out)
            }
        }
        impl crate::wire::Empty for #ident {
            fn is_empty(&self) -> bool { true #( && #empties )* }
        }
        impl crate::wire::Wire for #ident {
            const TYPE_NAME: &'static str = #type_name;
            const FIELDS: &'static [&'static str] = &[ #( #names ),* ];
            const DOC: &'static str = #doc;
            const PROPERTIES: &'static [crate::schema::Property] = &[ #( #properties ),* ];
            const SHAPE: &'static crate::told::Shape = &#shape;
        }
        impl crate::schema::Schema for #ident {
            fn schema(all: &mut crate::schema::Definitions) -> serde_json::Value { all.object::<Self>() }
        }
    }
}

fn decode(ident: &Ident, fields: &[Field]) -> TokenStream {
    let type_name = ident.to_string();
    let arms = fields.iter().enumerate().map(|(position, field)| {
        let (ident, ty) = (&field.ident, &field.ty);
        quote! { Some(#position) => out.#ident = map.next_value::<Option<#ty>>()?.unwrap_or_default(), }
    });
    quote! {
        impl<'de> serde::Deserialize<'de> for #ident {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = #ident;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", #type_name, ")"))
                    }
                    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> { Ok(<#ident>::default()) }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut out = <#ident>::default();
                        let names = <#ident as crate::wire::Wire>::FIELDS;
                        while let Some(field) = map.next_key_seed(crate::wire::FieldKey(names))? {
                            match field {
                                #( #arms )*
                                _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok(out)
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    }
}
