import { expect, test } from "vitest";
import { bytesOf, describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("connections", (rig) => {
  test("are made by path and accepted in order", () => {
    const path = rig.socketPath();
    const listener = rig.own(rig.io.listen(path));
    expect(rig.io.accept(listener)).toBe(-1);
    const first = rig.own(rig.io.connect(path));
    const second = rig.own(rig.io.connect(path));
    rig.io.send(second, bytesOf(2), 0, 1, []);
    rig.io.send(first, bytesOf(1), 0, 1, []);
    expect(rig.receive(rig.own(rig.io.accept(listener))).bytes).toEqual([1]);
    expect(rig.receive(rig.own(rig.io.accept(listener))).bytes).toEqual([2]);
    expect(rig.io.accept(listener)).toBe(-1);
  });

  test("are refused where nobody listens any more", () => {
    const path = rig.socketPath();
    rig.io.close(rig.io.listen(path));
    expect(failure(() => rig.io.connect(path))).toBe("ECONNREFUSED");
  });

  test("end when the listener closes before it has accepted them", () => {
    const path = rig.socketPath();
    const listener = rig.io.listen(path);
    const client = rig.own(rig.io.connect(path));
    rig.io.close(listener);
    expect(rig.receive(client).count).toBe(0);
  });

  test("need a path of their own", () => {
    const path = rig.socketPath();
    rig.own(rig.io.listen(path));
    expect(failure(() => rig.io.listen(path))).toBe("EADDRINUSE");
  });

  test.each([
    ["empty", ""],
    ["of 108 bytes", "x".repeat(108)],
    ["of 108 bytes in fewer characters", "é".repeat(54)],
    ["with a NUL", "a\0b"],
  ])("have no path that is %s", (_what, path) => {
    expect(failure(() => rig.io.listen(path))).toBe("ERR_VFMIG_SOCKET_PATH");
    expect(failure(() => rig.io.connect(path))).toBe("ERR_VFMIG_SOCKET_PATH");
  });

  test("tell who the peer is", () => {
    const [one] = rig.pair();
    expect(rig.io.peerCredentials(one)).toEqual({
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
  });
});

describeNativeIo("room for messages under way", (rig) => {
  test("can be asked for in any amount, and messages pass as before", () => {
    const [one, other] = rig.pair();
    for (const bytes of [1, 1_048_576, Number.MAX_SAFE_INTEGER]) rig.io.growSendBuffer(one, bytes);
    rig.io.send(one, bytesOf(1, 2, 3), 0, 3, []);
    expect(rig.receive(other).bytes).toEqual([1, 2, 3]);
  });

  test("is refused for a descriptor that is closed", () => {
    const fd = rig.io.eventfd();
    rig.io.close(fd);
    expect(failure(() => rig.io.growSendBuffer(fd, 4096))).toBe("EBADF");
  });

  test("and a yield of the CPU comes back", () => {
    rig.io.yieldCpu();
    const [one, other] = rig.pair();
    expect(rig.io.waitReadable(one, 0)).toBe(false);
    rig.io.send(other, bytesOf(1), 0, 1, []);
    rig.io.yieldCpu();
    expect(rig.receive(one).count).toBe(1);
  });
});
