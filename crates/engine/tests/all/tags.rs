//! Tags of keys: what may be given, what is kept, how it is listed.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::{Value, json};
use support::{World, text};

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect()
}

async fn listed(world: &World, key: &str) -> Value {
    world.call("ListResourceTags", json!({"KeyId": key})).await.ok()["Tags"].clone()
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let mut world = World::new(1).await;
    let input = json!({"Tags": tags(&[("Owner", "ann"), ("owner", "")])});
    let made = world.call("CreateKey", input).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    assert_eq!(listed(&world, &key).await, tags(&[("Owner", "ann"), ("owner", "")]));

    let more = json!({"KeyId": key, "Tags": tags(&[("Stage", "test"), ("Owner", "bob")])});
    assert_eq!(world.call("TagResource", more).await.ok(), Value::Null);
    let all = tags(&[("Owner", "bob"), ("Stage", "test"), ("owner", "")]);
    assert_eq!(listed(&world, &key).await, all);
    world.restart().await;
    assert_eq!(listed(&world, &key).await, all);

    let fewer = json!({"KeyId": key, "TagKeys": ["owner", "never there", "Stage"]});
    assert_eq!(world.call("UntagResource", fewer).await.ok(), Value::Null);
    assert_eq!(listed(&world, &key).await, tags(&[("Owner", "bob")]));
    world.call("UntagResource", json!({"KeyId": key, "TagKeys": ["never there"]})).await.ok();
    assert_eq!(listed(&world, &key).await, tags(&[("Owner", "bob")]));
}

#[tokio::test]
async fn a_key_has_fifty_tags_and_no_more() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let numbered = |from: usize, to: usize| -> Value {
        (from..to).map(|n| json!({"TagKey": format!("key{n:02}"), "TagValue": "v"})).collect()
    };
    let tag = |tags: Value| world.call("TagResource", json!({"KeyId": key, "Tags": tags}));
    tag(numbered(0, 51)).await.fails("TagException", "Too many tags");
    tag(numbered(0, 30)).await.ok();
    tag(numbered(20, 51)).await.fails("TagException", "Too many tags");
    assert_eq!(listed(&world, &key).await.as_array().unwrap().len(), 30);
    tag(numbered(20, 50)).await.ok();
    tag(numbered(50, 51)).await.fails("TagException", "Too many tags");
    assert_eq!(listed(&world, &key).await, numbered(0, 50));
}

#[tokio::test]
async fn reserved_and_repeated_tags_are_refused() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let tag = |pairs: &[(&str, &str)]| world.call("TagResource", json!({"KeyId": key, "Tags": tags(pairs)}));
    for reserved in ["aws:a", "AWS:a", "aWs:"] {
        tag(&[("a", "b"), (reserved, "b")])
            .await
            .fails("TagException", "Tags beginning with aws: are reserved");
        let input = json!({"KeyId": key, "TagKeys": [reserved]});
        let answer = world.call("UntagResource", input).await;
        answer.fails("TagException", "Tags beginning with aws: are reserved");
    }
    tag(&[("a", "b"), ("a", "c")]).await.fails("TagException", "Duplicate tag keys");
    assert_eq!(listed(&world, &key).await, json!([]));
    // What only looks like it.
    tag(&[("aws", "b"), ("awsome:", "b"), ("ä:", "b")]).await.ok();
    let long = "v".repeat(257);
    let answer = tag(&[("a", &long)]).await;
    answer.fails(
        "ValidationException",
        &format!(
            "1 validation error detected: Value '{long}' at 'tags.1.member.tagValue' failed to satisfy constraint: \
             Member must have length less than or equal to 256"
        ),
    );
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_whatever_was_changed_meanwhile() {
    let world = World::new(4).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let five = tags(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")]);
    for key in [&key, &other] {
        world.call("TagResource", json!({"KeyId": key, "Tags": five})).await.ok();
    }
    let first = world.call("ListResourceTags", json!({"KeyId": key, "Limit": 2})).await.ok();
    assert_eq!(first["Tags"], tags(&[("a", "1"), ("b", "2")]));
    assert_eq!(first["Truncated"], true);
    let marker = first["NextMarker"].clone();
    world.call("UntagResource", json!({"KeyId": key, "TagKeys": ["b", "c"]})).await.ok();
    let next = json!({"KeyId": key, "Limit": 2, "Marker": marker});
    let second = world.call("ListResourceTags", next).await.ok();
    assert_eq!(second["Tags"], tags(&[("d", "4"), ("e", "5")]));
    assert_eq!(second["Truncated"], false);
    assert!(second.get("NextMarker").is_none());
    // A marker is of one key.
    let cross = world.call("ListResourceTags", json!({"KeyId": other, "Marker": marker})).await;
    assert_eq!(cross.error, Some("InvalidMarkerException"));
}

#[tokio::test]
async fn a_record_tells_the_tags() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let _ = world.records().await;
    let pairs = tags(&[("Department", "IT")]);
    world.call("TagResource", json!({"KeyId": key, "Tags": pairs})).await.ok();
    world.call("UntagResource", json!({"KeyId": key, "TagKeys": ["Department"]})).await.ok();
    let records = world.records().await;
    let told = json!({"keyId": key, "tags": [{"tagKey": "Department", "tagValue": "IT"}]});
    assert_eq!(records[0]["requestParameters"], told);
    assert_eq!(records[1]["requestParameters"], json!({"keyId": key, "tagKeys": ["Department"]}));
    assert_eq!(records[1]["responseElements"], Value::Null);
}
