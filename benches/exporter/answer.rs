//! What is asked and what is answered, as MLflow's scoring server has it.

use std::fmt::Write as _;

/// One prediction for each row.
pub const ANSWER: &str = concat!(
    r#"{"predictions": ["setosa", "setosa", "virginica", "versicolor", "setosa", "#,
    r#""virginica", "virginica", "versicolor", "setosa", "setosa"]}"#
);
pub const ROWS: usize = 10;
const COLUMNS: usize = 20;

/// A POST of ten rows of twenty numbers as `dataframe_split`: its body has 2.3 kB.
pub fn request() -> Vec<u8> {
    let body = body();
    let length = body.len();
    let head = format!(
        "POST /invocations HTTP/1.1\r\nHost: model\r\nUser-Agent: bench\r\nAccept: */*\r\nContent-Type: \
        application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    (head + &body).into_bytes()
}

/// Ten rows of twenty numbers.
pub fn body() -> String {
    let columns: Vec<String> = (0..COLUMNS).map(|column| format!("\"feature_{column}\"")).collect();
    let mut rows = String::new();
    for row in 0..ROWS {
        let numbers: Vec<String> = (0..COLUMNS)
            .map(|column| format!("{}.{:06}", (row * 7 + column) % 9, (row * 104_729 + column * 7_919) % 1_000_000))
            .collect();
        let comma = if row == 0 { "" } else { ", " };
        write!(rows, "{comma}[{}]", numbers.join(", ")).expect("a string takes all");
    }
    format!("{{\"dataframe_split\": {{\"columns\": [{}], \"data\": [{rows}]}}}}", columns.join(", "))
}

/// How long the answer is that `received` begins with; `None` while its head is not all there.
///
/// # Errors
/// What is wrong with it.
pub fn length(received: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&received[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(format!("the answer is {status}"));
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    length.map(|length: usize| Some((end + 4, end + 4 + length))).ok_or_else(|| format!("no length in {head}"))
}
