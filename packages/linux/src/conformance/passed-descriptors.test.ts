import { expect, test } from "vitest";
import { bytesOf, describeNativeIo, failure } from "../testing/native-io-rig.ts";

describeNativeIo("descriptors in messages", (rig) => {
  test("arrive as new ones of the same file, and the sender may close its own", () => {
    const [one, other] = rig.pair();
    const event = rig.io.eventfd();
    const memory = rig.io.memfd("m", rig.io.pageSize);
    rig.io.send(one, bytesOf(1), 0, 1, [event, memory]);
    rig.io.signalEventfd(event);
    rig.io.close(event);
    rig.io.close(memory);
    const { fds } = rig.receive(other);
    expect(fds).toHaveLength(2);
    expect(rig.io.drainEventfd(fds[0] ?? -1)).toBe(1);
    expect(rig.io.status(fds[1] ?? -1)).toMatchObject({
      kind: "memfd",
      size: BigInt(rig.io.pageSize),
    });
  });

  test("come with a read that began before their message, which never runs past it", () => {
    const [one, other] = rig.pair();
    const event = rig.own(rig.io.eventfd());
    rig.io.send(one, bytesOf(1, 2), 0, 2, []);
    rig.io.send(one, bytesOf(3, 4), 0, 2, [event]);
    rig.io.send(one, bytesOf(5), 0, 1, []);
    const first = rig.receive(other);
    expect(first.bytes).toEqual([1, 2, 3, 4]);
    expect(first.fds).toHaveLength(1);
    expect(rig.receive(other)).toEqual({ count: 1, bytes: [5], fds: [] });
  });

  test("of two messages are never merged", () => {
    const [one, other] = rig.pair();
    const event = rig.own(rig.io.eventfd());
    rig.io.send(one, bytesOf(1), 0, 1, [event]);
    rig.io.send(one, bytesOf(2), 0, 1, [event, event]);
    expect(rig.receive(other)).toMatchObject({ bytes: [1], fds: [expect.any(Number)] });
    expect(rig.receive(other).fds).toHaveLength(2);
  });

  test("come with the first byte of their message, however little of it is read", () => {
    const [one, other] = rig.pair();
    rig.io.send(one, bytesOf(1, 2, 3), 0, 3, [rig.own(rig.io.eventfd())]);
    expect(rig.receive(other, 1).fds).toHaveLength(1);
    expect(rig.receive(other)).toEqual({ count: 2, bytes: [2, 3], fds: [] });
  });

  test("ride on the first piece of a message that is cut", () => {
    const [one, other] = rig.pair();
    const data = new Uint8Array(100_000);
    expect(rig.io.send(one, data, 0, data.length, [rig.own(rig.io.eventfd())])).toBe(data.length);
    const first = rig.receive(other, data.length);
    expect(first.fds).toHaveLength(1);
    expect(first.count).toBeLessThan(data.length);
    let rest = 0;
    while (first.count + rest < data.length) rest += rig.receive(other, data.length).count;
    expect(rig.receive(other).count).toBe(-1);
  });

  test("are closed with a connection on which nobody read them", () => {
    const [one, other] = rig.io.socketPair();
    const peer = rig.io.socketPair();
    rig.io.send(one, bytesOf(1), 0, 1, [peer[0]]);
    rig.io.close(peer[0]);
    rig.io.close(other);
    rig.io.close(one);
    expect(failure(() => rig.io.send(rig.own(peer[1]), bytesOf(1), 0, 1, []))).toBe("EPIPE");
  });

  test("may be 253 at once, and not one more", () => {
    const [one, other] = rig.pair();
    const event = rig.own(rig.io.eventfd());
    const most = Array<number>(253).fill(event);
    expect(rig.io.send(one, bytesOf(1), 0, 1, most)).toBe(1);
    expect(rig.receive(other).fds).toHaveLength(253);
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, [...most, event]))).toBe(
      "ERR_VFMIG_FD_PASSING",
    );
    expect(rig.receive(other).count).toBe(-1);
  });

  test("that are not open are refused, and nothing is sent", () => {
    const [one, other] = rig.pair();
    const good = rig.own(rig.io.eventfd());
    const closed = rig.io.eventfd();
    rig.io.close(closed);
    expect(failure(() => rig.io.send(one, bytesOf(1), 0, 1, [good, closed]))).toBe("EBADF");
    expect(rig.receive(other).count).toBe(-1);
  });
});
