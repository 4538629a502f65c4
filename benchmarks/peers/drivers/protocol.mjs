// protocol.py for Node: the same roles, the same lines. Packages are those of the working folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const TELL_EVERY_MS = 100;
const TICK_MS = 20;
const FOREVER = new Promise(() => {});

export const load = createRequire(join(process.cwd(), "driver.js"));
export const clock = () => Number(process.hrtime.bigint()) / 1e9;
export const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// The features: see protocol.py.
const GROUPS = 100;
const PRIORITIES = 10;
export const keyOf = (item) => `key ${item.n}`;
export const priorityOf = (item) => item.n % PRIORITIES;
export const groupOf = (item) => `group ${item.n % GROUPS}`;

const payload = (number, size) => ({ n: number, pad: "x".repeat(size - 15 - String(number).length) });
const payloads = (first, count, size) => Array.from({ length: count }, (_, place) => payload(first + place, size));

async function enqueue(sender, task) {
  const all = payloads(0, task.messages, task.payload_bytes);
  const began = clock();
  for (let begin = 0; begin < all.length; begin += sender.batch) {
    await sender.many(all.slice(begin, begin + sender.batch));
  }
  tell({ took_s: clock() - began });
}

async function send(sender, task) {
  for (let number = 0; number < task.messages; number += 1) {
    await sleep(1000 / task.rate);
    const committing = await sender.one(payload(number, task.payload_bytes));
    tell({ sent: number, committing, committed: clock() });
  }
}

async function produce(sender, task) {
  const began = clock();
  let sent = 0;
  for (let now = began; now < began + task.seconds; now = clock()) {
    const due = Math.floor((now - began) * task.rate) - sent;
    for (let begin = 0; begin < due; begin += sender.batch) {
      const size = Math.min(sender.batch, due - begin);
      await sender.many(payloads(sent, size, task.payload_bytes));
      sent += size;
    }
    tell({ sent, at: clock() });
    await sleep(TICK_MS);
  }
  tell({ done: sent });
}

function counting(goal) {
  let count = 0;
  setInterval(() => tell({ count, at: clock() }), TELL_EVERY_MS);
  return async () => {
    count += 1;
    if (count === 1) tell({ first: clock() });
    if (count === goal) tell({ reached: clock() });
  };
}

const handlers = {
  count: counting,
  stamp: () => async (number) => tell({ started: number, at: clock() }),
  hang: () => (number) => {
    tell({ started: number, at: clock() });
    return FOREVER;
  },
};

export async function drive(name, settings, { install, sender, work, features = [] }) {
  const lines = createInterface(process.stdin);
  lines.once("close", () => process.exit(1)); // the runner has ended
  const task = JSON.parse(await new Promise((resolve) => lines.once("line", resolve)));
  if (task.role === "install") {
    await install(task.url, task.feature, task.steps);
    const about = readFileSync(join("node_modules", name, "package.json"), "utf8");
    tell({ version: JSON.parse(about).version, settings, features });
  } else if (task.role === "work") {
    await work(task, handlers[task.handler](task.goal));
    await FOREVER;
  } else {
    await { enqueue, send, produce }[task.role](await sender(task.url, task.feature, task.steps), task);
  }
  process.exit(0);
}
