// Calls functions with supabase-js, one case a line of standard input, and prints what it was given.
// A case: {"name", "options", "read", "abort_after_ms", "client"}; an answer: {"data", "error", ...}.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import readline from "node:readline";

const require = createRequire(`${process.env.CLIENTS}/`);
const { createClient } = await import(pathToFileURL(require.resolve("@supabase/supabase-js")));
const options = { auth: { persistSession: false, autoRefreshToken: false } };
const client = createClient(process.env.URL, process.env.KEY, options);

async function shown(data, read) {
  if (data === null || data === undefined) return null;
  if (typeof data === "string") return { kind: "text", value: data };
  if (data instanceof Blob) return { kind: "blob", value: await data.text() };
  if (data instanceof FormData) return { kind: "form", value: Object.fromEntries(data) };
  if (data instanceof Response || data.body instanceof ReadableStream) {
    const chunks = [];
    const decoder = new TextDecoder();
    for await (const chunk of data.body) chunks.push(decoder.decode(chunk));
    return { kind: "stream", value: chunks.join(""), chunks: chunks.length };
  }
  return { kind: "json", value: data };
}

async function failure(error) {
  if (!error) return null;
  const told = { name: error.name, message: error.message };
  const context = error.context;
  if (context instanceof Response) {
    told.status = context.status;
    told.code = context.headers.get("sb-error-code");
    const text = await context.text();
    try {
      told.body = JSON.parse(text);
    } catch {
      told.body = text;
    }
  }
  return told;
}

function body(given) {
  if (given === undefined || given.kind === undefined) return given;
  if (given.kind === "form") {
    const form = new FormData();
    for (const [name, value] of Object.entries(given.value)) form.append(name, value);
    return form;
  }
  return given.kind === "blob" ? new Blob([given.value]) : new TextEncoder().encode(given.value);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { name, options = {}, abort_after_ms } = JSON.parse(line);
  const controller = new AbortController();
  if (abort_after_ms !== undefined) setTimeout(() => controller.abort(), abort_after_ms);
  let answer;
  try {
    const { data, error, response } = await client.functions.invoke(name, {
      ...options,
      body: body(options.body),
      signal: controller.signal,
    });
    answer = {
      data: await shown(data),
      error: await failure(error),
      region: response?.headers?.get("x-sb-edge-region") ?? null,
    };
  } catch (thrown) {
    answer = { thrown: `${thrown.name}: ${thrown.message}` };
  }
  console.log(JSON.stringify(answer));
}
