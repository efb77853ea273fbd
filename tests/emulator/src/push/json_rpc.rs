//! `jsonRpc=true` of version 5: messages as calls to the client, and calls from the client.

use crate::php::value::{Value, json};

use super::message::Message;

/// Sent by the server at intervals, and by clients that check the connection.
pub const PING: &str = "ping";
pub const PONG: &str = "pong";
/// A client acknowledges every message with this and its `mid`.
pub const ACKNOWLEDGEMENT: &str = "mack:";

/// One message is a call, several are an array of calls.
pub fn incoming(messages: &[Message]) -> String {
    let calls: Vec<String> = messages.iter().map(call).collect();
    if let [call] = &calls[..] { call.clone() } else { format!("[{}]", calls.join(",")) }
}

fn call(message: &Message) -> String {
    let Message { id, mid, text, .. } = message;
    format!(
        concat!(
            r#"{{"jsonrpc":"2.0","method":"incoming.message","params":{{"mid":"{}","body":{},"#,
            r#""sender":{{"type":2}},"user_params":{{}},"dictionary":{{}}}},"id":{}}}"#
        ),
        mid, text, id
    )
}

/// The answer to what a client sent; `None` for messages without an answer, such as the client's own answers.
pub fn answer(text: &str, channels: &[String]) -> Option<String> {
    let Ok(request) = serde_json::from_str::<Value>(text) else {
        return Some(failure(&Value::Null, -32700, "Parse error").to_string());
    };
    match request {
        Value::Array(calls) => {
            let answers: Vec<Value> = calls.iter().filter_map(|call| answer_one(call, channels)).collect();
            (!answers.is_empty()).then(|| Value::Array(answers).to_string())
        }
        call => answer_one(&call, channels).map(|answer| answer.to_string()),
    }
}

fn answer_one(call: &Value, channels: &[String]) -> Option<Value> {
    let id = call.get("id");
    let Some(method) = call.get("method").and_then(Value::as_str) else {
        let is_answer = call.get("result").is_some() || call.get("error").is_some();
        return (!is_answer).then(|| failure(id.unwrap_or(&Value::Null), -32600, "Invalid Request"));
    };
    // A call without an id has no answer.
    let id = id?;
    Some(match method {
        "ping" => json!({"jsonrpc": "2.0", "result": PONG, "id": id}),
        "listChannels" => json!({"jsonrpc": "2.0", "result": channels, "id": id}),
        _ => failure(id, -32601, "Method not found"),
    })
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_server() {
        let message = |id| Message::new(id, 1, 1_795_485_144, "c", r#"{"module_id":"rest"}"#.to_owned());
        let alone: Value = serde_json::from_str(&incoming(&[message(7)])).unwrap();
        assert_eq!(alone["method"], json!("incoming.message"));
        assert_eq!(alone["params"]["mid"], json!("17954851440000000000000007"));
        assert_eq!((&alone["params"]["body"], &alone["id"]), (&json!({"module_id": "rest"}), &json!(7)));
        let two: Vec<Value> = serde_json::from_str(&incoming(&[message(7), message(8)])).unwrap();
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn calls_of_the_client() {
        let ask = |text: &str| answer(text, &["c".to_owned()]).map(|text| serde_json::from_str(&text).unwrap());
        let ping = r#"{"jsonrpc":"2.0","method":"ping","params":{},"id":1}"#;
        let list = r#"{"jsonrpc":"2.0","method":"listChannels","id":2}"#;
        let pong = json!({"jsonrpc": "2.0", "result": "pong", "id": 1});
        assert_eq!(ask(ping), Some(pong.clone()));
        assert_eq!(ask(&format!("[{ping},{list}]")), Some(json!([pong, {"jsonrpc": "2.0", "result": ["c"], "id": 2}])));
        assert_eq!(ask(r#"{"jsonrpc":"2.0","method":"ping"}"#), None);
        assert_eq!(ask(r#"{"jsonrpc":"2.0","result":{},"id":1}"#), None);
        let code = |text| ask(text).map(|answer: Value| answer["error"]["code"].clone());
        assert_eq!(code(r#"{"method":"fly","id":1}"#), Some(json!(-32601)));
        assert_eq!(code("{}"), Some(json!(-32600)));
        assert_eq!(code("nonsense"), Some(json!(-32700)));
    }
}
