//! The command line: the real binary against the real server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::certificates::Authority;
use crate::support::running_server::RunningServer;
use serde_json::Value;

const PRODUCTS: &str = "\
product_id,title,category,price,currency,ladder,tier,features,requires
line,Telephone line,Telephone,24.95,USD,,,,
voice-mail,Voice mail,Telephone,6.95,USD,,,,line
two-slot,Two-slot toaster,Kitchen,29.95,USD,toasters,1,slots=2,
four-slot,Four-slot toaster,Kitchen,59.95,USD,toasters,2,slots=4;bagel=true,
";

/// Events of last week.
fn events() -> String {
    let week_ago = jiff::Timestamp::now().as_second() - 7 * 86_400;
    let time = jiff::Timestamp::from_second(week_ago).expect("in range");
    format!(
        "\
customer_id,kind,time,product_id,order_id,case_id,severity
ann,purchase,{time},line,o1,,
ann,purchase,{time},two-slot,o1,,
ann,purchase,{time},two-slot,o1,,
cora,complaint,{time},,,c7,3
"
    )
}

/// A server, and a directory with files to import.
struct Scene {
    server: RunningServer,
    directory: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = RunningServer::start(&directory.path().join("data"));
        Self { server, directory }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        tactful(&[arguments, &["--server", &self.server.url()]].concat())
    }

    fn import(&self, what: &str, file: &Path) -> Output {
        self.run(&["import", what, file.to_str().expect("text")])
    }

    fn with_shop() -> Self {
        let scene = Self::start();
        let (products, events) = (scene.file("products.csv", PRODUCTS), scene.file("events.csv", events()));
        assert!(scene.import("products", &products).status.success());
        assert!(scene.import("events", &events).status.success());
        scene
    }
}

fn tactful(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
    command.args(arguments).env_remove("TACTFUL_SERVER").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value and nothing else")
}

#[test]
fn importing_a_file_again_changes_nothing() {
    let scene = Scene::start();
    let events = scene.file("events.csv", events());
    let first = scene.import("events", &events);
    assert_eq!(text(&first.stdout), "4 imported, 0 duplicates, 0 filtered, 0 rejected\n", "a row that repeats is real");
    let second = scene.import("events", &events);
    assert_eq!(text(&second.stdout), "0 imported, 4 duplicates, 0 filtered, 0 rejected\n");
    let products = scene.file("products.csv", PRODUCTS);
    assert_eq!(text(&scene.import("products", &products).stdout), "4 imported, 0 duplicates, 0 filtered, 0 rejected\n");
    assert_eq!(text(&scene.import("products", &products).stdout), "0 imported, 4 duplicates, 0 filtered, 0 rejected\n");
}

/// The import of `05-consents-in-a-customer-file`. Broken by: an attribute named `opted_out`, and offers on email; either of
/// the two columns that is not read.
#[test]
fn opt_outs_in_a_customer_file_end_offers() {
    let scene = Scene::with_shop();
    let mapping = scene.file("mapping.toml", "[columns]\ncustomer_id = 'Customer ID'\nopted_out = 'Unsubscribed'\n");
    let file = scene.file(
        "customers.csv",
        "Customer ID,Unsubscribed,opted_out_channels,objects_to_profiling\nann,true,,\nbob,false,email,\n",
    );
    let arguments = ["import", "customers", file.to_str().expect("text"), "--mapping", mapping.to_str().expect("text")];
    assert_eq!(text(&scene.run(&arguments).stdout), "2 imported, 0 duplicates, 0 filtered, 0 rejected\n");
    for (customer, channel, is_offered) in
        [("ann", "email", false), ("ann", "web", false), ("bob", "email", false), ("bob", "web", true)]
    {
        let answer = json(&scene.run(&["offers", customer, "--channel", channel, "--json"]));
        assert_eq!(answer["offers"].as_array().is_some_and(|it| !it.is_empty()), is_offered, "{customer}: {answer}");
    }
    // A file that knows nothing of an opt-out does not clear it.
    let older = scene.file("older.csv", "customer_id,opted_out\nann,false\n");
    assert!(scene.import("customers", &older).status.success());
    let answer = json(&scene.run(&["offers", "ann", "--channel", "email", "--json"]));
    assert!(answer["offers"].as_array().is_some_and(Vec::is_empty), "{answer}");
    let unmapped = scene.file("unmapped.csv", "customer_id,do_not_contact\nann,1\n");
    let refused = scene.import("customers", &unmapped);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("`do_not_contact` looks like a consent"), "{}", text(&refused.stderr));
}

#[test]
fn rejected_rows_are_reported_by_line_and_the_rest_are_imported() {
    let scene = Scene::start();
    let mut bytes = b"customer_id,kind,time,product_id,quantity\n".to_vec();
    bytes.extend(b"ann,purchase,2024-01-05T10:00:00Z,line,1\n");
    bytes.extend(b"ann,purchase,soon,line,-2\n");
    bytes.extend(b"\xff\xfe,purchase,2024-01-05T10:00:00Z,line,1\n");
    bytes.extend(b"ann,purchase,2024-01-05T10:00:00Z\n");
    bytes.extend(b"bob,purchase,2024-01-06T10:00:00Z,line,1\n");
    let imported = scene.import("events", &scene.file("broken.csv", bytes));
    assert_eq!(imported.status.code(), Some(3), "some rows were rejected");
    assert_eq!(text(&imported.stdout), "2 imported, 0 duplicates, 0 filtered, 3 rejected\n");
    let errors = text(&imported.stderr);
    for (line, reason) in [(3, "soon"), (4, "UTF-8"), (5, "cell")] {
        let reported = errors.lines().find(|error| error.contains(&format!("broken.csv:{line}")));
        assert!(reported.is_some_and(|error| error.contains(reason)), "line {line}: {errors}");
    }
}

/// Midnight some days ago, as files write it.
fn days_ago(days: i64) -> jiff::Timestamp {
    let today = jiff::Timestamp::now().as_second() / 86_400;
    jiff::Timestamp::from_second((today - days) * 86_400).expect("in range")
}

/// Broken by: counting a row with a known event id as a duplicate, whatever its content; a line for each such row.
#[test]
fn rows_whose_event_id_is_recorded_with_other_content_are_reported_in_one_line() {
    let scene = Scene::start();
    let file = |name: &str, rows: &[(&str, &str, &str)]| {
        let time = days_ago(7);
        let rows: Vec<String> =
            rows.iter().map(|(id, kind, product)| format!("{id},ann,{kind},{time},{product}")).collect();
        scene.file(name, format!("event_id,customer_id,kind,time,product_id\n{}\n", rows.join("\n")))
    };
    let sold = [("1", "purchase", "line"), ("2", "purchase", "line"), ("3", "visit", ""), ("4", "visit", "")];
    scene.import("events", &file("sold.csv", &sold));
    let again = [
        ("1", "return", "line"),
        ("2", "purchase", "line"),
        ("3", "complaint", ""),
        ("4", "visit", "line"),
        ("2", "purchase", "two-slot"),
        ("5", "visit", ""),
    ];
    let imported = scene.import("events", &file("again.csv", &again));
    assert_eq!(text(&imported.stdout), "1 imported, 1 duplicates, 0 filtered, 4 rejected\n");
    assert_eq!(imported.status.code(), Some(3), "some rows were rejected");
    let errors = text(&imported.stderr);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for part in ["4 rows", "again.csv:2", "again.csv:4", "again.csv:5", "id of its own"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

/// A source that exports its whole history every night is imported without an error, and every night says so.
#[test]
fn rows_older_than_the_retention_period_are_reported_in_one_line_with_the_setting() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_on(&directory.path().join("data"), "127.0.0.1:0", &["--event-retention", "30d"]);
    let scene = Scene { server, directory };
    let rows = [(1, 400), (2, 40), (3, 20), (4, 35), (5, 31)].map(|(id, days)| {
        let kind = if id % 2 == 0 { "purchase" } else { "subscription_start" };
        format!("{id},ann,{kind},{},line", days_ago(days))
    });
    let file = scene.file("all.csv", format!("event_id,customer_id,kind,time,product_id\n{}\n", rows.join("\n")));
    for counts in ["1 imported, 0 duplicates", "0 imported, 1 duplicates"] {
        let imported = scene.import("events", &file);
        assert_eq!(text(&imported.stdout), format!("{counts}, 0 filtered, 0 rejected, 4 too old\n"));
        assert!(imported.status.success(), "{imported:?}");
        let errors = text(&imported.stderr);
        assert_eq!(errors.lines().count(), 1, "{errors}");
        for part in ["4 rows", "all.csv:2, ", "all.csv:5, ...", "--event-retention"] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
    }
}

#[test]
fn offers_and_health_are_tables_for_people_and_json_for_machines() {
    let scene = Scene::with_shop();
    let table = text(&scene.run(&["offers", "ann"]).stdout);
    assert!(table.contains("Voice mail") && table.contains("made to go with our Telephone line"), "{table}");
    let answer = json(&scene.run(&["offers", "ann", "--up-sell", "--json"]));
    assert_eq!(answer["offers"][0]["product_id"], "four-slot", "{answer}");
    let held = json(&scene.run(&["offers", "cora", "--json"]));
    assert!(held["offers"].as_array().is_some_and(Vec::is_empty), "{held}");
    let health = text(&scene.run(&["health", "ann"]).stdout);
    assert!(health.contains("service-friction") && health.contains("new-customer"), "{health}");
    assert!(json(&scene.run(&["health", "ann", "--json"]))["score"].is_number());
}

#[test]
fn offers_are_previewed_without_reserve() {
    let scene = Scene::with_shop();
    let used = |output: &Output| json(output)["caps"][0]["used"].clone();
    assert_eq!(used(&scene.run(&["health", "ann", "--json"])), 0);
    json(&scene.run(&["offers", "ann", "--json"]));
    assert_eq!(used(&scene.run(&["health", "ann", "--json"])), 0);
    json(&scene.run(&["offers", "ann", "--reserve", "--json"]));
    assert_eq!(used(&scene.run(&["health", "ann", "--json"])), 1);
}

/// Broken by: a field that is written by another name, an unset field that is left out.
/// Broken by: a command that asks for a cross-sell, or for all candidates, where one product is to be explained as an upgrade.
#[test]
fn one_product_is_explained_as_an_upgrade() {
    let scene = Scene::with_shop();
    for (arguments, product, rule) in [
        (&["--product", "four-slot"][..], "four-slot", "same_ladder"),
        (&["--up-sell", "--product", "two-slot"], "two-slot", "owned"),
        (&["--up-sell", "--product", "four-slot"], "four-slot", ""),
        (&["--up-sell", "--product", "no-such-thing"], "no-such-thing", "not_in_catalog"),
    ] {
        let explained = json(&scene.run(&[&["explain", "ann", "--json"], arguments].concat()));
        let [candidate] = &explained["candidates"].as_array().expect("a list")[..] else { panic!("{explained}") };
        assert_eq!((&candidate["product_id"], &candidate["rule"]), (&product.into(), &rule.into()), "{explained}");
    }
}

#[test]
fn customer_export_writes_json_lines_with_stable_names() {
    let scene = Scene::with_shop();
    scene.run(&["offers", "ann", "--reserve", "--channel", "web"]);
    let exported = scene.run(&["customer", "export", "ann"]);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let lines = text(&exported.stdout);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| records.iter().filter(|record| record["record"] == kind).collect::<Vec<_>>();
    assert_eq!((of("customer").len(), of("event").len(), of("decision").len()), (1, 3, 1));
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let customer = [
        "alias_of_customer_id",
        "attributes",
        "consents",
        "customer_id",
        "holdings",
        "holds",
        "ledger",
        "merged_customer_ids",
        "merging_with_customer_id",
        "older_holding_fingerprints",
        "older_subscription_end_time",
        "older_subscriptions",
        "record",
        "relationship",
        "was_merged",
    ];
    assert_eq!(names(of("customer")[0]), customer);
    let event = [
        "allowance",
        "amount",
        "case_id",
        "customer_id",
        "event_id",
        "event_time",
        "kind",
        "meter",
        "order_id",
        "period_end",
        "period_start",
        "plan_direction",
        "product_id",
        "quantity",
        "record",
        "return_reason",
        "score",
        "score_max",
        "severity",
        "to_product_id",
        "unit_price",
    ];
    assert_eq!(names(of("event")[0]), event);
    assert_eq!((&of("event")[0]["kind"], &of("event")[0]["case_id"]), (&"purchase".into(), &Value::Null));
    let decision = of("decision")[0];
    assert_eq!((&decision["channel"], &decision["customer_id"]), (&"web".into(), &"ann".into()));
    assert_eq!(decision["offers"][0]["product_id"], "voice-mail");

    let file = scene.directory.path().join("ann.jsonl");
    let again = scene.run(&["customer", "export", "ann", "--out", file.to_str().expect("text")]);
    assert!(again.status.success() && again.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(file).expect("a file"), lines);
}

#[test]
fn training_reports_its_metrics() {
    let scene = Scene::with_shop();
    let model = json(&scene.run(&["train", "--json"]));
    assert_eq!((&model["version"], &model["purchases"]), (&Value::from(1), &Value::from(3)), "{model}");
    let without = Scene::start();
    let output = without.run(&["train"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there are no purchases to learn from"));
}

#[test]
fn errors_are_one_helpful_line() {
    let scene = Scene::start();
    let long = "x".repeat(200);
    let cases = [
        (scene.run(&["offers", &long]), "customer_id: has 200 bytes, at most 128 are allowed"),
        (scene.run(&["import", "events", "missing.csv"]), "missing.csv"),
        (tactful(&["offers", "ann", "--server", "127.0.0.1:1"]), "no server answers at http://127.0.0.1:1"),
    ];
    for (output, expected) in cases {
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
    }
}

/// Broken by: `println!`, which panics, and by an exit as soon as the pipe is closed.
#[test]
fn a_closed_pipe_neither_fails_a_command_nor_prints_an_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let unread = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
        let writer = writer.try_clone().expect("a pipe");
        let output = command.args(arguments).stdout(writer).output().expect("runs");
        assert_eq!(text(&output.stderr), "");
        assert!(output.status.success(), "{output:?}");
    };
    unread(&["policy", "show", "--default"]);
    let scene = Scene::start();
    let policy = text(&tactful(&["policy", "show", "--default"]).stdout).replace("default-1", "unread");
    let file = scene.file("unread.toml", &policy);
    let file = file.to_str().expect("text");
    unread(&["policy", "create", file, "--activate", "--server", &scene.server.url()]);
    assert_eq!(text(&scene.run(&["policy", "show"]).stdout), policy, "the command did its work all the same");
}

#[test]
fn a_policy_is_shown_checked_stored_and_rolled_back() {
    let shown = tactful(&["policy", "show", "--default"]);
    assert!(shown.status.success());
    let scene = Scene::start();
    let edited = text(&shown.stdout)
        .replace("default-1", "gentle")
        .replace("strong = { offers = 8, up_sell = 2 }", "strong = { offers = 5, up_sell = 1 }");
    let file = scene.file("gentle.toml", &edited);
    let file = file.to_str().expect("text");
    assert!(text(&tactful(&["policy", "check", file]).stdout).ends_with("is a valid policy: gentle\n"));
    let created = scene.run(&["policy", "create", file, "--activate"]);
    assert_eq!(text(&created.stdout), "gentle is stored\ngentle is active; before: default-1\n", "{created:?}");
    assert_eq!(text(&scene.run(&["policy", "show"]).stdout), edited);
    let listed = text(&scene.run(&["policy", "list"]).stdout);
    assert!(listed.lines().nth(1).is_some_and(|line| line.starts_with("gentle     yes")), "{listed}");
    let rolled = scene.run(&["policy", "roll-back", "gentle"]);
    assert_eq!(text(&rolled.stdout), "default-1 is active; before: gentle\n");

    let bad = scene.file("bad.toml", "version = 'bad'\n[contact]\nlease = '-1m'\nleese = '1m'\n");
    let checked = tactful(&["policy", "check", bad.to_str().expect("text")]);
    let error = text(&checked.stderr);
    assert!(!checked.status.success() && error.contains("2 faults"), "{error}");
    assert!(error.contains("contact.lease: ") && error.contains("did you mean contact.lease?"), "{error}");
}

/// Faults of the policy, rejected rows of the catalogue, and findings about both, in one run.
/// Broken by: a check that ends with the first invalid file.
#[test]
fn a_policy_is_checked_with_a_catalogue_in_one_run() {
    let scene = Scene::start();
    let policy = "version = 'gentle'\n[contact.rules]\nnever_together = [['line', 'fax']]\n\
                  [contact.families]\ntoys = { category = ['Toys'], products = [], per_slate = 1, per_window = 1 }\n";
    let good = scene.file("gentle.toml", policy);
    let bad = scene.file("bad.toml", format!("{policy}[arbitration]\nseller_share = 2\n"));
    let products = scene.file("products.csv", format!("{PRODUCTS}three-slot,Toaster,Kitchen,39,USD,toasters,2,,\n"));
    let broken = scene.file("broken.csv", format!("{PRODUCTS},No id,Kitchen,39,USD,,,,\n"));
    let path = |file: &PathBuf| file.to_str().expect("text").to_owned();
    let warnings = [
        "warning: contact.rules.never_together names fax, which is not in the catalogue (UNKNOWN_PRODUCT_IN_POLICY)",
        "warning: no product of the catalogue belongs to the family toys (EMPTY_FAMILY)",
    ];

    let checked = tactful(&["policy", "check", &path(&good), "--catalog", &path(&products)]);
    let rung = "warning: four-slot and three-slot have the same tier 2 on the ladder toasters (DUPLICATE_RUNG)";
    assert_eq!(text(&checked.stderr).lines().collect::<Vec<_>>(), [&warnings[..], &[rung]].concat());
    assert!(checked.status.success() && text(&checked.stdout).ends_with("is a valid policy: gentle\n"));

    let checked = tactful(&["policy", "check", &path(&bad), "--catalog", &path(&broken)]);
    let error = text(&checked.stderr);
    assert!(!checked.status.success());
    assert!(error.contains("arbitration.seller_share") && error.contains("broken.csv:6"), "{error}");

    assert!(scene.import("products", &products).status.success());
    let running = text(&scene.run(&["policy", "check", &path(&good), "--running"]).stderr);
    assert_eq!(running.lines().collect::<Vec<_>>(), warnings);
    let activated = scene.run(&["policy", "create", &path(&good), "--activate"]);
    assert_eq!(text(&activated.stderr).lines().collect::<Vec<_>>(), warnings);
}

#[test]
fn serve_reports_all_invalid_settings_before_it_opens_anything() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let data = data.to_str().expect("text");
    let arguments = ["serve", "--data-dir", data, "--listen", "here", "--clock-start", "then", "--drain-timeout=-1s"];
    let output = tactful(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    for name in ["--listen", "--clock-start", "--drain-timeout"] {
        assert!(error.contains(&format!("{name}: ")), "{name} is not in {error}");
    }
    assert!(!Path::new(data).exists(), "nothing was opened");
    let scene = Scene::start();
    let address = scene.server.url().replace("http://", "");
    let taken = tactful(&["serve", "--data-dir", data, "--listen", &address, "--metrics-listen", "off"]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(text(&taken.stderr).contains(&format!("listen: cannot serve on {address}")), "{}", text(&taken.stderr));
    let metrics = tactful(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--metrics-listen", &address]);
    assert_eq!(metrics.status.code(), Some(1));
    assert!(text(&metrics.stderr).contains("metrics-listen: cannot serve metrics"), "{}", text(&metrics.stderr));
}

#[test]
fn a_server_shuts_down_in_order_on_sigterm() {
    // The last line may arrive after the process has ended.
    let Scene { server, directory: _directory } = Scene::with_shop();
    let log = server.stop_and_read().join("\n");
    for step in ["report not ready", "drain", "flush"] {
        assert!(log.contains(&format!("\"step\":\"{step}\"")), "{step} is not in {log}");
    }
}

/// Broken by: a name given before the backup is complete, an older backup kept or a newer one deleted, a damaged one restored.
#[test]
fn a_store_is_backed_up_verified_and_restored() {
    let scene = Scene::with_shop();
    let path = |name: &str| scene.directory.path().join(name).to_str().expect("text").to_owned();
    let summary = text(&scene.run(&["backup", &path("monday.backup")]).stdout);
    assert!(summary.contains("2 customers, 4 events") && summary.contains("4 products"), "{summary}");
    let again = scene.run(&["backup", &path("monday.backup")]);
    assert!(!again.status.success() && text(&again.stderr).contains("already exists"), "{again:?}");

    let kept = path("kept");
    std::fs::create_dir(&kept).expect("a folder");
    for day in ["01", "02", "03"] {
        std::fs::write(format!("{kept}/tactful-202401{day}T000000Z.backup"), "old").expect("a file");
    }
    std::fs::write(format!("{kept}/notes"), "mine").expect("a file");
    let made = json(&scene.run(&["backup", "--directory", &kept, "--keep", "2", "--json"]));
    assert_eq!(made["removed"].as_array().map(Vec::len), Some(2), "{made}");
    let mut left: Vec<String> = std::fs::read_dir(&kept)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!((left[0].as_str(), left[1].as_str(), left.len()), ("notes", "tactful-20240103T000000Z.backup", 3));

    let whole = tactful(&["restore", &path("monday.backup"), "--check"]);
    assert!(text(&whole.stdout).contains("is complete"), "{whole:?}");
    let mut bytes = std::fs::read(path("monday.backup")).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(path("damaged.backup"), &bytes).expect("a file");
    for arguments in [&["--check"][..], &["--data-dir", &path("restored")]] {
        let damaged = tactful(&[&["restore", &path("damaged.backup")], arguments].concat());
        assert_eq!(damaged.status.code(), Some(1));
        assert!(text(&damaged.stderr).contains("damaged at byte"), "{damaged:?}");
    }
    let restored = tactful(&["restore", &path("monday.backup"), "--data-dir", &path("restored")]);
    assert!(restored.status.success() && text(&restored.stdout).contains("2 customers, 4 events"), "{restored:?}");
    let full = tactful(&["restore", &path("monday.backup"), "--data-dir", &path("restored")]);
    assert!(!full.status.success() && text(&full.stderr).contains("is not empty"), "{full:?}");
    let in_use = tactful(&["restore", &path("monday.backup"), "--data-dir", &path("data")]);
    assert!(!in_use.status.success(), "{in_use:?}");

    let copy = RunningServer::start(Path::new(&path("restored")));
    let answer = json(&tactful(&["offers", "ann", "--json", "--server", &copy.url()]));
    assert_eq!(answer["offers"][0]["product_id"], "voice-mail", "{answer}");
    let piped = scene.run(&["backup", "-"]);
    assert!(piped.stdout.starts_with(b"tactful backup ") && text(&piped.stderr).contains("2 customers"));
}

/// Starts a server with TLS, which requires certificates that the returned authority signs.
fn start_with_tls(directory: &Path) -> (RunningServer, Authority) {
    let authority = Authority::new();
    let [certificate, key] = authority.server();
    for (name, text) in [("tls.crt", certificate), ("tls.key", key), ("ca.pem", authority.pem())] {
        std::fs::write(directory.join(name), text).expect("writes");
    }
    let server = RunningServer::start_with(&directory.join("data"), |command| {
        command.arg("--tls-cert").arg(directory.join("tls.crt")).arg("--tls-key").arg(directory.join("tls.key"));
        command.arg("--client-ca").arg(directory.join("ca.pem"))
    });
    (server, authority)
}

/// Broken by: "no server answers" whatever the cause.
#[test]
fn a_command_explains_wrong_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, authority) = start_with_tls(directory.path());
    let file = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let [certificate, key] = Authority::new().caller("spiffe://example.org/other");
    for (name, text) in [("other.crt", certificate), ("other.key", key), ("other-ca.pem", Authority::new().pem())] {
        std::fs::write(file(name), text).expect("writes");
    }
    let [certificate, key] = authority.caller("spiffe://example.org/desk");
    std::fs::write(file("desk.crt"), certificate).expect("writes");
    std::fs::write(file("desk.key"), key).expect("writes");
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    let secure = format!("https://localhost:{port}");
    let list = |arguments: &[&str]| tactful(&[&["policy", "list"], arguments].concat());
    let (ca, other_ca) = (file("ca.pem"), file("other-ca.pem"));
    for (arguments, hint) in [
        (vec!["--server", &format!("http://localhost:{port}")], "use an https:// URL with --tls-ca"),
        (vec!["--server", &secure, "--tls-ca", &other_ca], "its certificate is not signed by --tls-ca"),
        (vec!["--server", &secure, "--tls-ca", &ca], "set --tls-cert and --tls-key"),
        (
            vec![
                "--server",
                &secure,
                "--tls-ca",
                &ca,
                "--tls-cert",
                &file("other.crt"),
                "--tls-key",
                &file("other.key"),
            ],
            "client certificate",
        ),
    ] {
        let refused = list(&arguments);
        let error = text(&refused.stderr);
        assert!(!refused.status.success() && error.contains(hint), "{hint}: {error}");
    }
    let right = ["--server", &secure, "--tls-ca", &ca, "--tls-cert", &file("desk.crt"), "--tls-key", &file("desk.key")];
    assert!(list(&right).status.success());

    let plain = RunningServer::start(&directory.path().join("plain"));
    let secure = plain.url().replace("http:", "https:");
    let error = text(&list(&["--server", &secure, "--tls-ca", &ca]).stderr);
    assert!(error.contains("use an http:// URL"), "{error}");
}

/// Broken by: texts that are printed as they are.
#[test]
fn a_command_prints_no_control_characters_of_others() {
    let refused = tactful(&["policy", "check", "no\u{1b}[31mfile.toml"]);
    let error = text(&refused.stderr);
    assert!(!refused.status.success() && !error.contains('\u{1b}'), "{error}");
    assert!(error.contains("no\\u{1b}[31mfile.toml"), "{error}");
}
