import { expect, test } from "vitest";
import { bytesOf, describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("streams", (rig) => {
  test("carry bytes in order, and tell nothing from the end", () => {
    const [one, other] = rig.io.socketPair();
    rig.own(one);
    expect(rig.receive(one).count).toBe(-1);
    rig.io.send(other, bytesOf(0, 1, 2, 3, 4), 1, 3, []);
    rig.io.send(other, bytesOf(9), 0, 1, []);
    expect(rig.receive(one)).toEqual({ count: 4, bytes: [1, 2, 3, 9], fds: [] });
    expect(rig.receive(one).count).toBe(-1);
    rig.io.close(other);
    expect(rig.receive(one).count).toBe(0);
    expect(rig.receive(one).count).toBe(0);
  });

  test("write into the named part of a buffer and nowhere else", () => {
    const [one, other] = rig.pair();
    rig.io.send(other, bytesOf(1, 2, 3, 4), 0, 4, []);
    const whole = new Uint8Array(16).fill(0xee);
    const into = whole.subarray(4, 12);
    expect(rig.io.receive(one, into, 2, 3, [])).toBe(3);
    expect([...whole]).toEqual([
      ...Array<number>(6).fill(0xee),
      1,
      2,
      3,
      ...Array<number>(7).fill(0xee),
    ]);
  });

  test("carry bytes between mapped memories", () => {
    const [one, other] = rig.pair();
    const fd = rig.own(rig.io.memfd("m", 2 * rig.io.pageSize));
    const memory = rig.own(rig.io.mmap(fd, 2 * rig.io.pageSize));
    memory.bytes.set([7, 8, 9], rig.io.pageSize - 1);
    rig.io.send(one, memory.bytes, rig.io.pageSize - 1, 3, []);
    expect(rig.io.receive(other, memory.bytes, 10, 100, [])).toBe(3);
    expect([...memory.bytes.subarray(9, 14)]).toEqual([0, 7, 8, 9, 0]);
  });

  test("take no more than there is room for, and go on when the peer has read", () => {
    const [one, other] = rig.pair();
    const data = new Uint8Array(1 << 20);
    for (let at = 0; at < data.length; at++) data[at] = at * 7;
    let sent = rig.io.send(one, data, 0, data.length, []);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(data.length);
    expect(rig.io.send(one, data, sent, 1, [])).toBe(-1);
    expect(rig.io.waitWritable(one, 0)).toBe(false);
    const got = new Uint8Array(data.length);
    let read = 0;
    while (read < data.length) {
      read += Math.max(0, rig.io.receive(other, got, read, data.length - read, []));
      if (sent < data.length && rig.io.waitWritable(one, 0)) {
        sent += Math.max(0, rig.io.send(one, data, sent, data.length - sent, []));
      }
    }
    expect(got).toEqual(data);
  });

  test("give a small message no room once hundreds of small ones are unread", () => {
    const [one] = rig.pair();
    let count = 0;
    while (rig.io.send(one, bytesOf(1), 0, 1, []) === 1) count++;
    expect(count).toBeGreaterThan(100);
    expect(count).toBeLessThan(2000);
  });

  test("end both ways with a shutdown; what was sent before can be read", () => {
    const [one, other] = rig.pair();
    rig.io.send(other, bytesOf(5), 0, 1, []);
    rig.io.shutdown(other);
    expect(rig.receive(one).bytes).toEqual([5]);
    expect(rig.receive(one).count).toBe(0);
    expect(rig.receive(other).count).toBe(0);
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, []))).toBe("EPIPE");
    expect(failure(() => rig.io.send(other, bytesOf(1), 0, 1, []))).toBe("EPIPE");
    expect(rig.io.waitReadable(one, 0)).toBe(true);
  });

  test("of a peer that is gone are an error to write to, and no signal", () => {
    const [one, other] = rig.io.socketPair();
    rig.own(one);
    rig.io.close(other);
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, []))).toBe("EPIPE");
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, []))).toBe("EPIPE");
  });

  test("of a peer that left our bytes unread end after what it had sent", () => {
    const [one, other] = rig.io.socketPair();
    rig.own(one);
    rig.io.send(one, bytesOf(1), 0, 1, []);
    rig.io.send(other, bytesOf(2), 0, 1, []);
    rig.io.close(other);
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, []))).toBe("EPIPE");
    expect([rig.receive(one).count, rig.receive(one).count, rig.receive(one).count]).toEqual([
      1, 0, 0,
    ]);
  });

  test.each([
    [-1, 1],
    [0, 0],
    [0, 9],
    [8, 1],
    [4, 5],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.NaN],
    [0, Number.POSITIVE_INFINITY],
  ])("refuse offset %d and length %d in a buffer of 8", (offset, length) => {
    const [one, other] = rig.pair();
    const buffer = new Uint8Array(8);
    expect(failure(() => rig.io.send(one, buffer, offset, length, []))).toBe(
      "ERR_VFMIG_BUFFER_RANGE",
    );
    expect(failure(() => rig.io.receive(other, buffer, offset, length, []))).toBe(
      "ERR_VFMIG_BUFFER_RANGE",
    );
  });

  test("refuse a detached buffer, also one that was used before", () => {
    const [one, other] = rig.pair();
    const buffer = new Uint8Array(8);
    rig.io.send(one, buffer, 0, 8, []);
    rig.io.receive(other, buffer, 0, 8, []);
    buffer.buffer.transfer();
    expect(failure(() => rig.io.send(one, buffer, 0, 8, []))).toBe("ERR_VFMIG_BUFFER_RANGE");
    expect(failure(() => rig.io.receive(other, buffer, 0, 8, []))).toBe("ERR_VFMIG_BUFFER_RANGE");
  });

  test("are spoken by sockets only", () => {
    const fd = rig.own(rig.io.eventfd());
    expect(failure(() => rig.io.send(fd, bytesOf(1), 0, 1, []))).toBe("ENOTSOCK");
    expect(failure(() => rig.io.receive(fd, bytesOf(1), 0, 1, []))).toBe("ENOTSOCK");
    expect(failure(() => rig.io.accept(fd))).toBe("ENOTSOCK");
  });
});
