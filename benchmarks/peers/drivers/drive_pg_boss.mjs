// pg-boss: one queue with notifications, fetched in batches.
import { clock, drive, groupOf, keyOf, load, priorityOf } from "./protocol.mjs";

const { PgBoss } = load("pg-boss");
const { Client } = load("pg");

const SETTINGS = "batchSize=1000, burstWhenBatchFull, localConcurrency=2, useListenNotify; bulk: insert of 5,000";
const TUNED = { batchSize: 1000, burstWhenBatchFull: true, localConcurrency: 2 };
// Batches that are smaller than the number of groups are full, so that the next one is fetched at once.
const LIMITED = { groupConcurrency: 1, batchSize: 50, pollingIntervalSeconds: 0.5 };
const QUEUE = "peers";
const OPTIONS = {
  unique: (data) => ({ singletonKey: keyOf(data) }),
  priority: (data) => ({ priority: priorityOf(data) }),
  limited: (data) => ({ group: { id: groupOf(data) } }),
};

async function open(url, options = {}) {
  const boss = new PgBoss({ connectionString: url, ...options });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return boss;
}

async function install(url, feature) {
  const boss = await open(url);
  await boss.createQueue(QUEUE, { notify: true, ...(feature === "unique" && { policy: "exclusive" }) });
}

async function sender(url, feature) {
  const options = OPTIONS[feature] ?? (() => ({}));
  const boss = await open(url, { supervise: false, schedule: false });
  const client = new Client(url);
  await client.connect();
  const db = { executeSql: (text, values) => client.query(text, values) };
  return {
    batch: 5000,
    many: (items) => boss.insert(QUEUE, items.map((data) => ({ data, ...options(data) }))),
    async one(data) {
      await client.query("begin");
      await boss.send(QUEUE, data, { db });
      const at = clock();
      await client.query("commit");
      return at;
    },
  };
}

async function work(task, handle) {
  const boss = await open(task.url, { useListenNotify: true });
  const options = task.tuned ? TUNED : { batchSize: task.concurrency };
  const limit = task.feature === "limited" ? LIMITED : {};
  await boss.work(QUEUE, { ...options, ...limit }, async (jobs) => {
    await Promise.all(jobs.map((job) => handle(job.data.n)));
  });
}

await drive("pg-boss", SETTINGS, { install, sender, work, features: Object.keys(OPTIONS) });
