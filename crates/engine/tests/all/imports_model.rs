//! Imports, deletions, rotations and passing time in any order, against a model that is as simple as AWS's documentation.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::EncryptionAlgorithmSpec;
use bulla_crypto::key_material::{PairSpec, PublicKey};
use bulla_store::Vault;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{START_MS, World, text};

const HOUR_S: u64 = 3600;
const MATERIALS: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// Which material, whether as new, and for how many hours.
    Import(u8, Option<bool>, Option<u64>),
    /// By its place in the history; none for the current one.
    Delete(Option<usize>),
    Rotate,
    /// How many hours, and whether the server looks for what is due then.
    Wait(u64, bool),
    Restart,
    Switch(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let hours = proptest::option::of(1..30_u64);
    prop_oneof![
        5 => (0..MATERIALS, proptest::option::of(any::<bool>()), hours).prop_map(|(m, n, h)| Step::Import(m, n, h)),
        2 => proptest::option::of(0..4_usize).prop_map(Step::Delete),
        3 => Just(Step::Rotate),
        2 => (1..20_u64, any::<bool>()).prop_map(|(hours, looks)| Step::Wait(hours, looks)),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Switch),
    ]
}

/// How long material is there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum There {
    No,
    Until(u64),
    Always,
}

/// The key as it should be.
#[derive(Debug, Default)]
struct Model {
    /// Those that are the key's for good, the current one last.
    permanent: Vec<(u8, There)>,
    pending: Option<(u8, There)>,
    is_disabled: bool,
    now_s: u64,
}

impl Model {
    /// The code of the error, if it is one.
    fn import(&mut self, material: u8, as_new: Option<bool>, there: There) -> Option<&'static str> {
        let incorrect = Some("IncorrectKeyMaterialException");
        let as_new = as_new.unwrap_or(self.permanent.is_empty());
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.0 == material) {
            pending.1 = there;
        } else if let Some(known) = self.permanent.iter_mut().find(|known| known.0 == material) {
            if as_new {
                return incorrect;
            }
            known.1 = there;
        } else if !as_new {
            return incorrect;
        } else if self.permanent.is_empty() {
            self.permanent.push((material, there));
        } else if self.pending.is_some() {
            return Some("KMSInvalidStateException");
        } else {
            self.pending = Some((material, there));
        }
        None
    }

    fn delete(&mut self, place: Option<usize>) {
        let place = place.or(self.permanent.len().checked_sub(1));
        match place {
            Some(place) if place < self.permanent.len() => self.permanent[place].1 = There::No,
            Some(_) => self.pending = None,
            None => {}
        }
        self.lack();
    }

    /// A key that lacks material comes back enabled.
    fn lack(&mut self) {
        if self.state() == "PendingImport" {
            self.is_disabled = false;
        }
    }

    fn rotate(&mut self) -> Option<&'static str> {
        if self.state() == "Disabled" {
            return Some("DisabledException");
        }
        match self.pending {
            Some(pending) if self.state() == "Enabled" => {
                self.permanent.push(pending);
                self.pending = None;
                None
            }
            _ => Some("KMSInvalidStateException"),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now_s += seconds;
        let now_s = self.now_s;
        let is_over = |there: There| matches!(there, There::Until(end) if end <= now_s);
        for known in &mut self.permanent {
            if is_over(known.1) {
                known.1 = There::No;
            }
        }
        self.pending = self.pending.filter(|pending| !is_over(pending.1));
        self.lack();
    }

    fn switch(&mut self, on: bool) -> Option<&'static str> {
        if self.state() == "PendingImport" {
            return Some("KMSInvalidStateException");
        }
        self.is_disabled = !on;
        None
    }

    fn state(&self) -> &'static str {
        if self.permanent.is_empty() || self.permanent.iter().any(|known| known.1 == There::No) {
            "PendingImport"
        } else if self.is_disabled {
            "Disabled"
        } else {
            "Enabled"
        }
    }

    /// What ListKeyRotations tells of all materials.
    fn listed(&self) -> Vec<(String, String)> {
        let last = self.permanent.len().wrapping_sub(1);
        let import = |there| if there == There::No { "PENDING_IMPORT" } else { "IMPORTED" };
        let state = |index| if index == last { "CURRENT" } else { "NON_CURRENT" };
        let permanent =
            self.permanent.iter().enumerate().map(|(index, known)| (state(index), import(known.1)));
        let pending = self.pending.iter().map(|pending| ("PENDING_ROTATION", import(pending.1)));
        permanent.chain(pending).map(|(state, import)| (state.to_owned(), import.to_owned())).collect()
    }
}

struct Scene {
    world: World,
    key: String,
    /// What GetParametersForImport gave, and when.
    parameters: Option<(u64, Value)>,
}

impl Scene {
    async fn import(
        &mut self,
        now_s: u64,
        material: u8,
        as_new: Option<bool>,
        end_s: Option<u64>,
    ) -> Option<&'static str> {
        let parameters = match self.parameters.take() {
            Some((at_s, parameters)) if now_s < at_s + 24 * HOUR_S => (at_s, parameters),
            _ => {
                let input = json!({
                    "KeyId": self.key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
                });
                (now_s, self.world.call("GetParametersForImport", input).await.ok())
            }
        };
        let public = STANDARD.decode(text(&parameters.1["PublicKey"])).unwrap();
        let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &public).unwrap();
        let wrapped = public.encrypt(EncryptionAlgorithmSpec::RsaesOaepSha256, &[material; 32]).unwrap();
        let mut input = json!({
            "KeyId": self.key, "ImportToken": parameters.1["ImportToken"],
            "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        });
        self.parameters = Some(parameters);
        match end_s {
            Some(end_s) => input["ValidTo"] = json!(START_MS / 1000 + end_s),
            None => input["ExpirationModel"] = json!("KEY_MATERIAL_DOES_NOT_EXPIRE"),
        }
        if let Some(as_new) = as_new {
            input["ImportType"] = json!(if as_new { "NEW_KEY_MATERIAL" } else { "EXISTING_KEY_MATERIAL" });
        }
        self.world.call("ImportKeyMaterial", input).await.error
    }

    async fn listed(&self) -> Vec<Value> {
        let input = json!({"KeyId": self.key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        self.world.call("ListKeyRotations", input).await.ok()["Rotations"].as_array().unwrap().clone()
    }

    async fn delete(&self, place: Option<usize>) {
        let mut input = json!({"KeyId": self.key});
        if let Some(place) = place {
            input["KeyMaterialId"] = self.listed().await[place]["KeyMaterialId"].clone();
        }
        self.world.call("DeleteImportedKeyMaterial", input).await.ok();
    }

    /// What is so is what should be.
    async fn compare(&self, model: &Model) {
        let told = |entry: &Value| (text(&entry["KeyMaterialState"]), text(&entry["ImportState"]));
        let listed: Vec<_> = self.listed().await.iter().map(told).collect();
        assert_eq!(listed, model.listed());
        let described = self.world.call("DescribeKey", json!({"KeyId": self.key})).await.ok();
        let metadata = &described["KeyMetadata"];
        assert_eq!(metadata["KeyState"], model.state());
        let ends = model.permanent.iter().filter_map(|known| match known.1 {
            There::Until(end_s) => Some(START_MS / 1000 + end_s),
            _ => None,
        });
        let valid_to = if model.state() == "PendingImport" { None } else { ends.min() };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let told = metadata.get("ValidTo").map(|date| date.as_f64().unwrap() as u64);
        assert_eq!(told, valid_to);
        let store = Arc::new(self.world.disk.open());
        let rng = Arc::new(bulla_crypto::SeededRng::new(9));
        let vault = Vault::open(store, &support::root_key(), rng).await.unwrap();
        assert_eq!(bulla_engine::check_references(&vault).await.unwrap(), []);
    }
}

async fn run(steps: Vec<Step>) {
    let world = World::new(1).await;
    let made = world.call("CreateKey", json!({"Origin": "EXTERNAL"})).await.ok();
    let mut scene = Scene { world, key: text(&made["KeyMetadata"]["KeyId"]), parameters: None };
    let mut model = Model::default();
    // Ciphertexts, and the material that each is under.
    let mut sealed: Vec<String> = Vec::new();
    for step in steps {
        match step.clone() {
            Step::Import(material, as_new, hours) => {
                let end_s = hours.map(|hours| model.now_s + hours * HOUR_S);
                let there = end_s.map_or(There::Always, There::Until);
                let error = scene.import(model.now_s, material, as_new, end_s).await;
                assert_eq!(error, model.import(material, as_new, there), "{step:?}");
            }
            Step::Delete(place) => {
                let count = model.listed().len();
                let place = place.filter(|_| count > 0).map(|place| place % count);
                scene.delete(place).await;
                model.delete(place);
            }
            Step::Rotate => {
                let answer = scene.world.call("RotateKeyOnDemand", json!({"KeyId": scene.key})).await;
                assert_eq!(answer.error, model.rotate(), "{step:?}");
            }
            Step::Wait(hours, looks) => {
                scene.world.clock.advance(Duration::from_secs(hours * HOUR_S));
                model.wait(hours * HOUR_S);
                if looks {
                    scene.world.engine.tick().await;
                }
            }
            Step::Restart => scene.world.restart().await,
            Step::Switch(on) => {
                let operation = if on { "EnableKey" } else { "DisableKey" };
                let answer = scene.world.call(operation, json!({"KeyId": scene.key})).await;
                assert_eq!(answer.error, model.switch(on), "{step:?}");
            }
        }
        scene.compare(&model).await;
        if model.state() == "Enabled" {
            sealed.push(scene.world.sealed(&scene.key).await);
        }
        // All open, or none.
        for blob in &sealed {
            let opened = scene.world.call("Decrypt", json!({"CiphertextBlob": blob})).await;
            assert_eq!(opened.status == 200, model.state() == "Enabled", "{step:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_key_is_always_as_the_model_says(steps in proptest::collection::vec(step(), 1..25)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
