import { PCI_REGION, VfmigError } from "@vfmig/core";
import {
  AQ_DESCRIPTOR_SIZE,
  AQ_LENGTH,
  AQ_OPCODE,
  ATQ_REGISTERS,
  ARQ_REGISTERS,
  VIRTCHNL_OP,
  writeAqDescriptor,
} from "@vfmig/iavf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { facets } from "./rig/move.ts";
import { FAMILIES } from "./rig/family.ts";
import { type Host, RAM_IOVA, World, type WorldOptions } from "./rig/world.ts";

describe.each(FAMILIES)("$name", (family) => {
  const create = (options: WorldOptions = {}): Promise<World> =>
    World.create({ family, ...options });

  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.integer({ min: 0, max: 1024 }),
    fc.constantFrom(0, 0xffff_ffff, 0x8000_0020, 0x8000_03ff, 0x1d, 0x19, Number(RAM_IOVA >> 32n)),
  );
  const register = fc.oneof(
    fc.constantFrom(...Object.values(ATQ_REGISTERS), ...Object.values(ARQ_REGISTERS)),
    fc.integer({ min: 0, max: 0x8ff }).map((n) => n * 4),
    fc.integer({ min: 0, max: 0x23ff }).map((n) => n * 4),
    fc.integer({ min: 0, max: 0x8fff }),
  );
  const step = fc.tuple(fc.constantFrom("write", "read", "scribble", "time"), register, word);

  describe("a hostile guest", () => {
    test("can write what it likes where it likes; the device answers, stops and starts as ever", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 150 }), async (steps) => {
          const world = await create({ models: [{}], options: { drainMs: 1 } });
          const { device, ram } = world.host;
          const access = new Uint8Array(4);
          const data = new DataView(access.buffer);
          const ramData = new DataView(ram.buffer);
          // The real driver would notice that its device is in somebody else's hands.
          world.driver.pause();
          for (const [kind, at, value] of steps) {
            data.setUint32(0, value, true);
            if (kind === "write") {
              device.writeRegion(PCI_REGION.BAR0, at, access);
            } else if (kind === "read") {
              device.readRegion(PCI_REGION.BAR0, at, access);
            } else if (kind === "scribble") {
              ramData.setUint32((value * 64) % (ram.length - 4), at, true);
            } else {
              world.clock.advance(value % 16);
            }
          }
          const { migration } = facets(device);
          await world.settle(migration.setState("stop"));
          await world.settle(migration.setState("running"));
          await world.settle(device.reset());
          await world.close();
        }),
        { numRuns: 25 },
      );
    }, 60_000);

    test("gets an error in its ring for a request whose body it does not have", async () => {
      const { world, request } = await bareMailbox();
      expect(request({ opcode: AQ_OPCODE.SEND_TO_PF, length: 64, address: 0x10 })).toMatchObject({
        flags: 0x3407,
        code: 14,
      });
      expect(request({ opcode: 0x0b02, length: 0, address: 0 })).toMatchObject({ code: 3 });
      await world.close();
    });

    test.each([VIRTCHNL_OP.ENABLE_CHANNELS, VIRTCHNL_OP.ADD_FDIR_FILTER, VIRTCHNL_OP.RDMA, 116])(
      "cannot ask for operation %i, which no target could be made to repeat",
      async (message) => {
        const { world, request, answer } = await bareMailbox();
        request({ opcode: AQ_OPCODE.SEND_TO_PF, message, length: 0, address: 0 });
        expect(answer()).toEqual({ message, status: -64 });
        await world.close();
      },
    );
  });

  describe("a guest that is early", () => {
    test("is heard once the VF is out of reset, as on the bare device", async () => {
      const { world, request, answer } = await bareMailbox({
        before: ({ model }) => model.control.resetVf(false),
      });
      const version = { opcode: AQ_OPCODE.SEND_TO_PF, length: 8, address: Number(RAM_IOVA) };
      // The body stands where the ring does, whose first words make no version; it is answered all the same.
      request(version);
      expect(answer()).toEqual({ message: 0, status: 0 });
      world.clock.advance(200);
      expect(answer()).toEqual({ message: VIRTCHNL_OP.VERSION, status: 0 });
      await world.close();
    });
  });

  interface Request {
    readonly opcode: number;
    readonly message?: number;
    readonly length: number;
    readonly address: number;
  }

  /** A guest without a driver: both rings set up, nothing said. */
  async function bareMailbox(options: { before?: (host: Host) => void } = {}): Promise<{
    world: World;
    request: (request: Request) => { flags: number; code: number };
    answer: () => { message: number; status: number };
  }> {
    const world = await create({ models: [{}], start: false });
    const { device, ram } = world.host;
    options.before?.(world.host);
    const data = new DataView(ram.buffer);
    const access = new Uint8Array(4);
    const write = (offset: number, value: number): void => {
      new DataView(access.buffer).setUint32(0, value >>> 0, true);
      device.writeRegion(PCI_REGION.BAR0, offset, access);
    };
    device.writeRegion(PCI_REGION.CONFIG, 4, Uint8Array.of(6, 0));
    for (const [ring, place] of [
      [ATQ_REGISTERS, 0],
      [ARQ_REGISTERS, 0x1000],
    ] as const) {
      write(ring.bal, Number(RAM_IOVA & 0xffff_ffffn) + place);
      write(ring.bah, Number(RAM_IOVA >> 32n));
      write(ring.len, 32 | AQ_LENGTH.ENABLE);
    }
    const empty = { returnValue: 0, cookieLow: 0, param0: 0, param1: 0 };
    writeAqDescriptor(data, 0x1000, {
      ...empty,
      flags: 0x1000,
      opcode: 0,
      dataLength: 4096,
      cookieHigh: 0,
      address: Number(RAM_IOVA) + 0x2000,
    });
    write(ARQ_REGISTERS.tail, 1);
    let tail = 0;
    return {
      world,
      request({ opcode, message = VIRTCHNL_OP.VERSION, length, address }) {
        const at = tail * AQ_DESCRIPTOR_SIZE;
        const flags = length > 0 ? 0x3400 : 0x2000;
        writeAqDescriptor(data, at, {
          ...empty,
          flags,
          opcode,
          dataLength: length,
          cookieHigh: message,
          address,
        });
        tail++;
        write(ATQ_REGISTERS.tail, tail);
        world.clock.advance(5);
        return { flags: data.getUint16(at, true), code: data.getUint16(at + 6, true) };
      },
      answer: () => ({
        message: data.getUint32(0x1000 + 8, true),
        status: data.getInt32(0x1000 + 12, true),
      }),
    };
  }

  describe("a state that is not one", () => {
    test("is refused with a named error and leaves the VF usable", async () => {
      const world = await create();
      world.traffic(50);
      world.driver.pause();
      const source = facets(world.hostAt(0).device).migration;
      await world.settle(source.setState("stop-copy"));
      const bytes = new Uint8Array(64 * 1024);
      const length = await world.settle(source.readData(bytes));
      const target = facets(world.hostAt(1).device).migration;
      for (let cut = 100; cut < length; cut += 977) {
        // oxlint-disable-next-line no-await-in-loop -- one load after the other
        await world.settle(target.setState("resuming"));
        const load = async (): Promise<void> => {
          await target.writeData(bytes.subarray(0, cut));
          await target.setState("running");
        };
        // oxlint-disable-next-line no-await-in-loop -- one load after the other
        const error = await world.settle(load().catch((reason: unknown) => reason));
        expect(VfmigError.is(error)).toBe(true);
        // oxlint-disable-next-line no-await-in-loop -- one load after the other
        await world.settle(world.hostAt(1).device.reset());
      }
      await world.close();
    });
  });
});
