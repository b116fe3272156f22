//! A way to a server that can be shut: connections are then refused, as by a server that is away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub struct Door {
    pub address: SocketAddr,
    behind: String,
    passed: Arc<AtomicUsize>,
    open: Option<JoinHandle<()>>,
}

impl Door {
    pub async fn to(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut door = Self { address, behind: behind.to_owned(), passed: Arc::default(), open: None };
        door.serve(listener);
        door
    }

    fn serve(&mut self, listener: TcpListener) {
        let (behind, passed) = (self.behind.clone(), self.passed.clone());
        self.open = Some(tokio::spawn(async move {
            // Those under way end with it.
            let mut ways = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                passed.fetch_add(1, Ordering::SeqCst);
                let behind = behind.clone();
                ways.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(behind).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
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
}

impl Drop for Door {
    fn drop(&mut self) {
        self.open.iter().for_each(JoinHandle::abort);
    }
}
