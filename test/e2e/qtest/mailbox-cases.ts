import assert from "node:assert/strict";
import { eventually } from "../run/time-limit.ts";
import { rigOf, type QtestCase, type QtestContext } from "./case.ts";
import { COMMAND } from "./pci-function.ts";
import { Rig, type RigOptions } from "./rig.ts";
import type { VfDriver } from "./vf-driver.ts";

/** VERSION by polling: enough to show that the device reads and writes guest memory. */
export async function asksVersion(driver: VfDriver): Promise<void> {
  await driver.sendVersion();
  assert.equal(await driver.version(), "1.1");
}

async function opensMailbox(rig: Rig): Promise<void> {
  await rig.driver.enable();
  await rig.driver.openMailbox();
  await asksVersion(rig.driver);
}

/** A request gets no answer, and whoever runs the server reads why. */
async function isRefused({ served }: QtestContext, rig: Rig, words: RegExp): Promise<void> {
  const before = served.child.stderr.length;
  await rig.driver.enable();
  await rig.driver.openMailbox();
  await rig.driver.sendVersion();
  await eventually(3000, `the words ${words.source}`, () => {
    return words.test(served.child.stderr.slice(before)) || undefined;
  });
  await assert.rejects(rig.driver.version(300));
}

function memoryCase(name: string, options: RigOptions): QtestCase {
  return {
    name,
    async run(context) {
      await using rig = await rigOf(context, options);
      await opensMailbox(rig);
      await asksVersion(rig.driver);
    },
  };
}

/** The mailbox: DMA both ways, MSI-X, and what the guest's memory may be. */
export const MAILBOX_CASES: readonly QtestCase[] = [
  {
    name: "a mailbox request is answered, and its MSI-X message arrives in memory",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver } = rig;
      await driver.enable();
      await driver.enableMsix(context.model.pci.vectors);
      await driver.openMailbox();
      for (let round = 0; round < 20; round++) {
        await asksVersion(driver);
        await driver.waitForMessage(0);
      }
    },
  },
  {
    name: "a request is answered where no interrupt was enabled",
    async run(context) {
      await using rig = await rigOf(context);
      await opensMailbox(rig);
      assert.equal(await rig.driver.takeMessage(0), false);
    },
  },
  {
    name: "a masked vector's message waits until the vector is unmasked",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver } = rig;
      await driver.enable();
      await driver.enableMsix(context.model.pci.vectors);
      await driver.openMailbox();
      await driver.maskVector(0, true);
      await asksVersion(driver);
      assert.equal(await driver.takeMessage(0), false);
      await driver.maskVector(0, false);
      await driver.waitForMessage(0);
    },
  },
  {
    name: "without bus mastering nothing is read or written, and nothing dies",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver } = rig;
      await driver.enable(COMMAND.MEMORY);
      await driver.openMailbox();
      await driver.sendVersion();
      await assert.rejects(driver.version(100), /an answer to VERSION/u);
      await driver.pci.command(COMMAND.MEMORY | COMMAND.BUS_MASTER);
      await driver.openMailbox();
      await asksVersion(driver);
    },
  },
  {
    name: "300 changes of the memory map between requests leave every request answered",
    async run(context) {
      await using rig = await rigOf(context);
      await opensMailbox(rig);
      const { qtest, driver } = rig;
      for (let round = 0; round < 300; round++) {
        // q35's PAM registers: parts of the first MiB become ROM, RAM or nothing.
        await qtest.out(0xcf8, 0x8000_0000 + 0x90 + (round % 4), 4);
        await qtest.out(0xcfc + (round % 4), [0x00, 0x11, 0x33, 0x30][round & 3] ?? 0, 1);
        if (round % 30 === 0) await asksVersion(driver);
      }
      await asksVersion(driver);
    },
  },
  memoryCase("rings and buffers may be above 4 GiB", {
    memory: "5G",
    driver: { memory: 0x1_2000_0000 },
  }),
  memoryCase("posted writes may be turned off", { properties: { "x-no-posted-writes": true } }),
  memoryCase("the older board serves as well", { machine: "pc" }),
  memoryCase("guest memory may be a file", {
    backend: "memory-backend-file,id=mem,size=256M,share=on,mem-path=/dev/shm",
  }),
  {
    name: "guest memory without file is reached by messages, and a plugin refuses it in words",
    async run(context) {
      const backend = "memory-backend-ram,id=mem,size=256M";
      await using rig = await rigOf(context, { backend });
      if (context.model.plugin !== undefined) {
        await isRefused(context, rig, /came without a file.*share=on/u);
        return;
      }
      await opensMailbox(rig);
      for (let round = 0; round < 20; round++) await asksVersion(rig.driver);
    },
  },
  {
    name: "guest memory that is not shared is refused by the name of QEMU's option",
    async run(context) {
      await using served = await context.serveAlone();
      const { qemu, evidence } = context;
      const backend = "memory-backend-memfd,id=mem,size=256M,share=off";
      await using rig = await Rig.start(qemu, [served.device("a")], evidence, { backend });
      await isRefused({ ...context, served }, rig, /memory is private.*share=on/u);
    },
  },
  {
    name: "two devices of one QEMU each have a mailbox and interrupts of their own",
    async run(context) {
      const { qemu, a, b, evidence } = context;
      await using rig = await Rig.start(qemu, [a, b], evidence);
      for (const driver of rig.drivers) {
        await driver.enable();
        await driver.enableMsix(context.model.pci.vectors);
        await driver.openMailbox();
      }
      const [first, second] = rig.drivers;
      if (first === undefined || second === undefined) throw new Error("two devices are needed");
      await asksVersion(second);
      await second.waitForMessage(0);
      assert.equal(await first.takeMessage(0), false);
      await asksVersion(first);
      await first.waitForMessage(0);
      assert.equal(await second.takeMessage(0), false);
    },
  },
];
