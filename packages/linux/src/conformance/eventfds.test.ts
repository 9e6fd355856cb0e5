import { expect, test } from "vitest";
import { describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("eventfds", (rig) => {
  test("signals add up until they are drained", () => {
    const fd = rig.own(rig.io.eventfd());
    expect(rig.io.drainEventfd(fd)).toBe(0);
    for (let times = 3; times > 0; times--) rig.io.signalEventfd(fd);
    expect(rig.io.drainEventfd(fd)).toBe(3);
    expect(rig.io.drainEventfd(fd)).toBe(0);
  });

  test("waiting tells whether one was signalled", () => {
    const fd = rig.own(rig.io.eventfd());
    expect(rig.io.waitReadable(fd, 10)).toBe(false);
    rig.io.signalEventfd(fd);
    expect(rig.io.waitReadable(fd, 1e12)).toBe(true);
    expect(rig.io.waitWritable(fd, 0)).toBe(true);
  });

  test("are what can be drained, and memory cannot", () => {
    expect(failure(() => rig.io.drainEventfd(rig.own(rig.io.memfd("m", 1))))).toBe("EINVAL");
  });
});
