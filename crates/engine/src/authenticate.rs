//! Who calls: the first step of the pipeline.

use crate::core::Core;
use crate::credentials::{Credential, is_access_key_id};
use crate::fault::Fault;
use crate::principal::Principal;
use bulla_api::{AccountId, ApiError, ErrorCode, Region, Service};
use bulla_sigv4 as sigv4;
use std::sync::Arc;

/// A caller of whom we know who it is: nothing but a signature that holds, or a local connection, makes one.
#[derive(Debug, Clone)]
pub struct Authenticated {
    principal: Arc<Principal>,
    region: Region,
    service: Option<Service>,
    via: Via,
}

impl Authenticated {
    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same, to be kept.
    pub(crate) fn principal_kept(&self) -> Arc<Principal> {
        Arc::clone(&self.principal)
    }

    /// The caller's account: the one in which it acts.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.principal.account()
    }

    /// The region that is asked.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The way it came.
    #[must_use]
    pub const fn via(&self) -> Via {
        self.via
    }

    /// The service that the signature is for; local callers may ask each.
    #[must_use]
    pub const fn service(&self) -> Option<Service> {
        self.service
    }
}

/// The way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Over the network, signed.
    Network,
    /// Through the server's socket in its data directory, by this user of the host.
    AdminSocket {
        /// The peer's user id, from the kernel.
        uid: u32,
    },
    /// In this process.
    Embedded,
}

/// A request whose caller is not known, or that was refused before it mattered. It is answered and recorded all the
/// same: hand it to [`Engine::dispatch`](crate::Engine::dispatch).
#[derive(Debug, Clone)]
pub struct AuthFailure {
    pub(crate) fault: Fault,
    pub(crate) claimed_access_key_id: Option<String>,
    pub(crate) claimed_region: Option<Region>,
}

impl AuthFailure {
    /// A request that was refused before anything was known of its caller (too long, not HTTP as it should be).
    #[must_use]
    pub fn refused(error: ApiError) -> Self {
        Self { fault: Fault::Answer(error), claimed_access_key_id: None, claimed_region: None }
    }

    pub(crate) const fn of(fault: Fault) -> Self {
        Self { fault, claimed_access_key_id: None, claimed_region: None }
    }

    /// Whether nothing was presented at all.
    pub(crate) fn is_unsigned(&self) -> bool {
        matches!(&self.fault, Fault::Answer(error) if error.code == ErrorCode::MissingAuthenticationTokenException)
    }

    /// What the caller is told.
    #[must_use]
    pub fn error(&self) -> ApiError {
        self.fault.to_answer()
    }
}

/// The services whose signatures are taken.
const SERVICES: &[&str] = &[Service::Kms.scope_name(), Service::Iam.scope_name(), Service::Sts.scope_name()];

impl Core {
    /// Verifies a signed request.
    pub(crate) async fn authenticate(
        &self,
        request: &sigv4::Request<'_>,
    ) -> Result<Authenticated, AuthFailure> {
        let presented = sigv4::parse_authorization(request).map_err(|error| AuthFailure {
            fault: refusal(&error),
            claimed_access_key_id: None,
            claimed_region: None,
        })?;
        self.verify(request, &presented).await.map_err(|fault| AuthFailure {
            fault,
            claimed_access_key_id: Some(presented.access_key_id.to_owned()),
            claimed_region: presented.scope.region.parse().ok(),
        })
    }

    async fn verify(
        &self,
        request: &sigv4::Request<'_>,
        presented: &sigv4::Presented<'_>,
    ) -> Result<Authenticated, Fault> {
        let now = sigv4::Instant::from_seconds(self.clock.wall_ms().div_euclid(1000));
        let regions: Vec<&str> = self.regions.iter().map(Region::as_str).collect();
        let policy = sigv4::VerifyPolicy { regions: &regions, services: SERVICES };
        let (id, token) = (presented.access_key_id, presented.session_token);
        let known = match token {
            _ if !is_access_key_id(id) => None,
            None => self.credential(id).await?,
            Some(token) => self.temporary_credential(id, token).await?,
        };
        let Some(credential) = known.filter(|credential| credential.is_active()) else {
            return Err(refusal(&sigv4::verify_unknown(request, presented, now, &policy)));
        };
        let key = self.signing_key(&credential, token, &presented.scope).await?;
        let verified =
            sigv4::verify(request, presented, &key, now, &policy).map_err(|error| refusal(&error))?;
        credential.keep_signing_key(&presented.scope, &key);
        let authenticated = Authenticated::from_verified(&verified, &credential, self)?;
        if credential.has_expired(self.clock.wall_ms()) {
            let code = match authenticated.service {
                Some(Service::Kms) | None => ErrorCode::ExpiredTokenException,
                Some(Service::Iam | Service::Sts) => ErrorCode::ExpiredToken,
            };
            return Err(Fault::answer(code, "The security token included in the request is expired"));
        }
        if let Some(service) = authenticated.service
            && credential.is_used_anew(self.clock.wall_ms())
        {
            self.note_identity_use(&authenticated.principal, &authenticated.region, service);
        }
        Ok(authenticated)
    }

    /// The root of an account, for a caller of this host.
    pub(crate) async fn local_caller(
        &self,
        account: Option<AccountId>,
        region: Option<Region>,
        via: Via,
    ) -> Result<Authenticated, ApiError> {
        let not_served = |what: String| Err(ApiError::new(ErrorCode::ValidationException, what));
        let region = match region {
            Some(region) if !self.regions.contains(&region) => {
                return not_served(format!("Region {region} is not served by this store."));
            }
            Some(region) => region,
            None => self.regions.first().cloned().ok_or_else(ApiError::internal)?,
        };
        let accounts = self.account_ids().await.map_err(|fault| fault.answer_and_log())?;
        let account = match account {
            Some(account) if !accounts.contains(&account) => {
                return not_served(format!("Account {account} is not in this store."));
            }
            Some(account) => account,
            None => accounts.first().copied().ok_or_else(ApiError::internal)?,
        };
        let principal = Arc::new(Principal::root(account, None));
        Ok(Authenticated { principal, region, service: None, via })
    }
}

impl Authenticated {
    /// By a token that was verified.
    pub(crate) fn by_web_identity(principal: Principal, region: Region) -> Self {
        Self { principal: Arc::new(principal), region, service: Some(Service::Sts), via: Via::Network }
    }

    fn from_verified(
        verified: &sigv4::Verified<'_>,
        credential: &Credential,
        core: &Core,
    ) -> Result<Self, Fault> {
        let scope = verified.scope();
        let service = Service::ALL.iter().copied().find(|service| service.scope_name() == scope.service);
        let service = service.ok_or(Fault::bug("a scope of a service that isn't served was verified"))?;
        // iam and sts are asked in us-east-1 also where that is not among the regions.
        let region = match core.regions.iter().find(|region| region.as_str() == scope.region) {
            Some(region) => region.clone(),
            None => scope.region.parse().map_err(|_| Fault::bug("a scope of no region was verified"))?,
        };
        Ok(Self {
            principal: Arc::clone(&credential.principal),
            region,
            service: Some(service),
            via: Via::Network,
        })
    }
}

fn refusal(error: &sigv4::SigV4Error) -> Fault {
    Fault::Answer(ApiError::new(ErrorCode::from_name(error.code()), error.to_string()))
}
