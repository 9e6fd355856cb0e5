import { Harness } from "../testing/harness.ts";
import { QEMU_CAPABILITIES, u32, versionPayload } from "../testing/raw-peer.ts";
import { EINVAL, errno } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { describe, expect, it } from "vitest";

describe.each(TEST_IOS)("a vfio-user server that negotiates, $name", (testIo) => {
  it("answers QEMU's version message with less than QEMU's own bytes, naming only what QEMU named", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    const reply = await peer.negotiate();
    expect(reply.flags).toBe(1);
    expect(16 + reply.payload.length).toBeLessThanOrEqual(214);
    const text = new TextDecoder().decode(reply.payload.subarray(4, -1));
    const { capabilities } = JSON.parse(text);
    const asked = Object.keys(JSON.parse(QEMU_CAPABILITIES).capabilities);
    expect(asked).toEqual(expect.arrayContaining(Object.keys(capabilities)));
    expect(capabilities).not.toHaveProperty("write_multiple");
    expect(capabilities.max_msg_fds).toBeLessThanOrEqual(16);
    expect(reply.payload.at(-1)).toBe(0);
    peer.close();
  });

  it.each([
    ["another major version", versionPayload(1, 0, "{}")],
    ["capabilities that are no JSON", versionPayload(0, 0, "{")],
    [
      "a capability of the wrong type",
      versionPayload(0, 0, '{"capabilities":{"max_msg_fds":"1"}}'),
    ],
    ["no NUL at the end", versionPayload(0, 0, "{}").subarray(0, -1)],
    ["two bytes", new Uint8Array(2)],
  ])("refuses %s, closes, and takes the next client", async (_name, payload) => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(4, 1, payload);
    expect(await errno(peer, 4)).toBe(EINVAL);
    await peer.ended;
    peer.close();
    (await all.negotiated()).close();
  });

  it.each([
    [0, 0],
    [1, 1],
    [7, 1],
  ])("answers a client of version 0.%i with 0.%i", async (proposed, answered) => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(1, 1, versionPayload(0, proposed, "{}"));
    expect((await peer.reply(1)).payload.subarray(0, 4)).toEqual(u32(answered << 16));
    peer.close();
  });

  it("refuses a first message that is not VERSION", async () => {
    await using all = Harness.of(testIo);
    const peer = all.connect();
    peer.command(1, 4, u32(16, 0, 0, 0));
    expect(await errno(peer, 1)).toBe(EINVAL);
    await peer.ended;
    peer.close();
  });
});
