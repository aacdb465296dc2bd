use std::ffi::{c_char, c_void, CStr, CString};

extern "C" {
    fn greet(name: *const c_char) -> *mut c_char;
    fn free(pointer: *mut c_void);
}

fn greeting(name: &str) -> String {
    let name = CString::new(name).expect("a name has no NUL");
    unsafe {
        let said = greet(name.as_ptr());
        assert!(!said.is_null(), "no memory");
        let text = CStr::from_ptr(said).to_string_lossy().into_owned();
        free(said.cast());
        text
    }
}

fn main() {
    let name = std::env::args().nth(1);
    println!("{}", greeting(name.as_deref().unwrap_or("world")));
}

#[test]
fn it_greets() {
    assert_eq!(greeting("Ada"), "hello Ada");
}
