//! The real `/proc`, with real processes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Options, Whose,
    reading::{Reader, Usage},
};

/// Ends what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Looks until it is so, and gives the CPU time counted on the way.
fn until(reader: &mut Reader, so: impl Fn(&Usage, f64) -> bool) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut cpu = 0.0;
    loop {
        let usage = reader.look().0.unwrap();
        cpu += usage.cpu_seconds;
        if so(&usage, cpu) {
            return cpu;
        }
        assert!(Instant::now() < deadline, "not so within 30 s: {usage:?}, CPU time {cpu}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn real_processes_are_added_up_and_their_cpu_time_outlives_them() {
    // It begins a worker that computes until its standard input ends, and waits for it.
    let script = "import os,sys,threading\n\
         r,w=os.pipe()\n\
         pid=os.fork()\n\
         if pid==0:\n\
         \x20 os.close(w)\n\
         \x20 threading.Thread(target=lambda:(os.read(r,1),os._exit(0))).start()\n\
         \x20 while True: sum(range(1000))\n\
         print('ready',flush=True)\n\
         sys.stdin.readline()\n\
         os.close(w)\n\
         os.waitpid(pid,0)\n\
         print('waited',flush=True)\n\
         sys.stdin.readline()\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = Running(command.spawn().unwrap());
    let mut told = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let mut tell = server.0.stdin.take().unwrap();
    assert_eq!(told.next().unwrap().unwrap(), "ready");

    let whose = Whose::Tree(server.0.id());
    let mut reader = Reader::new(&Options { whose, ..Options::container("unused") });
    let before = until(&mut reader, |usage, cpu| {
        usage.processes == 2 && usage.threads == 3 && usage.resident_bytes > 1 << 20 && cpu > 0.2
    });
    writeln!(tell).unwrap();
    assert_eq!(told.next().unwrap().unwrap(), "waited");
    let after = before + until(&mut reader, |usage, _| usage.processes == 1 && usage.threads == 1);
    // The parent's own account has everything, to the tick.
    let mut fresh = Reader::new(&Options { whose: Whose::Tree(server.0.id()), ..Options::container("unused") });
    let whole = fresh.look().0.unwrap().cpu_seconds;
    assert!((after - whole).abs() <= 0.05, "counted {after} s, used {whole} s");
}
