//! Every row of the operation table against every way in which its caller can be out of its rights. What applies to a row
//! follows from the row itself: from what it demands, and from how its callers are known.

use super::support::iam::{Identities, provider_arn};
use super::support::sts::{Provider, role_arn};
use super::support::{ACCOUNT, OTHER_ACCOUNT, REGION, Read, Signer, World, text};
use super::{input, not_there, with_grant};
use bulla_api::{GrantOperation, Role, Row, Service, TABLE, When};
use bulla_engine::{SignedRequest, Via};
use bulla_store::{Prefix, Scan, Store};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// Whether whoever calls signs nothing, and comes with a token of a provider of identities.
fn comes_with_token(row: &Row) -> bool {
    row.demands.iter().any(|demand| demand.action == "sts:AssumeRoleWithWebIdentity")
}

fn signed() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().copied().filter(|row| !comes_with_token(row))
}

fn with_tokens() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().copied().filter(|row| comes_with_token(row))
}

/// Those that must be allowed something. The others tell callers what is theirs anyway, whatever policies say.
fn demanding() -> impl Iterator<Item = &'static Row> {
    signed().filter(|row| !row.demands.is_empty())
}

/// Whoever asks with a user's own policies and an access key.
struct Asker {
    id: String,
    secret: String,
}

impl Asker {
    async fn make(world: &World, account: &str) -> Self {
        let root = world.caller_of(account, REGION).await;
        world.call_as(&root, "CreateUser", json!({"UserName": "asker"})).await.ok();
        let made = world.call_as(&root, "CreateAccessKey", json!({"UserName": "asker"})).await.ok();
        let of = |member: &str| text(&made["AccessKey"][member]);
        Self { id: of("AccessKeyId"), secret: of("SecretAccessKey") }
    }

    fn signer(&self, row: &Row) -> Signer {
        let service = row.service.scope_name();
        Signer { access_key_id: self.id.clone(), secret: self.secret.clone(), region: REGION, service }
    }

    async fn call(&self, world: &World, row: &Row, input: &Value) -> Read {
        let body = serde_json::to_vec(input).unwrap();
        Read::of(world.call_signed(&self.signer(row), &target(row), &body).await)
    }
}

fn target(row: &Row) -> String {
    format!("{}{}", row.service.target_prefix(), row.name)
}

/// What the asker may do.
async fn may(world: &World, account: &str, statements: Value) {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let input = json!({"UserName": "asker", "PolicyName": "p", "PolicyDocument": document});
    world.call_as(&world.caller_of(account, REGION).await, "PutUserPolicy", input).await.ok();
}

fn everything_allowed() -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
}

/// Everything that a row's input names: users, groups, roles, a provider of identities, a key and what belongs to it.
struct Everything {
    world: World,
    provider: Provider,
    scene: Identities,
    asker: Asker,
}

async fn everything(seed: u64) -> Everything {
    let (world, provider) = Provider::with_world(seed).await;
    let scene = Identities::make(&world).await;
    let trust = |statements: Value| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let to_account = json!({
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    });
    let federated = |effect: &str| {
        json!({
            "Effect": effect, "Principal": {"Federated": provider_arn()}, "Action": "sts:AssumeRoleWithWebIdentity",
        })
    };
    for (name, trust) in [
        ("open", trust(to_account)),
        ("web", trust(federated("Allow"))),
        ("web-denied", trust(json!([federated("Allow"), federated("Deny")]))),
    ] {
        let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust});
        world.call("CreateRole", input).await.ok();
    }
    let asker = Asker::make(&world, ACCOUNT).await;
    Everything { world, provider, scene, asker }
}

impl Everything {
    /// An input of this row that the root of the account, or whoever it is for, would succeed with. With tags and a source
    /// identity where the row says that these are demanded apart.
    async fn input(&self, row: &Row) -> Value {
        let mut input = self.plain_input(row).await;
        let has = |when: When| row.demands.iter().any(|demand| demand.when == when);
        if has(When::Tagged) {
            input["Tags"] = match row.service {
                Service::Kms => json!([{"TagKey": "a", "TagValue": "b"}]),
                Service::Iam | Service::Sts => json!([{"Key": "a", "Value": "b"}]),
            };
        }
        if has(When::Sourced) {
            input["SourceIdentity"] = json!("someone");
        }
        input
    }

    async fn plain_input(&self, row: &Row) -> Value {
        match row.service {
            Service::Iam => return self.scene.inputs(row.name).0,
            Service::Sts => return self.sts_input(row.name),
            Service::Kms => {}
        }
        let world = &self.world;
        let key = match world.wants_another(row.name) {
            true => world.new_key_for(row.name).await,
            false => world.new_key().await,
        };
        let blob = if world.wants_another(row.name) { String::new() } else { world.sealed(&key).await };
        let alias = format!("alias/{key}");
        world.call("CreateAlias", json!({"AliasName": alias, "TargetKeyId": key})).await.ok();
        let mut input = with_grant(world, &key, input(row.name, &key, &alias, &blob)).await;
        world.prove(row.name, &mut input).await;
        if row.name == "CancelKeyDeletion" {
            world.call("ScheduleKeyDeletion", json!({"KeyId": key})).await.ok();
        }
        input
    }

    fn sts_input(&self, operation: &str) -> Value {
        let role = |name: &str| json!({"RoleArn": role_arn(name), "RoleSessionName": "session"});
        match operation {
            "AssumeRole" => role("open"),
            "AssumeRoleWithWebIdentity" => with_token(role("web"), &self.provider.token(json!({}))),
            "GetCallerIdentity" | "GetSessionToken" => json!({}),
            "GetAccessKeyInfo" => json!({"AccessKeyId": self.asker.id}),
            other => unreachable!("{other} has no input here"),
        }
    }
}

fn with_token(mut input: Value, token: &str) -> Value {
    input["WebIdentityToken"] = token.into();
    input
}

/// Changes the headers of a request that was signed.
type Tampering<'t> = &'t dyn Fn(&mut Vec<(String, String)>);

#[tokio::test]
async fn no_row_answers_whom_it_does_not_know() {
    let Everything { world, asker, .. } = everything(11).await;
    may(&world, ACCOUNT, everything_allowed()).await;
    for row in signed() {
        let (signer, target) = (asker.signer(row), target(row));
        let tampered: [(&str, Tampering<'_>); 3] = [
            ("MissingAuthenticationTokenException", &|headers| {
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            }),
            ("InvalidSignatureException", &|headers| {
                let (_, value) =
                    headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).unwrap();
                let last = value.pop().unwrap();
                value.push(if last == '0' { '1' } else { '0' });
            }),
            ("InvalidSignatureException", &|headers| {
                for (name, value) in headers.iter_mut() {
                    if name.eq_ignore_ascii_case("x-amz-date") {
                        let other = if value.contains("T03") { "T04" } else { "T03" };
                        value.replace_range(8..11, other);
                    }
                }
            }),
        ];
        for (code, tamper) in tampered {
            let caller = world.authenticate(&signer, &target, b"{}", tamper).await;
            let answer = world.engine.dispatch(caller, world.meta(), &target, &mut b"{}".to_owned()).await;
            assert_eq!(answer.error_type(), Some(code), "{}", row.name);
        }
        // Signed, and sent when its time is over.
        let kept = Mutex::new(Vec::new());
        world
            .authenticate(&signer, &target, b"{}", |headers| *kept.lock().unwrap() = headers.clone())
            .await
            .unwrap();
        let kept = kept.into_inner().unwrap();
        let headers: Vec<(&str, &[u8])> =
            kept.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = SignedRequest { method: "POST", path_and_query: "/", headers: &headers, body: b"{}" };
        world.clock.advance(Duration::from_secs(6 * 60));
        let caller = world.engine.authenticate(&request).await;
        let answer = world.engine.dispatch(caller, world.meta(), &target, &mut b"{}".to_owned()).await;
        assert_eq!(answer.error_type(), Some("InvalidSignatureException"), "{}", row.name);
    }
    // By an access key that is out of use.
    let input = json!({"UserName": "asker", "AccessKeyId": asker.id, "Status": "Inactive"});
    world.call("UpdateAccessKey", input).await.ok();
    for row in signed() {
        let answer = asker.call(&world, row, &json!({})).await;
        assert_eq!(answer.error, Some("UnrecognizedClientException"), "{}", row.name);
    }
}

#[tokio::test]
async fn no_row_takes_a_token_that_does_not_hold() {
    let everything = everything(16).await;
    let Everything { world, provider, .. } = &everything;
    for row in with_tokens() {
        let right = everything.input(row).await;
        world.call_unsigned(row.name, &right).await.ok();
        let mut without = right.clone();
        without.as_object_mut().unwrap().remove("WebIdentityToken");
        world.call_unsigned(row.name, &without).await.fails(400, "ValidationError");
        let now_s = super::support::START_MS / 1000;
        let good = text(&right["WebIdentityToken"]);
        let (said, signature) = good.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        for (token, code) in [
            (format!("{said}.{other}{}", &signature[1..]), "InvalidIdentityToken"),
            (provider.token(json!({"exp": now_s})), "ExpiredTokenException"),
            (provider.token(json!({"nbf": now_s + 3600})), "InvalidIdentityToken"),
            (provider.token(json!({"aud": "another"})), "InvalidIdentityToken"),
            (provider.token(json!({"iss": "https://another.example"})), "InvalidIdentityToken"),
        ] {
            let input = with_token(right.clone(), &token);
            world.call_unsigned(row.name, &input).await.fails(400, code);
        }
        // In an account that doesn't know the provider, or doesn't any more.
        let mut elsewhere = right.clone();
        elsewhere["RoleArn"] = text(&right["RoleArn"]).replace(ACCOUNT, OTHER_ACCOUNT).into();
        world.call_unsigned(row.name, &elsewhere).await.fails(400, "InvalidIdentityToken");
        let gone = json!({"OpenIDConnectProviderArn": provider_arn()});
        world.call("DeleteOpenIDConnectProvider", gone).await.ok();
        world.call_unsigned(row.name, &right).await.fails(400, "InvalidIdentityToken");
    }
}

#[tokio::test]
async fn no_row_trusts_a_token_that_no_role_trusts() {
    let everything = everything(17).await;
    let world = &everything.world;
    let anybody = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}});
    let input = json!({"RoleName": "anybody", "AssumeRolePolicyDocument": anybody.to_string()});
    world.call("CreateRole", input).await.ok();
    for row in with_tokens() {
        let mut input = everything.input(row).await;
        for role in ["open", "web-denied", "anybody", "nobody"] {
            input["RoleArn"] = role_arn(role).into();
            world.call_unsigned(row.name, &input).await.fails(403, "AccessDenied");
        }
    }
}

#[tokio::test]
async fn no_row_allows_what_no_policy_allows() {
    let everything = everything(12).await;
    let Everything { world, asker, .. } = &everything;
    for row in demanding() {
        let input = everything.input(row).await;
        let answer = asker.call(world, row, &input).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body);
    }
}

#[tokio::test]
async fn what_demands_nothing_is_not_denied_either() {
    let everything = everything(18).await;
    let Everything { world, asker, .. } = &everything;
    may(world, ACCOUNT, json!({"Effect": "Deny", "Action": "*", "Resource": "*"})).await;
    for row in signed().filter(|row| row.demands.is_empty()) {
        let input = everything.input(row).await;
        asker.call(world, row, &input).await.ok();
    }
}

#[tokio::test]
async fn each_demand_of_each_row_can_be_denied_and_more_is_not_needed() {
    for row in demanding() {
        let everything = everything(13).await;
        let Everything { world, asker, .. } = &everything;
        let input = everything.input(row).await;
        for demand in row.demands {
            let deny = json!({"Effect": "Deny", "Action": demand.action, "Resource": "*"});
            may(world, ACCOUNT, json!([everything_allowed(), deny])).await;
            let answer = asker.call(world, row, &input).await;
            let shown = format!("{} without {}: {}", row.name, demand.action, answer.body);
            assert_eq!(answer.error, Some("AccessDeniedException"), "{shown}");
            // Of a role to assume, one answer stands for all reasons.
            let is_told = demand.role == Role::RoleToAssume
                || shown.contains("with an explicit deny in an identity-based policy");
            assert!(is_told, "{shown}");
        }
        let actions: Vec<&str> = row.demands.iter().map(|demand| demand.action).collect();
        may(world, ACCOUNT, json!({"Effect": "Allow", "Action": actions, "Resource": "*"})).await;
        let answer = asker.call(world, row, &input).await;
        match not_there(row.name) {
            Some(code) => assert_eq!(answer.error, Some(code), "{}", row.name),
            None => assert_eq!(answer.error, None, "{}: {}", row.name, answer.body),
        }
    }
}

/// Every record of an account, as the store has it.
async fn records_of(world: &World, account: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = world.disk.open();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let prefix = Prefix::raw(format!("v1/{account}/").as_bytes());
        let page = store.scan(Scan { prefix, after, limit: 100 }).await.unwrap();
        after = page.records.last().map(|(path, _)| path.clone());
        let records = page.records.into_iter();
        found.extend(
            records.map(|(path, record)| (path.as_bytes().to_vec(), format!("{record:?}").into_bytes())),
        );
        if !page.more {
            return found;
        }
    }
}

#[tokio::test]
async fn no_row_reaches_into_another_account() {
    let everything = everything(19).await;
    let world = &everything.world;
    world.add_account().await;
    let stranger = Asker::make(world, OTHER_ACCOUNT).await;
    may(world, OTHER_ACCOUNT, everything_allowed()).await;
    for row in signed() {
        let mut input = everything.input(row).await;
        // Keys are another's by their ARN.
        for member in ["KeyId", "DestinationKeyId", "TargetKeyId"] {
            if let Some(key) = input.get(member).and_then(Value::as_str).filter(|key| !key.contains(':')) {
                input[member] = super::key_arn(ACCOUNT, REGION, key).into();
            }
        }
        let before = records_of(world, ACCOUNT).await;
        assert!(before.len() > 20, "{}", before.len());
        let answer = stranger.call(world, row, &input).await;
        // Nothing of what is there is told of.
        let told = answer.body.to_string();
        assert!(
            !told.contains(&format!(":{ACCOUNT}:")) || answer.error.is_some(),
            "{} was answered: {told}",
            row.name
        );
        assert!(before == records_of(world, ACCOUNT).await, "{} changed another account", row.name);
    }
}

#[tokio::test]
async fn a_grant_that_is_gone_allows_no_row_anything() {
    let everything = everything(15).await;
    let Everything { world, asker, .. } = &everything;
    let asker_arn = format!("arn:aws:iam::{ACCOUNT}:user/asker");
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let is_granted =
        |action: &str| action.strip_prefix("kms:").is_some_and(|name| name.parse::<GrantOperation>().is_ok());
    let mut tried = 0;
    for row in TABLE
        .iter()
        .filter(|row| !row.demands.is_empty() && row.demands.iter().all(|demand| is_granted(demand.action)))
    {
        let of_grant = row.demands.iter().any(|demand| demand.role == Role::Grant);
        for by in ["RevokeGrant", "RetireGrant"] {
            let mut input = everything.input(row).await;
            let key = match input.get("KeyId").or(input.get("DestinationKeyId")) {
                Some(key) => key.clone(),
                None => {
                    let blob = json!({"CiphertextBlob": input["CiphertextBlob"]});
                    world.call("Decrypt", blob).await.ok()["KeyId"].clone()
                }
            };
            let actions = row.demands.iter().map(|demand| demand.action);
            let mut operations: Vec<&str> =
                actions.filter_map(|action| action.strip_prefix("kms:")).collect();
            if operations.contains(&"CreateGrant") {
                operations.push("Decrypt");
            }
            let grant = json!({
                "KeyId": key, "GranteePrincipal": asker_arn, "RetiringPrincipal": root, "Operations": operations,
            });
            let made = world.call("CreateGrant", grant).await.ok();
            let by_id = json!({"KeyId": key, "GrantId": made["GrantId"]});
            if of_grant {
                // It is about a grant, which lets whoever it names retire it: that one itself.
                let arn = super::key_arn(ACCOUNT, REGION, key.as_str().unwrap());
                input = json!({"KeyId": arn, "GrantId": made["GrantId"], "DryRun": true});
                let answer = asker.call(world, row, &input).await;
                assert_eq!(answer.error, Some("DryRunOperationException"), "{}: {}", row.name, answer.body);
            } else {
                let answer = asker.call(world, row, &input).await;
                assert_eq!(answer.error, None, "{}: {}", row.name, answer.body);
            }
            let caller = world.engine.local_caller(Some(ACCOUNT.parse().unwrap()), None, Via::Embedded).await;
            let mut gone = by_id;
            if by == "RetireGrant" {
                gone["KeyId"] = super::key_arn(ACCOUNT, REGION, &key_id(&key)).into();
            }
            world.call_as(&caller.unwrap(), by, gone).await.ok();
            if row.name != "CreateGrant" && !of_grant {
                input["GrantTokens"] = json!([made["GrantToken"]]);
            }
            let answer = asker.call(world, row, &input).await;
            let shown = format!("{} after {by}: {}", row.name, answer.body);
            assert_eq!(answer.error, Some("AccessDeniedException"), "{shown}");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

/// The id of a key that is named by its id or its ARN.
fn key_id(key: &Value) -> String {
    text(key).rsplit('/').next().unwrap().to_owned()
}
