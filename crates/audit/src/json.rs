//! JSON as records are written: names known to the program, texts from anywhere.
//!
//! Each request writes a record, and most texts in it need no escape: those are copied whole. The others are serde_json's, and
//! hold nothing that drives the terminal of who looks at the log.

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        push_text(value, self.out);
    }

    pub(crate) fn maybe_text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Under a name that is not the program's own.
    pub(crate) fn text_at(&mut self, name: &str, value: &str) {
        self.separate();
        push_text(name, self.out);
        self.out.push(b':');
        push_text(value, self.out);
    }

    pub(crate) fn number(&mut self, name: &'static str, value: i64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(crate) fn truth(&mut self, name: &'static str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn null(&mut self, name: &'static str) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    pub(crate) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut object = Object::begin(self.out);
        write(&mut object);
        object.end();
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        mut write: impl FnMut(&T, &mut Object<'_>),
    ) {
        self.name(name);
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let mut object = Object::begin(self.out);
            write(item, &mut object);
            object.end();
        }
        self.out.push(b']');
    }

    pub(crate) fn texts(&mut self, name: &'static str, texts: &[String]) {
        self.name(name);
        self.out.push(b'[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            push_text(text, self.out);
        }
        self.out.push(b']');
    }

    /// Names of the program's own need no escape.
    fn name(&mut self, name: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    // Without a branch for each byte, so that the compiler looks at many at a time. What is not ASCII may drive a terminal, too.
    let plain = |byte| !matches!(byte, 0..0x20 | b'"' | b'\\' | 0x7f..);
    if !text.bytes().fold(true, |all, byte| all & plain(byte)) {
        let text = serde_json::Value::from(text).to_string();
        out.extend_from_slice(bulla_api::json_in_print(text).as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_character_reads_back() {
        let odd: String = (0..0x300).filter_map(char::from_u32).chain(['\u{2028}', '\u{1f600}']).collect();
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.text("plain", "arn:aws:kms");
        object.text("odd", &odd);
        object.object("pairs", |object| object.text_at(&odd, "\"\\\n"));
        object.list("none", &[(); 0], |(), _| ());
        object.list("two", &[1, -2], |number, object| object.number("n", *number));
        object.texts("no texts", &[]);
        object.texts("texts", &["a".to_owned(), odd.clone()]);
        object.truth("yes", true);
        object.null("nothing");
        object.end();
        let read: Value = serde_json::from_slice(&out).unwrap();
        let expected = json!({"plain": "arn:aws:kms", "odd": odd, "pairs": {odd.as_str(): "\"\\\n"}, "none": [],
            "two": [{"n": 1}, {"n": -2}], "no texts": [], "texts": ["a", odd.as_str()], "yes": true, "nothing": null});
        assert_eq!(read, expected);
    }
}
