//! Providers of identities that OpenID Connect knows.

use super::{
    by_arn, invalid_input, no_such_entity, over_quota, quota, tags_parameter, tags_say, tags_shape, with_tags,
};
use crate::authorize::{Authorized, EntityName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::{Executes, one_invalid, unsupported};
use crate::pipeline::Executed;
use crate::record::{
    IdentityCounts, OidcProviderRecord, identity_counts_path, oidc_provider_path, oidc_providers_path,
};
use bulla_api::iam::{
    AddClientIDToOpenIDConnectProviderInput, CreateOpenIDConnectProviderInput,
    CreateOpenIDConnectProviderOutput, DeleteOpenIDConnectProviderInput, GetOpenIDConnectProviderInput,
    GetOpenIDConnectProviderOutput, ListOpenIDConnectProvidersInput, ListOpenIDConnectProvidersOutput,
    OpenIDConnectProviderListEntry, RemoveClientIDFromOpenIDConnectProviderInput,
};
use bulla_api::{
    AccountId, AddClientIDToOpenIDConnectProvider, CreateOpenIDConnectProvider, DeleteOpenIDConnectProvider,
    Empty, ErrorCode, GetOpenIDConnectProvider, ListOpenIDConnectProviders, PARTITION,
    RemoveClientIDFromOpenIDConnectProvider, Role, Timestamp,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use bulla_store::{Fields, Generation, PAGE_RECORDS_MAX};
use std::sync::Arc;

const SCHEME: &str = "https://";

fn arn_of(account: AccountId, url: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:oidc-provider/{url}")
}

impl Core {
    /// The provider that an ARN names, if there is one.
    pub(crate) async fn oidc_provider(
        &self,
        arn: &str,
    ) -> Result<Option<(AccountId, OidcProviderRecord, Generation)>, Fault> {
        let mut fields = arn.splitn(6, ':');
        let rest = fields.by_ref().nth(4).zip(fields.next());
        let Some((account, resource)) = rest else { return Ok(None) };
        let (Ok(account), Some(url)) = (account.parse(), resource.strip_prefix("oidc-provider/")) else {
            return Ok(None);
        };
        if url.is_empty() || url.len() > URL_MAX || arn != arn_of(account, url) {
            return Ok(None);
        }
        let Some(stored) = self.vault.read(&oidc_provider_path(account, url)).await? else { return Ok(None) };
        let record = OidcProviderRecord::of(stored.fields)?;
        Ok(Some((account, record, stored.generation)).filter(|(_, record, _)| record.url == url))
    }
}

/// Most characters of a URL (the API reference of `CreateOpenIDConnectProvider`).
const URL_MAX: usize = 255;

/// The account's own provider that an ARN names.
async fn found(
    core: &Core,
    account: AccountId,
    arn: &str,
) -> Result<(OidcProviderRecord, Generation), Fault> {
    let found = core.oidc_provider(arn).await?.filter(|(of, ..)| *of == account);
    let missing = || no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}"));
    found.map(|(_, record, generation)| (record, generation)).ok_or_else(missing)
}

fn updated(account: AccountId, before: &(OidcProviderRecord, Generation), clients: Vec<String>) -> Change {
    let (record, generation) = before;
    let path = oidc_provider_path(account, &record.url);
    let record = OidcProviderRecord { clients, ..record.clone() };
    let mut change = Change::new();
    change.expect_at(path.clone(), *generation).put(path, record.to_fields());
    change
}

/// The URL without its scheme, which no query and no fragment follow.
fn url_of(input: &CreateOpenIDConnectProviderInput) -> Result<&str, Fault> {
    let url = input.url.strip_prefix(SCHEME).map(|url| url.trim_end_matches('/'));
    let is_plain = |url: &&str| {
        let host = url.split('/').next().unwrap_or_default();
        !host.is_empty() && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>%:".contains(&byte))
    };
    url.filter(is_plain).ok_or_else(|| {
        let constraint = "Must be a URL that begins with https:// and has no port, query or fragment";
        one_invalid(&format!("'{}'", input.url), "url", constraint)
    })
}

fn check_thumbprints(thumbprints: &[String]) -> Result<(), Fault> {
    if thumbprints.len() > quota::THUMBPRINTS_PER_PROVIDER {
        return Err(invalid_input("Thumbprint list must contain fewer than 5 entries."));
    }
    let is_digest = |text: &String| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if thumbprints.iter().all(is_digest) { Ok(()) } else { Err(invalid_input("Invalid thumbprint format.")) }
}

fn too_many_clients() -> Fault {
    over_quota("ClientIdsPerOpenIdConnectProvider", quota::CLIENTS_PER_PROVIDER as u64)
}

impl Executes for CreateOpenIDConnectProvider {
    fn check(input: &CreateOpenIDConnectProviderInput) -> Result<(), Fault> {
        if input.context_provider.is_some() {
            return Err(unsupported("ContextProvider"));
        }
        if input.identity_center_instance_arn.is_some() {
            return Err(unsupported("IdentityCenterInstanceArn"));
        }
        url_of(input)?;
        check_thumbprints(&input.thumbprint_list)
    }

    fn names(input: &CreateOpenIDConnectProviderInput) -> Names<'_> {
        let name = input.url.strip_prefix(SCHEME).unwrap_or(&input.url);
        Names {
            entity: Some(EntityName::Name { name, path: None }),
            tagged: !input.tags.is_empty(),
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i CreateOpenIDConnectProviderInput, _role: Role, key: &str) -> Option<Values<'i>> {
        tags_say(&input.tags, key)
    }

    fn describe(input: &CreateOpenIDConnectProviderInput) -> Parameters {
        let parameters = Parameters::new()
            .text("url", input.url.as_str())
            .with("clientIDList", Parameter::Texts(input.client_id_list.clone()))
            .with("thumbprintList", Parameter::Texts(input.thumbprint_list.clone()));
        tags_parameter(parameters, &input.tags)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let url = url_of(input)?;
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let path = oidc_provider_path(account, url);
        if core.vault.read(&path).await?.is_some() {
            let text = format!("Provider with url {} already exists.", input.url);
            return Err(Fault::answer(ErrorCode::EntityAlreadyExists, text));
        }
        if counts.providers >= quota::PROVIDERS {
            return Err(over_quota("OpenIdConnectProvidersPerAccount", quota::PROVIDERS));
        }
        let mut clients: Vec<String> = Vec::new();
        for client in &input.client_id_list {
            if !clients.contains(client) {
                clients.push(client.clone());
            }
        }
        if clients.len() > quota::CLIENTS_PER_PROVIDER {
            return Err(too_many_clients());
        }
        let record = OidcProviderRecord {
            url: url.to_owned(),
            created_ms: core.clock.wall_ms(),
            clients,
            thumbprints: input.thumbprint_list.iter().map(|text| text.to_ascii_lowercase()).collect(),
            tags: with_tags(&[], &input.tags)?,
            fields: Fields::new(),
        };
        let counts = IdentityCounts { providers: counts.providers + 1, ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.expect_absent(path.clone()).put(path, record.to_fields());
        let arn = arn_of(account, url);
        let told = Parameters::new().text("openIDConnectProviderArn", arn.as_str());
        let output = CreateOpenIDConnectProviderOutput {
            open_id_connect_provider_arn: arn,
            tags: tags_shape(&record.tags),
        };
        Ok(request.done(output).changing(change).telling(told))
    }
}

impl Executes for GetOpenIDConnectProvider {
    fn names(input: &GetOpenIDConnectProviderInput) -> Names<'_> {
        by_arn(&input.open_id_connect_provider_arn)
    }

    fn describe(input: &GetOpenIDConnectProviderInput) -> Parameters {
        Parameters::new().text("openIDConnectProviderArn", input.open_id_connect_provider_arn.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let (record, _) = found(core, account, &input.open_id_connect_provider_arn).await?;
        Ok(request.done(GetOpenIDConnectProviderOutput {
            url: record.url,
            client_id_list: record.clients,
            thumbprint_list: record.thumbprints,
            create_date: Timestamp::from_millis(record.created_ms),
            tags: tags_shape(&record.tags),
            ..GetOpenIDConnectProviderOutput::default()
        }))
    }
}

impl Executes for DeleteOpenIDConnectProvider {
    fn names(input: &DeleteOpenIDConnectProviderInput) -> Names<'_> {
        by_arn(&input.open_id_connect_provider_arn)
    }

    fn describe(input: &DeleteOpenIDConnectProviderInput) -> Parameters {
        Parameters::new().text("openIDConnectProviderArn", input.open_id_connect_provider_arn.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let (record, generation) = found(core, account, &input.open_id_connect_provider_arn).await?;
        let path = oidc_provider_path(account, &record.url);
        let counts = IdentityCounts { providers: counts.providers.saturating_sub(1), ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.expect_at(path.clone(), generation).delete(path);
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListOpenIDConnectProviders {
    fn names(_input: &ListOpenIDConnectProvidersInput) -> Names<'_> {
        Names::default()
    }

    fn describe(_input: &ListOpenIDConnectProvidersInput) -> Parameters {
        Parameters::new()
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let account = request.place().account;
        let folder = oidc_providers_path(account);
        // There are at most a hundred.
        let page = core.vault.scan(folder.children(), None, PAGE_RECORDS_MAX).await?;
        let mut open_id_connect_provider_list = Vec::with_capacity(page.records.len());
        for (_, stored) in page.records {
            let arn = arn_of(account, &OidcProviderRecord::of(stored.fields)?.url);
            open_id_connect_provider_list
                .push(OpenIDConnectProviderListEntry { arn, is_trusted_identity_propagation_enabled: None });
        }
        Ok(request.done(ListOpenIDConnectProvidersOutput { open_id_connect_provider_list }))
    }
}

impl Executes for AddClientIDToOpenIDConnectProvider {
    fn names(input: &AddClientIDToOpenIDConnectProviderInput) -> Names<'_> {
        by_arn(&input.open_id_connect_provider_arn)
    }

    fn describe(input: &AddClientIDToOpenIDConnectProviderInput) -> Parameters {
        Parameters::new()
            .text("openIDConnectProviderArn", input.open_id_connect_provider_arn.as_str())
            .text("clientID", input.client_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let before = found(core, account, &input.open_id_connect_provider_arn).await?;
        let mut clients = before.0.clients.clone();
        if !clients.contains(&input.client_id) {
            clients.push(input.client_id.clone());
        }
        if clients.len() > quota::CLIENTS_PER_PROVIDER {
            return Err(too_many_clients());
        }
        Ok(request.done(Empty).changing(updated(account, &before, clients)))
    }
}

impl Executes for RemoveClientIDFromOpenIDConnectProvider {
    fn names(input: &RemoveClientIDFromOpenIDConnectProviderInput) -> Names<'_> {
        by_arn(&input.open_id_connect_provider_arn)
    }

    fn describe(input: &RemoveClientIDFromOpenIDConnectProviderInput) -> Parameters {
        Parameters::new()
            .text("openIDConnectProviderArn", input.open_id_connect_provider_arn.as_str())
            .text("clientID", input.client_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let before = found(core, account, &input.open_id_connect_provider_arn).await?;
        let mut clients = before.0.clients.clone();
        clients.retain(|client| *client != input.client_id);
        Ok(request.done(Empty).changing(updated(account, &before, clients)))
    }
}
