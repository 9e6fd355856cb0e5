import type { FakeDevice, FakeIo } from "@vfmig/linux/fake";
import { GROUP } from "../../uapi/commands.ts";
import { FakeContainer } from "./container.ts";
import { no, taken } from "./errno.ts";
import type { FakeFunction } from "./function.ts";
import type { Trace } from "./trace.ts";

/** A group, and its one opening at a time (`drivers/vfio/group.c`). */
export class FakeGroup {
  readonly functions: FakeFunction[] = [];
  /** False where a device of it belongs to the host. */
  viable = true;
  opened = false;

  open(io: FakeIo, trace: Trace): FakeDevice | number {
    // As the device by its own file: whoever came first has it.
    if (this.opened || this.functions.some((each) => each.bound)) return no("EBUSY");
    this.opened = true;
    return new GroupFile(io, trace, this);
  }
}

class GroupFile implements FakeDevice {
  readonly #io: FakeIo;
  readonly #trace: Trace;
  readonly #group: FakeGroup;
  #container: FakeContainer | undefined;

  constructor(io: FakeIo, trace: Trace, group: FakeGroup) {
    this.#io = io;
    this.#trace = trace;
    this.#group = group;
  }

  ioctl(request: number, argument: Uint8Array | number): number {
    this.#trace.note("group", request);
    switch (request) {
      case GROUP.GET_STATUS.number:
        return this.#status(argument);
      case GROUP.SET_CONTAINER.number:
        return this.#setContainer(argument);
      case GROUP.UNSET_CONTAINER.number:
        return this.#unsetContainer();
      case GROUP.GET_DEVICE_FD.number:
        return this.#getDevice(argument);
      default:
        return no("ENOTTY");
    }
  }

  closed(): void {
    this.#group.opened = false;
    if (this.#container !== undefined) this.#container.groups -= 1;
  }

  #status(argument: Uint8Array | number): number {
    const view = taken(argument, 8);
    if (view === undefined) return no("EINVAL");
    const set = this.#container === undefined ? 0 : 2;
    view.setUint32(4, (this.#group.viable ? 1 : 0) | set, true);
    return 0;
  }

  #setContainer(argument: Uint8Array | number): number {
    if (typeof argument === "number" || argument.length < 4) return no("EFAULT");
    if (this.#container !== undefined) return no("EINVAL");
    const fd = new DataView(argument.buffer, argument.byteOffset).getInt32(0, true);
    const container = this.#io.deviceBehind(fd);
    if (!(container instanceof FakeContainer)) return no("EINVAL");
    if (!this.#group.viable) return no("EPERM");
    container.groups += 1;
    this.#container = container;
    return 0;
  }

  #unsetContainer(): number {
    if (this.#container === undefined) return no("EINVAL");
    if (this.#group.functions.some((each) => each.opened)) return no("EBUSY");
    this.#container.groups -= 1;
    this.#container.iommu = false;
    this.#container.pages.entries.length = 0;
    this.#container = undefined;
    return 0;
  }

  #getDevice(argument: Uint8Array | number): number {
    if (typeof argument === "number") return no("EFAULT");
    const container = this.#container;
    if (container === undefined || !container.iommu) return no("EINVAL");
    const text = new TextDecoder().decode(argument.subarray(0, argument.indexOf(0)));
    const [name = "", token] = text.split(" vf_token=");
    const found = this.#group.functions.find((each) => each.name === name);
    if (found === undefined) return no("ENODEV");
    const refused = found.checkToken(token);
    if (refused !== 0) return refused;
    return this.#io.installDevice(found.open(container.pages));
  }
}
