//! Bytes that mean nothing: mutated HTTP/2 frames, and bodies of random protobuf on every method.
//!
//! From a seed, so that a run can be repeated (`TACTFUL_SEED`). No panic, no leak, and the server answers afterwards.
//! Broken by: a handler that unwraps what came from the network, seen with one that unwrapped a customer id.

use prost::Message;
use prost::bytes::Bytes;
use tactful::grpc::generated::FILE_DESCRIPTOR_SET;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use super::attacks::call;
use super::caller::Caller;
use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RawConnection, SETTINGS, call_headers, frame, message};
use super::memory::Watch;
use super::random::Random;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

/// What must not stay in memory.
const GROWTH_MAX: u64 = 64 << 20;
/// Bodies under way at once.
const BODIES_AT_ONCE: usize = 32;
/// Frames on one connection, unless the server closes it before.
const FRAMES_A_CONNECTION: u64 = 50;

fn seed() -> u64 {
    let seed = std::env::var("TACTFUL_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("TACTFUL_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_harms_the_server() {
    unharmed(async |address, _| {
        let mut random = Random(seed());
        let mut left = short_or_long(20_000, 1_000_000);
        let mut connections = 0_u64;
        while left > 0 {
            left -= send_frames(&address, &mut random, left).await;
            connections += 1;
        }
        eprintln!("{connections} connections");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_harms_the_server() {
    unharmed(async |_, channel| {
        let mut random = Random(seed());
        let schema = Schema::new();
        let mut under_way = JoinSet::new();
        for _ in 0..short_or_long(20_000, 1_000_000) {
            let (path, body) = schema.call(&mut random);
            let (send, chunks) = mpsc::channel(2);
            // In one piece, or in two.
            let cut = if random.below(2) == 0 { body.len() } else { random.below_len(body.len() + 1) };
            // Without empty ones: a hundred on a connection close it.
            for piece in [&body[..cut], &body[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
                send.try_send(Bytes::copy_from_slice(piece)).expect("there is room for two");
            }
            drop(send);
            under_way.spawn(call(channel.clone(), path, chunks));
            if under_way.len() >= BODIES_AT_ONCE {
                answered(under_way.join_next().await.expect("some are under way").expect("a call does not panic"));
            }
        }
        under_way.join_all().await.into_iter().for_each(answered);
    })
    .await;
}

/// Every body has an answer that its caller can read, and leaves the connection to the others.
fn answered(code: Code) {
    assert!(![Code::Unavailable, Code::Unknown].contains(&code), "{code:?}");
}

/// Whatever is done to a server, it does not panic, it does not grow, and it answers.
async fn unharmed(harm: impl AsyncFnOnce(String, Channel)) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--store", "memory"]);
    let channel = server.connect().await;
    stock(&channel).await;
    let memory = Watch::start(server.pid());
    harm(server.address().to_owned(), server.connect().await).await;
    let growth = memory.stop().await;
    assert_eq!(server.panic(), None);
    assert!(server.is_alive(), "{}", server.log());
    eprintln!("{} MiB more", growth >> 20);
    assert!(growth < GROWTH_MAX, "{} MiB more", growth >> 20);
    stock(&channel).await;
    Caller::start(channel).stop().await.expect("it answers");
}

/// A connection's worth of frames; how many were sent.
async fn send_frames(address: &str, random: &mut Random, most: u64) -> u64 {
    let mut connection = RawConnection::open(address).await.expect("it listens");
    let mut sent = 0;
    while sent < most.min(FRAMES_A_CONNECTION) && !connection.is_closed() {
        let burst = (1 + random.below(10)).min(most - sent);
        let bytes: Vec<u8> = (0..burst).flat_map(|_| mutated_frame(random)).collect();
        sent += burst;
        if connection.send(&bytes).await.is_err() {
            break;
        }
        // So that the end of the connection is seen, and frames that nobody reads are not counted.
        tokio::task::yield_now().await;
    }
    sent
}

/// A frame that would be right, or one of random parts, and some of its bits turned.
fn mutated_frame(random: &mut Random) -> Vec<u8> {
    let stream = 2 * u32::try_from(random.below(100)).expect("small") + 1;
    let mut bytes = match random.below(5) {
        0 => frame(HEADERS, END_HEADERS, stream, &call_headers("/tactful.v1.OfferService/CrossSell")),
        1 => frame(DATA, END_STREAM, stream, &message(&random.bytes(40))),
        2 => frame(SETTINGS, 0, 0, &random.bytes(36)),
        3 => frame(random.byte() % 12, random.byte(), stream, &random.bytes(64)),
        _ => return random.bytes(64),
    };
    for _ in 0..random.below(4) {
        let place = random.below_len(bytes.len());
        bytes[place] ^= 1 << random.below(8);
    }
    bytes
}

/// The methods with their requests.
struct Schema {
    methods: Vec<(&'static str, Vec<Field>)>,
}

/// A field as far as it is read: its number, and what is in it.
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
    /// Down to some depth.
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
                    // A training takes what it takes, and a watch does not end.
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

    /// A method, and a body that fits it more or less.
    fn call(&self, random: &mut Random) -> (&'static str, Vec<u8>) {
        let (path, fields) = &self.methods[random.below_len(self.methods.len())];
        let mut encoded = encode(fields, random);
        for _ in 0..random.below(3) {
            if encoded.is_empty() {
                break;
            }
            let place = random.below_len(encoded.len());
            encoded[place] = random.byte();
        }
        let mut body = message(&encoded);
        match random.below(10) {
            // A wrong flag of compression.
            0 => body[0] = random.byte(),
            // A wrong length.
            1 => body[1 + random.below_len(4)] = random.byte(),
            // Not all of it.
            2 => body.truncate(random.below_len(body.len())),
            // Too much of it.
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

/// Each field some times, none included, with values near limits, ids that exist, and nonsense.
fn encode(fields: &[Field], random: &mut Random) -> Vec<u8> {
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

fn text(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => random.bytes(30),
        1 => vec![b'x'; random.below_len(2_000)],
        2 => b"8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d".to_vec(),
        3 => Vec::new(),
        4 | 5 => b"kettle".to_vec(),
        6 => b"EUR".to_vec(),
        place => format!("customer-{}", random.below(50 * place)).into_bytes(),
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
