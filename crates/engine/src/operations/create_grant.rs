//! CreateGrant.

use super::{Executes, invalid, one_invalid, stop_dry_run, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::truth;
use crate::core::Core;
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::grants::{NewGrant, no_principal, parse_identity};
use crate::keys::Key;
use crate::kind;
use crate::pipeline::Executed;
use crate::record::{Constraints, GrantId, GrantPrincipal, GrantRecord, pointer_of};
use bulla_api::{
    AccountId, CreateGrant, CreateGrantInput, CreateGrantOutput, EncryptionContext, ErrorCode,
    GrantConstraints, GrantOperation, KeySpec, Role,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use bulla_store::Fields;
use std::borrow::Cow;
use std::sync::Arc;

/// Most pairs of an encryption context in a constraint (the API reference of `CreateGrant`).
const CONTEXT_PAIRS_MAX: usize = 8;

/// Most characters of one, names and values together (the API reference of `CreateGrant`).
const CONTEXT_CHARACTERS_MAX: usize = 384;

impl Executes for CreateGrant {
    fn check(input: &CreateGrantInput) -> Result<(), Fault> {
        grantee(input)?;
        retiring(input)?;
        if input.operations.is_empty() {
            let constraint = "Member must have length greater than or equal to 1";
            return Err(one_invalid("'[]'", "operations", constraint));
        }
        let constraints = input.constraints.as_ref();
        if input.grantee_service_principal.is_some() {
            if constraints.is_none_or(|constraints| constraints.source_arn.is_none()) {
                return Err(invalid(
                    "A grant for a GranteeServicePrincipal must have a SourceArn constraint.",
                ));
            }
            if input.retiring_principal.is_none() && input.retiring_service_principal.is_none() {
                return Err(invalid(
                    "A grant for a GranteeServicePrincipal must have a RetiringPrincipal or a \
                     RetiringServicePrincipal.",
                ));
            }
        }
        constraints.map_or(Ok(()), check_constraints)
    }

    fn names(input: &CreateGrantInput) -> Names<'_> {
        Names {
            key: Some(KeyName::id_or_arn(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            new_grant: Some(NewGrant {
                operations: &input.operations,
                constraints: input.constraints.as_ref(),
            }),
            ..Names::default()
        }
    }

    fn encryption_context(input: &CreateGrantInput, _role: Role) -> Option<&EncryptionContext> {
        let constraints = input.constraints.as_ref()?;
        // Both must hold of what the grant allows: then the exact one says it all.
        constraints.encryption_context_equals.as_ref().or(constraints.encryption_context_subset.as_ref())
    }

    fn says<'i>(input: &'i CreateGrantInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:grantisforawsresource" => Some(truth(false)),
            "kms:grantoperations" => {
                let names = input.operations.iter().map(|operation| Cow::Borrowed(operation.as_str()));
                Some(Values::Many(names.collect()))
            }
            "kms:granteeprincipal" => input.grantee_principal.as_deref().map(Values::from),
            "kms:retiringprincipal" => input.retiring_principal.as_deref().map(Values::from),
            "kms:grantconstrainttype" => constraint_type(input),
            _ => None,
        }
    }

    fn describe(input: &CreateGrantInput) -> Parameters {
        let operations = input.operations.iter().map(|operation| operation.as_str().to_owned()).collect();
        let mut parameters = Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("granteePrincipal", input.grantee_principal.as_deref())
            .maybe_text("granteeServicePrincipal", input.grantee_service_principal.as_deref())
            .maybe_text("retiringPrincipal", input.retiring_principal.as_deref())
            .maybe_text("retiringServicePrincipal", input.retiring_service_principal.as_deref())
            .with("operations", Parameter::Texts(operations));
        if let Some(constraints) = &input.constraints {
            parameters = parameters.with("constraints", Parameter::Object(describe_constraints(constraints)));
        }
        with_dry_run(parameters.maybe_text("name", input.name.as_deref()), input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_grantable()?;
        check_fit(input, key)?;
        let mut record = new_grant(input, request.caller().account(), core.clock.wall_ms())?;
        record.grantee_id = principal_id(core, Some(&record.grantee)).await?;
        record.retiring_id = principal_id(core, record.retiring.as_ref()).await?;
        let before = named_before(core, key, &record).await?;
        let mut change = Change::new();
        if before.is_none() {
            core.count_grant(&key.place, key.id, &mut change).await?;
        }
        stop_dry_run(input.dry_run)?;
        let id = before.unwrap_or_else(|| GrantId::random(core.rng()));
        let named = NamedGrant { place: key.place.clone(), key: key.id, id };
        let output = CreateGrantOutput { grant_token: named.token(core)?, grant_id: id.to_string() };
        let response =
            Parameters::new().text("grantId", output.grant_id.as_str()).text("keyId", key.arn.as_str());
        if before.is_some() {
            return Ok(request.done(output).telling(response));
        }
        change.expect_key(key);
        change.add_grant(&key.place, key.id, id, &record);
        Ok(request.done(output).changing(change).telling(response))
    }
}

/// The grant that the same request made before, when it gives it a name.
async fn named_before(core: &Core, key: &Key, record: &GrantRecord) -> Result<Option<GrantId>, Fault> {
    let Some(properties) = record.properties() else { return Ok(None) };
    let Some(pointer) = core.vault.read(&key.place.grant_properties(key.id, &properties)).await? else {
        return Ok(None);
    };
    let id = GrantId::parse(pointer_of(&pointer.fields)?);
    id.map(Some).ok_or(Fault::Incomplete("what leads to a grant"))
}

fn new_grant(input: &CreateGrantInput, issuer: AccountId, now_ms: i64) -> Result<GrantRecord, Fault> {
    let mut operations: Vec<GrantOperation> = Vec::with_capacity(input.operations.len());
    for operation in &input.operations {
        if !operations.contains(operation) {
            operations.push(*operation);
        }
    }
    let given = input.constraints.clone().unwrap_or_default();
    Ok(GrantRecord {
        name: input.name.clone(),
        created_ms: now_ms,
        grantee: grantee(input)?,
        retiring: retiring(input)?,
        grantee_id: None,
        retiring_id: None,
        issuing_account: issuer,
        operations,
        constraints: Constraints {
            context_subset: given.encryption_context_subset,
            context_equals: given.encryption_context_equals,
            source_arn: given.source_arn,
        },
        fields: Fields::new(),
    })
}

fn grantee(input: &CreateGrantInput) -> Result<GrantPrincipal, Fault> {
    principal(input.grantee_principal.as_deref(), input.grantee_service_principal.as_deref())?.ok_or_else(
        || invalid("You must specify either GranteePrincipal or GranteeServicePrincipal, but not both."),
    )
}

fn retiring(input: &CreateGrantInput) -> Result<Option<GrantPrincipal>, Fault> {
    let both = input.retiring_principal.is_some() && input.retiring_service_principal.is_some();
    if both {
        return Err(invalid(
            "You can specify either RetiringPrincipal or RetiringServicePrincipal, but not both.",
        ));
    }
    principal(input.retiring_principal.as_deref(), input.retiring_service_principal.as_deref())
}

/// `kms:GrantConstraintType`: what kind of constraint there is, of each.
fn constraint_type(input: &CreateGrantInput) -> Option<Values<'_>> {
    let constraints = input.constraints.as_ref()?;
    let kinds = [
        ("EncryptionContextEquals", constraints.encryption_context_equals.is_some()),
        ("EncryptionContextSubset", constraints.encryption_context_subset.is_some()),
        ("SourceArn", constraints.source_arn.is_some()),
    ];
    let mut given = kinds.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| Cow::Borrowed(name));
    let first = given.next()?;
    let others: Vec<_> = given.collect();
    Some(if others.is_empty() {
        Values::One(first)
    } else {
        Values::Many(std::iter::once(first).chain(others).collect())
    })
}

/// Whichever of the two is given; none where both are.
fn principal(identity: Option<&str>, service: Option<&str>) -> Result<Option<GrantPrincipal>, Fault> {
    match (identity, service) {
        (Some(arn), None) => {
            parse_identity(arn)?;
            Ok(Some(GrantPrincipal::Identity(arn.to_owned())))
        }
        (None, Some(name)) => Ok(Some(GrantPrincipal::Service(name.to_owned()))),
        _ => Ok(None),
    }
}

/// Who a user or a role is that the grant names: it must be there, if its account is in this store.
async fn principal_id(core: &Core, named: Option<&GrantPrincipal>) -> Result<Option<String>, Fault> {
    match named.and_then(GrantPrincipal::identity) {
        Some(arn) => core.principal_id(arn, || no_principal(arn)).await,
        None => Ok(None),
    }
}

fn check_constraints(constraints: &GrantConstraints) -> Result<(), Fault> {
    let contexts = [&constraints.encryption_context_subset, &constraints.encryption_context_equals];
    for context in contexts.into_iter().flatten() {
        let characters: usize =
            context.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if context.len() > CONTEXT_PAIRS_MAX || characters > CONTEXT_CHARACTERS_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                format!(
                    "The encryption context of a grant constraint can have {CONTEXT_PAIRS_MAX} pairs and \
                     {CONTEXT_CHARACTERS_MAX} characters."
                ),
            ));
        }
    }
    Ok(())
}

/// Fails when keys of this kind can't do what the grant allows, or have no encryption context to constrain.
fn check_fit(input: &CreateGrantInput, key: &Key) -> Result<(), Fault> {
    let (spec, usage) = (key.record.spec, key.record.usage);
    if let Some(unfit) =
        input.operations.iter().find(|operation| !kind::allows_grant(spec, usage, **operation))
    {
        return Err(invalid(format!(
            "The operation {unfit} can't be granted for a key of KeySpec {spec} and KeyUsage {usage}."
        )));
    }
    let constrained = input.constraints.as_ref().is_some_and(|constraints| {
        constraints.encryption_context_subset.is_some() || constraints.encryption_context_equals.is_some()
    });
    if constrained && spec != KeySpec::SymmetricDefault {
        return Err(invalid(
            "Encryption context constraints are supported only in grants for symmetric encryption keys.",
        ));
    }
    Ok(())
}

fn describe_constraints(constraints: &GrantConstraints) -> Parameters {
    let pairs = |context: &EncryptionContext| {
        Parameter::Pairs(context.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    };
    let mut parameters = Parameters::new();
    if let Some(subset) = &constraints.encryption_context_subset {
        parameters = parameters.with("encryptionContextSubset", pairs(subset));
    }
    if let Some(equals) = &constraints.encryption_context_equals {
        parameters = parameters.with("encryptionContextEquals", pairs(equals));
    }
    parameters.maybe_text("sourceArn", constraints.source_arn.as_deref())
}
