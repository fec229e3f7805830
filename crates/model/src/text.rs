//! Enums that have a text form in the API.

/// Declares an enum with a text for each variant, in CBOR a number. The first variant is the default, and what an
/// unknown text becomes: admission refuses unknown texts before anything is converted.
#[macro_export]
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $number:literal $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $text, "`")] #[n($number)] $variant,)+
        }
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The form that the API shows.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with exactly this text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
        impl Default for $name {
            fn default() -> Self { Self::ALL[0] }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.text())
            }
        }
        impl $crate::mirror::Text for $name {
            fn to_text(self) -> &'static str { self.text() }
            fn from_text(text: &str) -> Self { Self::parse(text).unwrap_or_default() }
        }
    };
}
