//! A page of metrics.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

pub struct Page(String);

impl Page {
    pub fn of(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("the metrics page is there");
        let request = "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a page");
        Self(text)
    }

    /// The sum over the labels.
    pub fn sum(&self, name: &str) -> u64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = self.0.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        // Counted in whole numbers far below 2^53.
        values.sum::<f64>() as u64
    }
}
