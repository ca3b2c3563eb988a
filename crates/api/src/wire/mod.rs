//! Typed inputs and outputs as AWS's JSON 1.1, both ways; and as the Query protocol has them, a form in and XML out.
//!
//! An input goes from bytes to a tree (guided by the model, so that a wrong type is found at its
//! member), through the model's constraints, to its type. An output is written from its type straight
//! into a buffer that is wiped; XML is made of what was written. Nothing here needs the whole model but what
//! reads bytes.

mod buffer;
mod check;
mod decode;
mod errors;
mod field;
mod form;
mod node;
#[cfg(test)]
mod tests;
mod xml;

pub use buffer::WipedBuffer;
#[cfg(test)]
pub(crate) use decode::decode;
pub use errors::{decode_error, encode_error};
#[cfg(test)]
pub(crate) use field::Declared;
pub(crate) use field::{Element, Field, enum_field, shapes, write_text};
pub use form::Form;
pub(crate) use node::Node;
pub use xml::{encode_error_xml, encode_output_xml};

use crate::model;
use crate::{ApiError, ErrorCode, Malformed, Operation};
use zeroize::Zeroize;

/// A typed input or output. What it takes to be one is this crate's own affair.
pub trait Shape: Sized + private::Shape {}

impl<T: private::Shape> Shape for T {}

pub(crate) mod private {
    use super::{Node, WipedBuffer};

    /// What the macro that declares a structure gives it.
    pub trait Shape: Sized {
        /// From a checked tree; `None` where the tree isn't of this shape.
        fn read(node: Node) -> Option<Self>;
        /// Appends the JSON object.
        fn write(&self, out: &mut WipedBuffer);
        /// The text of a member that has this name on the wire.
        fn member(&self, name: &str) -> Option<&str>;
    }
}

/// Reads, validates and types the input of an operation. The body is wiped, whatever comes of it.
///
/// The body is the very bytes that the signature covers. Members that the model doesn't have are
/// ignored, null members are absent, and of two members of the same name the last counts (as for the
/// JSON reader that AWS uses). A map that has a name twice is refused: what an encryption context says
/// must not depend on who reads it.
///
/// # Errors
/// SerializationException for what is not JSON or has a wrong type; ValidationException for what
/// breaks a constraint of the model. Texts are AWS's own and never repeat a sensitive member.
pub fn decode_input<O: Operation>(body: &mut [u8]) -> Result<O::Input, ApiError> {
    let result = read_input::<O>(body);
    body.zeroize();
    result
}

fn read_input<O: Operation>(body: &[u8]) -> Result<O::Input, ApiError> {
    typed::<O>(|shape| decode::decode(body, shape))
}

/// Types what a form of the Query protocol says.
///
/// # Errors
/// As [`decode_input`]: with MalformedInput where that has SerializationException.
pub fn decode_form_input<O: Operation>(form: &Form) -> Result<O::Input, ApiError> {
    typed::<O>(|shape| form.decode(shape))
}

/// Validates and types what `decode` reads.
fn typed<O: Operation>(
    decode: impl FnOnce(&'static model::Shape) -> Result<Node, ApiError>,
) -> Result<O::Input, ApiError> {
    // Every operation of the table is in the model, with a shape that its type can be read from: a test
    // holds them to it.
    let model = model::operation(O::ROW.service, O::ROW.name).ok_or_else(ApiError::internal)?;
    let Some(shape) = model.input else {
        return private::Shape::read(Node::Null).ok_or_else(ApiError::internal);
    };
    let node = decode(shape)?;
    check::check(&node, shape)?;
    if O::ROW.name == "GenerateRandom" && !node.has("NumberOfBytes") {
        // The one operation that words it like this.
        return Err(ApiError::new(ErrorCode::ValidationException, "NumberOfBytes is required."));
    }
    private::Shape::read(node).ok_or_else(ApiError::internal)
}

/// Writes an input, for a client.
#[must_use]
pub fn encode_input<O: Operation>(input: &O::Input) -> WipedBuffer {
    let mut out = WipedBuffer::new();
    private::Shape::write(input, &mut out);
    out
}

/// The text of an input's member, by its name on the wire. `None` for one that is absent, secret, or no text.
#[must_use]
pub fn member<'i, O: Operation>(input: &'i O::Input, name: &str) -> Option<&'i str> {
    private::Shape::member(input, name)
}

/// Writes an output; an operation without one has an empty body.
#[must_use]
pub fn encode_output<O: Operation>(output: &O::Output) -> WipedBuffer {
    let mut out = WipedBuffer::new();
    private::Shape::write(output, &mut out);
    out
}

/// Reads an output, for a client. The model's constraints are not applied to outputs, and values of enums
/// that this version doesn't know are left out where the output can do without. The body is wiped.
///
/// # Errors
/// The body is no such output.
pub fn decode_output<O: Operation>(body: &mut [u8]) -> Result<O::Output, Malformed> {
    let model = model::operation(O::ROW.service, O::ROW.name);
    let node = match model.and_then(|model| model.output) {
        Some(shape) => decode::decode(body, shape).ok().map(|mut node| {
            node.forget_unknown(shape);
            node
        }),
        None => Some(Node::Null),
    };
    body.zeroize();
    node.and_then(private::Shape::read).ok_or(Malformed { what: "answer" })
}
