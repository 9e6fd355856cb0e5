import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { Harness } from "../testing/harness.ts";
import { REGISTER, Gate } from "../testing/memory-device.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { join, message, QEMU_CAPABILITIES, u32, u64, versionPayload } from "../testing/raw-peer.ts";
import { dmaMap, dmaUnmap, regionRead, regionWrite, setState } from "../testing/requests.ts";
import { TEST_IOS } from "../testing/test-io.ts";
import { describeReply, describeRequest, Fields } from "./describe-message.ts";

describe.each(TEST_IOS)("a trace of the messages $name", (testIo) => {
  it("has a readable line for each exchange", async () => {
    const lines: string[] = [];
    const clock = new ManualClock();
    await using all = Harness.of(testIo, { clock, trace: (line) => lines.push(line) });
    const peer = await all.negotiated();
    const memory = all.io.memfd("guest", 4096);
    const event = all.io.eventfd();
    clock.advance(1500);
    const requests: [number, number, Uint8Array, object?][] = [
      [1, 2, dmaMap(0x1000, 4096), { fds: [memory] }],
      [2, 2, dmaMap(0xf000, 4096, 0, 1)],
      [3, 4, u32(32, 0, 0, 0)],
      [4, 5, join(u32(32, 0, 0, 0), u64(0, 0))],
      [5, 7, u32(16, 0, 2, 0)],
      [6, 8, u32(20, 0x24, 2, 1, 1), { fds: [event] }],
      [7, 8, u32(20, 0x24, 2, 0, 1)],
      [
        8,
        10,
        regionWrite(
          16,
          Uint8Array.from({ length: 20 }, (_, i) => i),
        ),
      ],
      [9, 9, regionRead(16, 4)],
      [10, 10, regionWrite(32, u32(0x1234)), { flags: 0x10 }],
      [11, 9, regionRead(0, 4, 77)],
      [12, 16, u32(16, 0x1_0001)],
      [13, 99, u32(1)],
      [14, 13, new Uint8Array(0)],
    ];
    for (const [id, command, payload, more] of requests) {
      peer.command(id, command, payload, more);
      if (id !== 10) await peer.reply(id);
    }
    expect(lines.map((line) => line.replace(/^ *\d+\.\d+ /, ""))).toEqual([
      expect.stringMatching(
        /^> VERSION major=0 minor=0 caps=\{"capabilities": .*write_multiple": true\}\} {2}=> {2}major=0 minor=0 caps=\{"capabilities":\{"max_msg_fds":16,/,
      ),
      "> DMA_MAP flags=0x3 offset=0x0 iova=0x1000 size=0x1000 fds=[memfd]",
      "> DMA_MAP flags=0x1 offset=0x0 iova=0xf000 size=0x1000",
      "> DEVICE_GET_INFO  =>  flags=0x3 regions=9 irqs=5",
      "> DEVICE_GET_REGION_INFO index=BAR0  =>  flags=0x3 argsz=32 size=0x2000 offset=0x0",
      "> DEVICE_GET_IRQ_INFO index=2(MSIX)  =>  flags=0x1 count=64",
      "> DEVICE_SET_IRQS flags=0x24 index=2(MSIX) start=1 count=1 fds=[eventfd]",
      "> DEVICE_SET_IRQS flags=0x24 index=2(MSIX) start=0 count=1",
      "> WR  BAR0+0x10 20 000102030405060708090a0b0c0d0e0f..",
      "> RD  BAR0+0x10 4 00010203",
      "> WR* BAR0+0x20 4 34120000",
      "> RD  region77+0x0 4  =>  error EINVAL (22)",
      "> DEVICE_FEATURE GET MIGRATION  =>  data=0700000000000000",
      "> COMMAND_99 01000000  =>  error ENOSYS (38)",
      expect.stringMatching(/^> DEVICE_RESET #14 \.\.\.$/),
      "= DEVICE_RESET #14",
    ]);
    expect(lines[1]).toMatch(/^ +1\.500000 > DMA_MAP/);
    all.io.close(memory);
    all.io.close(event);
    peer.close();
    await all.clientsGone(1);
    expect(lines.at(-1)).toMatch(/-- the client has disconnected/);
  });

  it("shows what is answered late, and what the server asks", async () => {
    const lines: string[] = [];
    await using all = Harness.of(testIo, { trace: (line) => lines.push(line.slice(12)) });
    const peer = await all.negotiated();
    peer.command(1, 2, dmaMap(0x1000, 4096));
    await peer.reply(1);
    const gate = new Gate();
    all.device.migration.gate = gate;
    peer.command(2, 16, setState(1));
    peer.command(3, 3, dmaUnmap(0x5000, 4096));
    await peer.reply(3);
    gate.open();
    await peer.reply(2);
    const remote = all.device.mappings.get(0x1000n)?.remote;
    peer.onMessage = ({ id, payload }) => peer.send(message(id, 11, join(payload, u32(7)), 1));
    await remote?.read(0x1004n, new Uint8Array(4));
    peer.onMessage = ({ id }) => peer.send(message(id, 12, undefined, 0x21));
    await remote?.write(0x1004n, Uint8Array.of(1, 2)).catch(() => {});
    peer.send(message(0x999, 11, undefined, 1));
    peer.command(4, 10, regionWrite(REGISTER.RAISE, Uint8Array.of(0)));
    await peer.reply(4);
    expect(lines.slice(2)).toEqual([
      "> DEVICE_FEATURE SET MIG_DEVICE_STATE data=0100000000000000 #2 ...",
      "> DMA_UNMAP flags=0x0 iova=0x5000 size=0x1000  =>  error ENOENT (2)",
      "= DEVICE_FEATURE #2  =>  data=01000000ffffffff",
      "< DMA_READ iova=0x1004 count=0x4  =>  07000000",
      "< DMA_WRITE iova=0x1004 count=0x2 data=0102  =>  error errno 0",
      "< DMA_READ that nobody asked",
      "> WR  BAR0+0x100 1 00",
    ]);
    peer.close();
  });

  it("keeps a client's text in its line", async () => {
    const lines: string[] = [];
    await using all = Harness.of(testIo, { trace: (line) => lines.push(line) });
    const peer = all.connect();
    peer.command(1, 1, versionPayload(0, 0, `{"a":"\u001b[2J","b":"${"é".repeat(600)}"}\n`));
    await peer.reply(1);
    expect(lines[0]).toContain('"a":"\\x1b[2J"');
    expect(lines.every((line) => /^[\x20-\x7e]*$/.test(line) && line.length < 4000)).toBe(true);
    expect(QEMU_CAPABILITIES.length).toBeLessThan(512);
    peer.close();
  });
});

describe("a line of a trace", () => {
  it("can be made of any bytes", () => {
    fc.assert(
      fc.property(
        fc.nat(25),
        fc.uint8Array({ maxLength: 60 }),
        fc.boolean(),
        (command, bytes, no) => {
          const text = describeRequest(command, new Fields(bytes), no);
          expect(`${text}${describeReply(command, new Fields(bytes))}`).toMatch(/^[\x20-\x7e]+$/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
