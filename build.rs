//! What cargo cannot say in Cargo.toml: the linker flags of the shared library, and the few lines of C.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let family = var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();

    if family == "unix" && os != "macos" {
        // The name that programs built against the C library ask the loader for.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkqueue.so.0");
        // Fork and signal handlers of ours may run at any time: dlclose() must not unmap them.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }

    println!("cargo:rustc-check-cfg=cfg(backend, values(\"linux\", \"posix\", \"solaris\", \"windows\"))");
    let asked_for = |feature: &str| var(format!("CARGO_FEATURE_{feature}")).is_ok();
    let backend = match os.as_str() {
        _ if family != "unix" => "windows",
        _ if asked_for("POSIX") => "posix",
        "solaris" | "illumos" => "solaris",
        _ if asked_for("EVENT_PORT_EMULATION") => "solaris",
        "linux" => "linux",
        _ => "posix",
    };
    println!("cargo:rustc-cfg=backend=\"{backend}\"");

    if family == "unix" {
        let native = backend == "linux";
        let shim = [
            if native { "src/platform/linux/shim.c" } else { "src/platform/posix/shim.c" },
            "src/platform/unix/shim.c",
            "src/platform/linux/streams.c",
        ];
        for file in shim {
            println!("cargo:rerun-if-changed={file}");
        }
        let mut build = cc::Build::new();
        if !native {
            build.define("KQUEUE_POSIX", None);
        }
        build
            .files(shim)
            // A cancelled thread unwinds through it.
            .flag("-fexceptions")
            .flag("-fvisibility=hidden")
            .opt_level(2)
            .extra_warnings(true)
            .compile("kqueue_shim");
    }
}
