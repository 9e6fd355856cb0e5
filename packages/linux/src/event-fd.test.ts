import { expect, test } from "vitest";
import { EventFd } from "./event-fd.ts";
import { describeNativeIo, failure } from "./testing/native-io-rig.ts";

describeNativeIo("the owner of an eventfd", (rig) => {
  test("signals and drains until it is disposed, and closes its descriptor then", () => {
    const event = EventFd.create(rig.io);
    event.signal();
    event.signal();
    expect(event.drain()).toBe(2);
    event[Symbol.dispose]();
    event[Symbol.dispose]();
    event.signal();
    expect(event.drain()).toBe(0);
    expect(failure(() => rig.io.status(event.fd))).toBe("EBADF");
  });

  test("takes over an eventfd that somebody sent", () => {
    const sent = rig.own(rig.io.eventfd());
    const event = rig.own(EventFd.adopt(rig.io, rig.io.dup(sent)));
    event.signal();
    expect(rig.io.drainEventfd(sent)).toBe(1);
  });

  test("takes over nothing else, and leaves that to its sender", () => {
    const memory = rig.own(rig.io.memfd("m", 1));
    expect(failure(() => EventFd.adopt(rig.io, memory))).toBe("ERR_VFMIG_NOT_EVENTFD");
    expect(rig.io.status(memory).kind).toBe("memfd");
  });

  test("does not throw when somebody else has closed its descriptor", () => {
    const event = EventFd.create(rig.io);
    rig.io.close(event.fd);
    expect(() => event.signal()).not.toThrow();
  });
});
