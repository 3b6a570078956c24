//! Writes the enums that choose a message by its number: requests and responses by API key,
//! records by their type; and the table of APIs.

use std::fmt::Write;

use super::message::line;
use super::schema::{Body, File, Kind};

/// What one side of a folder's files becomes.
const SIDES: [(&str, &str, &str); 4] = [
    ("request", "Request", "A request of any API."),
    ("response", "Response", "A response of any API."),
    ("key", "Key", "The key of a record of any type."),
    ("value", "Value", "The value of a record of any type."),
];

pub(crate) fn families(files: &[File]) -> String {
    let mut text = String::new();
    for (side, name, doc) in SIDES {
        let members: Vec<_> = files
            .iter()
            .filter_map(|file| {
                let body = file.bodies.iter().find(|body| body.side == side)?;
                match file.kind {
                    Kind::Api(id) | Kind::Record(id) => Some((id, file, body)),
                    Kind::Message => None,
                }
            })
            .collect();
        if !members.is_empty() {
            text += &family(name, doc, &members);
        }
    }
    if !text.is_empty() {
        let head =
            "\nuse crate::wire::{DecodeError, Decoded, EncodeError, Message as _, Writer};\n";
        text.insert_str(0, head);
    }
    if files.iter().any(|file| matches!(file.kind, Kind::Api(_))) {
        text += &table(files);
    }
    text
}

fn family(name: &str, doc: &str, members: &[(i16, &File, &Body)]) -> String {
    let mut text = String::new();
    let borrows = members.iter().any(|(_, _, body)| body.borrows(&body.structs[0]));
    let lifetime = if borrows { "<'a>" } else { "" };
    line!(text, "\n/// {doc}\n#[derive(Clone, Debug, PartialEq)]\npub enum {name}{lifetime} {{");
    for (_, file, body) in members {
        let own = if body.borrows(&body.structs[0]) { "<'a>" } else { "" };
        line!(text, "    /// {}\n    {}({}{own}),", file.doc, file.name, body.name());
    }
    line!(text, "}}\n\nimpl{lifetime} {name}{lifetime} {{");
    let bytes = if borrows { "&'a [u8]" } else { "&[u8]" };
    line!(text, "    /// Reads the message of this number from bytes that hold nothing else.");
    line!(
        text,
        "    pub fn decode(number: i16, bytes: {bytes}, version: i16) \
         -> Result<Decoded<Self>, DecodeError> {{"
    );
    line!(text, "        match number {{");
    for (id, file, body) in members {
        let (variant, message) = (&file.name, body.name());
        line!(
            text,
            "            {id} => \
             {message}::decode(bytes, version).map(|it| it.map(Self::{variant})),"
        );
    }
    line!(
        text,
        "            _ => Err(DecodeError::unknown_kind({name:?}, number, version)),\n        \
         }}\n    }}"
    );
    line!(text, "\n    /// Appends the message to what the writer already holds.");
    line!(
        text,
        "    pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{"
    );
    line!(text, "        match self {{");
    for (_, file, _) in members {
        line!(text, "            Self::{}(it) => it.encode(writer, version),", file.name);
    }
    line!(text, "        }}\n    }}\n\n    /// The number that chooses the message.");
    line!(text, "    #[must_use]\n    pub fn number(&self) -> i16 {{\n        match self {{");
    for (id, file, _) in members {
        line!(text, "            Self::{}(_) => {id},", file.name);
    }
    line!(text, "        }}\n    }}\n}}");
    text
}

/// The enum of API keys and the table of their versions.
fn table(files: &[File]) -> String {
    let mut text = String::from("\nuse crate::versions::{Api, Listeners};\n");
    line!(text, "\n/// Kafka's APIs by their key.");
    line!(text, "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    line!(text, "#[repr(i16)]\npub enum ApiKey {{");
    let apis: Vec<_> = files
        .iter()
        .filter_map(|file| match file.kind {
            Kind::Api(key) => Some((key, file)),
            _ => None,
        })
        .collect();
    for (key, file) in &apis {
        line!(text, "    /// {}\n    {} = {key},", file.doc, file.name);
    }
    line!(
        text,
        "}}\n\n/// Every API, in the order of its key.\npub static APIS: [Api; {}] = [",
        apis.len()
    );
    for (_, file) in &apis {
        let (name, request, response) = (&file.name, &file.bodies[0], &file.bodies[1]);
        assert_eq!(request.versions, response.versions, "{name}");
        line!(text, "    Api {{ key: ApiKey::{name}, name: {name:?},");
        line!(
            text,
            "        version_min: {}, version_max: {}, stable_max: {},",
            request.versions.min,
            request.versions.max,
            request.stable_max
        );
        line!(
            text,
            "        request_flexible_from: {:?}, response_flexible_from: {:?}, \
             response_header: {:?},",
            request.flexible_from,
            response.flexible_from,
            response.header
        );
        line!(
            text,
            "        listeners: Listeners {{ broker: {}, controller: {} }} }},",
            file.listeners.iter().any(|it| it == "broker"),
            file.listeners.iter().any(|it| it == "controller")
        );
    }
    line!(
        text,
        "];\n\nimpl ApiKey {{\n    /// The API of a key, if there is one.\n    #[must_use]"
    );
    line!(
        text,
        "    pub fn from_number(number: i16) -> Option<Self> {{\n        Some(match number {{"
    );
    for (key, file) in &apis {
        line!(text, "            {key} => Self::{},", file.name);
    }
    line!(text, "            _ => return None,\n        }})\n    }}\n");
    line!(text, "    /// The API's entry in the table of versions.\n    #[must_use]");
    line!(text, "    pub fn api(self) -> &'static Api {{\n        match self {{");
    for (at, (_, file)) in apis.iter().enumerate() {
        line!(text, "            Self::{} => &APIS[{at}],", file.name);
    }
    line!(text, "        }}\n    }}\n}}");
    text
}
