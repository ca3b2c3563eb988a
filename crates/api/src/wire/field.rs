//! How Rust types stand for the model's: one trait, and the macro that declares structures.

use super::{Node, WipedBuffer};
use crate::context::EncryptionContext;
use crate::secret::{Redacted, SecretBytes, SecretText};
use crate::shapes::Empty;
use crate::timestamp::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;
use std::fmt;

/// A type that a member can have.
pub(crate) trait Field: Sized {
    /// From a member that is there, or `Node::Null` for one that isn't; `None` where it doesn't fit.
    fn read(node: Node) -> Option<Self>;
    /// Appends the value as JSON.
    fn write(&self, out: &mut WipedBuffer);
    /// Whether the member is left out of what is written.
    fn is_absent(&self) -> bool {
        false
    }
    /// What `Debug` shows of it.
    fn shown(&self) -> &dyn fmt::Debug;
    /// The value where it is text that is not secret.
    fn text(&self) -> Option<&str> {
        None
    }
}

/// A type that a list can be of. Bytes are not: a vector of them is a blob.
pub(crate) trait Element: Field + fmt::Debug {}

/// Gives an enum its `Field`, which a blanket implementation can't beside those of other types.
macro_rules! enum_field {
    ($name:ty) => {
        impl $crate::wire::Field for $name {
            fn read(node: $crate::wire::Node) -> Option<Self> {
                match node {
                    $crate::wire::Node::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
            fn write(&self, out: &mut $crate::wire::WipedBuffer) {
                $crate::wire::write_text(self.as_str(), out);
            }
            fn shown(&self) -> &dyn std::fmt::Debug {
                self
            }
        }
        impl $crate::wire::Element for $name {}
    };
}
pub(crate) use enum_field;

/// Appends JSON text.
pub(crate) fn write_text(text: &str, out: &mut WipedBuffer) {
    // Writing text into memory can't fail.
    let _ = serde_json::to_writer(out, text);
}

fn write_blob(bytes: &[u8], out: &mut WipedBuffer) {
    out.extend_from_slice(b"\"");
    // Four characters for each three bytes begun; a body's size can't overflow it.
    let place = out.grow_by(bytes.len().div_ceil(3) * 4);
    // The place is exactly as long as it must be.
    let _ = BASE64.encode_slice(bytes, place);
    out.extend_from_slice(b"\"");
}

impl Field for String {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        write_text(self, out);
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}
impl Element for String {}

impl Field for bool {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Bool(value) => Some(value),
            // Another service may leave out what isn't so, as AWS's own clients know.
            Node::Null => Some(false),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl Field for u32 {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Integer(value) => value.try_into().ok(),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl Element for u32 {}

impl Field for Timestamp {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Timestamp(value) => Some(value),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        let (sign, millis) = (if self.millis() < 0 { "-" } else { "" }, self.millis().unsigned_abs());
        out.extend_from_slice(format!("{sign}{}.{:03}", millis / 1000, millis % 1000).as_bytes());
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl Field for Vec<u8> {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Blob(bytes) => Some(bytes),
            Node::Null => Some(Vec::new()),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        write_blob(self, out);
    }
    /// The model allows no empty blob.
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl Field for SecretBytes {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Secret(bytes) => Some(bytes),
            Node::Null => Some(SecretBytes::default()),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        write_blob(self.expose(), out);
    }
    /// The model allows no empty blob.
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        &Redacted
    }
}

impl Field for SecretText {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::SecretText(text) => Some(text),
            Node::Null => Some(SecretText::default()),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        write_text(self.expose(), out);
    }
    /// The model allows no empty one.
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        &Redacted
    }
}

impl Field for EncryptionContext {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Null => Some(Self::new()),
            Node::Map(pairs) => pairs
                .into_iter()
                .map(|(name, value)| match value {
                    Node::Text(value) => Some((name, value)),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        let mut separator = b"{";
        for (name, value) in self.iter() {
            out.extend_from_slice(separator);
            separator = b",";
            write_text(name, out);
            out.extend_from_slice(b":");
            write_text(value, out);
        }
        if self.is_empty() {
            out.extend_from_slice(b"{");
        }
        out.extend_from_slice(b"}");
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl<T: Element> Field for BTreeMap<String, T> {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Null => Some(Self::new()),
            Node::Map(pairs) => {
                pairs.into_iter().map(|(name, value)| Some((name, T::read(value)?))).collect()
            }
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        out.extend_from_slice(b"{");
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            write_text(name, out);
            out.extend_from_slice(b":");
            value.write(out);
        }
        out.extend_from_slice(b"}");
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl<T: Element> Field for Vec<T> {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Null => Some(Vec::new()),
            Node::List(nodes) => nodes.into_iter().map(T::read).collect(),
            _ => None,
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        out.extend_from_slice(b"[");
        for (index, element) in self.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            element.write(out);
        }
        out.extend_from_slice(b"]");
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
}

impl<T: Field + fmt::Debug> Field for Option<T> {
    fn read(node: Node) -> Option<Self> {
        match node {
            Node::Null => Some(None),
            node => T::read(node).map(Some),
        }
    }
    fn write(&self, out: &mut WipedBuffer) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
    fn is_absent(&self) -> bool {
        self.is_none()
    }
    fn shown(&self) -> &dyn fmt::Debug {
        self
    }
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(T::text)
    }
}

impl super::private::Shape for Empty {
    fn read(_: Node) -> Option<Self> {
        Some(Self)
    }
    fn write(&self, _: &mut WipedBuffer) {}
    fn member(&self, _: &str) -> Option<&str> {
        None
    }
}

/// A declared structure, to be compared with the model.
#[cfg(test)]
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) members: &'static [&'static str],
    /// Reads one and writes it again.
    pub(crate) again: fn(Node) -> Option<WipedBuffer>,
}

/// Declares structures: a name for the list of them, and of each documentation, attributes, name, and
/// for each member its field, type and wire name. A member marked `always` is written even when empty;
/// one marked `or_default` may be absent from what another service answers.
macro_rules! shapes {
    ($list:ident; $($(#[$meta:meta])* $name:ident {
        $($(#[doc = $doc:literal])* $field:ident: $type:ty = $wire:literal $($mark:ident)?,)*
    })*) => {
        $(
            $(#[$meta])*
            pub struct $name {
                $(
                    #[doc = concat!("`", $wire, "` of the model.")]
                    #[doc = ""]
                    $(#[doc = $doc])*
                    pub $field: $type,
                )*
            }

            impl $crate::wire::private::Shape for $name {
                #[allow(unused_mut, unused_variables, reason = "some structures have no members")]
                fn read(mut node: $crate::wire::Node) -> Option<Self> {
                    if !matches!(node, $crate::wire::Node::Structure(_)) {
                        return None;
                    }
                    Some(Self { $($field: $crate::wire::shapes!(@ read [$($mark)?] node.take($wire)),)* })
                }

                #[allow(unused_mut, unused_variables, unused_assignments, reason = "some structures have no members")]
                fn write(&self, out: &mut $crate::wire::WipedBuffer) {
                    let mut first = true;
                    out.extend_from_slice(b"{");
                    $(
                        let always = false $(|| $crate::wire::shapes!(@ always $mark))?;
                        if always || !$crate::wire::Field::is_absent(&self.$field) {
                            if !std::mem::take(&mut first) {
                                out.extend_from_slice(b",");
                            }
                            out.extend_from_slice(concat!("\"", $wire, "\":").as_bytes());
                            $crate::wire::Field::write(&self.$field, out);
                        }
                    )*
                    out.extend_from_slice(b"}");
                }

                fn member(&self, name: &str) -> Option<&str> {
                    match name {
                        $($wire => $crate::wire::Field::text(&self.$field),)*
                        _ => None,
                    }
                }
            }

            impl $crate::wire::Field for $name {
                fn read(node: $crate::wire::Node) -> Option<Self> {
                    $crate::wire::private::Shape::read(node)
                }
                fn write(&self, out: &mut $crate::wire::WipedBuffer) {
                    $crate::wire::private::Shape::write(self, out);
                }
                fn shown(&self) -> &dyn std::fmt::Debug {
                    self
                }
            }

            impl $crate::wire::Element for $name {}

            impl std::fmt::Debug for $name {
                /// Without what is secret.
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($name))
                        $(.field(stringify!($field), $crate::wire::Field::shown(&self.$field)))*
                        .finish()
                }
            }
        )*

        /// Every structure here.
        #[cfg(test)]
        pub(crate) const $list: &[$crate::wire::Declared] = &[$($crate::wire::Declared {
            name: stringify!($name),
            members: &[$($wire),*],
            again: |node| {
                let value: $name = $crate::wire::private::Shape::read(node)?;
                let mut out = $crate::wire::WipedBuffer::new();
                $crate::wire::private::Shape::write(&value, &mut out);
                Some(out)
            },
        }),*];
    };
    (@ read [or_default] $node:expr) => {
        match $node {
            $crate::wire::Node::Null => Default::default(),
            node => $crate::wire::Field::read(node)?,
        }
    };
    (@ read [$(always)?] $node:expr) => { $crate::wire::Field::read($node)? };
    (@ always always) => { true };
    (@ always or_default) => { false };
}
pub(crate) use shapes;
