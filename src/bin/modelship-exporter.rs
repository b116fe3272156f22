fn main() -> std::process::ExitCode {
    modelship::cli::exporter()
}
