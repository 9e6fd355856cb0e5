import { VfmigError } from "@vfmig/core";
import type { FakeIo } from "@vfmig/linux/fake";
import { expect, it } from "vitest";
import { no } from "../testing/fake-kernel/errno.ts";
import { FakeMachine, type MachineSettings } from "../testing/fake-kernel/machine.ts";
import { openOn, VF } from "../testing/rig.ts";

const CALLS = ["open", "dup", "eventfd", "watch", "ioctl", "pread", "pwrite", "mmap"] as const;

/** Calls of the system that opening makes, of which the `nth` fails; a probe may live with that. */
function failing(machine: FakeMachine, nth: number): { machine: FakeMachine; made: () => number } {
  let made = 0;
  const io = Object.create(machine.io) as FakeIo;
  for (const name of CALLS) {
    const call = machine.io[name] as (...all: unknown[]) => unknown;
    Object.defineProperty(io, name, {
      value: (...all: unknown[]): unknown => {
        made += 1;
        if (made === nth) {
          throw new VfmigError("ERR_VFMIG_SYSTEM_CALL", `${name} fails, as the test wants`, {
            layer: "linux",
            details: { call: name, errno: "EIO", number: no("EIO") },
          });
        }
        return call.apply(machine.io, all);
      },
    });
  }
  const changed = Object.create(machine, { io: { value: io } }) as FakeMachine;
  return { machine: changed, made: () => made };
}

it.each<[string, MachineSettings]>([
  ["its group", {}],
  ["iommufd", { iommufd: true, dirtyTracking: true }],
])(
  "A device that is opened by %s and closed leaves nothing open, whichever call of the system fails",
  async (_, settings) => {
    using machine = new FakeMachine(settings);
    const fn = machine.add({ address: VF, group: 7, lowPower: true, logsWrites: true });
    let refused = 0;
    for (let nth = 1; ; nth++) {
      const attempt = failing(machine, nth);
      const opened = openOn(attempt.machine).then((device) => device[Symbol.asyncDispose]());
      // oxlint-disable-next-line no-await-in-loop -- one opening after the other
      const failure = await opened.catch((error: unknown) => error);
      expect({ nth, open: machine.openFds }).toEqual({ nth, open: 0 });
      expect([fn.opened, fn.bound, fn.busMaster]).toEqual([false, false, false]);
      if (attempt.made() < nth) break;
      if (failure === undefined) continue;
      refused += 1;
      expect(VfmigError.is(failure)).toBe(true);
    }
    expect(refused).toBeGreaterThan(10);
    await using device = await openOn(machine);
    expect(device.info.regions).toHaveLength(9);
  },
);
