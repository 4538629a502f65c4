// pgflow's SQL core with a batch client: loops that read messages, start their tasks and complete them, a statement
// each for a whole batch. pgflow's own worker completes tasks one by one, which is slower.
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { drive, load } from "./protocol.mjs";

const postgres = load("postgres");

const BATCH = 100;
const LOOPS = 2;
const SETTINGS =
  `SQL core; ${LOOPS} loops of read_with_poll of ${BATCH} every 10 ms, start_tasks, complete_task of all in one ` +
  "statement; realtime.send does nothing; pgmq as Postmill brings it";
const MIGRATIONS = "node_modules/@pgflow/core/dist/supabase/migrations";
const FLOW = "peers";
// Supabase has these: pgmq is there already, and nobody listens.
const SURROUNDINGS = `
  create schema realtime;
  create function realtime.send(jsonb, text, text, boolean default true) returns void language sql return null::void;
`;
const COMPLETE = `
  select count(*)
  from (select * from unnest($1::uuid[], $2::text[], $3::int[]) as task (run_id, step, item) order by 1, 2, 3) as task
  cross join lateral pgflow.complete_task(task.run_id, task.step, task.item, '0') as done
`;

const connect = (url) => {
  const { searchParams, pathname, username } = new URL(url.replace("@/", "@localhost/"));
  return postgres({ host: searchParams.get("host"), database: pathname.slice(1), username, max: LOOPS, onnotice() {} });
};

async function install(url, feature, steps) {
  const sql = connect(url);
  await sql.unsafe(SURROUNDINGS);
  for (const file of readdirSync(MIGRATIONS).sort()) {
    const text = readFileSync(join(MIGRATIONS, file), "utf8");
    await sql.unsafe(text.replace(/create extension if not exists "pgmq".*?;/gi, ""));
  }
  if (feature) {
    await sql`select pgflow.create_flow(${FLOW})`;
    await (feature === "map" ? addMap(sql) : addChain(sql, steps));
  }
  await sql.end();
}

const addMap = (sql) => sql`select pgflow.add_step(${FLOW}, 'item', '{}'::text[], step_type => 'map')`;

async function addChain(sql, steps) {
  for (let place = 0; place < steps; place += 1) {
    const before = place === 0 ? [] : [`step_${place - 1}`];
    await sql`select pgflow.add_step(${FLOW}, ${`step_${place}`}, ${before}::text[])`;
  }
}

async function sender(url, feature, steps) {
  const sql = connect(url);
  const input = feature === "map" ? Array.from({ length: steps }, (_, place) => place) : {};
  return {
    batch: 1000,
    many: (items) => sql`select pgflow.start_flow(${FLOW}, ${sql.json(input)}) from generate_series(1, ${items.length})`,
  };
}

async function work(task, handle) {
  const sql = connect(task.url);
  for (let loop = 0; loop < LOOPS; loop += 1) takeTurns(sql, handle);
}

async function takeTurns(sql, handle) {
  const worker = randomUUID();
  await sql`insert into pgflow.workers (worker_id, queue_name, function_name) values (${worker}, ${FLOW}, 'bench')`;
  for (;;) {
    const messages = await sql`select msg_id from pgmq.read_with_poll(${FLOW}, 30, ${BATCH}, 5, 10)`;
    if (messages.length === 0) continue;
    const ids = messages.map((message) => message.msg_id);
    const tasks = await sql`select * from pgflow.start_tasks(${FLOW}, ${ids}::bigint[], ${worker}::uuid)`;
    await Promise.all(tasks.map((started) => handle(started.task_index)));
    const of = (name) => tasks.map((started) => started[name]);
    await sql.unsafe(COMPLETE, [of("run_id"), of("step_slug"), of("task_index")], { prepare: true });
  }
}

await drive("@pgflow/core", SETTINGS, { install, sender, work, features: ["runs", "map", "chain"] });
