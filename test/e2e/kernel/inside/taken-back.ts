import assert from "node:assert/strict";
import { PCI_IRQ, VfmigError } from "@vfmig/core";
import type { Host } from "@vfmig/host";
import { createLinuxIo, EventFd } from "@vfmig/linux";
import type { VfioUserClient } from "@vfmig/vfio-user";
import { folderOf, writeSlowly } from "./binding.ts";
import { DEVICES } from "./devices.ts";

/** Hears when the machine wants a client's device back; `asked` settles then. */
export class HostWish implements Disposable {
  readonly asked: Promise<void>;
  readonly #resources: DisposableStack;

  private constructor(resources: DisposableStack, asked: Promise<void>) {
    this.#resources = resources;
    this.asked = asked;
  }

  static async listen(client: VfioUserClient): Promise<HostWish> {
    using stack = new DisposableStack();
    const io = createLinuxIo();
    const event = stack.use(EventFd.create(io));
    const { promise, resolve } = Promise.withResolvers<void>();
    stack.use(io.watch(event.fd, () => void (event.drain() > 0 && resolve())));
    const data = { kind: "event", events: [event] } as const;
    await client.setIrqs({ index: PCI_IRQ.REQ, start: 0, count: 1, action: "trigger", data });
    return new HostWish(stack.move(), promise);
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/**
 * Lets the PF take its VFs back while a host serves them: the client hears of it, and still has its device until it
 * goes; then every device of the host is gone, and says so.
 * @param letGo - lets the client go
 */
export async function takeBack(
  host: Host,
  client: VfioUserClient,
  wish: HostWish,
  letGo: () => Promise<void> = async () => client[Symbol.asyncDispose](),
): Promise<void> {
  const taking = writeSlowly(`${folderOf(DEVICES.pf)}/sriov_numvfs`, "0");
  await Promise.race([wish.asked, taking.ended.then(() => assert.fail("nobody was asked"))]);
  assert.equal(taking.done, false, "the kernel did not wait");
  const vendor = new Uint8Array(2);
  await client.readRegion(7, 0, vendor);
  assert.deepEqual([...vendor], [0x86, 0x80], "the device answers while its client is there");
  await letGo();
  await taking.ended;
  for (const device of host.devices) {
    await assert.rejects(device.status(), (error) => {
      assert.ok(VfmigError.is(error), String(error));
      assert.equal(error.code, "ERR_VFMIG_VFIO_GONE", error.message);
      return true;
    });
  }
}
