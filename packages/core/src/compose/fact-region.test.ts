import { describe, expect, it } from "vitest";
import { PCI_REGION } from "../device/info.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { SubDriverContext } from "../sub-driver/context.ts";
import { composed, migrationOf, readAll, type Composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";

/** The region in which a helper with privileges tells what the VF cannot read: a ring's head. */
const FACTS = 9;
const REGION = { index: FACTS, size: 8, read: true, write: false };
/** Where the device lets its user set a ring's head. */
const HEAD = 0x100;

/** A device whose base has the helper's region beside its own. */
class HelpedBase extends FakeBase {
  head = 0;

  constructor() {
    super();
    (this as { info: FakeBase["info"] }).info = {
      ...this.info,
      regions: [...this.info.regions, REGION],
    };
  }

  override readRegion(index: number, offset: number, into: Uint8Array): void {
    if (index !== FACTS) return super.readRegion(index, offset, into);
    into.set(Uint8Array.of(this.head, 0, 0, 0, 0, 0, 0, 0).subarray(offset, offset + into.length));
  }

  override writeRegion(index: number, offset: number, from: Uint8Array): void {
    if (index === FACTS) {
      throw new VfmigError("ERR_VFMIG_REGION_ACCESS", "the facts are only to read", {
        layer: "base",
      });
    }
    super.writeRegion(index, offset, from);
  }
}

/** A sub-driver that takes nothing over: it saves what the region says, and sets it on the target. */
async function helped(base: HelpedBase): Promise<Composed> {
  let context: SubDriverContext | undefined;
  const word = new Uint8Array(4);
  const it = await composed(
    {
      attach: (given) => void (context = given),
      ops: {
        save: () => {
          context?.base.readRegion(FACTS, 0, word);
          return [{ type: "ring", value: { index: word[0] } }];
        },
      },
    },
    {},
    base,
  );
  it.sub.onCommit = async () => {
    const ring = it.sub.loaded.at(-1)?.value as { readonly index: number } | undefined;
    context?.base.writeRegion(PCI_REGION.BAR0, HEAD, Uint8Array.of(ring?.index ?? 0, 0, 0, 0));
  };
  return it;
}

describe("a device whose base tells by a read-only region what a VF cannot read", () => {
  it("moves without anything between the guest and the device", async () => {
    const [source, target] = [await helped(new HelpedBase()), await helped(new HelpedBase())];
    (source.base as HelpedBase).head = 17;
    await migrationOf(source).setState("stop-copy");
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await readAll(source));
    await migrationOf(target).setState("running");
    expect(target.base.bytes[PCI_REGION.BAR0]?.[HEAD]).toBe(17);
  });

  it("has its BARs mapped as on the base alone, each access passed on as it is, and every vector its own", async () => {
    const { base, device } = await helped(new HelpedBase());
    expect(device.info.regions).toEqual(base.info.regions);
    base.calls.length = 0;
    device.writeRegion(PCI_REGION.BAR0, 0x2000, new Uint8Array(4));
    device.readRegion(PCI_REGION.BAR0, 0x3ffc, new Uint8Array(4));
    expect(base.calls).toEqual(["writeRegion 0:8192+4", "readRegion 0:16380+4"]);
    expect(base.irqRequests).toEqual([]);
  });

  it("keeps its BARs mapped while it is saved", async () => {
    const it = await helped(new HelpedBase());
    await migrationOf(it).setState("stop-copy");
    expect(it.device.info.regions).toEqual(it.base.info.regions);
  });

  it("shows the region to its user, who cannot write it", async () => {
    const { base, device } = await helped(new HelpedBase());
    (base as HelpedBase).head = 5;
    const into = new Uint8Array(8);
    device.readRegion(FACTS, 0, into);
    expect(into[0]).toBe(5);
    expect(() => device.writeRegion(FACTS, 0, Uint8Array.of(1))).toThrow(VfmigError);
    expect((base as HelpedBase).head).toBe(5);
  });
});
