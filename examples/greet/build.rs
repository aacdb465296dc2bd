fn main() {
    cc::Build::new().file("greet.c").compile("greeting");
    println!("cargo:rerun-if-changed=greet.c");
}
