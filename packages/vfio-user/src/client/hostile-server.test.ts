import { VfmigError } from "@vfmig/core";
import { createFakeIo } from "@vfmig/linux/fake";
import type { FakeIo } from "@vfmig/linux/fake";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { join, message, RawPeer, u32, u64, versionPayload } from "../testing/raw-peer.ts";
import { connectVfioUser, type VfioUserClient } from "./client.ts";

/** A server that answers by script: each command's payload, `-errno`, or undefined for silence. */
type Script = (command: number, payload: Uint8Array, id: number) => Uint8Array | number | undefined;

const CAPABILITIES = '{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}';

/** One 4 KiB region, no irqs, no features. */
const plain: Script = (command) => {
  if (command === 1) return versionPayload(0, 1, CAPABILITIES);
  if (command === 4) return u32(16, 0, 1, 0);
  if (command === 5) return join(u32(32, 3, 0, 0), u64(4096, 0));
  if (command === 9) return join(u64(0), u32(0, 4), u32(0x1234));
  return -22;
};

async function connect(
  script: Script,
): Promise<{ client: Promise<VfioUserClient>; io: FakeIo; peer: RawPeer }> {
  const io = createFakeIo();
  const [ours, theirs] = io.socketPair();
  const peer = new ScriptedServer(io, theirs, script);
  return { client: connectVfioUser({ io, fd: ours }), io, peer };
}

class ScriptedServer extends RawPeer {
  constructor(io: FakeIo, fd: number, script: Script) {
    super(io, fd);
    this.onMessage = ({ id, command, payload }) => {
      const answer = script(command, payload, id);
      if (answer === undefined) return;
      if (typeof answer === "number") {
        const bytes = message(id, command, undefined, 0x21);
        new DataView(bytes.buffer).setUint32(12, -answer, true);
        this.send(bytes);
      } else {
        this.send(message(id, command, answer, 1));
      }
    };
  }
}

async function code(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return VfmigError.is(error) ? error.code : String(error);
  }
  return "none";
}

describe("a client of a strange server", () => {
  it("works without capabilities, features and PCI", async () => {
    const { client, peer } = await connect((command, payload, id) =>
      command === 1 ? u32(0x1_0000) : plain(command, payload, id),
    );
    const connected = await client;
    expect(connected.info).toMatchObject({ pci: false, resettable: false });
    expect(connected.migration).toBeUndefined();
    expect(connected.dmaLogging).toBeUndefined();
    const data = new Uint8Array(4);
    await connected.readRegion(0, 0, data);
    expect(data).toEqual(u32(0x1234));
    await connected.close();
    peer.close();
  });

  it.each([
    ["another major version", 1, versionPayload(1, 0, "{}"), "ERR_VFMIG_VFIO_USER_VERSION"],
    ["a higher minor version", 1, versionPayload(0, 9, "{}"), "ERR_VFMIG_VFIO_USER_VERSION"],
    ["capabilities that are no JSON", 1, versionPayload(0, 0, "["), "ERR_VFMIG_VFIO_USER_PROTOCOL"],
    ["an error", 1, -22, "ERR_VFMIG_VFIO_USER_REMOTE"],
    [
      "four thousand million regions",
      4,
      u32(16, 0, 0xffff_ffff, 0),
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
    ],
    ["a struct cut short", 4, u32(16, 0), "ERR_VFMIG_VFIO_USER_PROTOCOL"],
    [
      "a region of 2^60 bytes",
      5,
      join(u32(32, 3, 0, 0), u64(1n << 60n, 0)),
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
    ],
  ])("refuses %s and leaves no descriptor open", async (_name, wrong, answer, expected) => {
    const { client, io, peer } = await connect((command, payload, id) =>
      command === wrong ? answer : plain(command, payload, id),
    );
    expect(await code(client)).toBe(expected);
    peer.close();
    expect(io.openFds).toBe(0);
  });

  it("ends the connection at a reply to another command", async () => {
    const { client, peer } = await connect(plain);
    const connected = await client;
    peer.onMessage = ({ id }) => peer.send(message(id, 13, undefined, 1));
    expect(await code(connected.readRegion(0, 0, new Uint8Array(4)))).toBe(
      "ERR_VFMIG_VFIO_USER_CLOSED",
    );
    expect((await connected.closed)?.code).toBe("ERR_VFMIG_VFIO_USER_PROTOCOL");
    peer.close();
  });

  it("refuses more data than it asked for, or less", async () => {
    const { client, peer } = await connect((command, payload, id) =>
      command === 9 ? join(u64(0), u32(0, 8), u64(0)) : plain(command, payload, id),
    );
    const connected = await client;
    expect(await code(connected.readRegion(0, 0, new Uint8Array(4)))).toBe(
      "ERR_VFMIG_VFIO_USER_PROTOCOL",
    );
    await connected.close();
    peer.close();
  });

  it("takes an error reply that has a payload, as libvfio-user sends it", async () => {
    const { client, peer } = await connect(plain);
    const connected = await client;
    peer.onMessage = ({ id, command }) => peer.send(message(id, command, new Uint8Array(20), 0x21));
    expect(await code(connected.readRegion(0, 0, new Uint8Array(4)))).toBe(
      "ERR_VFMIG_VFIO_USER_REMOTE",
    );
    expect(await code(connected.readRegion(0, 0, new Uint8Array(4)))).toBe(
      "ERR_VFMIG_VFIO_USER_REMOTE",
    );
    await connected.close();
    peer.close();
  });

  it("drops replies that nobody waits for and refuses commands", async () => {
    const { client, peer } = await connect(plain);
    const connected = await client;
    peer.send(message(0x7777, 9, undefined, 1));
    peer.send(message(0x7778, 11, u64(0, 16)));
    peer.send(message(0x7779, 9, u64(0, 16)));
    await connected.readRegion(0, 0, new Uint8Array(4));
    const refused = [await peer.reply(0x7778), await peer.reply(0x7779)];
    expect(refused.map(({ flags, errno }) => [flags, errno])).toEqual([
      [0x21, 14],
      [0x21, 95],
    ]);
    await connected.close();
    peer.close();
  });

  it("fails a call cleanly when the server dies after each byte of its reply", async () => {
    const reply = join(message(0, 9, join(u64(0), u32(0, 4), u32(7)), 1));
    for (let cut = 0; cut < reply.length; cut += 1) {
      const { client, io, peer } = await connect(plain);
      const connected = await client;
      peer.onMessage = ({ id }) => {
        const bytes = reply.slice();
        new DataView(bytes.buffer).setUint16(0, id, true);
        if (cut > 0) peer.send(bytes.subarray(0, cut));
        peer.close();
      };
      expect(await code(connected.readRegion(0, 0, new Uint8Array(4)))).toBe(
        "ERR_VFMIG_VFIO_USER_CLOSED",
      );
      await connected.closed;
      expect(io.openFds).toBe(0);
    }
  });

  it("survives replies of any bytes with an error of its own", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 120 }), fc.nat(20), async (junk, wrong) => {
        const { client, io, peer } = await connect((command, payload, id) =>
          command === wrong ? junk : plain(command, payload, id),
        );
        const outcome = await code(client.then((connected) => connected.close()));
        expect(outcome).toMatch(/^(none|ERR_VFMIG_VFIO_USER_)/);
        peer.close();
        expect(io.openFds).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
