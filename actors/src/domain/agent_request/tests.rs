use serde_json::json;

use super::*;

/// A chat that is right, with these fields instead.
fn chat(fields: &Value) -> Result<AgentRequest, RequestFault> {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    merge(&mut body, fields);
    read_chat(body.to_string().as_bytes())
}

/// A response request that is right, with these fields instead.
fn response(fields: &Value) -> Result<AgentRequest, RequestFault> {
    let mut body = json!({"input": "hi"});
    merge(&mut body, fields);
    read_response(body.to_string().as_bytes())
}

fn merge(body: &mut Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
}

fn refused(read: Result<AgentRequest, RequestFault>) -> (String, String) {
    let fault = read.unwrap_err();
    let param = fault.param().unwrap_or_default().to_owned();
    (param, fault.to_string())
}

#[test]
fn what_a_request_says_is_read() {
    let read = response(&json!({
        "model": "manager", "stream": true, "user": "u", "prompt_cache_key": "p",
        "previous_response_id": "resp_1", "background": true, "metadata": {"a": "b"},
        "stream_options": {"include_usage": true}, "something_new": [1],
    }));
    let read = read.unwrap();
    assert_eq!(read.model.as_deref(), Some("manager"));
    assert_eq!(read.previous_response_id.as_deref(), Some("resp_1"));
    assert_eq!(read.metadata["a"], "b");
    assert!(read.stream && read.include_usage && read.background && read.store);
}

#[test]
fn null_is_as_good_as_absent() {
    let read = chat(&json!({
        "model": null, "stream": null, "stream_options": null, "temperature": null, "tools": null,
        "tool_choice": null, "stop": null, "metadata": null, "user": null, "n": null, "store": null,
    }));
    let read = read.unwrap();
    assert!(!read.stream && !read.include_usage && read.store);
    assert_eq!(read.model, None);
}

#[test]
fn what_clients_really_send_is_taken() {
    for fields in [
        json!({"temperature": 0, "top_p": 1.0, "seed": -3, "stop": ["a", "b"], "n": 1}),
        json!({"max_tokens": 1, "max_completion_tokens": 8192, "frequency_penalty": -2.0}),
        json!({"response_format": {"type": "json_object"}, "logprobs": true, "top_logprobs": 20}),
        json!({"tools": [{"type": "function", "function": {"name": "get_it", "parameters": {}}}],
               "tool_choice": {"type": "function", "function": {"name": "get_it"}}}),
        json!({"messages": [{"role": "developer", "content": "d"}, {"role": "user", "content": "u"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "out"}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "u"}]}]}),
    ] {
        assert!(chat(&fields).is_ok(), "{fields}: {:?}", chat(&fields));
    }
    for fields in [
        json!({"input": [{"role": "user", "content": "u"}], "instructions": "i"}),
        json!({"input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "u"}]}, {"type": "brand_new"}]}),
        json!({"input": [{"type": "function_call_output", "call_id": "c", "output": "o"}]}),
        json!({"tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
               "tool_choice": "required", "truncation": "auto", "include": []}),
        json!({"text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"}}),
    ] {
        assert!(
            response(&fields).is_ok(),
            "{fields}: {:?}",
            response(&fields)
        );
    }
}

/// Each of these fields is refused under this name, with a message that holds these words.
fn assert_refused(read: Read, cases: &[(Value, &str, &str)]) {
    for (fields, param, words) in cases {
        let (named, message) = refused(read(fields));
        assert_eq!(&named, param, "{fields}: {message}");
        assert!(message.contains(words), "{fields}: {message}");
    }
}

type Read = fn(&Value) -> Result<AgentRequest, RequestFault>;

#[test]
fn a_sampling_field_out_of_its_range_is_named_with_its_limit_and_what_came() {
    let cases = [
        (
            json!({"temperature": 3}),
            "temperature",
            "between 0 and 2, got 3",
        ),
        (
            json!({"temperature": "1"}),
            "temperature",
            "got the string `1`",
        ),
        (json!({"top_p": 1.5}), "top_p", "between 0 and 1, got 1.5"),
        (
            json!({"frequency_penalty": 3}),
            "frequency_penalty",
            "between -2 and 2",
        ),
        (
            json!({"presence_penalty": -3}),
            "presence_penalty",
            "got -3",
        ),
        (json!({"seed": 1.5}), "seed", "an integer, got 1.5"),
        (json!({"max_tokens": 0}), "max_tokens", "at least 1, got 0"),
        (
            json!({"max_completion_tokens": "5"}),
            "max_completion_tokens",
            "at least 1",
        ),
        (
            json!({"top_logprobs": 21}),
            "top_logprobs",
            "between 0 and 20, got 21",
        ),
        (json!({"n": 2}), "n", "not supported"),
        (json!({"n": 0}), "n", "got 0"),
        (
            json!({"stop": ["a", "b", "c", "d", "e"]}),
            "stop",
            "an array of 5",
        ),
        (json!({"stop": ""}), "stop", "not empty"),
    ];
    assert_refused(chat, &cases);
}

#[test]
fn a_field_of_the_wrong_type_is_named_with_what_came() {
    let options = json!({"stream_options": {"include_usage": 1}});
    let format = json!({"response_format": {"type": "xml"}});
    let cases = [
        (json!({"model": 5}), "model", "a string, got 5"),
        (
            json!({"stream": "yes"}),
            "stream",
            "true or false, got the string `yes`",
        ),
        (
            json!({"stream_options": "x"}),
            "stream_options",
            "an object",
        ),
        (
            options,
            "stream_options.include_usage",
            "true or false, got 1",
        ),
        (json!({"user": 5}), "user", "a string"),
        (
            json!({"metadata": {"a": 1}}),
            "metadata.a",
            "a string, got 1",
        ),
        (format, "response_format.type", "`json_object`"),
    ];
    assert_refused(chat, &cases);
}

#[test]
fn malformed_tools_are_named() {
    let function = |function: Value| json!({"tools": [{"type": "function", "function": function}]});
    let choice = json!({"tool_choice": {"type": "function", "function": {"name": "zz"}}});
    let cases = [
        (json!({"tools": "x"}), "tools", "an array"),
        (json!({"tools": [null]}), "tools[0]", "an object, got null"),
        (json!({"tools": [{}]}), "tools[0].type", "missing"),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
            "missing",
        ),
        (function(json!({})), "tools[0].function.name", "missing"),
        (
            function(json!({"name": "a b"})),
            "tools[0].function.name",
            "the string `a b`",
        ),
        (
            json!({"tool_choice": "required"}),
            "tool_choice",
            "no `tools`",
        ),
        (json!({"tool_choice": "zzz"}), "tool_choice", "`auto`"),
        (choice, "tool_choice", "among `tools`, got the string `zz`"),
    ];
    assert_refused(chat, &cases);
    let flat = (
        json!({"tools": [{"type": "function"}]}),
        "tools[0].name",
        "missing",
    );
    assert_refused(response, &[flat]);
}

#[test]
fn malformed_messages_are_named() {
    let message = |message: Value| json!({"messages": [message]});
    let cases = [
        (json!({"messages": null}), "messages", "missing"),
        (json!({"messages": "x"}), "messages", "an array"),
        (json!({"messages": []}), "messages", "at least one"),
        (message(json!(5)), "messages[0]", "an object, got a number"),
        (message(json!({})), "messages[0].role", "missing"),
        (
            message(json!({"role": "boss"})),
            "messages[0].role",
            "`user`",
        ),
        (
            message(json!({"role": "user", "content": 5})),
            "messages[0].content",
            "got 5",
        ),
        (
            message(json!({"role": "user", "content": [{}]})),
            "messages[0].content",
            "`type`",
        ),
        (
            message(json!({"role": "user", "content": "  "})),
            "messages",
            "says nothing",
        ),
        (
            message(json!({"role": "system", "content": "s"})),
            "messages",
            "says nothing",
        ),
    ];
    assert_refused(chat, &cases);
}

#[test]
fn malformed_input_is_named() {
    let item = |item: Value| json!({"input": [item]});
    let result = |name: &str| item(json!({"type": "function_call_output", name: "x"}));
    let cases = [
        (json!({"input": null}), "input", "missing"),
        (json!({"input": 5}), "input", "got 5"),
        (json!({"input": []}), "input", "at least one"),
        (json!({"input": " "}), "input", "says nothing"),
        (item(json!({"content": "x"})), "input[0].role", "missing"),
        (result("output"), "input[0].call_id", "missing"),
        (result("call_id"), "input[0].output", "missing"),
    ];
    assert_refused(response, &cases);
}

#[test]
fn a_wrong_field_of_a_response_is_named() {
    let format = json!({"text": {"format": {"type": "xml"}}});
    let unkept = json!({"background": true, "store": false});
    let cases = [
        (
            json!({"instructions": ["x"]}),
            "instructions",
            "a string, got an array of 1",
        ),
        (
            json!({"max_output_tokens": 0}),
            "max_output_tokens",
            "at least 1",
        ),
        (json!({"truncation": "zz"}), "truncation", "`disabled`"),
        (format, "text.format.type", "`text`"),
        (json!({"background": 1}), "background", "true or false"),
        (unkept, "background", "needs `store`"),
        (
            json!({"previous_response_id": 7}),
            "previous_response_id",
            "a string",
        ),
    ];
    assert_refused(response, &cases);
}

#[test]
fn a_body_that_is_no_object_names_no_field() {
    for body in ["", "{", "[]", "null", "\"x\""] {
        let fault = read_chat(body.as_bytes()).unwrap_err();
        assert_eq!(fault.param(), None, "{body}: {fault}");
    }
    let fault = read_chat(b"{\n \"secret\" 1}").unwrap_err().to_string();
    assert!(
        fault.contains("line 2") && !fault.contains("secret"),
        "{fault}"
    );
}

#[test]
fn long_and_strange_values_are_not_repeated_whole() {
    let long = "x".repeat(5000);
    let (_, message) = refused(chat(&json!({"stream": long})));
    assert!(message.len() < 200, "{message}");
    let (param, message) = refused(chat(&json!({"metadata": {format!("\n{long}"): 1}})));
    assert!(param.len() < 200 && !message.contains('\n'), "{message}");
}
