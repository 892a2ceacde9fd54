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
        ("", Err("a text that is no URL")),
        ("sync.example", Err("a text without scheme and host")),
        ("/api", Err("a text without scheme and host")),
        ("https://", Err("a text that is no URL")),
        ("https://a b", Err("a text that is no URL")),
        ("ftp://sync.example", Err("the scheme \"ftp\"")),
        ("https://sync.example/api", Err("a URL with a path, a query or a fragment")),
        ("https://sync.example?a=b", Err("a URL with a path, a query or a fragment")),
        ("https://sync.example#a", Err("a URL with a path, a query or a fragment")),
        ("https://fleet:hunter2@sync.example", Err("a URL with a user")),
        ("https://:443", Err("the host \"\"")),
        ("https://sync_.example-", Err("the host \"sync_.example-\"")),
        ("https://sync.example:0", Err("\"https://sync.example:0\" without a port that exists")),
        (
            "https://sync.example:99999",
            Err("\"https://sync.example:99999\" without a port that exists"),
        ),
        ("https://sync.example:", Err("\"https://sync.example:\" without a port that exists")),
    ] {
        let found = Origin::parse(text).map(|origin| origin.to_text());
        assert_eq!(found, want.map(str::to_owned).map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn credentials_travel_in_fields_of_their_own() {
    for (text, fine) in [
        ("Authorization", true),
        ("X-API-Key", true),
        ("cookie", true),
        ("Host", false),
        ("Content-Length", false),
        ("Transfer-Encoding", false),
        ("", false),
        ("X API Key", false),
    ] {
        assert_eq!(CredentialField::parse(text).is_ok(), fine, "{text:?}");
    }
}

#[test]
fn a_header_line_in_the_place_of_a_name_is_not_shown() {
    let found = CredentialField::parse("Authorization: Bearer hunter2").unwrap_err();
    assert_eq!(found, "a text that is no field name");
}

#[test]
fn reads_addresses_networks_and_names() {
    assert!(SocketAddr::parse("[::]:8080").is_ok());
    assert!(SocketAddr::parse("localhost:8080").is_err());
    assert!(SocketAddr::parse("127.0.0.1").is_err());
    assert!(SocketAddr::parse("127.0.0.1:65536").is_err());
    assert!(IpNet::parse("10.0.0.0/8").is_ok());
    assert!(IpNet::parse("10.0.0.0/33").is_err());
    assert!(IpNet::parse("10.0.0.0").is_err());
    assert!(String::parse("fleet").is_ok());
    assert!(String::parse(" ").is_err());
    assert!(String::parse("a\nb").is_err());
}

#[test]
fn every_example_has_the_form() {
    fn holds<T: Form>() {
        assert!(T::parse(T::EXAMPLE).is_ok(), "{}", T::EXAMPLE);
    }
    holds::<String>();
    holds::<SocketAddr>();
    holds::<IpNet>();
    holds::<CredentialField>();
    holds::<Origin>();
}
