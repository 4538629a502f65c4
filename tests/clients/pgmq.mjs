// Calls pgmq-js, one call a line of standard input, and prints what it answered.
// A call: {"call": "msg.send", "arguments": [...]}; "open" takes what Pgmq.new takes. An answer: {"value"} or {"error"}.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import readline from "node:readline";

const require = createRequire(`${process.env.CLIENTS}/`);
const { Pgmq } = await import(pathToFileURL(require.resolve("pgmq-js")));
let client;

async function answered(call, given) {
  if (call === "open") {
    client = await Pgmq.new(...given);
    // Without a listener a session that the server ends, as a dropped database does, ends this process too.
    client.pool.on("error", () => {});
    return undefined;
  }
  if (call === "close") return client.close();
  const [manager, method] = call.split(".");
  return client[manager][method](...given);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { call, arguments: given } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await answered(call, given) };
  } catch (thrown) {
    answer = { error: thrown.message };
  }
  console.log(JSON.stringify(answer));
}
