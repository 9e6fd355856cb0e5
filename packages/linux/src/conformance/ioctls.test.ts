import { expect, test } from "vitest";
import { describeNativeIo, failure } from "../testing/native-io-rig.ts";

/** `_IOR('T', 210, unsigned int)`, TUNGETIFF: says that it writes four bytes. */
const SIZED = 0x8004_54d2;

describeNativeIo("ioctls", (rig) => {
  test("that a device does not know are refused", () => {
    const fd = rig.own(rig.io.eventfd());
    expect(failure(() => rig.io.ioctl(fd, 0x3b64))).toBe("ENOTTY");
    expect(failure(() => rig.io.ioctl(fd, 0x3b64, 7))).toBe("ENOTTY");
    expect(failure(() => rig.io.ioctl(fd, SIZED, new Uint8Array(4)))).toBe("ENOTTY");
  });

  test("do not reach the system with memory shorter than they say, or none", () => {
    const fd = rig.own(rig.io.eventfd());
    const detached = new Uint8Array(64);
    detached.buffer.transfer();
    for (const memory of [new Uint8Array(3), new Uint8Array(0), detached]) {
      expect(failure(() => rig.io.ioctl(fd, SIZED, memory))).toBe("ERR_VFMIG_BUFFER_RANGE");
    }
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 32])("refuse %d as a request", (request) => {
    const fd = rig.own(rig.io.eventfd());
    expect(failure(() => rig.io.ioctl(fd, request))).toBe("EINVAL");
  });

  test.each([-1, 0.5, Number.NaN])("refuse %d as an argument", (argument) => {
    const fd = rig.own(rig.io.eventfd());
    expect(failure(() => rig.io.ioctl(fd, 0, argument))).toBe("EINVAL");
  });
});
