//! Malformed input: mutated HTTP/2 frames, and random protobuf bodies on every method.
//!
//! Seeded, so that a run can be repeated (`TACTFUL_SEED`). The server does not panic, does not leak, and serves afterwards.
//! Broken by: a handler that unwraps input from the network, as seen with one that unwrapped a customer id.

use prost::Message;
use prost::bytes::Bytes;
use tactful::grpc::generated::FILE_DESCRIPTOR_SET;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use super::attacks::call;
use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RawConnection, SETTINGS, call_headers, frame, message};
use super::memory::PeakMemory;
use super::random::SeededRandom;
use super::steady_client::SteadyClient;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

/// Maximum growth of the server's memory.
const GROWTH_MAX: u64 = 64 << 20;
/// Number of concurrent calls.
const CONCURRENT_CALLS: usize = 32;
/// Number of frames on one connection, unless the server closes it earlier.
const FRAMES_PER_CONNECTION: u64 = 50;

fn seed() -> u64 {
    let seed = std::env::var("TACTFUL_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("TACTFUL_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_frames_do_not_harm_the_server() {
    assert_unharmed(async |address, _| {
        let mut random = SeededRandom(seed());
        let mut remaining = short_or_long(20_000, 1_000_000);
        let mut connections = 0_u64;
        while remaining > 0 {
            remaining -= send_frames(&address, &mut random, remaining).await;
            connections += 1;
        }
        eprintln!("{connections} connections");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bodies_do_not_harm_the_server() {
    assert_unharmed(async |_, channel| {
        let mut random = SeededRandom(seed());
        let schema = Schema::new();
        let mut calls = JoinSet::new();
        for _ in 0..short_or_long(20_000, 1_000_000) {
            let (path, body) = schema.call(&mut random);
            let (send, chunks) = mpsc::channel(2);
            // In one chunk, or in two.
            let cut = if random.below(2) == 0 { body.len() } else { random.below_len(body.len() + 1) };
            // Without empty chunks: a hundred of them close a connection.
            for piece in [&body[..cut], &body[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
                send.try_send(Bytes::copy_from_slice(piece)).expect("there is room for two");
            }
            drop(send);
            calls.spawn(call(channel.clone(), path, chunks));
            if calls.len() >= CONCURRENT_CALLS {
                assert_answered(
                    calls.join_next().await.expect("some calls are running").expect("a call does not panic"),
                );
            }
        }
        calls.join_all().await.into_iter().for_each(assert_answered);
    })
    .await;
}

/// Asserts that a body gets a readable status and leaves the connection open for other calls.
fn assert_answered(code: Code) {
    assert!(![Code::Unavailable, Code::Unknown].contains(&code), "{code:?}");
}

/// Asserts that a server does not panic, does not grow, and serves after it was attacked.
async fn assert_unharmed(attack: impl AsyncFnOnce(String, Channel)) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--store", "memory"]);
    let channel = server.connect().await;
    stock(&channel).await;
    let memory = PeakMemory::watch(server.pid());
    attack(server.address().to_owned(), server.connect().await).await;
    let growth = memory.stop().await;
    assert_eq!(server.panic(), None);
    assert!(server.is_alive(), "{}", server.log());
    eprintln!("memory grew by {} MiB", growth >> 20);
    assert!(growth < GROWTH_MAX, "memory grew by {} MiB", growth >> 20);
    stock(&channel).await;
    SteadyClient::start(channel).stop().await.expect("serves");
}

/// Sends frames on one connection until it closes or the limit is reached; returns their number.
async fn send_frames(address: &str, random: &mut SeededRandom, frames_max: u64) -> u64 {
    let mut connection = RawConnection::open(address).await.expect("it listens");
    let mut sent = 0;
    while sent < frames_max.min(FRAMES_PER_CONNECTION) && !connection.is_closed() {
        let burst = (1 + random.below(10)).min(frames_max - sent);
        let bytes: Vec<u8> = (0..burst).flat_map(|_| mutated_frame(random)).collect();
        sent += burst;
        if connection.send(&bytes).await.is_err() {
            break;
        }
        // Lets the reader notice the end of the connection, so that unread frames are not counted.
        tokio::task::yield_now().await;
    }
    sent
}

/// Returns a valid frame, or one of random parts, with some bits flipped.
fn mutated_frame(random: &mut SeededRandom) -> Vec<u8> {
    let stream = 2 * u32::try_from(random.below(100)).expect("small") + 1;
    let mut bytes = match random.below(5) {
        0 => frame(HEADERS, END_HEADERS, stream, &call_headers("/tactful.v1.OfferService/CrossSell")),
        1 => frame(DATA, END_STREAM, stream, &message(&random.bytes(40))),
        2 => frame(SETTINGS, 0, 0, &random.bytes(36)),
        3 => frame(random.byte() % 12, random.byte(), stream, &random.bytes(64)),
        _ => return random.bytes(64),
    };
    for _ in 0..random.below(4) {
        let index = random.below_len(bytes.len());
        bytes[index] ^= 1 << random.below(8);
    }
    bytes
}

/// Methods with the fields of their requests.
struct Schema {
    methods: Vec<(&'static str, Vec<Field>)>,
}

/// Field of a message, by its wire format.
#[derive(Clone)]
struct Field {
    number: u32,
    kind: FieldKind,
}

#[derive(Clone)]
enum FieldKind {
    Varint,
    Fixed32,
    Fixed64,
    Text,
    /// Fields of a nested message, down to some depth.
    Fields(Vec<Field>),
}

impl Schema {
    fn new() -> Self {
        let mut set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("ours");
        let health = prost_types::FileDescriptorSet::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).expect("tonic's");
        set.file.extend(health.file);
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    // A training may take long, and a watch never ends.
                    if ["TrainModel", "Watch"].contains(&method.name()) {
                        continue;
                    }
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    methods.push((&*path.leak(), fields(&set, method.input_type(), 3)));
                }
            }
        }
        Self { methods }
    }

    /// Returns a method and a body that roughly fits it.
    fn call(&self, random: &mut SeededRandom) -> (&'static str, Vec<u8>) {
        let (path, fields) = &self.methods[random.below_len(self.methods.len())];
        let mut encoded = encode(fields, random);
        for _ in 0..random.below(3) {
            if encoded.is_empty() {
                break;
            }
            let index = random.below_len(encoded.len());
            encoded[index] = random.byte();
        }
        let mut body = message(&encoded);
        match random.below(10) {
            // A wrong compression flag.
            0 => body[0] = random.byte(),
            // A wrong length.
            1 => body[1 + random.below_len(4)] = random.byte(),
            // Truncated.
            2 => body.truncate(random.below_len(body.len())),
            // With trailing bytes.
            3 => body.extend(random.bytes(20)),
            _ => {}
        }
        (path, body)
    }
}

fn fields(set: &prost_types::FileDescriptorSet, name: &str, levels: u32) -> Vec<Field> {
    use prost_types::field_descriptor_proto::Type;
    let Some(message) = set.file.iter().find_map(|file| find(file, name)) else { return Vec::new() };
    let kind = |field: &prost_types::FieldDescriptorProto| match field.r#type() {
        Type::Double | Type::Fixed64 | Type::Sfixed64 => FieldKind::Fixed64,
        Type::Float | Type::Fixed32 | Type::Sfixed32 => FieldKind::Fixed32,
        Type::Message | Type::Group if levels > 0 => FieldKind::Fields(fields(set, field.type_name(), levels - 1)),
        Type::String | Type::Bytes | Type::Message | Type::Group => FieldKind::Text,
        Type::Int64
        | Type::Uint64
        | Type::Int32
        | Type::Bool
        | Type::Uint32
        | Type::Enum
        | Type::Sint32
        | Type::Sint64 => FieldKind::Varint,
    };
    let number = |field: &prost_types::FieldDescriptorProto| u32::try_from(field.number()).expect("positive");
    message.field.iter().map(|field| Field { number: number(field), kind: kind(field) }).collect()
}

fn find<'a>(file: &'a prost_types::FileDescriptorProto, name: &str) -> Option<&'a prost_types::DescriptorProto> {
    let path = name.strip_prefix('.')?.strip_prefix(file.package())?.strip_prefix('.')?;
    let mut names = path.split('.');
    let first = names.next()?;
    let mut message = file.message_type.iter().find(|message| message.name() == first)?;
    for name in names {
        message = message.nested_type.iter().find(|message| message.name() == name)?;
    }
    Some(message)
}

/// Encodes each field zero or more times, with values near limits, existing ids and random bytes.
fn encode(fields: &[Field], random: &mut SeededRandom) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { number, kind } in fields {
        let times = [0, 1, 1, 1, 2, 5][random.below_len(6)];
        for _ in 0..times {
            let (wire_type, value) = match kind {
                FieldKind::Varint => {
                    let value = [0, 1, 2, 3, 7, 100, u64::from(u32::MAX), u64::MAX, random.next()][random.below_len(9)];
                    (0, varint(value))
                }
                FieldKind::Fixed64 => {
                    (1, [f64::NAN, 0.0, -1.0, 1e300, f64::INFINITY][random.below_len(5)].to_le_bytes().to_vec())
                }
                FieldKind::Fixed32 => (5, random.bytes_exactly(4)),
                FieldKind::Text => (2, with_length(text(random))),
                FieldKind::Fields(fields) => (2, with_length(encode(fields, random))),
            };
            bytes.extend(varint(u64::from(*number) << 3 | wire_type));
            bytes.extend(value);
        }
    }
    bytes
}

fn text(random: &mut SeededRandom) -> Vec<u8> {
    match random.below(10) {
        0 => random.bytes(30),
        1 => vec![b'x'; random.below_len(2_000)],
        2 => b"8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d".to_vec(),
        3 => Vec::new(),
        4 | 5 => b"kettle".to_vec(),
        6 => b"EUR".to_vec(),
        case => format!("customer-{}", random.below(50 * case)).into_bytes(),
    }
}

fn with_length(bytes: Vec<u8>) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}
