//! The upstream of the exchanges: quick, and always of the same bytes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use serde::Deserialize;

#[derive(Deserialize)]
struct Asked {
    vehicles: Vec<Vehicle>,
}

#[derive(Deserialize)]
struct Vehicle {
    vin: String,
    plate: String,
}

/// Starts it. Gives its port on the loopback.
pub(crate) fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Responds to one request after the other until the connection ends.
fn serve(stream: TcpStream) {
    stream.set_nodelay(true).expect("it is a TCP socket");
    let mut stream = BufReader::new(stream);
    while let Some(body) = request(&mut stream) {
        let content = match serde_json::from_slice::<Asked>(&body) {
            Ok(Asked { vehicles }) => {
                let elements: Vec<_> = vehicles.iter().map(element).collect();
                format!(r#"{{"vehicleData":[{}]}}"#, elements.join(","))
            }
            Err(_) => format!(r#"{{"resources":["{}"]}}"#, "r".repeat(500)),
        };
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{content}",
            content.len(),
        );
        if stream.get_mut().write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// The body of the next request; `None`: there is none.
fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// What Sync knows of a vehicle: one finished result, 900 bytes or so.
fn element(Vehicle { vin, plate }: &Vehicle) -> String {
    let text = "x".repeat(600);
    format!(
        concat!(
            r#"{{"vin":"{vin}","plate":"{plate}","info":[{{"resourceId":1,"status":{{"statusId":0,"#,
            r#""key":"WithDebts"}},"result":[{{"folio":"{vin}","concept":"{text}"}}],"#,
            r#""creationDateTime":"2026-11-20T10:00:00Z","finishedDateTime":"2026-11-20T10:01:00Z"}}]}}"#,
        ),
        vin = vin,
        plate = plate,
        text = text,
    )
}
