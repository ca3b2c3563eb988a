//! GenerateRandom.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    ErrorCode, GenerateRandom, GenerateRandomInput, GenerateRandomOutput, RecipientInfo, SecretBytes,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GenerateRandom {
    fn check(input: &GenerateRandomInput) -> Result<(), Fault> {
        byte_count(input).map(|_| ())
    }

    fn names(_input: &GenerateRandomInput) -> Names<'_> {
        Names::default()
    }

    fn recipient(input: &GenerateRandomInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &GenerateRandomInput) -> Parameters {
        Parameters::new()
            .maybe_number("numberOfBytes", input.number_of_bytes)
            .maybe_text("customKeyStoreId", input.custom_key_store_id.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        if let Some(id) = &request.input().custom_key_store_id {
            // Only clusters have a generator of their own, and there are none here.
            let store = core.named_key_store(request.place(), id).await?;
            return Err(Fault::answer(
                ErrorCode::UnsupportedOperationException,
                format!("{} is an external key store, which is not valid for this operation.", store.id),
            ));
        }
        let mut plaintext = SecretBytes::zeroed(byte_count(request.input())?);
        core.rng().fill(plaintext.expose_mut());
        let answered = request.recipient().answer(core, plaintext)?;
        let output = GenerateRandomOutput {
            plaintext: answered.plaintext,
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
        };
        Ok(request.done(output))
    }
}

/// The API model bounds it to 1 to 1024.
fn byte_count(input: &GenerateRandomInput) -> Result<usize, Fault> {
    input.number_of_bytes.map(|bytes| bytes as usize).ok_or_else(|| invalid("NumberOfBytes is required."))
}
