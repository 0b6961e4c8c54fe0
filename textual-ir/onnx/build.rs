//! Compiles the ONNX messages, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "proto/onnx.proto";
    println!("cargo::rerun-if-changed={PROTO}");
    let files = protox::compile([PROTO], ["proto"])?;
    // `Bytes` fields share the buffer they are decoded from, so that the weights of a mapped model are not copied.
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
