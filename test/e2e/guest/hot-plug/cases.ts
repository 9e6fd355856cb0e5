import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { PeerGone } from "../../machine/line-socket.ts";
import { eventually, within } from "../../run/time-limit.ts";
import type { Served } from "../../serve/served.ts";
import type { GuestCase, GuestContext } from "../guest-case.ts";
import type { Guest } from "../guest.ts";
import { heldBy, type Held } from "./held.ts";

/**
 * QEMU up to 11.1.3 ends on this when it frees a device with MSI-X: `vfio_user_instance_finalize` takes the memory of the
 * PBA out of its BAR (`vfio_user_msix_teardown`), and QOM has freed both before it calls that.
 */
const QEMU_ABORT = "subregion->container == mr";
const DISCONNECTED = "vfio-user: the client has disconnected";
/** A driver that is removed in order disables its interrupts; a function that is gone can't be asked for it. */
const LET_GO = /DEVICE_SET_IRQS \S+ index=2\(MSIX\) start=0 count=0\n/u;

/** These are the last cases of one boot of all. */
function isPlugged({ kernel, model }: Pick<GuestContext, "kernel" | "model">): boolean {
  return kernel.series === "6.12" && model.name === "154c+plugin";
}

export const HOT_PLUG_CASES: readonly GuestCase[] = [
  {
    name: "the guest lets go of the VF under traffic and finds it again, and TCP goes on",
    on: isPlugged,
    async run({ guest: { shell } }) {
      await shell.run("begin_streams && begin_pings");
      await pause(1000);
      await shell.run('echo 1 >"$VF_SLOT/remove" && [ ! -e "$VF_SLOT" ] && ! has_vf');
      await shell.run("echo 1 >/sys/bus/pci/rescan; wait_for 100 has_vf && set_vf && end_pings");
      await assertStreams(shell);
      await shell.run("complaints");
    },
  },
  {
    name: "unplugged under traffic it leaves nothing at the server, and plugged in again it works",
    on: isPlugged,
    async run(context) {
      const { guest, served, idle } = context;
      const pids = await served.devicePids();
      await guest.shell.run("begin_streams && begin_pings");
      await pause(1000);
      const lives = await unplug(guest, served);
      assert.doesNotMatch(guest.console, /WARNING:|BUG:|Oops/u);
      assert.match(served.trace, LET_GO, "the driver did not let go before");
      await assertHeld(pids, idle);
      await using fresh = lives ? undefined : await unpluggedGuest(context);
      await plug(fresh ?? guest, context);
      if (lives) await assertStreams(guest.shell);
      assert.deepEqual(await served.devicePids(), pids);
      return { "QEMU after the unplug": lives ? "lives" : "aborted, by its own assertion" };
    },
  },
];

/** Has QEMU unplug the VF, and waits until the server's client has gone. Tells whether QEMU has survived that. */
async function unplug({ machine, shell }: Guest, served: Served): Promise<boolean> {
  const ends = (): number => served.child.stderr.split(DISCONNECTED).length;
  const before = ends();
  await machine.qmp.ask("device_del", { id: "vf" });
  await eventually(20_000, "the client's end", () => ends() > before || undefined);
  try {
    await machine.qmp.ask("query-status");
  } catch (error) {
    if (!(error instanceof PeerGone)) throw error;
    const how = await within(5000, "QEMU's end", machine.child.exited);
    assert.ok(machine.child.stderr.includes(QEMU_ABORT), `QEMU ${how}: ${machine.child.stderr}`);
    return false;
  }
  await machine.qmp.event("DEVICE_DELETED");
  await shell.run('[ ! -e "$VF_SLOT" ] && ! has_vf');
  return true;
}

/** Waits until the processes hold what they held before; the server tidies up for a moment. */
async function assertHeld(pids: readonly number[], idle: readonly Held[]): Promise<void> {
  let held: readonly Held[] = [];
  const isIdle = async (): Promise<true | undefined> => {
    held = await Promise.all(pids.map(heldBy));
    return isDeepStrictEqual(held, idle) || undefined;
  };
  await eventually(5000, "idle processes", isIdle).catch(() => {});
  assert.deepEqual(held, idle, "what the device's process holds");
}

/** A guest whose driver is there and whose VF is not. */
async function unpluggedGuest({ start }: GuestContext): Promise<Guest> {
  const guest = await start("unplugged");
  await guest.shell.ready();
  await guest.shell.run(". /functions.sh; set_peer; insert_iavf; ! has_vf");
  return guest;
}

/** Plugs the VF in, at the socket where it was before, and uses it. */
async function plug({ machine, shell }: Guest, { vf }: GuestContext): Promise<void> {
  await machine.qmp.ask("device_add", { ...vf });
  await shell.run("wait_for 100 has_vf && set_vf && pings 10.9.0.2 && complaints");
}

/** Ends the streams: what was received is what was sent, either way. */
async function assertStreams(shell: Guest["shell"]): Promise<void> {
  const [sentDown, receivedDown, sentUp, receivedUp] = (
    await shell.run("end_streams", 60_000)
  ).split("\n");
  assert.match(sentDown ?? "", /^[0-9a-f]{64} [0-9]+$/);
  assert.equal(receivedDown, sentDown, "what came to the VF is not what was sent");
  assert.equal(receivedUp, sentUp, "what came from the VF is not what was sent");
}
