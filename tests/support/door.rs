//! A way to a server that can be shut: connections are then refused, as by a server that is away.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub struct Door {
    pub address: SocketAddr,
    behind: String,
    passed: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    open: Option<JoinHandle<()>>,
}

impl Door {
    pub async fn to(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut door =
            Self { address, behind: behind.to_owned(), passed: Arc::default(), answered: Arc::default(), open: None };
        door.serve(listener);
        door
    }

    fn serve(&mut self, listener: TcpListener) {
        let behind = self.behind.clone();
        let (passed, answered) = (self.passed.clone(), self.answered.clone());
        self.open = Some(tokio::spawn(async move {
            // Those under way end with it.
            let mut ways = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                passed.fetch_add(1, Ordering::SeqCst);
                let (behind, answered) = (behind.clone(), answered.clone());
                ways.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(behind).await else { return };
                    let _ = there_and_back(&mut client, &mut server, &answered).await;
                });
            }
        }));
    }

    pub async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }

    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its own port");
        self.serve(listener);
    }

    /// Connections that came through so far.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// Those on which something came back.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

/// Until both ends have ended.
async fn there_and_back(client: &mut TcpStream, server: &mut TcpStream, answered: &AtomicUsize) -> io::Result<()> {
    let ((mut asks, mut hears), (mut answers, mut asked)) = (client.split(), server.split());
    let there = async {
        tokio::io::copy(&mut asks, &mut asked).await?;
        asked.shutdown().await
    };
    let back = async {
        if answers.peek(&mut [0]).await? > 0 {
            answered.fetch_add(1, Ordering::SeqCst);
        }
        tokio::io::copy(&mut answers, &mut hears).await?;
        hears.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}

impl Drop for Door {
    fn drop(&mut self) {
        self.open.iter().for_each(JoinHandle::abort);
    }
}
