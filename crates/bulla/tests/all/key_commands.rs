//! `bulla key`: the everyday part of the API, without another client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::key_material::{KeyPair, PairSpec};
use common::stub::{Does, Stub};
use common::{Ended, Home, Server};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

fn json(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.text()))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn private(home: &Home, name: &str, content: impl AsRef<[u8]>) {
    let path = home.write(name, content);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_key_is_made_as_asked() {
    let home = Home::new();
    let made = json(&home.ok(&[
        "key",
        "create",
        "--json",
        "alias/signer",
        "--spec",
        "ecc_nist_p256",
        "--usage",
        "SIGN_VERIFY",
        "--multi-region",
        "--description",
        "releases",
        "--tag",
        "team=a=b",
        "--tag",
        "empty=",
    ]));
    assert_eq!(made["KeySpec"], "ECC_NIST_P256");
    assert_eq!(made["KeyUsage"], "SIGN_VERIFY");
    assert_eq!(made["MultiRegion"], true);
    assert_eq!(made["Description"], "releases");
    assert!(made["KeyId"].as_str().unwrap().starts_with("mrk-"));
    assert_eq!(home.ok(&["key", "tags", "alias/signer"]).text(), "empty=\nteam=a=b\n");
    let shown = home.ok(&["key", "describe", "alias/signer"]);
    assert!(shown.text().contains("multi-Region  primary\n"), "{}", shown.text());

    let plain = json(&home.ok(&["key", "create", "--json"]));
    assert_eq!((&plain["KeySpec"], &plain["Origin"]), (&"SYMMETRIC_DEFAULT".into(), &"AWS_KMS".into()));

    home.fails(&["key", "create", "--spec", "RSA_1024"], 2, &["RSA_1024", "RSA_2048"]);
    home.fails(&["key", "create", "--usage", "ANY"], 2, &["ANY", "SIGN_VERIFY"]);
    home.fails(&["key", "create", "--origin", "AWS_CLOUDHSM"], 2, &["AWS_CLOUDHSM", "EXTERNAL"]);
    home.fails(&["key", "create", "--tag", "nothing"], 2, &["`nothing`", "NAME=VALUE"]);
    home.fails(&["key", "create", "--bypass-lockout-check"], 2, &["--policy"]);
    home.fails(&["key", "create", "--spec", "RSA_2048"], 2, &["KeyUsage"]);
    assert_eq!(home.ok(&["key", "list"]).text().lines().count(), 2, "what failed made no key");
}

#[test]
fn a_wrong_command_line_makes_no_store() {
    let home = Home::new();
    home.fails(&["key", "create", "--policy", "absent.json"], 1, &["absent.json", "check the path"]);
    home.write("policy", [0xff, 0xfe]);
    home.fails(&["key", "create", "--policy", "policy"], 2, &["policy", "UTF-8"]);
    home.fails(&["key", "create", "--tag", "=x"], 2, &["=x"]);
    assert!(!home.data().exists());
}

#[test]
fn a_public_key_is_written_as_pem() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/s", "--spec", "ECC_NIST_P384", "--usage", "SIGN_VERIFY"]);
    let pem = home.ok(&["key", "public-key", "alias/s"]);
    assert!(pem.text().starts_with("-----BEGIN PUBLIC KEY-----\n"), "{}", pem.text());
    assert!(pem.text().ends_with("\n-----END PUBLIC KEY-----\n"), "{}", pem.text());
    home.ok(&["key", "public-key", "alias/s", "-o", "s.pem"]);
    assert_eq!(home.read("s.pem"), pem.out);
    home.fails(&["key", "public-key", "alias/s", "-o", "s.pem"], 1, &["s.pem", "--force"]);
    home.ok(&["key", "public-key", "alias/s", "-o", "s.pem", "--force"]);
    let told = home.ok(&["key", "public-key", "--json", "-o", "-", "alias/s"]);
    assert_eq!(told.out, pem.out, "data and events are not mixed");
    assert!(serde_json::from_str::<Value>(&told.err).unwrap()["KeyId"].is_string());
    let told = json(&home.ok(&["key", "public-key", "--json", "alias/s"]));
    assert_eq!(told["PublicKey"], pem.text());
    assert_eq!(told["KeySpec"], "ECC_NIST_P384");
    if home.shell("command -v openssl").code == 0 {
        let read = home.shell("openssl pkey -pubin -in s.pem -noout -text");
        assert!(read.text().contains("384"), "{} {}", read.text(), read.err);
    }
    home.ok(&["key", "create", "alias/symmetric"]);
    home.fails(
        &["key", "public-key", "alias/symmetric", "-o", "none.pem"],
        1,
        &["has no public key", "SYMMETRIC_DEFAULT"],
    );
    assert!(!home.file("none.pem").exists());
}

#[test]
fn rotation_is_shown_and_scheduled() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    let status = || json(&home.ok(&["key", "rotation", "--json", "alias/k"]));
    let before = status();
    assert_eq!(before["KeyRotationEnabled"], false);
    assert_eq!(before["Rotations"].as_array().unwrap().len(), 1, "{before}");
    assert!(home.ok(&["key", "rotation", "--enable", "--period-days", "180", "alias/k"]).out.is_empty());
    let enabled = status();
    assert_eq!(
        (&enabled["KeyRotationEnabled"], &enabled["RotationPeriodInDays"]),
        (&true.into(), &180.into())
    );
    assert!(enabled["NextRotationDate"].is_string());
    let told = home.ok(&["key", "rotation", "alias/k"]);
    assert!(told.text().contains("enabled, every 180 days, next at "), "{}", told.text());
    home.ok(&["key", "rotate", "alias/k"]);
    let rotated = status();
    let materials = rotated["Rotations"].as_array().unwrap();
    assert_eq!(materials.len(), 2, "{rotated}");
    assert!(materials.iter().any(|one| one["RotationType"] == "ON_DEMAND"), "{rotated}");
    let event = json(&home.ok(&["key", "rotation", "--json", "--disable", "alias/k"]));
    assert_eq!(event["event"], "rotation_disabled");
    assert_eq!(status()["KeyRotationEnabled"], false);
    home.fails(&["key", "rotation", "--enable", "--disable", "alias/k"], 2, &["--disable"]);
    home.fails(&["key", "rotation", "--disable", "--period-days", "200", "alias/k"], 2, &["--period-days"]);
    home.fails(&["key", "rotation", "--period-days", "180", "alias/k"], 2, &["--enable"]);
    home.fails(
        &["key", "rotation", "--enable", "--period-days", "7", "alias/k"],
        2,
        &["ValidationException"],
    );
    home.fails(&["key", "rotation", "alias/nope"], 6, &["alias/nope"]);
}

#[test]
fn tags_come_and_go() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    assert_eq!(home.ok(&["key", "tags", "alias/k"]).text(), "");
    home.ok(&["key", "tag", "alias/k", "team=storage", "stage=prod"]);
    home.ok(&["key", "tag", "alias/k", "stage=test"]);
    assert_eq!(home.ok(&["key", "tags", "alias/k"]).text(), "stage=test\nteam=storage\n");
    home.ok(&["key", "untag", "alias/k", "team", "absent"]);
    let left = lines(&home.ok(&["key", "tags", "--json", "alias/k"]));
    assert_eq!(left, [serde_json::json!({ "TagKey": "stage", "TagValue": "test" })]);
    home.fails(&["key", "tag", "alias/k", "x"], 2, &["`x`", "NAME=VALUE"]);
    home.fails(&["key", "tag", "alias/k"], 2, &["NAME=VALUE"]);
    home.fails(&["key", "tag", "alias/k", "aws:x=1"], 2, &["aws:"]);
    home.fails(&["key", "untag", "alias/nope", "x"], 6, &["alias/nope"]);
}

#[test]
fn a_policy_that_was_shown_can_be_put_back() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    let first = home.ok(&["key", "policy", "get", "alias/k"]);
    let mut policy: Value = serde_json::from_slice(&first.out).unwrap();
    policy["Id"] = "mine".into();
    home.write("policy.json", policy.to_string());
    assert!(home.ok(&["key", "policy", "put", "alias/k", "policy.json"]).out.is_empty());
    let second: Value = serde_json::from_slice(&home.ok(&["key", "policy", "get", "alias/k"]).out).unwrap();
    assert_eq!(second, policy);
    let put = home.run_with_input(&["key", "policy", "put", "alias/k", "-"], &first.out);
    assert_eq!(put.code, 0, "{}", put.err);
    let told = json(&home.ok(&["key", "policy", "get", "--json", "alias/k"]));
    assert_eq!(told["Policy"].as_str().unwrap().trim(), first.text().trim());

    home.write("bad.json", "{");
    home.fails(&["key", "policy", "put", "alias/k", "bad.json"], 2, &["MalformedPolicyDocument"]);
    // Lets nobody change it again.
    let closed = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:DescribeKey","kms:CreateAlias"],"Resource":"*"}]}"#;
    home.write("closed.json", closed);
    home.fails(&["key", "policy", "put", "alias/k", "closed.json"], 2, &["MalformedPolicyDocument"]);
    home.fails(
        &["key", "create", "alias/closed", "--policy", "closed.json"],
        2,
        &["MalformedPolicyDocument"],
    );
    home.ok(&["key", "create", "alias/closed", "--policy", "closed.json", "--bypass-lockout-check"]);
    home.ok(&["key", "policy", "put", "--bypass-lockout-check", "alias/k", "closed.json"]);
}

#[test]
fn material_comes_from_a_private_file() {
    let home = Home::new();
    let made = json(&home.ok(&["key", "create", "--json", "alias/own", "--origin", "EXTERNAL"]));
    assert_eq!((&made["Origin"], &made["KeyState"]), (&"EXTERNAL".into(), &"PendingImport".into()));
    private(&home, "own.key", [7; 32]);
    let event =
        json(&home.ok(&["key", "import", "--json", "alias/own", "own.key", "--description", "from paper"]));
    let material = event["KeyMaterialId"].as_str().unwrap().to_owned();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "-k", "alias/own", "f"]);

    // The same again, as after a loss; and until some time.
    let again = home.run_with_input(&["key", "import", "--json", "alias/own", "-"], &[7; 32]);
    assert_eq!(json(&again)["KeyMaterialId"], material, "{}", again.err);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    home.ok(&["key", "import", "alias/own", "own.key", "--valid-to", &soon.to_string()]);
    let shown = home.ok(&["key", "describe", "alias/own"]);
    assert!(
        shown.text().contains("expires  ") && shown.text().contains("origin        EXTERNAL"),
        "{}",
        shown.text()
    );
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"x");

    // Another material only when that is meant.
    private(&home, "other.key", [8; 32]);
    home.fails(&["key", "import", "alias/own", "other.key"], 1, &["IncorrectKeyMaterial", "--new-material"]);
    home.ok(&["key", "import", "--new-material", "alias/own", "other.key"]);
    home.ok(&["key", "rotate", "alias/own"]);
    let rotation = json(&home.ok(&["key", "rotation", "--json", "alias/own"]));
    let materials = rotation["Rotations"].as_array().unwrap();
    assert!(materials.iter().any(|one| one["KeyMaterialDescription"] == "from paper"), "{rotation}");
    assert!(
        materials.iter().any(|one| one["KeyMaterialState"] == "CURRENT" && one["KeyMaterialId"] != *material)
    );
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"x");
}

#[test]
fn material_that_others_can_read_or_that_does_not_fit_is_not_sent() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/own", "--origin", "EXTERNAL"]);
    home.ok(&["key", "create", "alias/plain"]);
    let open = home.write("open.key", [7; 32]);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o640)).unwrap();
    home.fails(&["key", "import", "alias/own", "open.key"], 1, &["open.key", "0640", "chmod 600"]);
    private(&home, "short.key", [7; 31]);
    home.fails(&["key", "import", "alias/own", "short.key"], 2, &["31 bytes", "takes 32"]);
    private(&home, "own.key", [7; 32]);
    home.fails(&["key", "import", "alias/plain", "own.key"], 1, &["AWS_KMS", "--origin EXTERNAL"]);
    home.fails(&["key", "import", "alias/own", "own.key", "--valid-to", "tomorrow"], 2, &["tomorrow"]);
    home.fails(
        &["key", "import", "alias/own", "own.key", "--valid-to", "2001-01-01T00:00:00Z"],
        2,
        &["ValidTo"],
    );
    home.fails(&["key", "import", "alias/own", "absent.key"], 1, &["absent.key", "check the path"]);
    assert!(home.ok(&["key", "describe", "alias/own"]).text().contains("PendingImport"));
}

#[test]
fn private_keys_come_in_as_pem_or_der() {
    let home = Home::new();
    if home.shell("command -v openssl").code != 0 {
        return;
    }
    let made = home.shell(
        "umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null \
         && openssl rsa -in rsa.pem -traditional -out pkcs1.pem 2>/dev/null \
         && openssl pkey -in rsa.pem -pubout -out rsa.pub \
         && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out ec.pem 2>/dev/null \
         && openssl pkcs8 -topk8 -nocrypt -in ec.pem -outform DER -out ec.der \
         && openssl pkey -in ec.pem -pubout -out ec.pub \
         && openssl ecparam -name prime256v1 -genkey -noout -out sec1.pem",
    );
    assert_eq!(made.code, 0, "{}", made.err);
    let create = |alias: &str, spec: &str| {
        home.ok(&["key", "create", alias, "--origin", "EXTERNAL", "--spec", spec, "--usage", "SIGN_VERIFY"]);
    };
    for (alias, spec, file, public) in [
        ("alias/rsa", "RSA_2048", "rsa.pem", "rsa.pub"),
        ("alias/pkcs1", "RSA_2048", "pkcs1.pem", "rsa.pub"),
        ("alias/ec", "ECC_NIST_P521", "ec.der", "ec.pub"),
    ] {
        create(alias, spec);
        home.ok(&["key", "import", alias, file]);
        assert_eq!(home.ok(&["key", "public-key", alias]).out, home.read(public), "{alias}");
    }
    create("alias/sec1", "ECC_NIST_P256");
    home.fails(&["key", "import", "alias/sec1", "sec1.pem"], 2, &["sec1.pem", "openssl pkcs8"]);
    home.fails(&["key", "import", "alias/sec1", "ec.pub"], 2, &["ec.pub", "public key"]);
    home.fails(
        &["key", "import", "alias/sec1", "ec.der"],
        1,
        &["IncorrectKeyMaterial", "ECC_NIST_P256 private key"],
    );
}

#[test]
fn lattice_keys_come_in_as_their_seed() {
    let home = Home::new();
    for (alias, spec, usage, id, seed_bytes) in [
        ("alias/dsa", PairSpec::MlDsa65, "SIGN_VERIFY", [0x03, 0x12], 32),
        ("alias/kem", PairSpec::MlKem768, "ENCAPSULATE_DECAPSULATE", [0x04, 0x02], 64),
    ] {
        let name = spec.as_str();
        home.ok(&["key", "create", alias, "--origin", "EXTERNAL", "--spec", name, "--usage", usage]);
        assert!(home.ok(&["key", "describe", alias]).text().contains("PendingImport"));
        // SEQUENCE { version 0, SEQUENCE { OID 2.16.840.1.101.3.4 and id }, OCTET STRING { [0] seed } }: RFC 9881, section 6;
        // RFC 9935, section 6.
        let head = [0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04];
        let seed: Vec<u8> = (0..seed_bytes).collect();
        let rest = [&head[..], &id, &[0x04, seed_bytes + 2, 0x80, seed_bytes], &seed].concat();
        let pkcs8 = [&[0x30, u8::try_from(rest.len()).unwrap()], &rest[..]].concat();
        let pem = |label: &str, der: &[u8]| {
            let text = STANDARD.encode(der);
            let lines: Vec<&str> =
                text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
        };
        let own = KeyPair::import_pkcs8(spec, &pkcs8).unwrap().public_key_spki_der().unwrap();
        let content =
            if spec == PairSpec::MlKem768 { pem("PRIVATE KEY", &pkcs8).into_bytes() } else { pkcs8.clone() };
        private(&home, "own.key", content);
        home.ok(&["key", "import", alias, "own.key"]);
        assert_eq!(home.ok(&["key", "public-key", alias]).text(), pem("PUBLIC KEY", &own), "{name}");
        // Only the same comes back.
        let mut other = pkcs8;
        let first_of_seed = other.len() - usize::from(seed_bytes);
        other[first_of_seed] ^= 1;
        private(&home, "other.der", other);
        home.fails(&["key", "import", alias, "other.der"], 1, &["IncorrectKeyMaterial", name]);
    }
}

#[test]
fn a_server_takes_them_by_its_socket_and_over_the_network() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.ok(&["profile", "p"]);
    private(&home, "own.key", [7; 64]);
    for (name, profile) in [("socket", None), ("network", Some("p"))] {
        let alias = format!("alias/{name}");
        let run = |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.extend(profile.iter().flat_map(|profile| ["--profile", profile]));
            home.ok(&all)
        };
        let spec = ["--spec", "HMAC_512", "--usage", "GENERATE_VERIFY_MAC", "--origin", "EXTERNAL"];
        run(&[&["key", "create", &alias, "--tag", "a=b"], &spec[..]].concat());
        run(&["key", "import", &alias, "own.key"]);
        run(&["key", "tag", &alias, "c=d"]);
        run(&["key", "untag", &alias, "a"]);
        assert_eq!(run(&["key", "tags", &alias]).text(), "c=d\n");
        home.write("policy.json", run(&["key", "policy", "get", &alias]).out);
        run(&["key", "policy", "put", &alias, "policy.json"]);
        assert!(run(&["key", "describe", &alias]).text().contains("Enabled"));
        let pair = format!("{alias}-pair");
        run(&["key", "create", &pair, "--spec", "RSA_2048", "--usage", "ENCRYPT_DECRYPT"]);
        assert!(run(&["key", "public-key", &pair]).text().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        let turned = format!("{alias}-turned");
        run(&["key", "create", &turned]);
        run(&["key", "rotation", "--enable", &turned]);
        assert!(run(&["key", "rotation", &turned]).text().contains("enabled, every 365 days"));
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_key_that_may_not_be_looked_at_is_listed_by_its_names() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/open"]);
    let closed = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:PutKeyPolicy","kms:CreateAlias"],"Resource":"*"}]}"#;
    home.write("closed.json", closed);
    home.ok(&["key", "create", "alias/closed", "--policy", "closed.json", "--bypass-lockout-check"]);
    let told = home.ok(&["key", "list"]);
    assert_eq!(told.text().lines().count(), 2, "{}", told.text());
    assert!(told.text().contains("  Enabled  alias/open"), "{}", told.text());
    assert!(told.text().contains("  ?  alias/closed"), "{}", told.text());
    assert!(told.err.contains("1 key told by name alone") && told.err.lines().count() == 1, "{}", told.err);
    let listed = home.ok(&["key", "list", "--json"]);
    let keys = lines(&listed);
    let of = |alias: &str| keys.iter().find(|key| key["Aliases"][0] == alias).unwrap().as_object().unwrap();
    let (open, closed) = (of("alias/open"), of("alias/closed"));
    assert!(open.keys().eq(closed.keys()), "the same members of all");
    assert!(closed["Arn"].as_str().unwrap().starts_with("arn:aws:kms:"));
    assert!(closed["KeyState"].is_null() && closed["CreationDate"].is_null());
    assert_eq!(open["KeyState"], "Enabled");
}

#[test]
fn a_primary_key_is_told_to_wait_for_its_replicas() {
    const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000040008000000000000000";
    const WAITING: Does = Does::Answers(
        200,
        "",
        "{\"KeyMetadata\":{\"KeyId\":\"mrk-00000000000040008000000000000000\",\"AWSAccountId\":\"111122223333\",\
         \"Arn\":\"arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000040008000000000000000\",\"CreationDate\":1,\
         \"Enabled\":false,\"KeyState\":\"PendingReplicaDeletion\",\"KeyUsage\":\"ENCRYPT_DECRYPT\",\
         \"KeySpec\":\"SYMMETRIC_DEFAULT\",\"CustomerMasterKeySpec\":\"SYMMETRIC_DEFAULT\",\"Origin\":\"AWS_KMS\",\
         \"KeyManager\":\"CUSTOMER\",\"MultiRegion\":true,\"Description\":\"\",\
         \"EncryptionAlgorithms\":[\"SYMMETRIC_DEFAULT\"],\"PendingDeletionWindowInDays\":7,\
         \"MultiRegionConfiguration\":{\"MultiRegionKeyType\":\"PRIMARY\",\
         \"PrimaryKey\":{\"Arn\":\"arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000040008000000000000000\",\
         \"Region\":\"us-east-1\"},\
         \"ReplicaKeys\":[{\"Arn\":\"arn:aws:kms:eu-west-1:111122223333:key/mrk-00000000000040008000000000000000\",\
         \"Region\":\"eu-west-1\"}]}}}",
    );
    const SCHEDULED: Does = Does::Answers(
        200,
        "",
        "{\"KeyId\":\"arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000040008000000000000000\",\
         \"KeyState\":\"PendingReplicaDeletion\",\"PendingWindowInDays\":7}",
    );
    let home = Home::new();
    let delete = ["key", "delete", "--days", "7", ARN];
    let told = Stub::new(&[WAITING, SCHEDULED]).run(&home, &delete);
    assert_eq!(told.code, 0, "{}", told.err);
    let says = format!("{ARN} will be deleted 7 days after the last of its replicas is;");
    assert!(told.text().starts_with(&says), "{}", told.text());
    let event = json(&Stub::new(&[WAITING, SCHEDULED]).run(&home, &[&delete[..], &["--json"]].concat()));
    assert!(event["DeletionDate"].is_null(), "{event}");
    assert_eq!(
        (&event["KeyState"], &event["PendingWindowInDays"]),
        (&"PendingReplicaDeletion".into(), &7.into())
    );
    let stub = Stub::new(&[WAITING]);
    let shown = stub.run(&home, &["key", "describe", ARN]);
    for line in
        ["deleted after its replicas, and 7 days more\n", "multi-Region  primary, replicas in eu-west-1\n"]
    {
        assert!(shown.text().contains(line), "{}", shown.text());
    }
    let shown = json(&stub.run(&home, &["key", "describe", "--json", ARN]));
    assert_eq!(shown["PendingDeletionWindowInDays"], 7);
    assert_eq!(
        (&shown["MultiRegionKeyType"], &shown["PrimaryRegion"]),
        (&"PRIMARY".into(), &"us-east-1".into())
    );
    assert_eq!(shown["ReplicaRegions"], serde_json::json!(["eu-west-1"]));
}

#[test]
fn a_kept_key_is_told_as_it_is_then() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/plain"]);
    home.ok(&["key", "create", "alias/own", "--origin", "EXTERNAL"]);
    for (alias, words, state) in [
        ("alias/plain", "kept, and disabled now: arn:", "Disabled"),
        ("alias/own", "waiting for its material", "PendingImport"),
    ] {
        home.ok(&["key", "delete", alias]);
        let told = home.ok(&["key", "cancel-deletion", "-v", alias]);
        assert!(told.err.contains(words), "{}", told.err);
        home.ok(&["key", "delete", alias]);
        assert_eq!(json(&home.ok(&["key", "cancel-deletion", "--json", alias]))["KeyState"], state);
    }
}

#[test]
fn an_error_without_a_text_leaves_no_hole() {
    let home = Home::new();
    let stub = Stub::new(&[Does::Answers(400, "UnsupportedOperationException", "{}")]);
    let ended = stub.run(&home, &["key", "describe", "alias/k"]);
    assert!(ended.err.contains("UnsupportedOperationException (asked "), "{}", ended.err);
}
