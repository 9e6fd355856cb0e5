import { parseArgs } from "node:util";
import { Finding } from "./client-session.ts";
import { fuzz } from "./fuzz.ts";

// Hostile clients for as long as wanted:
//   node packages/vfio-user/src/testing/fuzz/main.ts --messages 10000000 --seed 1 [--real]
// --real: over the kernel's sockets, memory and eventfds, with every descriptor of the process counted.
// A finding names its session; --session N runs that one alone. Exit code 1 where something was found.
const { values } = parseArgs({
  options: {
    messages: { type: "string", default: process.env["VFMIG_FUZZ_RUNS"] ?? "100000" },
    seed: { type: "string" },
    session: { type: "string" },
    real: { type: "boolean", default: false },
    quiet: { type: "boolean" },
  },
});
const messages = Number(values.messages);
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
const onlySession = values.session === undefined ? undefined : Number(values.session);
const started = performance.now();
const seconds = (): number => (performance.now() - started) / 1000;
let shown = 0;

console.error(`seed ${seed}, ${messages} messages`);
try {
  const report = await fuzz({
    seed,
    messages,
    real: values.real,
    onlySession,
    onProgress(done, sessions) {
      if (values.quiet === true || seconds() < shown + 5) return;
      shown = seconds();
      const rss = Math.round(process.memoryUsage().rss / 1_048_576);
      console.error(
        `${done} messages, ${sessions} clients, ${Math.round(done / shown)} a second, ${rss} MiB`,
      );
    },
  });
  console.log(JSON.stringify({ seed, ...report, seconds: Math.round(seconds()), found: 0 }));
} catch (error) {
  if (!(error instanceof Finding)) throw error;
  console.log(JSON.stringify({ seed, seconds: Math.round(seconds()), found: error.message }));
  if (error.cause instanceof Error) console.error(error.cause.stack);
  process.exitCode = 1;
}
