//! A service's view with real clients: each follows the alias over a rotation and a rollback, with
//! the retry that the documentation asks for and without being started again.

use crate::support::{Project, check_invariants, project::repository};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

/// A live build of 10 rows and one of 11 rows that waits.
struct Story {
    project: Project,
    first: String,
    second: String,
}

impl Story {
    fn new(name: &str) -> Story {
        let project = Project::new(name);
        project.items(10, "one");
        project.run().code(0);
        let first = project.live();
        project.items(11, "two");
        project.overnight(&["run", name, "--no-rotate"]).code(0);
        let second = project.ledger("select name from ledger.build where state = 'verified'");
        Story {
            project,
            first,
            second,
        }
    }

    /// The address of the alias for a reader.
    fn url(&self) -> String {
        let Project { name, reader, .. } = &self.project;
        self.project.cluster().url(name, reader)
    }

    fn rotate(&self) {
        let name = &self.project.name;
        self.project.overnight(&["rotate", name]).code(0);
    }

    fn roll_back(&self) {
        let name = &self.project.name;
        self.project
            .overnight(&["rollback", name, "--reason", "test"])
            .code(0);
        check_invariants(&self.project);
    }

    /// The builds that a service sees which is there from before the rotation until after the
    /// rollback, without repeats.
    fn expected(&self) -> [String; 3] {
        [self.first.clone(), self.second.clone(), self.first.clone()]
    }
}

/// Waits until a service has seen what is live now; it asks again and again.
#[track_caller]
fn wait_until(what: &str, seen: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < end, "nobody has seen {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Three tries over three seconds, as the documentation says, for a script with psql.
const LOOP: &str = r#"
while [ ! -e "$STOP" ]; do
    for try in 1 2 3 4; do
        if seen=$(psql -XAtq "$URL" -c 'select b.build from overnight.build b, overnight.require(1, 1)'); then
            echo "$seen" >> "$SEEN"
            break
        fi
        [ "$try" -lt 4 ] || exit 1
        sleep 1
    done
done
"#;

#[test]
fn a_script_with_psql_follows_the_alias() {
    let story = Story::new("service_psql");
    let (stop, file) = (story.project.path("stop"), story.project.path("seen"));
    let script = Command::new("sh")
        .args(["-c", LOOP])
        .env("URL", story.url())
        .env("STOP", &stop)
        .env("SEEN", &file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let seen = || std::fs::read_to_string(&file).unwrap_or_default();
    let saw = |build: &str| wait_until(build, || seen().lines().next_back() == Some(build));
    saw(&story.first);
    story.rotate();
    saw(&story.second);
    story.roll_back();
    saw(&story.first);
    std::fs::write(stop, "").unwrap();
    let ended = crate::support::project::ended(script.wait_with_output().unwrap()).code(0);
    let seen = seen();
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.dedup();
    assert_eq!(seen, story.expected(), "{}", ended.stderr);
}

/// The SQLSTATEs after which a service connects anew; an error without one is a lost connection.
fn is_worth_a_retry(error: &deadpool_postgres::PoolError) -> bool {
    match error {
        deadpool_postgres::PoolError::Backend(error) => error.code().is_none_or(|code| {
            ["57P01", "3D000", "55000", "08006", "08003", "08001"].contains(&code.code())
        }),
        _ => false,
    }
}

/// One transaction through the pool, tried again as the documentation says.
async fn ask(pool: &Pool) -> String {
    let end = Instant::now() + Duration::from_secs(3);
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = async {
            let mut client = pool.get().await?;
            let transaction = client.transaction().await?;
            let sql = "select build, (select count(*) from item) from overnight.build";
            let row = transaction.query_one(sql, &[]).await?;
            transaction.commit().await?;
            let (build, rows): (String, i64) = (row.get(0), row.get(1));
            Ok::<_, deadpool_postgres::PoolError>(format!("{build} {rows}"))
        };
        match asked.await {
            Ok(seen) => return seen,
            Err(error) => {
                let again = is_worth_a_retry(&error) && (tries < 3 || Instant::now() < end);
                assert!(again, "after {tries} tries: {error:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_pooled_rust_service_follows_the_alias() {
    let story = Story::new("service_pool");
    let config: tokio_postgres::Config = story.url().parse().unwrap();
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let [first, second, third] = story.expected();
    let expected = [
        format!("{first} 10"),
        format!("{second} 11"),
        format!("{third} 10"),
    ];
    let stop = AtomicBool::new(false);
    // Also where the test has failed meanwhile.
    let end = Instant::now() + Duration::from_secs(120);
    // More users than connections, as in a service; what each has seen, without repeats.
    let seen: [Mutex<Vec<String>>; 6] = Default::default();
    std::thread::scope(|scope| {
        let service = scope.spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let manager = Manager::from_config(config, NoTls, recycling);
                let pool = Pool::builder(manager).max_size(3).build().unwrap();
                let users = seen.iter().map(|seen| async {
                    while !stop.load(Ordering::SeqCst) && Instant::now() < end {
                        let now = ask(&pool).await;
                        {
                            let mut seen = seen.lock().unwrap();
                            seen.push(now);
                            seen.dedup();
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                });
                futures_util::future::join_all(users).await;
            });
        });
        let all_saw = |text: &String| {
            wait_until(text, || {
                // Its own panic says more.
                service.is_finished()
                    || seen
                        .iter()
                        .all(|seen| seen.lock().unwrap().last() == Some(text))
            });
        };
        all_saw(&expected[0]);
        story.rotate();
        all_saw(&expected[1]);
        story.roll_back();
        all_saw(&expected[2]);
        stop.store(true, Ordering::SeqCst);
        service.join().unwrap();
    });
    for seen in seen {
        assert_eq!(seen.into_inner().unwrap(), expected);
    }
}

#[test]
fn a_pool_in_node_follows_the_alias_with_the_recipe_of_the_documentation() {
    let modules = repository().join("target/graphql/node_modules");
    assert!(
        modules.join("pg").exists(),
        "`pg` for Node is missing: run scripts/install-graphql-server"
    );
    let guide = std::fs::read_to_string(repository().join("docs/OPERATIONS.md")).unwrap();
    let (_, after) = guide.split_once("```js\n").unwrap();
    let (recipe, _) = after.split_once("```").unwrap();
    let story = Story::new("service_node");
    let (stop, file) = (story.project.path("stop"), story.project.path("seen"));
    let program = format!(
        "{recipe}
const fs = require('fs');
(async () => {{
  while (!fs.existsSync(process.env.STOP)) {{
    const sql = 'select b.build from overnight.build b, overnight.require(1, 1)';
    const found = await transaction((client) => client.query(sql));
    fs.appendFileSync(process.env.SEEN, found.rows[0].build + '\\n');
  }}
  await pool.end();
}})();"
    );
    let log = story.project.path("log");
    let process = Command::new("node")
        .args(["-e", &program])
        .env("NODE_PATH", &modules)
        .env("DATABASE_URL", story.url())
        .env("STOP", &stop)
        .env("SEEN", &file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let seen = || std::fs::read_to_string(&file).unwrap_or_default();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let saw = |build: &str| {
        wait_until(build, || {
            assert_eq!(said(), "");
            seen().lines().next_back() == Some(build)
        });
    };
    saw(&story.first);
    story.rotate();
    saw(&story.second);
    story.roll_back();
    saw(&story.first);
    std::fs::write(stop, "").unwrap();
    crate::support::project::ended(process.wait_with_output().unwrap()).code(0);
    let seen = seen();
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.dedup();
    assert_eq!(seen, story.expected(), "{}", said());
}

/// PostGraphile, on a port of this machine, until dropped.
struct GraphQl {
    process: Child,
    address: String,
}

impl GraphQl {
    fn start(url: &str, log: &Path) -> GraphQl {
        let program = repository().join("target/graphql/node_modules/.bin/postgraphile");
        assert!(
            program.exists(),
            "the GraphQL server is missing: run scripts/install-graphql-server"
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let file = std::fs::File::create(log).unwrap();
        let process = Command::new(program)
            .args(["--connection", url, "--schema", "public"])
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--disable-graphiql", "--max-pool-size", "3"])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            // Its own group, so that what it starts ends with it.
            .process_group(0)
            .spawn()
            .unwrap();
        GraphQl {
            process,
            address: format!("http://127.0.0.1:{port}/graphql"),
        }
    }

    /// Count and first name of the items, asked for as a browser would and, after an error, again.
    fn items(&mut self, patience: Duration) -> Result<String, String> {
        let end = Instant::now() + patience;
        loop {
            let asked = ask_graphql(&self.address);
            if asked.is_ok() || Instant::now() > end {
                return asked;
            }
            if let Some(status) = self.process.try_wait().unwrap() {
                return Err(format!("the GraphQL server has ended: {status}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn ask_graphql(address: &str) -> Result<String, String> {
    let query = "{ allItems(orderBy: ID_ASC, first: 1) { totalCount nodes { name } } }";
    let answer: serde_json::Value = ureq::post(address)
        .send_json(serde_json::json!({ "query": query }))
        .and_then(|mut answer| answer.body_mut().read_json())
        .map_err(|error| error.to_string())?;
    let items = &answer["data"]["allItems"];
    match (
        items["totalCount"].as_u64(),
        items["nodes"][0]["name"].as_str(),
    ) {
        (Some(count), Some(name)) => Ok(format!("{count} {name}")),
        _ => Err(answer.to_string()),
    }
}

impl Drop for GraphQl {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let sent = Command::new("kill").args(["-KILL", "--", &group]).status();
        drop(sent);
        drop(self.process.wait());
    }
}

#[test]
fn a_graphql_server_follows_the_alias_without_being_started_again() {
    let story = Story::new("service_graphql");
    let log = story.project.path("postgraphile.log");
    let mut server = GraphQl::start(&story.url(), &log);
    let told = || std::fs::read_to_string(&log).unwrap();
    let ready = server.items(Duration::from_secs(30));
    assert_eq!(ready.as_deref(), Ok("10 one 1"), "{}", told());
    // A service that is busy while the alias moves: its pool has sessions that are ended.
    for (act, expected) in [
        (Story::rotate as fn(&Story), "11 two 1"),
        (Story::roll_back, "10 one 1"),
    ] {
        act(&story);
        // At least three tries over at least three seconds.
        let seen = server.items(Duration::from_secs(3));
        assert_eq!(seen.as_deref(), Ok(expected), "{}", told());
        // And from then on.
        for _ in 0..20 {
            let seen = ask_graphql(&server.address);
            assert_eq!(seen.as_deref(), Ok(expected), "{}", told());
        }
    }
    assert_eq!(server.process.try_wait().unwrap(), None, "{}", told());
}
