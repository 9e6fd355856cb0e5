import { rmSync } from "node:fs";
import { expect, test } from "vitest";
import { bytesOf, describeNativeIo, failure, turns, type Rig } from "../testing/native-io-rig.ts";

/** A bound socket and its path. */
function bound(rig: Rig): [fd: number, path: string] {
  const path = rig.socketPath();
  return [rig.own(rig.io.datagramSocket(path)), path];
}

function receive(rig: Rig, fd: number, length = 64): { length: number; bytes: number[] } {
  const into = new Uint8Array(length);
  const whole = rig.io.receiveDatagram(fd, into, 0, length);
  return { length: whole, bytes: [...into.subarray(0, Math.max(0, Math.min(whole, length)))] };
}

describeNativeIo("datagrams", (rig) => {
  test("arrive whole, apart and in order", () => {
    const [one, path] = bound(rig);
    const sender = rig.own(rig.io.datagramSocket());
    expect(receive(rig, one).length).toBe(-1);
    expect(rig.io.sendDatagram(sender, bytesOf(0, 1, 2, 3, 4), 1, 3, path)).toBe(3);
    expect(rig.io.sendDatagram(sender, bytesOf(9), 0, 1, path)).toBe(1);
    expect(receive(rig, one)).toEqual({ length: 3, bytes: [1, 2, 3] });
    expect(receive(rig, one)).toEqual({ length: 1, bytes: [9] });
    expect(receive(rig, one).length).toBe(-1);
  });

  test("go both ways between two bound sockets, by path and connected", () => {
    const [one, onePath] = bound(rig);
    const [other, otherPath] = bound(rig);
    rig.io.sendDatagram(one, bytesOf(1), 0, 1, otherPath);
    rig.io.connectDatagram(other, onePath);
    rig.io.sendDatagram(other, bytesOf(2), 0, 1);
    expect([receive(rig, other).bytes, receive(rig, one).bytes]).toEqual([[1], [2]]);
  });

  test("too long for the buffer are cut, tell their length, and leave the next one whole", () => {
    const [one, path] = bound(rig);
    rig.io.sendDatagram(one, new Uint8Array(5000).fill(7), 0, 5000, path);
    rig.io.sendDatagram(one, bytesOf(1, 2), 0, 2, path);
    const buffer = new Uint8Array(8).fill(0xee);
    expect(rig.io.receiveDatagram(one, buffer, 2, 3)).toBe(5000);
    expect([...buffer]).toEqual([0xee, 0xee, 7, 7, 7, 0xee, 0xee, 0xee]);
    expect(receive(rig, one).bytes).toEqual([1, 2]);
  });

  test("find no room at a peer that does not read, and find it again when it does", () => {
    const [one, path] = bound(rig);
    const sender = rig.own(rig.io.datagramSocket());
    let sent = 0;
    while (rig.io.sendDatagram(sender, bytesOf(sent), 0, 1, path) === 1) sent++;
    expect(sent).toBeGreaterThan(5);
    expect(sent).toBeLessThan(5000);
    expect(rig.io.sendDatagram(sender, bytesOf(0), 0, 1, path)).toBe(-1);
    expect(receive(rig, one).bytes).toEqual([0]);
    expect(rig.io.sendDatagram(sender, bytesOf(0), 0, 1, path)).toBe(1);
  });

  test("are told to reach nobody where no socket is bound, or it is closed", () => {
    const sender = rig.own(rig.io.datagramSocket());
    const path = rig.socketPath();
    expect(rig.io.sendDatagram(sender, bytesOf(1), 0, 1, path)).toBe(-2);
    const peer = rig.io.datagramSocket(path);
    rig.io.connectDatagram(sender, path);
    rig.io.close(peer);
    expect(rig.io.sendDatagram(sender, bytesOf(1), 0, 1, path)).toBe(-2);
    expect(rig.io.sendDatagram(sender, bytesOf(1), 0, 1)).toBe(-2);
    expect(rig.io.sendDatagram(sender, bytesOf(1), 0, 1)).toBe(-2);
  });

  test("without a peer to go to reach nobody", () => {
    expect(rig.io.sendDatagram(rig.own(rig.io.datagramSocket()), bytesOf(1), 0, 1)).toBe(-2);
  });

  test("reach a socket that was bound anew at the same path", () => {
    const [sender] = bound(rig);
    const path = rig.socketPath();
    const first = rig.io.datagramSocket(path);
    rig.io.sendDatagram(sender, bytesOf(1), 0, 1, path);
    rig.io.close(first);
    rmSync(path, { force: true });
    const second = rig.own(rig.io.datagramSocket(path));
    expect(rig.io.sendDatagram(sender, bytesOf(2), 0, 1, path)).toBe(1);
    expect(receive(rig, second).bytes).toEqual([2]);
  });

  test("of a stranger do not arrive at a connected socket", () => {
    const [one, onePath] = bound(rig);
    const [, otherPath] = bound(rig);
    rig.io.connectDatagram(one, otherPath);
    const stranger = rig.own(rig.io.datagramSocket());
    expect(failure(() => rig.io.sendDatagram(stranger, bytesOf(1), 0, 1, onePath))).toBe("EPERM");
    expect(failure(() => rig.io.connectDatagram(stranger, onePath))).toBe("EPERM");
    expect(receive(rig, one).length).toBe(-1);
  });

  test("wake a watch once for each while they are there", async () => {
    const [one, path] = bound(rig);
    const got: number[] = [];
    rig.own(rig.io.watch(one, () => got.push(...receive(rig, one).bytes)));
    rig.io.sendDatagram(one, bytesOf(1), 0, 1, path);
    rig.io.sendDatagram(one, bytesOf(2), 0, 1, path);
    await turns();
    expect(got).toEqual([1, 2]);
    expect(rig.io.waitReadable(one, 0)).toBe(false);
  });

  test("and streams do not meet", () => {
    const path = rig.socketPath();
    rig.own(rig.io.listen(path));
    const socket = rig.own(rig.io.datagramSocket());
    expect(failure(() => rig.io.sendDatagram(socket, bytesOf(1), 0, 1, path))).toBe("EPROTOTYPE");
    expect(failure(() => rig.io.connectDatagram(socket, path))).toBe("EPROTOTYPE");
    const [, datagramPath] = bound(rig);
    expect(failure(() => rig.io.connect(datagramPath))).toBe("EPROTOTYPE");
    expect(failure(() => rig.io.datagramSocket(path))).toBe("EADDRINUSE");
  });

  test("longer than a send buffer are refused", () => {
    const [one, path] = bound(rig);
    const long = new Uint8Array(1 << 20);
    expect(failure(() => rig.io.sendDatagram(one, long, 0, long.length, path))).toBe("EMSGSIZE");
  });

  test("are refused with a bad range, a bad path or no socket", () => {
    const [one, path] = bound(rig);
    const buffer = new Uint8Array(8);
    for (const [offset, length] of [
      [-1, 1],
      [0, 0],
      [4, 5],
      [0, Number.NaN],
    ] as const) {
      expect(failure(() => rig.io.sendDatagram(one, buffer, offset, length, path))).toBe(
        "ERR_VFMIG_BUFFER_RANGE",
      );
      expect(failure(() => rig.io.receiveDatagram(one, buffer, offset, length))).toBe(
        "ERR_VFMIG_BUFFER_RANGE",
      );
    }
    const long = "x".repeat(108);
    expect(failure(() => rig.io.datagramSocket(long))).toBe("ERR_VFMIG_SOCKET_PATH");
    expect(failure(() => rig.io.sendDatagram(one, buffer, 0, 1, long))).toBe(
      "ERR_VFMIG_SOCKET_PATH",
    );
    // A path that was refused is not taken for the one before it.
    expect(rig.io.sendDatagram(one, buffer, 0, 1, path)).toBe(1);
    const event = rig.own(rig.io.eventfd());
    expect(failure(() => rig.io.sendDatagram(event, buffer, 0, 1, path))).toBe("ENOTSOCK");
    expect(failure(() => rig.io.receiveDatagram(event, buffer, 0, 1))).toBe("ENOTSOCK");
    expect(failure(() => rig.io.receiveDatagram(-1, buffer, 0, 1))).toBe("EBADF");
  });
});
