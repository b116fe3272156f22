use super::{
    super::fixture::{LONG, Model, nowhere, ok},
    *,
};

async fn fetch(model: &str, largest: usize, patience: Duration) -> Result<Answer, FetchError> {
    get(model, &PathAndQuery::from_static("/ping?a=b"), &[], Some(largest), patience).await
}

#[tokio::test]
async fn it_asks_once_and_closes_the_connection() {
    let model = Model::new(|_| ok("fine")).await;
    let answer = fetch(&model.address, 4, LONG).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"fine"[..]));
    let asked = model.requests.lock().unwrap().join("").to_lowercase();
    assert!(asked.starts_with("get /ping?a=b http/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("\r\nconnection: close\r\n") && asked.contains(&format!("host: {}", model.address)),
        "{asked}"
    );
}

#[tokio::test]
async fn bodies_in_pieces_or_until_the_end_are_read() {
    let model =
        Model::new(|_| b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".into())
            .await;
    assert_eq!(&fetch(&model.address, 3, LONG).await.unwrap().body[..], b"abc");
    let model = Model::new(|_| b"HTTP/1.0 200 OK\r\n\r\nabc".into()).await;
    assert_eq!(&fetch(&model.address, 3, LONG).await.unwrap().body[..], b"abc");
}

#[tokio::test]
async fn a_larger_body_than_allowed_is_not_read() {
    let model = Model::new(|_| ok("four!")).await;
    assert!(matches!(fetch(&model.address, 4, LONG).await, Err(FetchError::TooBig(4))));
    let head_only = get(&model.address, &PathAndQuery::from_static("/"), &[], None, LONG).await.unwrap();
    assert!(head_only.body.is_empty());
}

#[tokio::test]
async fn every_failure_is_told_apart() {
    assert!(matches!(fetch(&nowhere().await, 4, LONG).await, Err(FetchError::Refused)));
    assert!(matches!(knock(&nowhere().await, LONG).await, Err(FetchError::Refused)));
    assert!(matches!(fetch("no-such-host.invalid:1", 4, LONG).await, Err(FetchError::Unreachable(_))));
    let garbage = Model::new(|_| b"SSH-2.0-OpenSSH\r\n\r\n".into()).await;
    assert!(matches!(fetch(&garbage.address, 4, LONG).await, Err(FetchError::Http(_))));
    let cut = Model::new(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab".into()).await;
    assert!(matches!(fetch(&cut.address, 4, LONG).await, Err(FetchError::Http(_))));
    let silent = Model::new(|_| Vec::new()).await;
    assert!(matches!(fetch(&silent.address, 4, Duration::from_millis(50)).await, Err(FetchError::Late(_))));
}
