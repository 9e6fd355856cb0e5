import { expect, test } from "vitest";
import type { Watch } from "../native-io.ts";
import { bytesOf, describeNativeIo, failure, turns } from "../testing/native-io-rig.ts";

describeNativeIo("watches", (rig) => {
  test("call back as long as the descriptor is readable, and not before", async () => {
    const fd = rig.own(rig.io.eventfd());
    let calls = 0;
    rig.own(rig.io.watch(fd, () => void calls++));
    await turns();
    expect(calls).toBe(0);
    rig.io.signalEventfd(fd);
    await turns();
    expect(calls).toBeGreaterThan(1);
    rig.io.drainEventfd(fd);
    await turns(1);
    const drained = calls;
    await turns();
    expect(calls).toBe(drained);
  });

  test("of one descriptor may be several, each with its own end", async () => {
    const fd = rig.own(rig.io.eventfd());
    const seen = { one: 0, other: 0 };
    const one = rig.own(rig.io.watch(fd, () => void seen.one++));
    rig.own(rig.io.watch(fd, () => void seen.other++));
    one[Symbol.dispose]();
    rig.io.signalEventfd(fd);
    await turns();
    expect(seen.one).toBe(0);
    expect(seen.other).toBeGreaterThan(0);
  });

  test("end inside their own callback", async () => {
    const fd = rig.own(rig.io.eventfd());
    let calls = 0;
    const watch: Watch = rig.own(
      rig.io.watch(fd, () => {
        calls++;
        watch[Symbol.dispose]();
      }),
    );
    rig.io.signalEventfd(fd);
    await turns();
    expect(calls).toBe(1);
  });

  test("end when their descriptor is closed through the same door", async () => {
    const [one, other] = rig.io.socketPair();
    rig.io.watch(one, () => {});
    rig.io.close(one);
    expect(failure(() => rig.io.send(other, bytesOf(1), 0, 1, []))).toBe("EPIPE");
    rig.io.close(other);
    await turns();
  });

  test("end when their callback throws, and its owner hears of it once", async () => {
    const errors: unknown[] = [];
    rig.start((error, fd) => errors.push([error, fd]));
    const fd = rig.own(rig.io.eventfd());
    const broken = new Error("broken callback");
    rig.io.watch(fd, () => {
      throw broken;
    });
    rig.io.signalEventfd(fd);
    await turns();
    expect(errors).toEqual([[broken, fd]]);
  });

  test("of what is always ready, such as memory, are refused", () => {
    expect(failure(() => rig.io.watch(rig.own(rig.io.memfd("m", 1)), () => {}))).toBe("EPERM");
  });

  test("wake for a message, for a new connection and for the end of a stream", async () => {
    const path = rig.socketPath();
    const listener = rig.own(rig.io.listen(path));
    let server = -1;
    const woken: string[] = [];
    const watching = rig.own(
      rig.io.watch(listener, () => {
        woken.push("connection");
        server = rig.own(rig.io.accept(listener));
      }),
    );
    const client = rig.io.connect(path);
    await turns();
    watching[Symbol.dispose]();
    rig.own(
      rig.io.watch(server, () => {
        const { count } = rig.receive(server);
        woken.push(count === 0 ? "end" : `${count} bytes`);
        if (count === 0) rig.io.shutdown(server);
      }),
    );
    rig.io.send(client, bytesOf(1, 2), 0, 2, []);
    await turns();
    rig.io.close(client);
    await turns();
    expect(woken.slice(0, 3)).toEqual(["connection", "2 bytes", "end"]);
  });

  test("wake for a peer that is gone with our bytes unread", async () => {
    const [one, other] = rig.io.socketPair();
    rig.own(one);
    rig.io.send(one, bytesOf(1), 0, 1, []);
    const counts: number[] = [];
    const watch = rig.own(
      rig.io.watch(one, () => {
        counts.push(rig.receive(one).count);
        if (counts.length === 2) watch[Symbol.dispose]();
      }),
    );
    rig.io.close(other);
    await turns();
    expect(counts).toEqual([0, 0]);
  });
});
