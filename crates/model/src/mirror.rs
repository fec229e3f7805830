//! Both directions between `drover_api` and the domain, generated from one declaration per type.
//!
//! A field's mode says how the two sides differ: see the arms of `mirror!`. Conversion to the domain cannot fail
//! because admission has refused bad texts and canonicalised what was absent before.

use std::collections::BTreeMap;
use std::time::Duration;

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Serialize, de::DeserializeOwned};

/// A domain type with a public JSON form.
pub trait Mirror: Sized {
    /// The JSON form.
    type Api;
    /// The domain value of an admitted JSON value.
    fn from_api(api: Self::Api) -> Self;
    /// The JSON form of this value.
    fn to_api(&self) -> Self::Api;
}

/// An enum with a text form.
pub trait Text: Copy {
    /// The text.
    fn to_text(self) -> &'static str;
    /// The value; unknown text gives the default.
    fn from_text(text: &str) -> Self;
}

/// A block that Drover stores and returns unchanged and does not interpret yet; its bytes are JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried<T>(pub T);

impl<C, T: Serialize> Encode<C> for Carried<T> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let json = serde_json::to_vec(&self.0).map_err(|error| EncodeError::message(error.to_string()))?;
        e.bytes(&json)?.ok()
    }
}

impl<'b, C, T: DeserializeOwned> Decode<'b, C> for Carried<T> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        serde_json::from_slice(d.bytes()?).map(Carried).map_err(|error| DecodeError::message(error.to_string()))
    }
}

/// Numbers that are wider or signed in the API; out of range ones become the nearest end.
pub fn number<A, M: TryFrom<A> + Bounded>(value: A) -> M
where
    A: PartialOrd + Default + Copy,
{
    M::try_from(value).unwrap_or(if value < A::default() { M::LOWEST } else { M::HIGHEST })
}

/// The ends of a number type.
pub trait Bounded {
    /// The lowest value.
    const LOWEST: Self;
    /// The highest value.
    const HIGHEST: Self;
}
macro_rules! bounded {
    ($($number:ty)*) => {$(impl Bounded for $number { const LOWEST: Self = Self::MIN; const HIGHEST: Self = Self::MAX; })*};
}
bounded!(u8 u16 u32 u64 i32 i64 usize);

/// A non-negative duration of so many nanoseconds.
pub fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// The nanoseconds of a duration.
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Empty lists are null in the API.
pub fn null_if_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Empty maps are null in the API.
pub fn null_if_empty_map<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// Declares a domain struct beside its JSON form: `number mode field: Type`, all of the JSON form's fields.
#[macro_export]
macro_rules! mirror {
    ($(#[$meta:meta])* $name:ident : $api:ident { $($(#[$field_meta:meta])* $number:literal $mode:ident $field:ident : $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, minicbor::Encode, minicbor::Decode)]
        pub struct $name { $($(#[$field_meta])* #[n($number)] #[cbor(default)] pub $field: $ty,)* }
        impl $crate::mirror::Mirror for $name {
            type Api = drover_api::$api;
            fn from_api(api: drover_api::$api) -> Self {
                let drover_api::$api { $($field,)* } = api;
                Self { $($field: $crate::mirror!(@from $mode $field),)* }
            }
            fn to_api(&self) -> drover_api::$api {
                let Self { $($field,)* } = self;
                drover_api::$api { $($field: $crate::mirror!(@to $mode $field),)* }
            }
        }
    };
    // the same type on both sides
    (@from same $v:ident) => { $v };
    (@to same $v:ident) => { $v.clone() };
    // absent means the default
    (@from absent $v:ident) => { $v.unwrap_or_default() };
    (@to absent $v:ident) => { Some($v.clone()) };
    // a number of another width
    (@from number $v:ident) => { $crate::mirror::number($v) };
    (@to number $v:ident) => { $crate::mirror::number(*$v) };
    (@from number_absent $v:ident) => { $crate::mirror::number($v.unwrap_or_default()) };
    (@to number_absent $v:ident) => { Some($crate::mirror::number(*$v)) };
    // -1 stands for no limit, which the domain writes as the highest number
    (@from number_or_all $v:ident) => { match $v.unwrap_or_default() { -1 => u32::MAX, given => $crate::mirror::number(given) } };
    (@to number_or_all $v:ident) => { Some(if *$v == u32::MAX { -1 } else { i64::from(*$v) }) };
    (@from number_maybe $v:ident) => { $v.map($crate::mirror::number) };
    (@to number_maybe $v:ident) => { $v.map($crate::mirror::number) };
    // nanoseconds
    (@from nanos $v:ident) => { $crate::mirror::duration($v) };
    (@to nanos $v:ident) => { $crate::mirror::nanoseconds(*$v) };
    (@from nanos_absent $v:ident) => { $crate::mirror::duration($v.unwrap_or_default()) };
    (@to nanos_absent $v:ident) => { Some($crate::mirror::nanoseconds(*$v)) };
    (@from nanos_maybe $v:ident) => { $v.map($crate::mirror::duration) };
    (@to nanos_maybe $v:ident) => { $v.map($crate::mirror::nanoseconds) };
    // enums with a text form
    (@from text $v:ident) => { $crate::mirror::Text::from_text(&$v) };
    (@to text $v:ident) => { $crate::mirror::Text::to_text(*$v).to_owned() };
    (@from text_absent $v:ident) => { $crate::mirror::Text::from_text(&$v.unwrap_or_default()) };
    (@to text_absent $v:ident) => { Some($crate::mirror::Text::to_text(*$v).to_owned()) };
    // domain types
    (@from domain $v:ident) => { $crate::mirror::Mirror::from_api($v) };
    (@to domain $v:ident) => { $v.to_api() };
    (@from domain_absent $v:ident) => { $v.map($crate::mirror::Mirror::from_api).unwrap_or_default() };
    (@to domain_absent $v:ident) => { Some($v.to_api()) };
    (@from domain_maybe $v:ident) => { $v.map($crate::mirror::Mirror::from_api) };
    (@to domain_maybe $v:ident) => { $v.as_ref().map($crate::mirror::Mirror::to_api) };
    (@from domains $v:ident) => { $v.unwrap_or_default().into_iter().map($crate::mirror::Mirror::from_api).collect() };
    (@to domains $v:ident) => { $crate::mirror::null_if_empty($v.iter().map($crate::mirror::Mirror::to_api).collect()) };
    (@from domain_map $v:ident) => {
        $v.unwrap_or_default().into_iter().filter_map(|(k, v)| v.map(|v| (k, $crate::mirror::Mirror::from_api(v)))).collect()
    };
    (@to domain_map $v:ident) => {
        $crate::mirror::null_if_empty_map($v.iter().map(|(k, v)| (k.clone(), Some($crate::mirror::Mirror::to_api(v)))).collect())
    };
    // lists and maps of the same type, null when empty
    (@from list $v:ident) => { $v.unwrap_or_default() };
    (@to list $v:ident) => { $crate::mirror::null_if_empty($v.clone()) };
    (@from map $v:ident) => { $v.unwrap_or_default() };
    (@to map $v:ident) => { $crate::mirror::null_if_empty_map($v.clone()) };
    // always a list, even when empty
    (@from full_list $v:ident) => { $v.unwrap_or_default() };
    (@to full_list $v:ident) => { Some($v.clone()) };
    // not interpreted yet
    (@from carried $v:ident) => { $v.map($crate::mirror::Carried) };
    (@to carried $v:ident) => { $v.as_ref().map(|carried| carried.0.clone()) };
}
