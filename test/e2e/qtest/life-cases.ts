import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ATQ_REGISTERS, VF_REGISTER } from "@vfmig/iavf";
import { Skip } from "../run/recorder.ts";
import { eventually, within } from "../run/time-limit.ts";
import { rigOf, type QtestCase } from "./case.ts";
import { PCI } from "./pci-function.ts";
import { asksVersion } from "./mailbox-cases.ts";
import { Rig } from "./rig.ts";
import { VfDriver } from "./vf-driver.ts";

const ONES = 0xffff_ffff;
const INITIATE_FLR = 0x8000;
/** Boards of 1996: selects a bus, and ejects its slots by a bit each. */
const EJECT = { bus: 0xae10, slots: 0xae08 } as const;

/**
 * What QEMU does once a device of it has died. It aborts by itself if a request is on its way at that
 * moment, and one that is sent before a thread of QEMU has seen the socket's end counts as such. Nothing
 * tells when it has, so a busy machine may still see that; it says nothing of the server.
 */
async function afterDeath(rig: Rig, body: () => Promise<void>): Promise<void> {
  await sleep(300);
  try {
    await body();
  } catch (error) {
    if (!rig.machine.child.stderr.includes("error_setv: Assertion")) throw error;
    throw new Skip("QEMU met its own assertion, as it does with a request on its way");
  }
}

/** Resets, deaths and departures. */
export const LIFE_CASES: readonly QtestCase[] = [
  {
    name: "a function level reset clears the mailbox, and the device works again after it",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver } = rig;
      await driver.enable();
      await driver.enableMsix(context.model.pci.vectors);
      await driver.openMailbox();
      await asksVersion(driver);
      const control = (await driver.pci.expressOffset()) + 8;
      await driver.pci.write(control, INITIATE_FLR, 2);
      await driver.waitUntilActive();
      assert.equal(await driver.read(ATQ_REGISTERS.len), 0);
      await driver.enable();
      await driver.enableMsix(context.model.pci.vectors);
      await driver.openMailbox();
      await asksVersion(driver);
      await driver.waitForMessage(0);
    },
  },
  {
    name: "a reset of the machine gives a fresh device, ten times over",
    async run(context) {
      await using rig = await rigOf(context);
      const { driver, machine } = rig;
      for (let round = 0; round < 10; round++) {
        await driver.enable();
        await driver.enableMsix(context.model.pci.vectors);
        assert.equal(await driver.read(ATQ_REGISTERS.len), 0);
        await driver.openMailbox();
        await asksVersion(driver);
        await driver.waitForMessage(0);
        machine.qmp.events.length = 0;
        await machine.qmp.ask("system_reset");
        await within(5000, "the machine's reset", machine.qmp.event("RESET"));
        assert.equal((await driver.pci.read(PCI.BAR0)) & ~0xf, 0, "BARs are unplaced");
      }
    },
  },
  {
    name: "when the server dies QEMU lives on and reads all ones",
    async run(context) {
      await using served = await context.serveAlone();
      const { qemu, evidence } = context;
      await using rig = await Rig.start(qemu, [served.device("a")], evidence);
      const { driver } = rig;
      await driver.enable();
      await driver.openMailbox();
      await asksVersion(driver);
      await served.child.kill();
      await afterDeath(rig, async () => {
        await eventually(5000, "all ones", async () => {
          return (await driver.read(VF_REGISTER.VFGEN_RSTAT)) === ONES || undefined;
        });
        await driver.write(VF_REGISTER.VFINT_DYN_CTL01, 1);
        assert.equal(rig.machine.child.end, undefined);
      });
    },
  },
  {
    name: "when one device's process dies the other device goes on",
    async run(context) {
      await using served = await context.serveAlone();
      const { qemu, evidence } = context;
      await using rig = await Rig.start(qemu, [served.device("a"), served.device("b")], evidence);
      for (const driver of rig.drivers) {
        await driver.enable();
        await driver.openMailbox();
        await asksVersion(driver);
      }
      const [pid] = await served.devicePids();
      if (pid === undefined) throw new Error("vfmig serve has no device process");
      process.kill(pid, "SIGKILL");
      await eventually(5000, "the process's end", () => !existsSync(`/proc/${pid}`) || undefined);
      await afterDeath(rig, async () => {
        const states: number[] = [];
        for (const driver of rig.drivers) states.push(await driver.read(VF_REGISTER.VFGEN_RSTAT));
        assert.equal(states.filter((state) => state === ONES).length, 1);
        const living = rig.drivers[states.findIndex((state) => state !== ONES)];
        if (living === undefined) throw new Error("no device is alive");
        await asksVersion(living);
      });
    },
  },
  {
    name: "an ordered end of the server leaves QEMU alive, and no socket behind",
    async run(context) {
      const served = await context.serveAlone();
      const { qemu, evidence } = context;
      await using rig = await Rig.start(qemu, [served.device("a")], evidence);
      await rig.driver.enable();
      await rig.driver.waitUntilActive();
      await served[Symbol.asyncDispose]();
      assert.equal(await rig.driver.read(VF_REGISTER.VFGEN_RSTAT), ONES);
      await assert.rejects(Rig.start(qemu, [served.device("a")], evidence), /No such file/u);
    },
  },
  {
    name: "a QEMU killed in mid-request leaves a device that the next one can use, ten times over",
    async run(context) {
      for (let round = 0; round < 10; round++) {
        await using rig = await rigOf(context);
        await rig.driver.enable();
        await rig.driver.openMailbox();
        await asksVersion(rig.driver);
        await rig.driver.sendVersion();
      }
    },
  },
  {
    name: "a second client cannot disturb the first, and has its turn afterwards",
    async run(context) {
      const { qemu, a, evidence } = context;
      const first = await Rig.start(qemu, [a], evidence);
      try {
        await first.driver.enable();
        await first.driver.openMailbox();
        const second = Rig.start(qemu, [a], evidence);
        second.catch(() => {});
        await sleep(300);
        await asksVersion(first.driver);
        await first[Symbol.asyncDispose]();
        await using rig = await second;
        await rig.driver.enable();
        assert.equal(await rig.driver.read(ATQ_REGISTERS.len), 0);
        await rig.driver.openMailbox();
        await asksVersion(rig.driver);
      } finally {
        await first[Symbol.asyncDispose]();
      }
    },
  },
  {
    name: "a hot-unplug ends QEMU at worst, and never the device",
    async run(context) {
      {
        await using rig = await rigOf(context, { machine: "pc" });
        const { qmp, child } = rig.machine;
        await rig.driver.enable();
        await rig.driver.openMailbox();
        await asksVersion(rig.driver);
        await qmp.ask("device_del", { id: context.a.name });
        await rig.qtest.out(EJECT.bus, 0, 4);
        // QEMU 11.1 aborts here by itself when the device has MSI-X; others delete it.
        const ejected = rig.qtest
          .out(EJECT.slots, 1 << rig.driver.pci.slot, 4)
          .then(() => qmp.event("DEVICE_DELETED"));
        ejected.catch(() => {});
        await within(5000, "the unplug", Promise.race([ejected, child.exited]));
      }
      await using rig = await rigOf(context);
      await rig.driver.enable();
      await rig.driver.openMailbox();
      await asksVersion(rig.driver);
    },
  },
  {
    name: "a device is plugged in while the machine runs",
    async run(context) {
      const { qemu, a, b, evidence } = context;
      await using rig = await Rig.start(qemu, [a], evidence, { machine: "pc" });
      const socket = { type: "unix", path: b.socketPath };
      await rig.machine.qmp.ask("device_add", {
        driver: "vfio-user-pci",
        id: "b",
        addr: "7",
        socket,
      });
      const plugged = new VfDriver(rig.qtest, 7, { bar0: 0xe800_0000, memory: 0x40_0000 });
      await plugged.enable();
      await plugged.openMailbox();
      await asksVersion(plugged);
    },
  },
];
