import type { Logger } from "@vfmig/core";
import { createVfioUserServer, type VfioUserServer } from "../../server/server.ts";
import { RawPeer } from "../raw-peer.ts";
import { regionRead, regionWrite } from "../requests.ts";
import { ClientSession, Finding, turns } from "./client-session.ts";
import { FuzzDevice } from "./fuzz-device.ts";
import { createFuzzIo, type FuzzIo } from "./fuzz-io.ts";
import { LIMITS } from "./limits.ts";
import { Random } from "./random.ts";

export interface FuzzOptions {
  readonly seed: number;
  /** Messages in all. */
  readonly messages: number;
  /** Over the kernel's sockets, memory and eventfds, instead of those in memory. */
  readonly real?: boolean | undefined;
  /** Only this session of the seed, for a finding that is to be seen again. */
  readonly onlySession?: number | undefined;
  readonly onProgress?: (messages: number, sessions: number) => void;
}

export interface FuzzReport {
  readonly messages: number;
  readonly sessions: number;
  /** Descriptors that were open before the first hostile client, and after the last. */
  readonly fdsBefore: number;
  readonly fdsAfter: number;
}

/** Most messages of one client. */
const SESSION_MESSAGES = 300;
/** Some of the server's work waits for timers: a send that is tried again, a DMA message without answer. */
const PATIENCE_MS = 5000;
const RSS_CHECK_SESSIONS = 2000;
const RSS_GROWTH_LIMIT = 400 * 1_048_576;

/** A server and what is counted of it. */
interface Target {
  readonly fuzzIo: FuzzIo;
  readonly device: FuzzDevice;
  readonly server: VfioUserServer;
  /** Set once a first client has been served: some descriptors come with it and stay. */
  baselineFds: number;
  /** What no handler caught. */
  readonly strays: unknown[];
}

/**
 * Sends hostile clients to a server, one after the other, and looks at the server after each:
 * is it alive, is nothing left of the client, does the next client find a working device.
 * @throws Finding with the seed and the session that show it again
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const target = createTarget(options.real === true);
  const onStray = (error: unknown): void => void target.strays.push(error);
  process.on("unhandledRejection", onStray);
  process.on("uncaughtException", onStray);
  let fdsAfter = 0;
  let messages = 0;
  let session = options.onlySession ?? 0;
  let rss = 0;
  try {
    await checkNextClient(target, 0);
    await done(target);
    target.baselineFds = target.fuzzIo.openFds();
    while (messages < options.messages) {
      // oxlint-disable-next-line no-await-in-loop -- one client at a time
      messages += await runSession(target, options.seed, session);
      session += 1;
      if (options.onlySession !== undefined) break;
      if (session % 100 === 0) options.onProgress?.(messages, session);
      if (session % RSS_CHECK_SESSIONS === 0) rss = checkMemory(rss);
    }
    fdsAfter = target.fuzzIo.openFds();
  } finally {
    process.off("unhandledRejection", onStray);
    process.off("uncaughtException", onStray);
    await target.server.close();
  }
  const { baselineFds: fdsBefore } = target;
  return { messages, sessions: session, fdsBefore, fdsAfter };
}

function createTarget(real: boolean): Target {
  const strays: unknown[] = [];
  const fuzzIo = createFuzzIo(real, (error) => strays.push(error));
  const { io, path } = fuzzIo;
  const mmapFd = io.memfd("region", 16_384);
  const device = new FuzzDevice({ mmapFd });
  const server = createVfioUserServer({
    io,
    device,
    path,
    logger: severe(strays),
    maxDataTransferSize: LIMITS.data,
    maxBitmapSize: LIMITS.bitmap,
    maxDmaMaps: 64,
    writeMultiple: true,
    dmaTimeoutMs: 5,
  });
  return { fuzzIo, device, server, baselineFds: 0, strays };
}

/** The server logs as an error only what it should never meet. */
function severe(strays: unknown[]): Logger {
  const none = (): void => {};
  return { debug: none, info: none, warn: none, error: (text) => strays.push(new Error(text)) };
}

async function runSession(target: Target, seed: number, number: number): Promise<number> {
  const random = new Random(Math.imul(seed, 0x01_00_01_93) + number);
  try {
    const client = new ClientSession({
      io: target.fuzzIo.io,
      path: target.fuzzIo.path,
      device: target.device,
      random,
      messages: 1 + random.below(SESSION_MESSAGES),
    });
    try {
      await client.run();
    } finally {
      client[Symbol.dispose]();
      target.device.openGates();
    }
    await checkCleanedUp(target);
    await checkNextClient(target, random.below(0x1_0000_0000));
    await checkCleanedUp(target);
    return client.sent;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Finding(`seed ${seed}, session ${number}: ${text}`, { cause: error });
  }
}

/** Waits until the server is done with a client that has gone. */
async function done({ server }: Target): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  // A client may have gone before the server has even met it, so one look is not enough.
  for (let idle = 0; idle < 8 && performance.now() < deadline; idle = server.busy ? 0 : idle + 1) {
    // oxlint-disable-next-line no-await-in-loop -- the server's turn
    await turns(1);
  }
}

/** Nothing of a client that has gone is left. */
async function checkCleanedUp(target: Target): Promise<void> {
  await done(target);
  const { fuzzIo, device, server, baselineFds, strays } = target;
  const stray = strays.shift();
  if (stray !== undefined) {
    const text = stray instanceof Error ? (stray.stack ?? stray.message) : typeof stray;
    throw new Finding(`an error that nobody handled: ${text}`);
  }
  if (server.busy) throw new Finding("the server does not get done with a client that has gone");
  const leaked = fuzzIo.openFds() - baselineFds;
  if (leaked !== 0) throw new Finding(`${leaked} descriptors leaked`);
  if (device.mappings.size > 0) throw new Finding(`${device.mappings.size} mappings were left`);
  if (device.noted.size > 0) throw new Finding(`${device.noted.size} mapped areas were left`);
  if (device.vectors.some((each) => each !== undefined)) throw new Finding("an interrupt was left");
}

/** A client that behaves is served: version, a read, a write, and what it has written. */
async function checkNextClient({ fuzzIo }: Target, pattern: number): Promise<void> {
  const { io, path } = fuzzIo;
  const peer = new RawPeer(io, io.connect(path));
  try {
    const data = new Uint8Array(Uint32Array.of(pattern).buffer);
    const asked = [
      peer.negotiate(),
      ask(peer, 1, 9, regionRead(0, 2, 7)),
      ask(peer, 2, 10, regionWrite(0x200, data)),
      ask(peer, 3, 9, regionRead(0x200, 4)),
    ];
    const [version, id, written, read] = await withinTurns(Promise.all(asked));
    for (const reply of [version, id, written, read]) {
      if (reply?.flags !== 1) throw new Finding(`the next client was refused (${reply?.errno})`);
    }
    const vendor = Buffer.from(id?.payload.subarray(16) ?? []).toString("hex");
    const back = Buffer.from(read?.payload.subarray(16) ?? []).toString("hex");
    if (vendor !== "f41a" || back !== Buffer.from(data).toString("hex")) {
      throw new Finding(`the next client read ${vendor} and ${back}`);
    }
  } finally {
    peer.close();
  }
}

function ask(
  peer: RawPeer,
  id: number,
  command: number,
  payload: Uint8Array,
): ReturnType<RawPeer["reply"]> {
  peer.command(id, command, payload);
  return peer.reply(id);
}

async function withinTurns<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Finding("the next client got no answer"));
  }, PATIENCE_MS);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Takes the resident memory after a while as the measure for all later. */
function checkMemory(first: number): number {
  const now = process.memoryUsage().rss;
  if (first === 0) return now;
  if (now > first + RSS_GROWTH_LIMIT) {
    throw new Finding(`memory grew from ${first} to ${now} bytes`);
  }
  return first;
}
