use super::*;

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (text, want) in [
        ("https://sync.example", Ok("https://sync.example")),
        ("https://sync.example/", Ok("https://sync.example")),
        ("HTTPS://Sync.Example:443", Ok("https://sync.example")),
        ("http://sync.example:80", Ok("http://sync.example")),
        ("http://127.0.0.1:9000", Ok("http://127.0.0.1:9000")),
        ("http://[::1]:9000", Ok("http://[::1]:9000")),
        ("https://[::1]", Ok("https://[::1]")),
        ("https://sync.example:80", Ok("https://sync.example:80")),
        ("", Err("a string that is not a URL")),
        ("sync.example", Err("a string without scheme and host")),
        ("/api", Err("a string without scheme and host")),
        ("https://", Err("a string that is not a URL")),
        ("https://a b", Err("a string that is not a URL")),
        ("ftp://sync.example", Err("the scheme \"ftp\"")),
        ("https://sync.example/api", Err("a URL with a path, a query or a fragment")),
        ("https://sync.example?a=b", Err("a URL with a path, a query or a fragment")),
        ("https://sync.example#a", Err("a URL with a path, a query or a fragment")),
        ("https://fleet:hunter2@sync.example", Err("a URL with a user")),
        ("https://:443", Err("the host \"\"")),
        ("https://sync_.example-", Err("the host \"sync_.example-\"")),
        ("https://sync.example:0", Err("\"https://sync.example:0\" with an invalid port")),
        ("https://sync.example:99999", Err("\"https://sync.example:99999\" with an invalid port")),
        ("https://sync.example:", Err("\"https://sync.example:\" with an invalid port")),
    ] {
        let found = Origin::from_text(text).map(|origin| origin.to_string());
        assert_eq!(found, want.map(str::to_owned).map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn credentials_travel_in_headers_of_their_own() {
    for (text, fine) in [
        ("Authorization", true),
        ("X-API-Key", true),
        ("cookie", true),
        ("Host", false),
        ("Content-Length", false),
        ("Transfer-Encoding", false),
        ("api_key", true),
        ("Forwarded", false),
        ("X-Forwarded-For", false),
        ("x-forwarded-host", false),
        ("X-Forwarded-Proto", false),
        ("X-Forwarded-User", true),
        ("X-Real-IP", true),
        ("Accept", false),
        ("Accept-Encoding", false),
        ("X-Request-ID", false),
        ("traceparent", false),
        ("X-HTTP-Method-Override", false),
        ("Proxy-Authorization", true),
        ("", false),
        ("X API Key", false),
    ] {
        assert_eq!(CredentialHeader::from_text(text).is_ok(), fine, "{text:?}");
    }
}

#[test]
fn a_header_line_in_the_place_of_a_name_is_not_shown() {
    let found = CredentialHeader::from_text("Authorization: Bearer hunter2").unwrap_err();
    assert_eq!(found, "a string that is not a header name");
}

#[test]
fn reads_addresses_networks_and_names() {
    assert!(SocketAddr::from_text("[::]:8080").is_ok());
    assert!(SocketAddr::from_text("localhost:8080").is_err());
    assert!(SocketAddr::from_text("127.0.0.1").is_err());
    assert!(SocketAddr::from_text("127.0.0.1:65536").is_err());
    assert!(IpNet::from_text("10.0.0.0/8").is_ok());
    assert!(IpNet::from_text("10.0.0.0/33").is_err());
    assert!(IpNet::from_text("10.0.0.0").is_err());
    assert!(String::from_text("fleet").is_ok());
    assert!(String::from_text(" ").is_err());
    assert!(String::from_text("a\nb").is_err());
}

#[test]
fn a_host_has_no_port_and_no_user() {
    for (text, fine) in [
        ("vingate.internal", true),
        ("gate", true),
        ("vingate.internal:9090", false),
        ("operator@gate", false),
        ("http://gate", false),
        ("a b", false),
        ("*", false),
        ("*.internal", false),
        ("", false),
    ] {
        assert_eq!(HostName::from_text(text).is_ok(), fine, "{text:?}");
    }
}

#[test]
fn every_example_has_the_form() {
    fn holds<T: Value>() {
        let schema = T::form().schema;
        let example = schema["examples"][0].as_str().unwrap();
        assert!(T::from_text(example).is_ok(), "{example}");
    }
    holds::<String>();
    holds::<PathBuf>();
    holds::<SocketAddr>();
    holds::<IpNet>();
    holds::<CredentialHeader>();
    holds::<HostName>();
    holds::<Scope>();
    holds::<JwksUrl>();
    holds::<Origin>();
    holds::<Variable>();
}
