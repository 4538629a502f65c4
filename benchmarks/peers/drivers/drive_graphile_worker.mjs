// Graphile Worker, set up as on the performance page of its documentation. A group is a named queue, which is serial.
import { clock, drive, groupOf, keyOf, load, priorityOf } from "./protocol.mjs";

const { Logger, makeWorkerUtils, run, runMigrations } = load("graphile-worker");
const { Client } = load("pg");

const SETTINGS =
  "concurrentJobs=24, maxPoolSize=25, localQueue.size=500, completeJobBatchDelay=0, failJobBatchDelay=0; bulk: addJobs of 5,000";
const TUNED = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
// Of named queues only one job each can be had at a time: a local queue, or more jobs at once, made this slower.
const LIMITED = { concurrentJobs: 4, maxPoolSize: 10, pollInterval: 50 };
const logger = new Logger(() => () => {});

async function install(url) {
  await runMigrations({ connectionString: url, logger });
}

const OPTIONS = {
  unique: (item) => ({ jobKey: keyOf(item) }),
  priority: (item) => ({ priority: priorityOf(item) }),
  limited: (item) => ({ queueName: groupOf(item) }),
};

async function sender(url, feature) {
  const options = OPTIONS[feature] ?? (() => ({}));
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  const client = new Client(url);
  await client.connect();
  return {
    batch: 5000,
    many: (items) => utils.addJobs(items.map((item) => ({ identifier: "work", payload: item, ...options(item) }))),
    async one(item) {
      await client.query("begin");
      await client.query("select graphile_worker.add_job('work', $1::json)", [JSON.stringify(item)]);
      const at = clock();
      await client.query("commit");
      return at;
    },
  };
}

async function work(task, handle) {
  const tuned = task.feature === "limited" ? LIMITED : TUNED;
  const options = task.tuned ? tuned : { concurrentJobs: task.concurrency, maxPoolSize: 10 };
  await run({
    logger,
    noHandleSignals: true,
    preset: { worker: { connectionString: task.url, ...options } },
    taskList: { work: (item) => handle(item.n) },
  });
}

await drive("graphile-worker", SETTINGS, { install, sender, work, features: Object.keys(OPTIONS) });
