use super::*;

/// As a kubelet 1.36 with containerd 2.4 says it; the frame of the call is that of gRPC.
#[test]
fn what_keeps_an_image_away_is_told_by_its_class() {
    const AT: &str = "failed to pull and unpack image \"docker.io/vintner/wine@sha256:0a\": failed to resolve reference \"docker.io/vintner/wine@sha256:0a\"";
    let rows = [
        (Pull::Denied, format!("{AT}: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed")),
        (Pull::Denied, format!("{AT}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.example.org/token?scope=x: 401 Unauthorized")),
        (Pull::Denied, format!("{AT}: unexpected status from HEAD request to https://r.example.org/v2/wine/manifests/sha256:0a: 403 Forbidden")),
        (Pull::NotFound, format!("{AT}: docker.io/vintner/wine@sha256:0a: not found")),
        (Pull::Certificate, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority")),
        (Pull::Certificate, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": http: server gave HTTP response to HTTPS client")),
        (Pull::Certificate, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": remote error: tls: bad certificate")),
        (Pull::Handshake, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": remote error: tls: internal error")),
        (Pull::Handshake, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": remote error: tls: handshake failure")),
        (Pull::Unreachable, format!("{AT}: failed to do request: Head \"https://r.example.org/v2/\": dial tcp: lookup r.example.org on 10.96.0.10:53: no such host")),
        (Pull::Unreachable, format!("{AT}: failed to authorize: failed to fetch oauth token: Post \"https://auth.example.org/token\": dial tcp 192.0.2.1:443: i/o timeout")),
        (Pull::Unreachable, format!("{AT}: unexpected status from HEAD request to https://r.example.org/v2/: 503 Service Unavailable")),
        (Pull::RateLimited, format!("{AT}: unexpected status from HEAD request to https://r.example.org/v2/: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.")),
        (Pull::Platform, "failed to pull and unpack image \"docker.io/vintner/wine@sha256:0a\": no match for platform in manifest: not found".to_owned()),
        (Pull::NodeFull, "failed to pull and unpack image \"docker.io/vintner/wine@sha256:0a\": failed to extract layer (application/vnd.oci.image.layer.v1.tar+gzip sha256:0b) to overlayfs as \"extract-17-x sha256:0b\": write /var/lib/containerd/x: no space left on device".to_owned()),
        (Pull::Broken, "failed to pull and unpack image \"docker.io/vintner/wine@sha256:0a\": wrong diff id \"sha256:0c\" calculated on extraction \"sha256:0d\", desc \"sha256:0e\"".to_owned()),
        (Pull::Unknown, "something nobody has read yet".to_owned()),
    ];
    for (class, said) in rows {
        let waits = format!("Back-off pulling image \"docker.io/vintner/wine@sha256:0a\": ErrImagePull: {said}");
        assert_eq!((pull("ErrImagePull", &said), pull("ImagePullBackOff", &waits)), (class, class), "{said}");
    }
    assert_eq!(
        pull("ErrImageNeverPull", "Container image \"x\" is not present with pull policy of Never"),
        Pull::NeverPulled
    );
    assert_eq!(pull("RegistryUnavailable", ""), Pull::Unreachable);
    assert_eq!(
        pull("SignatureValidationFailed", "image pull failed for x because the signature validation failed"),
        Pull::Signature
    );
}

/// As a kubelet 1.36, containerd 2.4 and runc 1.1 say it.
#[test]
fn what_keeps_a_container_from_its_start_is_told_by_its_class() {
    const TASK: &str = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process";
    let rows = [
        (Start::Reference, "secret \"answer\" not found".to_owned()),
        (Start::Reference, "configmap \"answer\" not found".to_owned()),
        (Start::Reference, "couldn't find key text in Secret tasting-room/answer".to_owned()),
        (Start::Reference, "couldn't find key text in ConfigMap tasting-room/answer".to_owned()),
        (Start::NonRoot, "container has runAsNonRoot and image will run as root (pod: \"grape-1_tasting-room(5f1c9d1e-0000-4000-8000-000000000001)\", container: model)".to_owned()),
        (Start::NonRoot, "container has runAsNonRoot and image has non-numeric user (mlflow), cannot verify user is non-root (pod: \"x\", container: model)".to_owned()),
        (Start::NonRoot, "container's runAsUser breaks non-root policy (pod: \"x\", container: model)".to_owned()),
        (Start::User, format!("{TASK}: unable to find user vintner: no matching entries in passwd file")),
        (Start::User, "failed to create containerd container: failed to apply OCI options: no users found".to_owned()),
        (Start::Platform, format!("{TASK}: exec: \"/bin/serve\": exec format error")),
        (Start::NoCommand, "failed to generate container \"0123\" spec: failed to apply OCI options: no command specified".to_owned()),
        (Start::Command, format!("{TASK}: exec: \"serve\": executable file not found in $PATH")),
        (Start::Command, format!("{TASK}: exec: \"/serve\": stat /serve: no such file or directory")),
        (Start::Command, format!("{TASK}: exec: \"/serve\": permission denied")),
        (Start::Command, "failed to start containerd task: exec /serve.sh: no such file or directory".to_owned()),
        (Start::WorkingDirectory, format!("{TASK}: error during container init: chdir to cwd (\"/srv/app\") set in config.json failed: no such file or directory")),
        (Start::Mount, "failed to prepare subPath for volumeMount \"cellar\" of container \"model\"".to_owned()),
        (Start::Mount, format!("{TASK}: error during container init: error mounting \"/x\" to rootfs at \"/etc/y\": mount /x:/etc/y (via /proc/self/fd/6), flags: 0x5001: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type")),
        (Start::NodeFull, "failed to create containerd container: mkdir /var/lib/containerd/x: no space left on device".to_owned()),
        (Start::Device, format!("{TASK}: error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: nvidia-container-cli: initialization error: nvml error: driver not loaded")),
        (Start::Command, format!("{TASK}: exec: \"/opt/nvidia/nvidia_entrypoint.sh\": stat /opt/nvidia/nvidia_entrypoint.sh: no such file or directory")),
        (Start::Device, format!("{TASK}: error mounting \"/usr/lib/libnvidia-ml.so.1\" to rootfs at \"/usr/lib/libnvidia-ml.so.1\": not a directory")),
        (Start::Device, "failed to create containerd container: CDI device injection failed: unresolvable CDI devices vendor.com/gpu=0".to_owned()),
        (Start::SecurityProfile, "failed to generate container \"0123\" spec: failed to generate seccomp spec opts: cannot load seccomp profile \"/x.json\": open /x.json: no such file or directory".to_owned()),
        (Start::Busy, "context deadline exceeded".to_owned()),
        (Start::Busy, "failed to reserve container name \"model_grape-1\": name \"model_grape-1\" is reserved for \"0123\"".to_owned()),
        (Start::Busy, "failed to sync secret cache: timed out waiting for the condition".to_owned()),
        (Start::Unknown, "something nobody has read yet".to_owned()),
    ];
    for (class, said) in rows {
        assert_eq!(start(&said), class, "{said}");
    }
    assert!(is_out_of_memory(&format!("{TASK}: container init was OOM-killed (memory limit too low?)")));
}

#[test]
fn a_sentence_is_told_without_what_is_another_at_each_attempt() {
    let id = "0123456789abcdef".repeat(4);
    let digest = format!("sha256:{id}");
    let rows = [
        ("rpc error: code = NotFound desc = wine: not found".to_owned(), "wine: not found".to_owned()),
        (
            "Back-off pulling image \"wine\": ErrImagePull: rpc error: code = NotFound desc = wine: not found"
                .to_owned(),
            "wine: not found".to_owned(),
        ),
        ("Back-off pulling image \"wine\": ErrImagePull: denied".to_owned(), "denied".to_owned()),
        ("Back-off pulling image \"wine\"".to_owned(), String::new()),
        (
            format!("failed to generate container \"{id}\" spec: no command"),
            "failed to generate container \"…\" spec: no command".to_owned(),
        ),
        (format!("docker.io/wine@{digest}: not found"), "docker.io/wine@sha256:0123456789ab: not found".to_owned()),
        (
            format!(
                "failed to pull and unpack image \"docker.io/wine@{digest}\": failed to resolve reference \"docker.io/wine@{digest}\": failed to do request: Head \"https://r.example.org/v2/wine/manifests/{digest}\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-30T12:00:01Z is after 2026-11-29T00:00:00Z"
            ),
            "failed to do request: Head \"https://r.example.org/v2/wine/manifests/sha256:0123456789ab\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time is after 2026-11-29T00:00:00Z".to_owned(),
        ),
        (
            "failed to pull and unpack image \"wine\": failed to extract layer sha256:0b: wrong diff id".to_owned(),
            "failed to extract layer sha256:0b: wrong diff id".to_owned(),
        ),
        ("failed to pull and unpack image \"wine\"".to_owned(), "failed to pull and unpack image \"wine\"".to_owned()),
        (
            "read tcp 10.244.0.5:41234->192.0.2.1:443: i/o timeout".to_owned(),
            "read tcp 192.0.2.1:443: i/o timeout".to_owned(),
        ),
        (
            "GET request to https://auth.example.org/token?account=me&scope=x: 401 Unauthorized".to_owned(),
            "GET request to https://auth.example.org/token: 401 Unauthorized".to_owned(),
        ),
        (
            "Get \"https://auth.example.org/token?account=me\": EOF".to_owned(),
            "Get \"https://auth.example.org/token\": EOF".to_owned(),
        ),
        (
            "runs as root (pod: \"x_y(5f1c9d1e-0000-4000-8000-000000000001)\", container: model)".to_owned(),
            "runs as root".to_owned(),
        ),
        (
            "to overlayfs as \"extract-568791234-AbCd sha256:0b\": unmount /run/x/containerd-mount123456789: busy"
                .to_owned(),
            "to overlayfs as … sha256:0b\": unmount /run/x/containerd-mount…: busy".to_owned(),
        ),
        ("correlation 5f1c9d1e-0000-4000-8000-000000000001".to_owned(), "correlation …".to_owned()),
        ("two\n lines\tand a tab".to_owned(), "two lines and a tab".to_owned()),
    ];
    for (said, told) in rows {
        assert_eq!(settled(&said), told);
    }
    let long = settled(&"ä".repeat(1000));
    assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST + 1, true));
}
