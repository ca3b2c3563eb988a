//! From bytes to a typed request: the second step of the pipeline.

use crate::authenticate::Authenticated;
use crate::core::Core;
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::operations::Executes;
use crate::recipient::Recipient;
use bulla_api::wire::{self, Form};

/// A request whose caller is known and whose input keeps every constraint: of the API model, and those that the service
/// states in words; and whose recipient, if it names one, has been attested. Nothing but parsing makes one.
pub(crate) struct Parsed<O: Executes> {
    caller: Authenticated,
    input: O::Input,
    recipient: Recipient,
}

impl<O: Executes> Parsed<O> {
    /// From the body's JSON.
    pub(crate) fn from_json(core: &Core, caller: Authenticated, body: &mut [u8]) -> Result<Self, Fault> {
        Self::of(core, caller, wire::decode_input::<O>(body)?)
    }

    /// From a form of the Query protocol.
    pub(crate) fn from_form(core: &Core, caller: Authenticated, form: Form) -> Result<Self, Fault> {
        Self::of(core, caller, wire::decode_form_input::<O>(&form)?)
    }

    fn of(core: &Core, caller: Authenticated, input: O::Input) -> Result<Self, Fault> {
        O::check(&input)?;
        for token in O::names(&input).grant_tokens {
            // One that was never given is refused here; what the others are worth, the door asks.
            NamedGrant::of_token(core, token)?;
        }
        let recipient = Recipient::of(core, O::recipient(&input))?;
        Ok(Self { caller, input, recipient })
    }

    /// From an input that was made in this process: it goes the way of every other, so that the same constraints hold.
    pub(crate) fn from_typed(core: &Core, caller: Authenticated, input: &O::Input) -> Result<Self, Fault> {
        Self::from_json(core, caller, &mut wire::encode_input::<O>(input))
    }

    pub(crate) fn caller(&self) -> &Authenticated {
        &self.caller
    }

    pub(crate) fn input(&self) -> &O::Input {
        &self.input
    }

    pub(crate) fn recipient(&self) -> &Recipient {
        &self.recipient
    }
}
