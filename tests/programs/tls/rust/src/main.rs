//! The client of ../c, in Rust: what programs ask of OpenSSL or LibreSSL, by the crate openssl.

use openssl::hash::{hash, MessageDigest};
use openssl::ssl::{HandshakeError, SslConnector, SslMethod};
use openssl::symm::{decrypt_aead, encrypt_aead, Cipher};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

// Test case 16 of McGrew and Viega's paper on GCM.
const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const IV: &str = "cafebabefacedbaddecaf888";
const MORE: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const TEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|one| format!("{one:02x}")).collect()
}

fn unhex(word: &str) -> Vec<u8> {
    let digits: Vec<u32> = word.chars().map(|one| one.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|two| (two[0] << 4 | two[1]) as u8).collect()
}

fn cipher() {
    let (kind, mut tag) = (Cipher::aes_256_gcm(), [0; 16]);
    let (key, iv, more, text) = (unhex(KEY), unhex(IV), unhex(MORE), unhex(TEXT));
    let packed = encrypt_aead(kind, &key, Some(&iv), &more, &text, &mut tag).unwrap();
    println!("aes-256-gcm {}\ntag {}", hex(&packed), hex(&tag));
    let unpacked = decrypt_aead(kind, &key, Some(&iv), &more, &packed, &tag);
    assert_eq!(unpacked.unwrap(), text);
    tag[0] ^= 1;
    assert!(decrypt_aead(kind, &key, Some(&iv), &more, &packed, &tag).is_err());
}

fn talk(address: &str, port: &str, certificate: &str) -> ExitCode {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_ca_file(certificate).unwrap();
    let plain = TcpStream::connect((address, port.parse().unwrap())).unwrap();
    let mut tls = match builder.build().connect(address, plain) {
        Ok(tls) => tls,
        Err(HandshakeError::Failure(failed)) => {
            println!("refused: {}", failed.ssl().verify_result().error_string());
            return ExitCode::from(3);
        }
        Err(other) => panic!("{other}"),
    };
    tls.write_all(b"hello from Rust\n").unwrap();
    let mut answer = [0; 100];
    let size = tls.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..size]);
    let name = tls.ssl().current_cipher().unwrap().name();
    print!("{} {name} {answer}", tls.ssl().version_str());
    tls.shutdown().unwrap();
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    println!("{}", openssl::version::version());
    println!("sha256 {}", hex(&hash(MessageDigest::sha256(), b"abc").unwrap()));
    cipher();
    talk(&words[1], &words[2], &words[3])
}
