import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "@vfmig/core";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountFlows } from "../traffic/accounting.ts";
import { FlowLedger } from "../traffic/flow-ledger.ts";
import { readPcap } from "../traffic/pcap.ts";
import { planTraffic } from "../traffic/traffic-plan.ts";
import { createWire } from "./create-wire.ts";
import { MessageStream } from "./message-stream.ts";
import { helloMessage, MESSAGE_HEADER, newMessage, WIRE_MESSAGE } from "./messages.ts";
import { listenWirePort } from "./socket-port.ts";
import { startWireProcess } from "./start-wire-process.ts";

const guestMac = "02:00:00:00:00:0a";
const capture = fileURLToPath(
  new URL("../../../../examples/demo/real-traffic.pcap", import.meta.url),
);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wire-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function announcement(): Uint8Array {
  const frame = new Uint8Array(60).fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 0x0a, 0x80, 0x35], 6);
  return frame;
}

describe("MessageStream", () => {
  it("gives the same messages however the stream is cut", () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 })), (list, cuts) => {
        const messages = list.map((frame) => {
          const message = newMessage(WIRE_MESSAGE.FROM_PORT, frame.length);
          message.set(frame, MESSAGE_HEADER);
          return message;
        });
        const bytes = Buffer.concat([helloMessage(), ...messages]);
        const got: number[][] = [];
        const stream = new MessageStream((_type, payload) => got.push([...payload]));
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          stream.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        expect(got).toEqual(list.map((frame) => [...frame]));
      }),
    );
  });

  it("refuses hostile bytes without a crash or a large allocation", () => {
    const hostile: Uint8Array[] = [
      Uint8Array.from([255, 255, 255, 255, 1]),
      Uint8Array.from([0, 0, 0, 0]),
      Buffer.concat([helloMessage(), helloMessage()]),
      newMessage(WIRE_MESSAGE.CONNECT, 0),
      Buffer.concat([helloMessage(), Uint8Array.from([1, 0, 0, 0, 99])]),
      Buffer.concat([helloMessage(), newMessage(WIRE_MESSAGE.PING, 3)]),
    ];
    for (const bytes of hostile) {
      const stream = new MessageStream(() => undefined);
      expect(() => stream.push(bytes), `bytes ${bytes.join(" ")}`).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_WIRE_PROTOCOL" }),
      );
    }
  });
});

describe("a wire over sockets", () => {
  it("says where no port listens", async () => {
    const ports = [{ name: "a", path: join(folder, "a") }];
    await expect(createWire({ ports, guestMac })).rejects.toMatchObject({
      code: "ERR_VFMIG_WIRE_PORT",
    });
  });

  it("closes a peer that breaks the protocol, and serves the next one", async () => {
    const path = join(folder, "a");
    const broken = Promise.withResolvers<unknown>();
    const port = await listenWirePort(path, { onError: broken.resolve });
    const peer = connect(path);
    peer.on("error", () => undefined);
    peer.resume();
    peer.write(Uint8Array.from([5, 0, 0, 0, 9, 9, 9, 9, 9]));
    await expect(broken.promise).resolves.toMatchObject({ code: "ERR_VFMIG_WIRE_PROTOCOL" });
    await new Promise((resolve) => peer.once("close", resolve));
    const wire = await createWire({ ports: [{ name: "a", path }], guestMac });
    const delivered = Promise.withResolvers<number>();
    port.attach((frame) => {
      delivered.resolve(frame.length);
      return "accepted";
    });
    wire.send(new Uint8Array(70));
    await expect(delivered.promise).resolves.toBe(70);
    wire.close();
    port.close();
  });
});

describe("a wire process", () => {
  it("plays a capture into ports of another process, moves with the guest, and balances", async () => {
    const plan = planTraffic(readPcap(readFileSync(capture)), guestMac);
    const ledger = new FlowLedger(plan.flows.keys());
    const ports = ["a", "b"].map((name) => ({ name, path: join(folder, name) }));
    const [a, b] = await Promise.all(ports.map(({ path }) => listenWirePort(path)));
    const first = Promise.withResolvers<undefined>();
    let stopped = false;
    let refused = 0;
    const onB = Promise.withResolvers<number>();
    a?.attach((frame) => {
      if (stopped) {
        if (++refused === 20) b?.transmit(announcement());
        return "queue-disabled";
      }
      ledger.receive(frame);
      if (ledger.delivered === 50) first.resolve(undefined);
      return "accepted";
    });
    b?.attach((frame) => {
      ledger.receive(frame);
      return "accepted";
    });
    const wire = await startWireProcess({
      ports,
      traffic: { kind: "pcap", capture },
      guestMac,
      onAccepted: ({ port, timeMs }) => {
        if (port === "b") onB.resolve(timeMs);
      },
    });
    await wire.start(4000);
    await first.promise;
    const fromMs = systemClock.now();
    stopped = true;
    const toMs = await onB.promise;
    await wire.stop();
    await wire.setWindows([{ kind: "blackout", fromMs, toMs }]);
    const report = await wire.report();
    const flows = accountFlows({
      direction: "toGuest",
      names: plan.flows,
      sent: report.sentFlows,
      received: ledger.snapshot(),
      drops: report.drops,
    });
    expect(flows.filter((flow) => flow.lost + flow.corrupted + flow.reordered > 0)).toEqual([]);
    expect(flows.reduce((sum, flow) => sum + flow.duringBlackout, 0)).toBe(refused);
    expect(refused).toBeGreaterThanOrEqual(20);
    expect(report).toMatchObject({ moves: 1, announcements: 1, connected: "b", overruns: 0 });
    await wire[Symbol.asyncDispose]();
    a?.close();
    b?.close();
  });

  it("says why it cannot open", async () => {
    const ports = [{ name: "a", path: join(folder, "nobody") }];
    await expect(
      startWireProcess({ ports, traffic: { kind: "pcap", capture }, guestMac }),
    ).rejects.toMatchObject({ code: "ERR_VFMIG_WIRE_PORT" });
  });
});
