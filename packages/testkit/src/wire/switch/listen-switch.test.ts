import { spawn } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createManualClock } from "../../clock/manual-clock.ts";
import { helloMessage, newMessage, WIRE_MESSAGE } from "../messages.ts";
import { frameOf } from "../testing/frames.ts";
import { SwitchRig } from "../testing/switch-rig.ts";
import { listenSwitch, type ListeningSwitch } from "./listen-switch.ts";

let rig: SwitchRig;
beforeEach(() => {
  rig = new SwitchRig();
});
afterEach(() => rig.end());

describe("a switch at a socket", () => {
  test("joins devices, learns where they are, and forgets who leaves", async () => {
    const { server, events } = await rig.listen();
    const [a, b, c] = [rig.device(), rig.device(), rig.device()];
    await events.until(3);
    a.port.transmit(frameOf(0xff, 1, 1));
    await Promise.all([b.got.until(1), c.got.until(1)]);
    b.port.transmit(frameOf(1, 2, 2));
    await a.got.until(1);
    a.port.transmit(frameOf(2, 1, 3));
    await b.got.until(2);
    expect([a.got.all, b.got.all, c.got.all]).toEqual([[2], [1, 3], [1]]);
    b.port.close();
    await events.until(4);
    expect(events.all.at(-1)).toMatchObject({ type: "left", error: undefined });
    expect(server.ethernet.report().ports).toHaveLength(2);
    expect(statSync(rig.path).mode & 0o777).toBe(0o600);
  });

  test("closes a peer that breaks the protocol, and serves the others", async () => {
    const { server, events } = await rig.listen();
    const hostile = [
      Uint8Array.from([5, 0, 0, 0, 9, 9, 9, 9, 9]),
      Buffer.concat([helloMessage(), newMessage(WIRE_MESSAGE.TO_PORT, 20)]),
      Buffer.concat([helloMessage(), newMessage(WIRE_MESSAGE.PING, 4)]),
      Uint8Array.from([255, 255, 255, 255, 3]),
    ];
    for (const [index, bytes] of hostile.entries()) {
      const peer = connect(rig.path);
      peer.on("error", () => undefined).resume();
      peer.write(bytes);
      // oxlint-disable-next-line no-await-in-loop -- one peer after the other
      await events.until(2 * index + 2);
      expect(events.all.at(-1)).toMatchObject({
        type: "left",
        error: { code: "ERR_VFMIG_WIRE_PROTOCOL" },
      });
    }
    const [a, b] = [rig.device(), rig.device()];
    await events.until(2 * hostile.length + 2);
    a.port.transmit(frameOf(0xff, 1, 1));
    await b.got.until(1);
    expect(server.ethernet.report().ports).toHaveLength(2);
  });

  test("hears all that a device sent before it left, also while others send to it", async () => {
    const { server, events } = await rig.listen();
    const leaving = rig.device();
    await events.until(1);
    const heard: number[] = [];
    const here = server.ethernet.join("here", (frame) => heard.push(frame[14] ?? -1) > 0);
    here.input(frameOf(0xff, 2, 1));
    await leaving.got.until(1);
    for (let n = 0; n < 100; n++) leaving.port.transmit(frameOf(2, 1, n, 16_000));
    leaving.port.close();
    // The switch has read none of these yet, and does not know that nobody is there any more.
    here.input(frameOf(0xff, 2, 2));
    await events.until(2);
    expect(heard).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test("drops what is for a device that does not read, and goes on for the others", async () => {
    const { server, events } = await rig.listen();
    const deaf = connect(rig.path);
    deaf.pause();
    deaf.write(helloMessage());
    await events.until(1);
    const sender = server.ethernet.join("here", () => true);
    const frame = frameOf(0xff, 1, 1, 16_000);
    for (let count = 0; count < 1000; count++) sender.input(frame);
    const [port] = server.ethernet.report().ports;
    expect(port?.refused).toBeGreaterThan(100);
    expect((port?.sent ?? 0) + (port?.refused ?? 0)).toBe(1000);
    const other = rig.device();
    await events.until(2);
    sender.input(frameOf(0xff, 1, 2));
    await other.got.until(1);
    deaf.destroy();
  });

  test("refuses a device beyond its ports", async () => {
    const { server, events } = await rig.listen({ maxPorts: 1 });
    rig.device();
    await events.until(1);
    const clock = createManualClock();
    rig.device({ clock });
    await events.until(2);
    expect(events.all[1]).toMatchObject({
      type: "refused",
      error: { code: "ERR_VFMIG_SWITCH_PORT" },
    });
    expect(server.ethernet.report().ports).toHaveLength(1);
  });

  test("replaces the socket of a dead one, but takes no path in use and no file", async () => {
    const dead = `
      require("node:net").createServer().listen(${JSON.stringify(rig.path)}, () => process.kill(process.pid, "SIGKILL"));
    `;
    const child = spawn(process.execPath, ["-e", dead]);
    await new Promise((resolve) => child.once("exit", resolve));
    expect(existsSync(rig.path)).toBe(true);
    const refused = { code: "ERR_VFMIG_WIRE_PORT" };
    const { server } = await rig.listen();
    expect(server.ethernet.report().ports).toEqual([]);
    await expect(listenSwitch(rig.path)).rejects.toMatchObject(refused);
    const file = join(rig.folder, "file");
    writeFileSync(file, "precious");
    await expect(listenSwitch(file)).rejects.toMatchObject(refused);
    expect(existsSync(file)).toBe(true);
  });
});

describe("a device whose wire is a switch", () => {
  test("starts before the switch, joins it when it comes, and again when it comes back", async () => {
    const clock = createManualClock();
    const a = rig.device({ clock });
    a.port.transmit(frameOf(0xff, 1, 1));
    expect(a.port.counters).toMatchObject({ sent: 0, absent: 1 });
    const joined = async (): Promise<ListeningSwitch> => {
      const { server, events } = await rig.listen();
      while (events.all.length === 0) {
        clock.advance(250);
        // oxlint-disable-next-line no-await-in-loop -- the socket needs turns of the event loop
        await new Promise((resolve) => setImmediate(resolve));
      }
      return server;
    };
    for (const mark of [5, 6]) {
      // oxlint-disable-next-line no-await-in-loop -- one switch after the other
      const server = await joined();
      server.ethernet.join("here", () => true).input(frameOf(0xff, 9, mark));
      // oxlint-disable-next-line no-await-in-loop
      await a.got.until(mark - 4);
      // oxlint-disable-next-line no-await-in-loop
      await server[Symbol.asyncDispose]();
    }
    expect(a.got.all).toEqual([5, 6]);
  });

  test("drops runts and giants of its own", async () => {
    const { server } = await rig.listen();
    const a = rig.device();
    a.port.transmit(new Uint8Array(13));
    a.port.transmit(new Uint8Array(16_385));
    expect(a.port.counters).toMatchObject({ runts: 1, oversize: 1 });
    expect(server.ethernet.report().moves).toBe(0);
  });
});
